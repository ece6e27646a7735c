"""The steps of a move that touch an endpoint or a file; each may be run again after a crash.

They return plain data like the other steps: ``{"error": ...}`` where they failed.
"""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from catalog.base import Value
from catalog.resources import ResourceClass, Resources
from connectors import disks
from connectors.contract import (
    Connector,
    DiskFormat,
    PowerAction,
    PowerState,
    Seed,
    VmDetails,
    VmSpec,
    VmView,
)
from connectors.disks import DiskError, Image
from connectors.errors import Conflict, DeadlineExceeded, Unsupported
from tierwise import seeds
from tierwise.app import App
from tierwise.jobs import move_changes, steps
from tierwise.jobs.steps import Outcome
from tierwise.store import orders as order_store
from tierwise.store.tables import MachineRow, MoveRow, OrderRow

BUSY_S = 330.0
"""As long as vCenter keeps the lease of a transfer whose worker was killed (300 s), and some more."""

Report = Callable[[str, int, int], None]
"""Told (what is being done, bytes done, bytes in all)."""


class Carried(Value):
    """One disk on its way: its size, its names at both ends, and the formats that it travels in."""

    index: int
    size_bytes: int
    source_key: str
    target_key: str
    export_form: DiskFormat
    import_form: DiskFormat
    verify_form: DiskFormat | None
    """The format in which the target gives disks; None where it gives none, or nothing can compare them."""

    def exported(self, folder_: Path) -> Image:
        """The image as the source gives it."""
        return Image(folder_ / f"disk-{self.index}.{self.export_form.value}", self.export_form)

    def imported(self, folder_: Path) -> Image:
        """The image as the target takes it; the same file where the formats are equal."""
        return Image(folder_ / f"disk-{self.index}.{self.import_form.value}", self.import_form)


def folder(app: App, move_id: str) -> Path:
    """Where the images of a move are kept while it lasts."""
    return app.settings.data_dir / "moves" / move_id


def stop(app: App, move: MoveRow, endpoint: str) -> Outcome:
    """Switch the machine off: by its guest where that obeys, otherwise at once."""
    identity = UUID(move.machine)

    def act(connector: Connector) -> None:
        if connector.get_vm(identity).power is PowerState.OFF:
            return
        try:
            connector.power(identity, PowerAction.SHUTDOWN)
        except (Unsupported, Conflict, DeadlineExceeded):
            connector.power(identity, PowerAction.OFF)

    return _call(app, endpoint, act)


def make(app: App, move: MoveRow, endpoint: str, source: VmDetails) -> Outcome:
    """The machine at its new endpoint, off and with empty disks; refused where it would not be the same."""
    seed = _seed(app, move.machine, move.target_pool)
    spec = spec_of(app, move.machine, move.target_pool, source).model_copy(update={"seed": seed})
    made = _call(app, endpoint, lambda connector: connector.create_vm(spec, UUID(move.machine)))
    if "error" in made:
        return made
    found = details(app, endpoint, move.machine)
    if "error" in found:
        return found
    there = VmDetails.model_validate(found["details"])
    differ = _differences(source, there)
    return _error("Different", differ) if differ else {**made, **found}


def spec_of(app: App, machine_id: str, target_pool: str, source: VmDetails) -> VmSpec:
    """The machine as it is made at its new endpoint, but for its seed."""
    with app.session() as session:
        machine = session.get_one(MachineRow, machine_id)
        order = session.get_one(OrderRow, machine_id)
    request = order_store.request_of(order)
    pool = app.documents.catalog.pools[target_pool]
    return VmSpec(
        name=machine.name,
        provider=pool.provider,
        resources=Resources(**{rc.value: getattr(machine, rc.value) for rc in ResourceClass}),
        annotations={
            **json.loads(machine.annotations or "{}"),
            "tierwise.order": machine_id,
            "tierwise.tenant": machine.tenant,
            "tierwise.offering": order.offering,
        },
        firmware=source.firmware,
        empty=True,
        availability=steps.availability(app, request.workload_class),
        traits=steps.traits(app, request, pool),
    )


def _seed(app: App, machine_id: str, pool: str) -> Seed | None:
    """The same seed with the same instance id, so that cloud-init knows the machine again and does nothing anew."""
    with app.session() as session:
        name = order_store.request_of(session.get_one(OrderRow, machine_id)).seed
    if name is None or move_changes.seed_gap(app, pool) is not None:
        return None
    return seeds.read(app.settings.seeds_dir, name)


def _differences(source: VmDetails, target: VmDetails) -> str:
    """Why the guest would not start at its new place, or nothing."""
    if source.firmware != target.firmware:
        return f"it starts by {source.firmware}, and the new pool makes machines that start by {target.firmware}"
    sizes = [disk.size_bytes for disk in source.disks], [disk.size_bytes for disk in target.disks]
    if sizes[0] != sizes[1]:
        return f"its disks have {sizes[0]} bytes, and those of the new pool's machine {sizes[1]}"
    return ""


