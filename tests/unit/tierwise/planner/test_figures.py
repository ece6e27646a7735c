"""Figures of a whole economics document, changed one at a time."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from chargeback.economics.document import Economics, load_economics
from tierwise.planner.figures import edited, wrong_path
from tierwise.planner.world import FigureEdit, LicenceEdit

FILE = Path(__file__).parents[4] / "examples/acme/economics.yaml"


@pytest.fixture(scope="module")
def economics() -> Economics:
    return load_economics(FILE.read_text(), FILE.name)


def values(economics: Economics) -> dict[str, list[Fraction]]:
    return {path: [one.value for _, one in figure.statements()] for path, figure in economics.figures()}


def test_every_figure_can_be_scaled_and_no_other_one_changes(economics: Economics) -> None:
    before = values(economics)
    assert len(before) > 40
    for path in before:
        assert wrong_path(economics, path) == ""
        after = values(edited(economics, [FigureEdit(tuple(path.split(".")), percent=Decimal(-10))], []))
        assert after.pop(path) == [value * 9 / 10 for value in before[path]]
        assert after == {name: several for name, several in before.items() if name != path}


def test_a_figure_that_is_set_has_that_value_on_all_days(economics: Economics) -> None:
    path = "sites.fra*.price_per_kwh"
    assert len(values(economics)[path]) == 2
    after = edited(economics, [FigureEdit(tuple(path.split(".")), value="0.5")], [])
    assert values(after)[path] == [Fraction(1, 2)]


def test_a_renewal_on_another_day_moves_what_is_owned(economics: Economics) -> None:
    edit = LicenceEdit("hypervisor-suite", renewal=date(2028, 3, 1))
    after = edited(economics, [], [edit])
    (way,) = next(one for one in after.licences if one.name == "hypervisor-suite").alternatives
    assert [one.until for one in way.owned] == [date(2028, 3, 1)]
    assert edited(economics, [], []) is economics


def test_a_value_that_no_document_could_have_is_refused(economics: Economics) -> None:
    with pytest.raises(ValueError, match="at most"):
        edited(economics, [FigureEdit(("sites", "fra*", "pue"), value="1e30")], [])
