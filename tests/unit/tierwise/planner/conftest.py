"""The small estate of `tierwise.testing.two_pools`, asked about."""

from collections.abc import Callable

import pytest

from catalog.estates.model import Estate
from chargeback.economics.document import load_economics
from tierwise.planner.inputs import Inputs
from tierwise.planner.prepare import Prepared, prepare
from tierwise.planner.reading import load
from tierwise.testing.two_pools import DOCUMENT, ECONOMICS, two_pools

Asked = Callable[..., Prepared]


@pytest.fixture
def asked() -> Asked:
    """The small estate, asked about by the document with more text at its end."""

    def ask(
        more: str = "",
        *,
        estate: Estate | None = None,
        economics: str = ECONOMICS,
        document: str = DOCUMENT,
    ) -> Prepared:
        inputs = Inputs(estate or two_pools(), load_economics(economics, "economics.yaml"))
        return prepare(load(document + more, "whatif.yaml"), inputs)

    return ask
