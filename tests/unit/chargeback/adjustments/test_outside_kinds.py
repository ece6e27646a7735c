"""A kind of term that somebody else's distribution brings along."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.discovery import BadKind
from chargeback.adjustment_documents import References, load_terms
from chargeback.adjustments import kinds

MODULE = '''
from collections.abc import Sequence
from typing import ClassVar, Literal

from chargeback.adjustment import Outcome, Part, Run, Stage, Term, total


class WholeUnits(Term):
    """Leaves off what exceeds whole units of the currency."""

    stage: ClassVar = Stage.FIXED

    kind: Literal["whole_units"]

    def outcome(self, matched: Sequence[Part], run: Run) -> Outcome | None:
        off = total(matched) % 100
        return Outcome(-off, "", "whole units") if off else None
'''

DOCUMENT = """
adjustments:
  no-cents: {kind: whole_units, valid_from: 2026-10, recorded_at: 2026-09-01}
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "acme_whole_units.py").write_text(MODULE)
    info = tmp_path / "acme_terms-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-terms\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tierwise.adjustments]\nwhole_units = acme_whole_units\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    kinds.cache_clear()
    yield info / "entry_points.txt"
    monkeypatch.undo()
    kinds.cache_clear()
    sys.modules.pop("acme_whole_units", None)


def test_a_document_can_use_a_kind_of_somebody_else(outside: Path) -> None:
    (term,) = load_terms({"terms.yaml": DOCUMENT}, References((), (), (), None)).adjustments
    assert term.title == "whole units 'no-cents'"
    assert type(term).__module__ == "acme_whole_units"
    assert list(kinds())[-1] == "whole_units"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("credit", "two modules define the adjustment 'credit'"),
        ("half_units", "must define one adjustment with the field kind"),
    ],
)
def test_an_entry_point_cannot_take_a_name_that_there_is_or_that_it_does_not_define(
    outside: Path, name: str, message: str
) -> None:
    outside.write_text(f"[tierwise.adjustments]\n{name} = acme_whole_units\n")
    kinds.cache_clear()
    with pytest.raises(BadKind, match=message):
        kinds()
