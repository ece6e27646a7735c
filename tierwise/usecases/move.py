"""Moving a machine to a pool on another hypervisor: what it would change, and doing it.

A move is a durable plan: check, stop, export, convert, import, read back, boot, cut over. The copy at the
old place is kept until somebody confirms the move, or goes back to it.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from dbos import DBOS, SetWorkflowID, WorkflowHandle

from catalog.capabilities import Capability, CapabilityReport
from catalog.pools import PoolEntry
from catalog.units import format_amount
from catalog.wording import counted
from connectors import disks
from connectors.contract import DiskFormat, PowerState, VmDetails, VmSnapshot, VmView
from connectors.errors import ConnectorError
from tierwise import seeds
from tierwise.app import App
from tierwise.errors import EndpointDown, InvalidInput, NoPlace, NotSupported, TierwiseError
from tierwise.jobs import carrying, move_changes, moving
from tierwise.store import moves
from tierwise.store import orders as order_store
from tierwise.store.tables import MachineRow, MoveRow, MoveState, OrderRow
from tierwise.usecases.observe import observe
from tierwise.usecases.open_work import await_open_changes

GIB = 2**30

PASS_MIB_S = 80
"""What one pass over a disk is reckoned with in the estimate; the slowest link decides what it is."""

PREFERRED = (DiskFormat.QCOW2, DiskFormat.VHDX, DiskFormat.VMDK, DiskFormat.VHD, DiskFormat.RAW)
"""Formats that leave out what was never written come before the one that does not."""


class Kind(StrEnum):
    """What a line of a preflight means for the move."""

    BLOCKS = "blocks"
    CHANGES = "changes"
    NOTE = "note"


@dataclass(frozen=True)
class Line:
    """One thing that a move would run into, change, or take."""

    kind: Kind
    subject: str
    text: str


@dataclass(frozen=True)
class Preflight:
    """What a move would mean; nothing was changed. `forms` says how disks would travel, where that is known."""

    machine: MachineRow
    target: PoolEntry
    lines: tuple[Line, ...]
    forms: Mapping[str, str | None]

    @property
    def blocked(self) -> tuple[str, ...]:
        """Why the move cannot be made."""
        return tuple(f"{line.subject}: {line.text}" for line in self.lines if line.kind is Kind.BLOCKS)


def preflight(app: App, wanted: str, pool: str) -> Preflight:
    """Look at both endpoints and say what a move would change and what forbids it. Raises InvalidInput."""
    with app.session() as session:
        machine = order_store.find_machine(session, wanted)
        open_move = moves.open_move(session, machine.id)
    entries = app.documents.catalog.pools
    if pool not in entries:
        msg = f"there is no pool '{pool}'; known are {', '.join(entries)}"
        raise InvalidInput(msg)
    target = entries[pool]
    if target.endpoint == machine.endpoint:
        msg = f"{machine.name} and pool '{pool}' are at the same endpoint '{target.endpoint}'; its hypervisor moves machines by itself"
        raise InvalidInput(msg)
    lines: list[Line] = []
    if open_move is not None:
        lines.append(Line(Kind.BLOCKS, "move", _still_open(machine, open_move)))
    for endpoint in (machine.endpoint, target.endpoint):
        seen = observe(app, endpoint).get(endpoint)
        if seen is None or seen.error is not None:
            why = "it was never seen" if seen is None else str(seen.error)
            lines.append(Line(Kind.BLOCKS, f"endpoint {endpoint}", why))
    if any(line.kind is Kind.BLOCKS for line in lines):
        return Preflight(machine, target, tuple(lines), {})
    forms, more = _forms(app, machine, target)
    lines += more
    lines += _place(app, machine, target)
    lines += _seed(app, machine, target)
    lines += _machine(app, machine, target)
    lines += _files(app, machine, forms)
    return Preflight(machine, target, tuple(lines), forms)


def start(move_id: UUID, checked: Preflight) -> "WorkflowHandle[dict[str, Any]]":
    """Begin the move when earlier changes of the machine have ended; `finish` waits for it.

    Raises NotSupported, with every reason, where it is blocked.
    """
    if checked.blocked:
        msg = f"{checked.machine.name} cannot move to {checked.target.name}"
        raise NotSupported(msg, details=checked.blocked)
    await_open_changes(checked.machine)
    with SetWorkflowID(f"move:{move_id}"):
        return DBOS.start_workflow(
            moving.move, str(move_id), checked.machine.id, checked.target.name, dict(checked.forms)
        )


def confirm(app: App, attempt: UUID, wanted: str) -> MoveRow:
    """Remove the copy at the old place."""
    machine, row = _open(app, wanted, MoveState.MOVED)
    with SetWorkflowID(f"confirm:{attempt}"):
        handle = DBOS.start_workflow(moving.confirm_move, str(attempt), row.id)
    finish(handle.get_result(polling_interval_sec=0.05), machine)
    return row


def undo(app: App, attempt: UUID, wanted: str) -> MoveRow:
    """Go back to the copy at the old place, or clean up what a failed move left."""
    machine, row = _open(app, wanted, MoveState.MOVED, MoveState.STUCK)
    runs = machine.power != PowerState.OFF
    with SetWorkflowID(f"undo:{attempt}"):
        handle = DBOS.start_workflow(
            moving.undo_move, str(attempt), row.id, row.state == MoveState.MOVED, runs
        )
    finish(handle.get_result(polling_interval_sec=0.05), machine)
    return row


def listed(app: App, *, everything: bool) -> list[dict[str, Any]]:
    """Moves as rows, newest first; those at their end too where `everything`."""
    with app.session() as session:
        found = moves.all_moves(session, only_open=not everything)
        names = {row.id: row.name for row in (session.get_one(MachineRow, m.machine) for m in found)}
    return [
        {
            "machine": names[row.machine],
            "source": row.source_pool,
            "target": row.target_pool,
            "state": row.state,
            "error": row.error,
            "started_at": row.started_at.isoformat(),
            "ended_at": row.ended_at.isoformat() if row.ended_at else None,
            "id": row.id,
        }
        for row in found
    ]


def forbid_open_move(app: App, machine: MachineRow, *, unless_moved: bool = False) -> None:
    """Raises InvalidInput while the machine has a move that is not at its end."""
    with app.session() as session:
        row = moves.open_move(session, machine.id)
    if row is not None and not (unless_moved and row.state == MoveState.MOVED):
        raise InvalidInput(_still_open(machine, row))


def finish(result: Mapping[str, Any], machine: MachineRow) -> None:
    """Raises what the workflow ended with, if it is an error."""
    error = result.get("error")
    if error is None:
        return
    kinds: dict[str, type[TierwiseError]] = {
        "Unsupported": NotSupported,
        "Different": NotSupported,
        "Unreachable": EndpointDown,
        "DeadlineExceeded": EndpointDown,
        "NoPlace": NoPlace,
    }
    advice = ""
    if result.get("state") == "stuck":
        advice = f"; when that is put right, `tierwise vm move {machine.name} --undo` cleans up"
    elif result.get("state") == "failed":
        advice = "; everything is as before"
    msg = f"{machine.name}: {error['message']}{advice}"
    raise kinds.get(error["kind"], TierwiseError)(msg)


def _open(app: App, wanted: str, *states: MoveState) -> tuple[MachineRow, MoveRow]:
    with app.session() as session:
        machine = order_store.find_machine(session, wanted)
    await_open_changes(machine)
    with app.session() as session:
        machine = order_store.find_machine(session, wanted)
        row = moves.open_move(session, machine.id)
    if row is None:
        msg = f"{machine.name} has no move that waits for an answer; `tierwise vm moves --all` shows those that ended"
        raise InvalidInput(msg)
    if row.state not in states:
        raise InvalidInput(_still_open(machine, row))
    move_changes.endpoints(
        app, row
    )  # Raises where the catalog lost one of the pools, before anything is done.
    return machine, row


def _still_open(machine: MachineRow, row: MoveRow) -> str:
    if row.state == MoveState.MOVING:
        return f"{machine.name} is on its way to {row.target_pool}; `tierwise order resume` goes on with what was cut off"
    if row.state == MoveState.MOVED:
        return (
            f"{machine.name} was moved to {row.target_pool}, and its copy in {row.source_pool} is kept; "
            f"`tierwise vm move {machine.name} --confirm` removes the copy, --undo goes back to it"
        )
    return (
        f"a move of {machine.name} failed and left something in {row.target_pool} ({row.error}); "
        f"`tierwise vm move {machine.name} --undo` cleans up"
    )


def _forms(app: App, machine: MachineRow, target: PoolEntry) -> tuple[dict[str, str | None], list[Line]]:
    """How disks travel: in one format both know, otherwise converted between two."""
    source = app.documents.catalog.pools.get(machine.pool)
    have = _capabilities(app, machine.endpoint, source.provider if source else "")
    there = _capabilities(app, target.endpoint, target.provider)
    lines = [
        Line(Kind.BLOCKS, f"pool {pool}", f"{capability.value}: {gap}")
        for pool, report, needed in (
            (machine.pool, have, (Capability.DELETE, Capability.POWER_OFF)),
            (target.name, there, (Capability.CREATE, Capability.DELETE)),
        )
        for capability in needed
        if (gap := report.gap(capability)) is not None
    ]
    given = [form for form in PREFERRED if have.has(form.exporting)]
    taken = [form for form in PREFERRED if there.has(form.importing)]
    if not given:
        lines.append(
            Line(
                Kind.BLOCKS,
                f"pool {machine.pool}",
                f"it gives no disks: {have.gap(PREFERRED[0].exporting)}",
            )
        )
    if not taken:
        lines.append(
            Line(
                Kind.BLOCKS,
                f"pool {target.name}",
                f"it takes no disks: {there.gap(PREFERRED[0].importing)}",
            )
        )
    if not given or not taken:
        return {}, lines
    both = [form for form in given if form in taken]
    export, import_ = (both[0], both[0]) if both else (given[0], taken[0])
    why = disks.missing()
    if why is not None and export is not import_:
        lines.append(Line(Kind.BLOCKS, "qemu-img", why))
    back = [form for form in (import_, *PREFERRED) if there.has(form.exporting)]
    verify = back[0] if back and why is None else None
    if verify is None:
        reason = why or f"{target.name} gives no disks"
        lines.append(Line(Kind.NOTE, "check", f"the new disk is not read back and compared: {reason}"))
    return {
        "export": export.value,
        "import": import_.value,
        "verify": verify.value if verify else None,
    }, lines


def _capabilities(app: App, endpoint: str, provider: str) -> CapabilityReport:
    from tierwise.usecases.observe import views  # noqa: PLC0415 - as the callers' own import, but read again

    seen = views(app)[endpoint]
    assert seen.snapshot is not None, endpoint
    found = [pool.capabilities for pool in seen.snapshot.pools if pool.provider == provider]
    return found[0] if found else CapabilityReport()


def _place(app: App, machine: MachineRow, target: PoolEntry) -> Iterator[Line]:
    """Rules, room and price."""
    request, insisted = move_changes.request_of(app, machine.id)
    for why in move_changes.refusals(app, request, target.name):
        yield Line(Kind.BLOCKS, f"pool {target.name}", why)
    if insisted not in {None, target.tier}:
        text = f"the order insisted on {insisted}; ask {machine.tenant} before"
        yield Line(Kind.CHANGES, "order", text)
    if target.tier != machine.tier:
        before, after = (
            move_changes.price_minor(app, request, tier) for tier in (machine.tier, target.tier)
        )
        card = app.documents.rate_card
        from chargeback.money import format_minor  # noqa: PLC0415 - it needs what only prices need

        text = f"from {machine.tier} to {target.tier}: {format_minor(before, card.minor_digits)} -> {format_minor(after, card.minor_digits)} {card.currency} a 30-day month"
        yield Line(Kind.CHANGES, "tier", text)


def _seed(app: App, machine: MachineRow, target: PoolEntry) -> Iterator[Line]:
    """The disk that the guest read about itself is made anew, or is missed."""
    with app.session() as session:
        name = order_store.request_of(session.get_one(OrderRow, machine.id)).seed
    if name is None:
        return
    gap = move_changes.seed_gap(app, target.name)
    if gap is not None:
        text = f"{target.name} makes none: {gap}; have cloud-init disabled in the guest before, or it begins anew"
        yield Line(Kind.CHANGES, "seed disk", text)
        return
    try:
        seeds.read(app.settings.seeds_dir, name)
    except InvalidInput as error:
        yield Line(Kind.BLOCKS, "seed disk", str(error))


def _machine(app: App, machine: MachineRow, target: PoolEntry) -> Sequence[Line]:
    """What the machine is made of, and what of it the other hypervisor does not carry over."""
    identity = UUID(machine.id)
    try:
        with app.endpoints.lease(machine.endpoint) as connector:
            view, details = connector.get_vm(identity), connector.details(identity)
            report = connector.declared()
            taken = connector.list_snapshots(identity) if report.has(Capability.SNAPSHOT) else []
        spec = carrying.spec_of(app, machine.id, target.name, details)
        with app.endpoints.lease(target.endpoint) as connector:
            secure_boot, network = connector.secure_boot(spec), connector.network()
    except ConnectorError as error:
        return [Line(Kind.BLOCKS, machine.name, str(error))]
    gets = [Line(Kind.CHANGES, "secure boot", secure_boot)] if secure_boot else []
    return [
        *_blockers(machine, view, details),
        *_losses(details, taken, network),
        *gets,
        _downtime(machine, view),
    ]


def _blockers(machine: MachineRow, view: VmView, details: VmDetails) -> Iterator[Line]:
    if why := move_changes.power_gap(view):
        yield Line(Kind.BLOCKS, "power", why)
    if len(details.disks) != 1:
        text = f"it has {len(details.disks)} disks, and a move carries one: detach the others first, at its hypervisor"
        yield Line(Kind.BLOCKS, "disks", text)
    elif details.disks[0].size_bytes != machine.disk_gib * GIB:
        text = f"its disk has {details.disks[0].size_bytes} bytes, not {machine.disk_gib} GiB; resize it to whole GiB first"
        yield Line(Kind.BLOCKS, "disks", text)
    if details.secure_boot:
        keys = " ".join(filter(None, ["its secure boot keys", details.secure_boot_keys]))
        text = f"{keys} do not travel; the guest must accept those of the new hypervisor"
        yield Line(Kind.CHANGES, "firmware", text)


def _losses(details: VmDetails, taken: Sequence[VmSnapshot], network: str | None) -> Iterator[Line]:
    text = f"{details.firmware}; the move ends before anything is carried where the new pool's machines cannot start by it"
    yield Line(Kind.NOTE, "firmware", text)
    for disk in details.disks:
        text = f"{disk.size_bytes // GIB} GiB on bus '{disk.bus}'; the guest needs a driver for the new hypervisor's"
        yield Line(Kind.CHANGES, f"disk {disk.key}", text)
    yield from _cards(details, network)
    if details.guest_tools:
        text = f"{details.guest_tools} in the guest do not serve the new hypervisor; install its own"
        yield Line(Kind.CHANGES, "guest tools", text)
    if taken:
        text = f"{len(taken)} stay behind and are lost with the old copy: {', '.join(one.name for one in taken[:5])}"
        yield Line(Kind.CHANGES, "snapshots", text)


def _cards(details: VmDetails, network: str | None) -> Iterator[Line]:
    """The new pool's machines have one card on `network`, or none where it is empty."""
    where = "the new pool's network" if network is None else f"the network '{network}'"
    gets = f"it gets another model and MAC, and {where}"
    if network == "":
        gets = "machines of the new pool get no network card; its endpoint's options can name a network"
    for number, card in enumerate(details.cards):
        text = f"'{card.model}' with MAC {card.mac or 'unknown'} on '{card.network}'; "
        yield Line(
            Kind.CHANGES, "network card", text + ("only the first one is made again" if number else gets)
        )
    if network and not details.cards:
        yield Line(Kind.CHANGES, "network card", f"it has none, and gets one on the network '{network}'")