def details(app: App, endpoint: str, machine: str) -> Outcome:
    """What the machine is made of at an endpoint."""
    found: list[VmDetails] = []
    done = _call(app, endpoint, lambda c: found.append(c.details(UUID(machine))))
    return done if "error" in done else {"details": found[-1].model_dump(mode="json")}


def export(app: App, move: MoveRow, endpoint: str, at: Carried, report: Report) -> Outcome:
    """The source's disk in a file of the move's folder; it is there whole, or not at all."""
    target = at.exported(folder(app, move.id))

    def act(connector: Connector) -> None:
        target.path.parent.mkdir(parents=True, exist_ok=True)
        part = target.path.with_suffix(".part")
        with part.open("w+b") as file:
            connector.export_disk(
                UUID(move.machine),
                at.source_key,
                at.export_form,
                file,
                lambda done: report("exporting", done, at.size_bytes),
            )
            file.flush()
            os.fsync(file.fileno())
        part.replace(target.path)

    return _guarded(app, endpoint, act) or _sized(target, at.size_bytes)


def convert(app: App, move: MoveRow, at: Carried, report: Report) -> Outcome:
    """The image in the format that the target takes, compared with what was exported."""
    source, target = at.exported(folder(app, move.id)), at.imported(folder(app, move.id))
    if source == target:
        return {}
    try:
        disks.convert(source, target, lambda done: report("converting", done, at.size_bytes))
    except DiskError as error:
        return _error("DiskError", str(error))
    return {}


def import_(app: App, move: MoveRow, endpoint: str, at: Carried, report: Report) -> Outcome:
    """The content on the target's disk."""
    source = at.imported(folder(app, move.id))

    def act(connector: Connector) -> None:
        with source.path.open("rb") as file:
            connector.import_disk(
                UUID(move.machine),
                at.target_key,
                at.import_form,
                file,
                lambda done: report("importing", done, at.size_bytes),
            )

    return _guarded(app, endpoint, act) or {}


def verify(app: App, move: MoveRow, endpoint: str, at: Carried, report: Report) -> Outcome:
    """Read the target's disk back and compare it with what was sent; nothing where it gives no disks."""
    if at.verify_form is None:
        return {}
    back = Image(folder(app, move.id) / f"back.{at.verify_form.value}", at.verify_form)

    def act(connector: Connector) -> None:
        with back.path.open("w+b") as file:
            connector.export_disk(
                UUID(move.machine),
                at.target_key,
                back.form,
                file,
                lambda done: report("reading back", done, at.size_bytes),
            )

    failed = _guarded(app, endpoint, act)
    if failed:
        return failed
    try:
        disks.must_be_equal(at.imported(folder(app, move.id)), back)
    except DiskError as error:
        return _error("DiskError", f"the new disk does not have the content that was sent: {error}")
    finally:
        back.path.unlink(missing_ok=True)
    return {}


def boot(app: App, move: MoveRow, endpoint: str) -> Outcome:
    """Switch the machine on at its new place; it must still run a little later."""
    done = _call(app, endpoint, lambda c: c.power(UUID(move.machine), PowerAction.ON))
    if "error" in done:
        return done
    time.sleep(app.settings.boot_check_s)
    seen = _call(app, endpoint, lambda c: c.get_vm(UUID(move.machine)))
    if "error" not in seen and seen["vm"]["power"] != PowerState.ON.value:
        return _error("Stopped", f"it was switched on and is {seen['vm']['power']} a little later")
    return seen


def switch(app: App, move: MoveRow, endpoint: str, action: PowerAction) -> Outcome:
    """Bring the machine to a power state at one of its two endpoints."""
    return _call(app, endpoint, lambda c: c.power(UUID(move.machine), action))


def remove(app: App, move: MoveRow, endpoint: str) -> Outcome:
    """Delete the machine at one of its two endpoints; one that is not there is gone already."""
    return _call(app, endpoint, lambda connector: steps.end_machine(connector, UUID(move.machine)))


def clean(app: App, move_id: str) -> Outcome:
    """Remove the move's files."""
    shutil.rmtree(folder(app, move_id), ignore_errors=True)
    return {}


def _sized(image: Image, wanted: int) -> Outcome:
    """An error where a hypervisor gave an image of another size, or none at all."""
    try:
        found = image.path.stat().st_size if image.form is DiskFormat.RAW else disks.size_bytes(image)
    except DiskError as error:
        return _error("DiskError", str(error))
    return {} if found == wanted else _error("DiskError", f"the image has {found} bytes, the disk {wanted}")


def _call(app: App, endpoint: str, act: Callable[[Connector], VmView | None]) -> Outcome:
    """As `steps.call`. What a worker that was killed has left under way at the machine is waited for."""
    return steps.call(app, endpoint, act, busy_s=BUSY_S)


def _guarded(app: App, endpoint: str, act: Callable[[Connector], None]) -> Outcome | None:
    """What went wrong, in the endpoint or with a file; None where nothing did."""
    try:
        done = _call(app, endpoint, act)
    except OSError as error:
        return _error("OSError", f"{error}; see to it, then start the move again")
    return done if "error" in done else None


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message, "retriable": False}}
