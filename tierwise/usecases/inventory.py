"""One inventory over all hypervisors, honest about what is old, gone, changed or unknown."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlmodel import select

from catalog.capabilities import Capability, Gap
from catalog.resources import ResourceClass, Resources
from connectors.contract import PowerState, VmView
from tierwise.app import App
from tierwise.store import moves
from tierwise.store import orders as order_store
from tierwise.store.tables import MachineRow, MachineState, MoveRow, MoveState
from tierwise.store.views import EndpointView
from tierwise.usecases.observe import age, views


class Drift(StrEnum):
    """How what an endpoint shows differs from what tierwise knows."""

    NONE = ""
    UNKNOWN = "not made by tierwise"
    GONE = "gone from its endpoint"
    CHANGED = "changed outside tierwise"
    LEFT_OVER = "left over: no order holds it"
    KEPT = "copy of a moved machine, kept until the move is confirmed"
    COMING = "being moved here"
    STUCK = "left by a move that failed"
    UNSEEN = "not seen since its endpoint was last reached"


_OF_MOVES: Mapping[str, Drift] = {MoveState.MOVED: Drift.KEPT, MoveState.STUCK: Drift.STUCK}


@dataclass(frozen=True)
class Machine:
    """One machine of the inventory. `tenant` is empty for machines that tierwise did not make."""

    identity: str
    name: str
    tenant: str
    tier: str
    pool: str
    endpoint: str
    host: str
    power: PowerState
    resources: Resources
    drift: Drift
    seen_at: datetime | None
    annotations: Mapping[str, str] = field(default_factory=dict)
    """What stands on the machine at its endpoint; its tags too where there are such."""
    differs: tuple[str, ...] = ()
    """In which way it was changed outside tierwise: ``power is off, was on``."""
    changed: frozenset[str] = frozenset()
    """What of it that is: name, provider, power, annotations, and resources by their names."""


@dataclass(frozen=True)
class Inventory:
    """Every machine, and the endpoints whose part is old (name -> age and error)."""

    machines: tuple[Machine, ...]
    endpoints: int
    stale: Mapping[str, str]


def inventory(app: App, seen: Mapping[str, EndpointView] | None = None) -> Inventory:
    """Machines of all endpoints as last seen, joined with what tierwise has delivered.

    `seen` is what `observe` just gave, where it was asked; without it the stored views are read.
    What tierwise did to a machine after the look at its endpoint began is no drift.
    """
    seen = views(app) if seen is None else seen
    with app.session() as session:
        active = select(MachineRow).where(MachineRow.state == MachineState.ACTIVE)
        ours = {row.id: row for row in session.exec(active)}
        live = order_store.identities(session)
        moving = {row.machine: row for row in moves.all_moves(session, only_open=True)}
        looks = [view.seen_at for view in seen.values() if view.seen_at is not None]
        changed_at = order_store.changed_since(session, min(looks)) if looks else {}
    pool_of = {(p.endpoint, p.provider): p for p in app.documents.catalog.pools.values()}
    machines: list[Machine] = []
    found: set[str] = set()
    for view in seen.values():
        for vm in view.vms:
            row = ours.get(str(vm.identity))
            later = _is_later(changed_at.get(str(vm.identity)), view)
            own = row if row is not None and row.endpoint == view.endpoint else None
            if own is None and later and str(vm.identity) not in moving:
                continue  # Removed since.
            if own is not None:
                found.add(own.id)
            entry = pool_of.get((view.endpoint, vm.provider))
            differs = dict(_differences(app, vm, own)) if own and not later else {}
            machines.append(
                Machine(
                    identity=str(vm.identity) if vm.identity else vm.native_id,
                    name=row.name if row else vm.name,
                    tenant=row.tenant if row else "",
                    tier=own.tier if own else (entry.tier if entry else ""),
                    pool=own.pool if own else (entry.name if entry else vm.provider),
                    endpoint=view.endpoint,
                    host=vm.host or "",
                    power=vm.power,
                    resources=vm.resources,
                    drift=_drift(vm, row, own, live, moving.get(row.id) if row else None, differs),
                    seen_at=view.seen_at,
                    annotations=vm.annotations,
                    differs=tuple(differs.values()),
                    changed=frozenset(differs),
                )
            )
    machines += [
        _unseen(row, seen.get(row.endpoint), changed_at.get(row.id))
        for row in ours.values()
        if row.id not in found
    ]
    machines.sort(key=lambda m: (m.tier or "~", m.pool, m.name, m.identity))
    return Inventory(tuple(machines), len(app.endpoints.names), _stale(app, seen))


def _is_later(changed_at: datetime | None, view: EndpointView) -> bool:
    return changed_at is not None and view.seen_at is not None and changed_at > view.seen_at


def _drift(
    vm: VmView,
    row: MachineRow | None,
    own: MachineRow | None,
    live: frozenset[str],
    move: MoveRow | None,
    differs: Mapping[str, str],
) -> Drift:
    if vm.identity is None:
        return Drift.UNKNOWN
    if row is None:
        return Drift.NONE if str(vm.identity) in live else Drift.LEFT_OVER
    if own is None:
        if move is None:
            return Drift.LEFT_OVER
        return _OF_MOVES.get(move.state, Drift.COMING)
    return Drift.CHANGED if differs else Drift.NONE


def _differences(app: App, vm: VmView, row: MachineRow) -> Iterator[tuple[str, str]]:
    """What of a machine differs from what was last done to it through tierwise, each with how."""
    pool = app.documents.catalog.pools.get(row.pool)
    pairs: dict[str, tuple[object, object]] = {
        "name": (vm.name, row.name),
        "provider": (vm.provider, pool.provider if pool else vm.provider),
        "power": (vm.power.value, row.power),
    }
    for rc in ResourceClass:
        pairs[rc.value] = vm.resources.amount(rc), getattr(row, rc.value)
    for what, (now, before) in pairs.items():
        if now != before:
            yield what, f"{what} is {now}, was {before}"
    if row.annotations is not None and dict(vm.annotations) != json.loads(row.annotations):
        yield "annotations", "something else stands on it than what was last written there"


def _unseen(row: MachineRow, view: EndpointView | None, changed_at: datetime | None) -> Machine:
    reached = view is not None and view.error is None and not _is_later(changed_at, view)
    return Machine(
        identity=row.id,
        name=row.name,
        tenant=row.tenant,
        tier=row.tier,
        pool=row.pool,
        endpoint=row.endpoint,
        host="",
        power=PowerState.UNKNOWN,
        resources=_resources(row),
        drift=Drift.GONE if reached else Drift.UNSEEN,
        seen_at=view.seen_at if view else None,
    )


def _resources(row: MachineRow) -> Resources:
    return Resources(**{rc.value: getattr(row, rc.value) for rc in ResourceClass})


def _stale(app: App, seen: Mapping[str, EndpointView]) -> dict[str, str]:
    now = app.clock.now()
    stale: dict[str, str] = {}
    for name in app.endpoints.names:
        view = seen.get(name)
        if view is None:
            stale[name] = "never asked"
        elif view.error is not None:
            stale[name] = f"{age(view, now)}, {view.error}"
    return stale


def gap_of(app: App, machine: MachineRow, capability: Capability) -> Gap | None:
    """Why the machine's pool lacks a capability, by the last probe; None where it has it."""
    view = views(app).get(machine.endpoint)
    entry = app.documents.catalog.pools.get(machine.pool)
    if view is None or view.snapshot is None or entry is None:
        return None
    for pool in view.snapshot.pools:
        if pool.provider == entry.provider:
            return pool.capabilities.gap(capability)
    return None