def _downtime(machine: MachineRow, view: VmView) -> Line:
    if view.power is PowerState.OFF:
        return Line(Kind.NOTE, "downtime", "none: it is switched off")
    passes = 4
    minutes = -(-machine.disk_gib * 1024 * passes // (PASS_MIB_S * 60))
    text = f"up to {counted(minutes, 'minute')}: {passes} passes over {machine.disk_gib} GiB at {PASS_MIB_S} MiB/s; what was never written goes faster"
    return Line(Kind.CHANGES, "downtime", text)


def _files(app: App, machine: MachineRow, forms: Mapping[str, str | None]) -> Iterator[Line]:
    """Whether the images fit on this machine while they travel."""
    copies = 1 + (forms.get("import") != forms.get("export")) + (forms.get("verify") is not None)
    needed = copies * machine.disk_gib * GIB
    free = shutil.disk_usage(app.settings.data_dir).free
    if needed > free:
        text = (
            f"the images may need {format_amount('disk_gib', copies * machine.disk_gib)} in {app.settings.data_dir}, "
            f"where {format_amount('disk_gib', free // GIB)} are free; less where much of the disk was never written"
        )
        kind = Kind.BLOCKS if machine.disk_gib * GIB > free else Kind.NOTE
        yield Line(kind, "space", text)
