"""docs/reference/faults.md names tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "faults.md"


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    sources = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "tierwise" / "testing").rglob("*.py")]
    defined = {
        name for source in sources for name in re.findall(r"def (test_\w+)\(", source.read_text("utf-8"))
    }
    assert len(named) > 30
    assert named - defined == set()
