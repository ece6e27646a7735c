"""Conflicts are minimal: each fact of one is needed, whatever else stands against the pools."""

from hypothesis import given
from hypothesis import strategies as st

from tierwise.planner.result import Against
from tierwise.planner.stranding import conflict

POOLS = ("A", "B", "C", "D")
REASONS = st.lists(st.tuples(st.sampled_from(POOLS), st.sampled_from("uvwxyz")), max_size=14, unique=True)


def closed_by(facts: set[str], reasons: list[Against]) -> set[str]:
    return {one.pool for one in reasons if one.why in facts}


@given(REASONS)
def test_all_pools_are_closed_by_the_conflict_and_one_opens_without_any_of_its_facts(
    pairs: list[tuple[str, str]],
) -> None:
    reasons = [Against(pool=pool, why=why, remedy="lift it") for pool, why in pairs]
    closed = {one.pool for one in reasons}
    found = set(conflict(reasons, closed))
    assert closed_by(found, reasons) == closed
    assert all(closed_by(found - {fact}, reasons) != closed for fact in found)


def test_what_room_lacks_is_part_of_it() -> None:
    reasons = [
        Against(pool="A", why="it is closed", remedy="open it"),
        Against(pool="A", why="too far", remedy="lift it"),
        Against(pool="B", why="too far", remedy="lift it"),
        Against(pool="C", why="8 GiB are missing", remedy="buy a host"),
    ]
    assert conflict(reasons, {"A", "B"}) == ("too far", "C: 8 GiB are missing")
