"""The page of capabilities says what the drivers declare, and the committed one is the generated one."""

from pathlib import Path
from types import MappingProxyType

from catalog.capabilities import Capability, Gap, GapReason
from connectors.contract import PLATFORM_CAPABILITIES
from connectors.drivers.simulated import Simulated
from tierwise.docs.capabilities import capability_matrix, installed

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "capabilities.md"


class Whole(Simulated):
    driver = "whole"
    gaps = MappingProxyType({})


class Lacking(Simulated):
    driver = "lacking"
    gaps = MappingProxyType(
        {
            Capability.SNAPSHOT: Gap(reason=GapReason.NOT_LICENSED, detail="snapshots need a licence"),
            Capability.DRS: Gap(reason=GapReason.NEVER, detail="nothing balances machines"),
        }
    )


def cells(page: str) -> dict[str, list[str]]:
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("|")]
    return {name: rest for name, *rest in rows}


def test_the_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == installed(), (
        "write it anew: python -m tierwise.docs.capabilities > docs/reference/capabilities.md"
    )


def test_a_row_stands_for_each_capability_and_a_column_for_each_driver() -> None:
    table = cells(capability_matrix([Whole, Lacking]))
    assert table["capability"] == ["lacking", "whole"]
    assert table["`snapshot`"] == ["not licensed", "yes"]
    assert table["`drs`"] == ["never", "platform"]
    assert table["`ha_restart`"] == ["platform", "platform"]
    assert table.keys() == {"capability", "---", *(f"`{c.value}`" for c in Capability)}


def test_only_what_has_no_call_is_said_to_be_the_platforms() -> None:
    table = cells(capability_matrix([Whole]))
    said = {c for c in Capability if table[f"`{c.value}`"] == ["platform"]}
    assert said == PLATFORM_CAPABILITIES


def test_each_reason_stands_under_its_driver() -> None:
    reasons = capability_matrix([Whole, Lacking]).partition("## Reasons\n\n")[2]
    assert reasons == (
        "### lacking\n\n"
        "- `snapshot` (not licensed): snapshots need a licence\n"
        "- `drs` (never): nothing balances machines\n\n"
        "### whole\n\nNothing is missing.\n"
    )


def test_the_order_in_which_drivers_are_given_does_not_matter() -> None:
    assert capability_matrix([Whole, Lacking]) == capability_matrix([Lacking, Whole])
