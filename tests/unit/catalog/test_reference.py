"""The reference page of catalog documents says what is so, and all of it."""

import re
from pathlib import Path

import pytest

from catalog.base import Value
from catalog.catalog import ALSO_KNOWN, SECTIONS, load_catalog
from catalog.documents import read
from catalog.offerings import MAX_TEXT, Parameter
from catalog.pools import TlsPolicy
from catalog.resources import ResourceClass
from catalog.workload_classes import Availability, DataClassification
from catalog.yaml_nodes import MAX_DEPTH, MAX_VALUES

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "catalog.md").read_text(encoding="utf-8")
PARTS = dict(re.findall(r"(?ms)^## (\w+)$\n(.*?)(?=^## |\Z)", PAGE))
BLOCKS = re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE)


def rows(part: str) -> list[str]:
    return re.findall(r"(?m)^\| `(\w+)` \|", part)


def test_the_yaml_of_the_page_is_one_valid_catalog() -> None:
    texts = {f"block-{i}": block for i, block in enumerate(BLOCKS)}
    catalog = load_catalog(texts)
    assert all(getattr(catalog, section) for section in SECTIONS)


def test_every_section_has_its_part_with_an_example_and_nothing_else_has() -> None:
    assert list(PARTS) == list(SECTIONS)
    for section, part in PARTS.items():
        (block,) = re.findall(r"(?ms)^```yaml\n(.*?)^```", part)
        assert list(read(block, section).tree) == [section]
    for section in ALSO_KNOWN:
        assert f"`{section}`" in PAGE


@pytest.mark.parametrize(("section", "model"), [s for s in SECTIONS.items() if s[0] != "offerings"])
def test_every_field_of_a_section_is_described_and_nothing_else_is(
    section: str, model: type[Value]
) -> None:
    assert rows(PARTS[section]) == [field for field in model.model_fields if field != "name"]


def test_every_field_of_an_offering_and_of_its_parameters_is_described_and_nothing_else_is() -> None:
    of_offering, of_parameter = PARTS["offerings"].split("Fields of a parameter:")
    offering = SECTIONS["offerings"]
    assert rows(of_offering) == [field for field in offering.model_fields if field != "name"]
    assert rows(of_parameter) == list(Parameter.model_fields)


def test_the_closed_lists_of_words_and_the_limits_are_the_real_ones() -> None:
    for word in [*ResourceClass, *Availability, *DataClassification, *TlsPolicy.model_fields]:
        assert f"`{word}`" in PAGE, word
    assert f"{MAX_VALUES:,} values and {MAX_DEPTH} levels" in PAGE
    assert f"{MAX_TEXT} characters" in PAGE
