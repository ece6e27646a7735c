"""A kind of change of somebody else: the guide's, installed as pip leaves it."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catalog.discovery import BadKind
from placement.plan import Limits
from tierwise.planner import changes
from tierwise.planner.prepare import Prepared
from tierwise.planner.run import run

GUIDE = Path(__file__).parents[4] / "docs/how-to/add-a-change.md"


def guided(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "acme_frozen.py").write_text(guided("python"))
    info = tmp_path / "acme_changes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-changes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(guided("ini"))
    monkeypatch.syspath_prepend(str(tmp_path))
    changes.kinds.cache_clear()
    yield info / "entry_points.txt"
    monkeypatch.undo()
    changes.kinds.cache_clear()
    sys.modules.pop("acme_frozen", None)


def test_the_guides_change_holds_its_machines(outside: Path, asked: Callable[..., Prepared]) -> None:
    text = "scenarios:\n  one: {changes: [{kind: frozen, machines: {tiers: [tier-2]}}, {kind: site_loss, site: south}]}\n"
    (found,) = run(asked(text), limits=Limits()).scenarios
    assert (found.unplaced, found.changes[0]) == (4, "machines of tiers tier-2 frozen")
    assert "its tier is frozen" in str(found.stranded[0].reasons[0])


def test_a_kind_that_stands_twice_is_refused(outside: Path) -> None:
    outside.write_text("[tierwise.changes]\ngrowth = acme_frozen\n")
    changes.kinds.cache_clear()
    with pytest.raises(BadKind, match="two modules define the change 'growth'"):
        changes.kinds()
