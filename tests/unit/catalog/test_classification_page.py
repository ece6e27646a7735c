"""docs/reference/classification.md says what is so, and all of it."""

import re
from pathlib import Path

from catalog.catalog import load_catalog
from catalog.estates.class_documents import load_class_rules
from catalog.estates.class_rules import USUAL_CONFIDENCE, ClassRule, Match, Weighing
from catalog.estates.classified import Facts
from catalog.estates.mapping import COLUMNS
from catalog.estates.sizing import Activity, Bounds, SizingPolicy
from catalog.estates.sizing_documents import load_sizing

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "classification.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE)


def rows(first_column: str) -> list[str]:
    """The names in the first column of the table with this heading."""
    table = PAGE.split(f"| {first_column} |")[1].split("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_the_documents_of_the_page_are_valid_and_the_usual_values_are_those() -> None:
    acme = ROOT / "examples" / "acme"
    catalog = load_catalog({path.name: path.read_text(encoding="utf-8") for path in acme.glob("*.yaml")})
    rules = load_class_rules(BLOCKS[0], "page", catalog)
    assert len(rules.rules) == 4
    assert rules.weighing == Weighing()
    assert load_sizing(BLOCKS[1], "page") == SizingPolicy()
    assert f"{USUAL_CONFIDENCE} where it is left out" in PAGE


def test_every_field_is_described_and_nothing_else_is() -> None:
    assert rows("field of a rule") == [name for name in ClassRule.model_fields if name != "name"]
    assert sorted(rows("condition")) == sorted(Match.model_fields)
    assert rows("fact") == list(Facts.model_fields)
    assert sorted(rows("column")) == sorted(COLUMNS)
    assert sorted(rows("field of `sizing`")) == sorted(SizingPolicy.model_fields)
    assert rows("bound") == list(Bounds.model_fields)
    for word in Activity:
        assert f"`{word}`" in PAGE, word
    for field in Weighing.model_fields:
        assert f"`{field}`" in PAGE, field
