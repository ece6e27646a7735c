"""What the workflows of a move read and write: functions of a session, each one transaction."""

from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from sqlmodel import Session

from catalog.capabilities import Capability, Gap
from catalog.orders import Request
from connectors.contract import PowerState, VmDetails, VmView
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.jobs import changes, steps
from tierwise.jobs.steps import Outcome
from tierwise.store import moves
from tierwise.store import orders as order_store
from tierwise.store.tables import MachineRow, MoveRow, MoveState, OrderRow


class Ends(NamedTuple):
    """The names of the two endpoints of a move."""

    source: str
    target: str


def read(app: App, move_id: str) -> MoveRow:
    """The move as it stands."""
    with app.session() as session:
        return session.get_one(MoveRow, move_id)


def endpoints(app: App, row: MoveRow) -> Ends:
    """Where the machine is and where it goes. Raises InvalidInput when the catalog lost one of the pools."""
    pools = app.documents.catalog.pools
    for name in (row.source_pool, row.target_pool):
        if name not in pools:
            msg = f"pool '{name}' is not in the catalog any more; put it back until the move is at its end"
            raise InvalidInput(msg)
    return Ends(pools[row.source_pool].endpoint, pools[row.target_pool].endpoint)


def look(app: App, machine_id: str) -> Outcome:
    """What the machine is made of, and whether it runs; an error where it does neither that nor is off."""
    with app.session() as session:
        endpoint = session.get_one(MachineRow, machine_id).endpoint
    found: list[tuple[VmView, VmDetails]] = []

    def act(connector: Any) -> None:
        identity = UUID(machine_id)
        found.append((connector.get_vm(identity), connector.details(identity)))

    done = steps.call(app, endpoint, act)
    if "error" in done:
        return done
    view, details = found[-1]
    why = power_gap(view)
    if why:
        return _no("Unsupported", why)
    return {"was_on": view.power is PowerState.ON, "details": details.model_dump(mode="json")}


def power_gap(view: VmView) -> str:
    """Why a machine cannot move as its power is now, or nothing."""
    if view.power in {PowerState.ON, PowerState.OFF}:
        return ""
    return f"it is {view.power.value}, and what is in its memory would be lost; switch it on or off first"


def hold(
    session: Session, app: App, move_id: str, machine_id: str, target_pool: str, was_on: bool
) -> dict[str, Any]:
    """Hold the machine's room in the target pool too; an error where rules, quotas or room forbid it."""
    machine = session.get_one(MachineRow, machine_id)
    if changes.is_gone(session, machine_id):
        return _no("NotFound", f"{machine.name} was removed meanwhile")
    if moves.open_move(session, machine_id) is not None:
        return _no("Conflict", f"{machine.name} has an open move; confirm it or undo it first")
    why = refusals(app, _anywhere(changes.as_request(session, machine)), target_pool)
    if why:
        return _no("NoPlace", f"{target_pool} does not take {machine.name}: {'; '.join(why)}")
    session.add(
        MoveRow(
            id=move_id,
            machine=machine_id,
            source_pool=machine.pool,
            source_native_id=machine.native_id,
            target_pool=target_pool,
            held_pool=target_pool,
            was_on=was_on,
            started_at=app.clock.now(),
            vcpu=machine.vcpu,
            memory_mib=machine.memory_mib,
            disk_gib=machine.disk_gib,
        )
    )
    order_store.touch(session)
    return {}


def _anywhere(request: Request) -> Request:
    """The request without the tier that its order insisted on: whoever moves the machine decides on another.

    Nor does the new pool have to make seed disks: the guest has read its own, and the check says what changes.
    """
    return request.model_copy(update={"tier": None, "seed": None})


def seed_gap(app: App, pool: str) -> Gap | None:
    """Why a pool makes no seed disks, by the last look at it; None where it does."""
    from tierwise.usecases.observe import views  # noqa: PLC0415 - it needs what only a look at endpoints needs

    entry = app.documents.catalog.pools[pool]
    view = views(app).get(entry.endpoint)
    seen = view.snapshot.pools if view is not None and view.snapshot is not None else ()
    return next(
        (p.capabilities.gap(Capability.SEED_DISK) for p in seen if p.provider == entry.provider), None
    )


