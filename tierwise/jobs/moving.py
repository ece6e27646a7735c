"""The durable workflows of a move: carry a machine to another endpoint, keep its copy, and end it either way.

Until the machine runs at its new place, whatever fails puts everything back. From then on the copy at the
old place is kept, switched off, until somebody confirms the move or undoes it.
"""

from typing import Any

from dbos import DBOS

from connectors.contract import DiskFormat, PowerAction, VmDetails
from tierwise.errors import InvalidInput
from tierwise.jobs import carrying, move_changes
from tierwise.jobs.carrying import Carried
from tierwise.jobs.runtime import Runtime, current
from tierwise.jobs.steps import Outcome
from tierwise.jobs.workflows import outcome
from tierwise.store.tables import MoveRow


class _Failed(Exception):
    """A step of the move did not work; `error` says what."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error


@DBOS.workflow(name="move")
def move(move_id: str, machine_id: str, target_pool: str, forms: dict[str, str | None]) -> dict[str, Any]:
    """Carry a machine to a pool at another endpoint; everything is as before where that fails."""
    with current().working(f"move:{move_id}") as runtime:
        app = runtime.app
        looked = _step("look", lambda: move_changes.look(app, machine_id))
        if "error" in looked:
            return dict(looked)
        held = runtime.transaction(
            "hold", move_changes.hold, app, move_id, machine_id, target_pool, looked["was_on"]
        )
        if "error" in held:
            return dict(held)
        row = move_changes.read(app, move_id)
        done = outcome(lambda: _carried(runtime, row, looked, forms))
        if "error" not in done:
            return done
        return _put_back(runtime, row, done["error"])


def _carried(runtime: Runtime, row: MoveRow, looked: Outcome, forms: dict[str, str | None]) -> Outcome:
    app = runtime.app
    ends = move_changes.endpoints(app, row)
    report = runtime.reporter(f"move:{row.id}")
    source = VmDetails.model_validate(looked["details"])
    try:
        if row.was_on:
            _must(_step("stop", lambda: carrying.stop(app, row, ends.source)))
            runtime.transaction("stopped", move_changes.record_power, app, row.id, False, "stopped")
        made = _must(_step("make", lambda: carrying.make(app, row, ends.target, source)))
        target = VmDetails.model_validate(made["details"])
        for disk in _carried_disks(source, target, forms):
            # Each is a step of its own: after a kill only what was under way is repeated.
            for name, act in (
                ("export", lambda d: carrying.export(app, row, ends.source, d, report)),
                ("convert", lambda d: carrying.convert(app, row, d, report)),
                ("import", lambda d: carrying.import_(app, row, ends.target, d, report)),
                ("verify", lambda d: carrying.verify(app, row, ends.target, d, report)),
            ):
                _must(_step(f"{name} {disk.index}", lambda act=act, disk=disk: act(disk)))
        if row.was_on:
            _must(_step("boot", lambda: carrying.boot(app, row, ends.target)))
    except _Failed as failed:
        return {"error": failed.error}
    runtime.transaction("cut over", move_changes.cut_over, app, row.id, made["vm"])
    _step("clean", lambda: carrying.clean(app, row.id))
    return {"state": "moved"}


def _carried_disks(source: VmDetails, target: VmDetails, forms: dict[str, str | None]) -> list[Carried]:
    verify = forms["verify"]
    return [
        Carried(
            index=index,
            size_bytes=disk.size_bytes,
            source_key=disk.key,
            target_key=there.key,
            export_form=DiskFormat(str(forms["export"])),
            import_form=DiskFormat(str(forms["import"])),
            verify_form=DiskFormat(verify) if verify else None,
        )
        for index, (disk, there) in enumerate(zip(source.disks, target.disks, strict=True))
    ]


def _put_back(runtime: Runtime, row: MoveRow, error: dict[str, Any]) -> dict[str, Any]:
    """Remove what was made, and let the machine run where it was. Ends in `failed`, or in `stuck`."""
    app = runtime.app
    _step("clean up", lambda: carrying.clean(app, row.id))
    try:
        ends = move_changes.endpoints(app, row)
    except InvalidInput as lost:
        # Without its endpoints nothing can be put back now; whoever mends the catalog can undo the move.
        runtime.transaction("end", move_changes.end, app, row.id, "stuck", str(lost))
        return {"error": {**error, "message": str(lost)}, "state": "stuck"}
    removed = outcome(lambda: _step("remove", lambda: carrying.remove(app, row, ends.target)))
    problems = [removed["error"]["message"]] if "error" in removed else []
    if row.was_on:
        back = outcome(
            lambda: _step("start", lambda: carrying.switch(app, row, ends.source, PowerAction.ON))
        )
        if "error" in back:
            problems.append(back["error"]["message"])
        else:
            runtime.transaction("started", move_changes.record_power, app, row.id, True, "started")
    message = "; ".join([error["message"], *problems])
    state = "stuck" if problems else "failed"
    runtime.transaction("end", move_changes.end, app, row.id, state, message)
    return {"error": {**error, "message": message}, "state": state}


@DBOS.workflow(name="confirm_move")
def confirm_move(attempt: str, move_id: str) -> dict[str, Any]:
    """Remove the copy at the old place; the move is then at its end."""
    with current().working(f"confirm:{attempt}") as runtime:
        app = runtime.app
        row = move_changes.read(app, move_id)
        ends = move_changes.endpoints(app, row)
        done = outcome(lambda: _step("remove", lambda: carrying.remove(app, row, ends.source)))
        if "error" not in done:
            runtime.transaction("end", move_changes.end, app, move_id, "confirmed", "")
        return done


@DBOS.workflow(name="undo_move")
def undo_move(attempt: str, move_id: str, was_moved: bool, runs: bool) -> dict[str, Any]:
    """Go back to the copy at the old place, as it was when the move began; or clean up after a failed move.

    `was_moved` tells whether the machine is at its new place, and `runs` whether it is on there.
    """
    with current().working(f"undo:{attempt}") as runtime:
        app = runtime.app
        row = move_changes.read(app, move_id)
        ends = move_changes.endpoints(app, row)
        on = runs if was_moved else row.was_on
        try:
            if was_moved and runs:
                _must(_step("stop", lambda: carrying.stop(app, row, ends.target)))
                runtime.transaction(
                    "stopped", move_changes.record_power, app, attempt, False, "stopped", move_id
                )
            if on:
                started = _step("start", lambda: carrying.switch(app, row, ends.source, PowerAction.ON))
                if "error" in started and was_moved and runs:
                    again = _step("again", lambda: carrying.switch(app, row, ends.target, PowerAction.ON))
                    if "error" not in again:
                        runtime.transaction(
                            "on again", move_changes.record_power, app, attempt, True, "again", move_id
                        )
                _must(started)
            if was_moved:
                runtime.transaction("back", move_changes.back, app, move_id, on)
            if on:
                runtime.transaction(
                    "started", move_changes.record_power, app, attempt, True, "started", move_id
                )
            _must(_step("remove", lambda: carrying.remove(app, row, ends.target)))
        except _Failed as failed:
            return {"error": failed.error}
        runtime.transaction("end", move_changes.end, app, move_id, "undone", "")
        return {"state": "undone"}


def _step(name: str, act: Any) -> Outcome:
    done: Outcome = DBOS.run_step({"name": name}, act)
    return done


def _must(done: Outcome) -> Outcome:
    if "error" in done:
        raise _Failed(done["error"])
    return done
