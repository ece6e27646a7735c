"""The running estate on changed prices and pools: what would then be best, and what that changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlmodel import select

from catalog.orders import Request
from catalog.resources import ResourceClass, Resources
from placement.diff import PlanDiff
from placement.plan import Limits
from placement.scenario import ScenarioInvalid, parse
from placement.what_if import WhatIf, what_if
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store import orders as order_store
from tierwise.store.tables import MachineRow, MachineState, OrderRow
from tierwise.usecases.place import Estate, estate, problem_for

Money = Callable[[int], str]
Row = dict[str, str | int]


@dataclass(frozen=True)
class Answer:
    """A what-if and the names of its machines."""

    result: WhatIf
    names: Mapping[str, str]

    def cost_rows(self, money: Money) -> list[Row]:
        """Machines and cost per tier, before and after, and in all."""
        diff = self.result.diff
        rows: list[Row] = [
            {
                "tier": tier.tier,
                "machines_before": tier.machines_before,
                "cost_before": money(tier.before_micros),
                "machines_after": tier.machines_after,
                "cost_after": money(tier.after_micros),
            }
            for tier in diff.by_tier
        ]
        total: Row = {
            "tier": "all",
            "machines_before": sum(tier.machines_before for tier in diff.by_tier),
            "cost_before": money(diff.before_micros),
            "machines_after": sum(tier.machines_after for tier in diff.by_tier),
            "cost_after": money(diff.after_micros),
        }
        return [*rows, total]

    def move_rows(self, money: Money) -> list[Row]:
        """Every machine that would move."""
        return [
            {
                "machine": self.names[move.request_id],
                "from": move.from_pool,
                "to": move.to_pool,
                "cost_before": money(move.before_micros),
                "cost_after": money(move.after_micros),
            }
            for move in self.result.diff.moves
        ]

    def lost(self) -> dict[str, list[str]]:
        """Every machine that would have no place, with the reasons of each pool."""
        return {
            self.names[gone.request_id]: [f"{r.pool}: {r.why}; {r.remedy}" for r in gone.reasons]
            for gone in self.result.diff.newly_unplaced
        }

    @property
    def diff(self) -> PlanDiff:
        """What changes."""
        return self.result.diff


def run(app: App, changes: Sequence[str], limits: Limits | None = None) -> Answer:
    """Solve the running estate under the changes; nothing is changed.

    Raises InvalidInput for changes that cannot be read, or name what is not there.
    """
    on = estate(app)
    with app.session() as session:
        machines = list(
            session.exec(
                select(MachineRow).where(MachineRow.state == MachineState.ACTIVE).order_by(MachineRow.id)
            )
        )
        requests = [_request(machine, session.get_one(OrderRow, machine.id)) for machine in machines]
    if not machines:
        msg = "no machine is delivered, so there is nothing to ask about; order some first"
        raise InvalidInput(msg)
    pools = [pool.name for pool in on.pools]
    unseen = sorted({machine.pool for machine in machines} - set(pools))
    if unseen:
        msg = f"machines run on {', '.join(unseen)}, which was never reached; `tierwise doctor` says why"
        raise InvalidInput(msg)
    before = np.array([pools.index(machine.pool) for machine in machines], dtype=np.int64)
    try:
        result = what_if(
            problem_for(app, _without(on, machines), requests, made=False, hosts=False),
            before,
            parse(changes),
            limits or Limits(),
        )
    except ScenarioInvalid as error:
        msg = f"{len(error.problems)} of the changes cannot be made"
        raise InvalidInput(msg, details=error.problems) from None
    return Answer(result, _Names({machine.id: machine.name for machine in machines}))


class _Names(dict[str, str]):
    """Names by id; machines that growth adds are called after the one they are like."""

    def __missing__(self, key: str) -> str:
        like, _, number = key.rpartition("+")
        return f"{self[like]}+{number}" if like in self else key


def _request(machine: MachineRow, order: OrderRow) -> Request:
    """The order's request at the machine's present size; it no longer insists on a tier."""
    return order_store.request_of(order).model_copy(
        update={"resources": _resources(machine), "tenant": machine.tenant, "tier": None}
    )


def _without(on: Estate, machines: Sequence[MachineRow]) -> Estate:
    """The estate with the room of these machines free again: all of them may move."""
    left = dict(on.allocated)
    for machine in machines:
        left[machine.pool] = _less(left.get(machine.pool, Resources()), _resources(machine))
    return replace(on, allocated=left)


def _less(amount: Resources, part: Resources) -> Resources:
    return Resources(**{rc.value: max(0, amount.amount(rc) - part.amount(rc)) for rc in ResourceClass})


def _resources(machine: MachineRow) -> Resources:
    return Resources(**{rc.value: getattr(machine, rc.value) for rc in ResourceClass})