def refusals(app: App, request: Request, pool: str) -> list[str]:
    """Why rules or room forbid a machine in a pool, in the words of a quote; nothing where it fits."""
    from placement.plan import Limits  # noqa: PLC0415 - numpy and ortools only where they are used
    from placement.solve import solve  # noqa: PLC0415 - as above
    from tierwise.usecases.place import estate, problem_for  # noqa: PLC0415 - as above

    on = estate(app)
    only = tuple(one for one in on.pools if one.name == pool)
    if not only:
        return [on.unusable.get(pool, "nothing was seen of it yet")]
    (assignment,) = solve(
        problem_for(app, replace(on, pools=only), [request], made=False), Limits()
    ).assignments
    if assignment.pool is not None:
        return []
    return [str(why) for candidate in assignment.candidates for why in candidate.rejections]


def price_minor(app: App, request: Request, tier: str) -> int:
    """What a 30-day month costs on a tier, in minor units."""
    from chargeback.quotes import price  # noqa: PLC0415 - only what prices need
    from tierwise.usecases.place import HORIZON_HOURS  # noqa: PLC0415 - as above

    card = app.documents.rate_card
    return price(request.resources, tier, card, at=app.clock.now(), hours=HORIZON_HOURS).total_minor


def record_power(
    session: Session, app: App, key: str, on: bool, what: str, move_id: str | None = None
) -> None:
    """The machine was switched on or off by the move."""
    machine = session.get_one(MachineRow, session.get_one(MoveRow, move_id or key).machine)
    machine.power = PowerState.ON if on else PowerState.OFF
    session.add(machine)
    kind = "powered_on" if on else "powered_off"
    changes.event(session, app, key=f"{key}:{what}", machine=machine.id, kind=kind, details={})


def cut_over(session: Session, app: App, move_id: str, vm: dict[str, Any]) -> None:
    """The machine is at its new place: its books follow, and the old room is held for the copy."""
    row, view = session.get_one(MoveRow, move_id), VmView.model_validate(vm)
    _settle(session, app, row, row.target_pool, view.native_id, key=f"{move_id}:moved")
    session.get_one(MachineRow, row.machine).annotations = changes.annotations_text(view)
    row.held_pool, row.state = row.source_pool, MoveState.MOVED
    session.add(row)
    if row.was_on:
        record_power(session, app, move_id, True, "booted")


def back(session: Session, app: App, move_id: str, on: bool) -> None:
    """The machine is at its old place again, `on` or not; that is how a repeated undo has to leave it."""
    row = session.get_one(MoveRow, move_id)
    if row.state != MoveState.MOVED:
        return
    _settle(session, app, row, row.source_pool, row.source_native_id, key=f"{move_id}:back")
    row.held_pool, row.state, row.was_on = row.target_pool, MoveState.STUCK, on
    row.error = "the copy in the new pool is not removed yet"
    session.add(row)


def _settle(session: Session, app: App, row: MoveRow, pool: str, native_id: str, *, key: str) -> None:
    entry = app.documents.catalog.pools[pool]
    machine, order = session.get_one(MachineRow, row.machine), session.get_one(OrderRow, row.machine)
    machine.pool, machine.tier, machine.endpoint = pool, entry.tier, entry.endpoint
    machine.native_id = native_id
    order.pool, order.tier = pool, entry.tier
    order.price_minor = price_minor(app, changes.as_request(session, machine), entry.tier)
    order_store.move_allocation(session, row.machine, pool)
    session.add(machine)
    session.add(order)
    details = {"tier": entry.tier, "pool": pool}
    changes.event(session, app, key=key, machine=row.machine, kind="moved", details=details)


def end(session: Session, app: App, move_id: str, state: str, error: str) -> None:
    """The move is at its end; or it is stuck, and goes on holding its room."""
    row = session.get_one(MoveRow, move_id)
    row.state, row.error = MoveState(state), error
    if row.state not in moves.OPEN:
        row.ended_at = app.clock.now()
        order_store.touch(session)
    changes.changed(session, app, row.machine)
    session.add(row)


def request_of(app: App, machine_id: str) -> tuple[Request, str | None]:
    """The machine in the shape that rules decide on, and the tier that its order insisted on."""
    with app.session() as session:
        request = changes.as_request(session, session.get_one(MachineRow, machine_id))
    return _anywhere(request), request.tier


def _no(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message, "retriable": False}}
