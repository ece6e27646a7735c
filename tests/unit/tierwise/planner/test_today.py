"""Today's licences, worked out by hand where what one pool buys hangs on the other."""

from collections.abc import Callable
from typing import Any

import pytest

from tierwise.planner import today
from tierwise.planner.prepare import Prepared
from tierwise.testing.two_pools import DOCUMENT, ECONOMICS

BOTH = DOCUMENT.replace("tier: tier-2, site", "tier: tier-2, hypervisor: vsphere, site").replace(
    "    tier: tier-2\n", "    tier: tier-2\n    hypervisor: vsphere\n"
)
"""Both pools run vSphere: 3 hosts and 2, each of two sockets with 8 cores, of which standard counts 16 each."""


def bought(asked: Callable[..., Prepared], economics: str) -> dict[str, tuple[str, int]]:
    prepared = asked(document=BOTH, economics=economics)
    built = prepared.built(())
    found = today.licences_today(built, today.counts_today(built))
    return {"+".join(one.covered): (one.alternative, one.cost_micros // 10**6) for one in found}


CASES = {
    "minimum": ("order_minimum: 200", "18", {"Alpha": ("plus", 48 * 18 * 12), "Beta": ("plus", 32 * 18 * 12)}),
    "dear plus": ("order_minimum: 72", "22", {"Alpha+Beta": ("standard", 160 * 120)}),
    # A hundred packs are paid for: Alpha takes 96 of them, and for Beta the 64 of which 4 are left cost more than plus.
    "owned": ("owned: [{packs: 100, until: 2030-01-01}]", "18", {"Alpha": ("standard", 0), "Beta": ("plus", 32 * 18 * 12)}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tried", [4096, 1])
def test_the_cheapest_legal_way_is_found_by_trying_all_or_by_improving(
    asked: Callable[..., Prepared], monkeypatch: pytest.MonkeyPatch, case: str, tried: int
) -> None:
    more, price, expected = CASES[case]
    monkeypatch.setattr(today, "_TRIED", tried)
    text = ECONOMICS.replace("per_socket_minimum: 16,", f"per_socket_minimum: 16, {more},").replace(
        "amount: 18", f"amount: {price}"
    )
    assert bought(asked, text) == expected


def test_rules_that_machines_break_today_are_told_and_not_enforced(asked: Callable[..., Prepared]) -> None:
    from placement.plan import Limits
    from tierwise.planner.run import solve_today

    rules = "rules:\n  south: {machines: {applications: [shop]}, only: {sites: [south]}, reason: near the lake}\n"
    found = solve_today(asked(rules), Limits())
    assert (found.unplaced, found.notes) == (
        0, ("already so today: 4 machines break south on Alpha: near the lake",),
    )  # fmt: skip


def test_machines_of_no_pool_are_told_as_unplaced(asked: Callable[..., Prepared]) -> None:
    from placement.plan import Limits
    from tierwise.planner.run import solve_today
    from tierwise.testing.two_pools import machine, two_pools

    estate = two_pools()
    more: Any = (*estate.machines, machine(30, "", 2, 8, 20))
    prepared = asked(estate=estate.model_copy(update={"machines": more}))
    assert "1 machines are in no pool; they are planned as machines that are yet to come" in prepared.notes
    assert solve_today(prepared, Limits()).unplaced == 1
