"""Machines cannot be divided: where the sums of a pool hold and its hosts do not, the result says so."""

from collections.abc import Callable

import pytest

from placement.plan import Limits
from tierwise.planner.prepare import Prepared
from tierwise.planner.run import run
from tierwise.testing.two_pools import DOCUMENT, machine, two_pools

STAY = "scenarios:\n  stay: {changes: [{kind: fixed, machines: {pools: [Beta]}, reason: nobody moves}]}\n"


@pytest.mark.parametrize(
    ("gib", "notes"),
    [
        # Two hosts of 128 GiB: of three machines of 80 GiB, 240 GiB in all, each host has room for one.
        (80, ("pool 'Beta': 1 of 3 machines did not pack onto 2 hosts; plan 1 more",)),
        (64, ()),
    ],
)
def test_what_does_not_pack_is_told(
    asked: Callable[..., Prepared], gib: int, notes: tuple[str, ...]
) -> None:
    machines = tuple(machine(n, "Beta", 2, gib, 50) for n in range(3))
    estate = two_pools().model_copy(update={"machines": machines})
    document = DOCUMENT.replace("tier: tier-2\n", "tier: tier-2\n    losses: 0\n")
    (stay,) = run(asked(STAY, estate=estate, document=document), limits=Limits()).scenarios
    assert stay.unplaced == 0
    assert stay.notes == notes
