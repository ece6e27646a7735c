"""The durable workflows: fulfil a batch of orders, provision one order, change one machine.

Workflows only sequence steps; what a step did is written down before the next begins, so a process
killed anywhere continues where it was. Inputs and outputs are plain JSON and hold no secret.
"""

from collections.abc import Callable
from typing import Any

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error
from sqlalchemy.exc import SQLAlchemyError

from connectors.contract import PowerAction, PowerState
from tierwise.errors import TierwiseError
from tierwise.jobs import changes, steps
from tierwise.jobs.runtime import QUEUE, Runtime, current
from tierwise.store.engine import StoreFailed

MOST_PLANS = 20
"""How often a batch is planned when allocations change under it, before it gives up.

Batches plan one after another, so each plan that is lost is a machine that was changed or removed meanwhile.
"""

_RESULT_OF = {
    PowerAction.ON: PowerState.ON,
    PowerAction.OFF: PowerState.OFF,
    PowerAction.SHUTDOWN: PowerState.OFF,
    PowerAction.SUSPEND: PowerState.SUSPENDED,
}


def register_queue(workers: int) -> None:
    """The queue whose workers provision and change machines."""
    DBOS.register_queue(QUEUE, worker_concurrency=workers, polling_interval_sec=0.05)


@DBOS.workflow(name="fulfil")
def fulfil(batch_id: str, accepted: list[dict[str, Any]]) -> dict[str, Any]:
    """Accept, plan and place a batch, and start a provisioning for each placed order."""
    with current().working(f"fulfil:{batch_id}") as runtime:
        clashes = runtime.transaction("accept", changes.accept, runtime.app, batch_id, accepted)
        if clashes:
            return {"clashes": clashes, "placed": []}
        done = outcome(lambda: {"placed": _placed(runtime, batch_id)})
        if "error" in done:
            # Orders that nobody will place must not keep their machines' names.
            runtime.transaction("give up", changes.give_up, runtime.app, batch_id, done["error"])
            return {"clashes": [], "placed": []}
        for order_id in done["placed"]:
            with SetWorkflowID(f"provision:{order_id}"):
                DBOS.enqueue_workflow(QUEUE, provision, order_id)
        return {"clashes": [], "placed": done["placed"]}


def _placed(runtime: Runtime, batch_id: str) -> list[str]:
    DBOS.run_step({"name": "observe"}, _observe)
    with runtime.planning:
        for _ in range(MOST_PLANS):
            planned = DBOS.run_step({"name": "plan"}, _plan, batch_id)
            placed = runtime.transaction("reserve", changes.reserve, runtime.app, batch_id, planned)
            if placed is not None:
                return list(placed)
    msg = f"allocations changed during each of {MOST_PLANS} plans of the batch"
    raise TierwiseError(msg)


def outcome(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the work gives, or the error that it ended with: every order must come to an end.

    Only an error that is written down decides anything: where the database failed, a machine that is
    removed now would be delivered by the next process, which knows only the steps before.
    """
    try:
        return work()
    except (StoreFailed, SQLAlchemyError):
        raise
    except dbos_error.DBOSException:
        raise  # The engine's own business, such as steps that differ from those written down.
    except Exception as error:  # noqa: BLE001 - whatever it is, the orders must not stay open for ever
        return {"error": {"kind": type(error).__name__, "message": str(error), "retriable": False}}


def _observe() -> None:
    from tierwise.usecases.observe import observe  # noqa: PLC0415 - as `_plan`

    observe(current().app)


def _plan(batch_id: str) -> dict[str, Any]:
    from tierwise.usecases.order import plan_batch  # noqa: PLC0415 - it needs ortools: import when used

    return plan_batch(current().app, batch_id)


@DBOS.workflow(name="provision")
def provision(order_id: str) -> None:
    """Create the order's machine powered off, write it down, and only then switch it on."""
    with current().working(f"provision:{order_id}") as runtime:
        made = outcome(lambda: _delivered(runtime, order_id))
        if "error" in made:
            _close(runtime, order_id, made["error"])


@DBOS.workflow(name="abandon")
def abandon(order_id: str, message: str) -> None:
    """Close an order on which nobody works any more, because its own workflow ended with an error."""
    with current().working(f"abandon:{order_id}") as runtime:
        _close(runtime, order_id, {"kind": "Stopped", "message": message, "retriable": False})


def _close(runtime: Runtime, order_id: str, error: dict[str, Any]) -> None:
    # Whether a call that was not answered took effect is unknown: remove whatever there is.
    undone = outcome(lambda: DBOS.run_step({"name": "undo"}, lambda: steps.undo(runtime.app, order_id)))
    left = ""
    if "error" in undone:
        left = (
            f"a machine may be left at its endpoint: {undone['error']['message']}; `tierwise doctor` looks"
        )
    runtime.transaction("fail", changes.record_failed, runtime.app, order_id, error, left)


def _delivered(runtime: Runtime, order_id: str) -> dict[str, Any]:
    app = runtime.app
    made = DBOS.run_step({"name": "create"}, lambda: steps.create(app, order_id))
    if "error" not in made:
        runtime.transaction("record", changes.record_created, app, order_id, made["vm"])
        made = DBOS.run_step({"name": "power_on"}, lambda: steps.power(app, order_id, PowerAction.ON))
    if "error" not in made:
        runtime.transaction("deliver", changes.record_delivered, app, order_id)
    return made


@DBOS.workflow(name="change_power")
def change_power(change_id: str, machine_id: str, action: str) -> dict[str, Any]:
    """Bring a machine to a power state and write it down."""
    with current().working(f"change:{change_id}") as runtime:
        done = DBOS.run_step({"name": action}, lambda: steps.power(runtime.app, machine_id, action))
        if "error" not in done:
            state = _RESULT_OF[PowerAction(action)]
            runtime.transaction("record", changes.record_power, runtime.app, change_id, machine_id, state)
        return done


@DBOS.workflow(name="change_size")
def change_size(change_id: str, machine_id: str, resources: dict[str, int]) -> dict[str, Any]:
    """Hold the room, resize the machine, and write it down; or let go of the room again."""
    with current().working(f"change:{change_id}") as runtime:
        app = runtime.app
        step = ("resize", lambda: steps.resize(app, machine_id, resources))
        return _resized(runtime, change_id, machine_id, resources, step)


@DBOS.workflow(name="change_disk")
def change_disk(
    change_id: str, machine_id: str, resources: dict[str, int], change: dict[str, Any]
) -> dict[str, Any]:
    """The same by one disk that is added, grows or is removed; `resources` is what the machine has then."""
    with current().working(f"change:{change_id}") as runtime:
        app = runtime.app

        def act() -> dict[str, Any]:
            # Another disk may have the name of one whose removal is in the books: that is never done again.
            if changes.is_recorded(app, change_id):
                return {"vm": None}
            return steps.change_disk(app, machine_id, change)

        step = ("change_disk", act)
        return _resized(runtime, change_id, machine_id, resources, step)


def _resized(
    runtime: Runtime,
    change_id: str,
    machine_id: str,
    resources: dict[str, int],
    step: tuple[str, Callable[[], dict[str, Any]]],
) -> dict[str, Any]:
    app, (name, act) = runtime.app, step
    held = runtime.transaction("hold", changes.hold, app, machine_id, resources)
    if "short" in held:
        return {"error": {"kind": "NoPlace", "message": "; ".join(held["short"]), "retriable": False}}
    if "refused" in held:
        message = "; ".join(held["refused"])
        return {"error": {"kind": "RefusedByPolicy", "message": message, "retriable": False}}
    done = DBOS.run_step({"name": name}, act)
    if "error" in done:
        runtime.transaction("release", changes.release, machine_id, held["before"])
    else:
        runtime.transaction("record", changes.record_resized, app, change_id, machine_id, resources)
    return done


@DBOS.workflow(name="migrate")
def migrate(change_id: str, machine_id: str, host: str) -> dict[str, Any]:
    """Bring a machine to another host of its pool; what it holds and costs stays the same."""
    with current().working(f"change:{change_id}") as runtime:
        done = DBOS.run_step({"name": "migrate"}, lambda: steps.migrate(runtime.app, machine_id, host))
        return dict(done)


@DBOS.workflow(name="migrate_storage")
def migrate_storage(change_id: str, machine_id: str, storage: str) -> dict[str, Any]:
    """Bring a machine's disk to another storage; what it holds and costs stays the same."""
    with current().working(f"change:{change_id}") as runtime:
        done = DBOS.run_step(
            {"name": "migrate_storage"}, lambda: steps.migrate_storage(runtime.app, machine_id, storage)
        )
        return dict(done)


@DBOS.workflow(name="take_snapshot")
def take_snapshot(change_id: str, machine_id: str, name: str, process: str) -> dict[str, Any]:
    """Take a snapshot; what the machine holds and costs stays the same.

    It is of the moment in which it was asked for: what `process` was cut off at is only looked for later.
    """
    with current().working(f"change:{change_id}") as runtime:
        act = steps.snapshot if process == runtime.process else steps.find_snapshot
        done = DBOS.run_step({"name": "snapshot"}, lambda: act(runtime.app, machine_id, name))
        return _telling(runtime, machine_id, process, done)


@DBOS.workflow(name="revert")
def revert(change_id: str, machine_id: str, snapshot: str, process: str) -> dict[str, Any]:
    """Bring a machine back to a snapshot, and write down what it is then.

    It loses what the machine wrote since, so what `process` was cut off at is never done later: it may have been
    done already, and the machine been used again.
    """
    with current().working(f"change:{change_id}") as runtime:
        app = runtime.app

        def act() -> dict[str, Any]:
            if process == runtime.process:
                return steps.revert(app, machine_id, snapshot)
            why = f"going back to snapshot '{snapshot}' was cut off, and may have been done or not"
            return steps.cut_off(f"{why}; look at the machine, and repeat it if it is still wanted")

        done = DBOS.run_step({"name": "revert"}, act)
        if "error" in done and not done["error"]["retriable"]:
            return done
        seen = DBOS.run_step({"name": "look"}, lambda: steps.look(app, machine_id))
        if "error" not in seen:
            runtime.transaction("record", changes.record_reverted, app, change_id, machine_id, seen["vm"])
        elif "error" not in done:
            why = f"it is back at snapshot '{snapshot}', but its size and power are not in the books"
            done = {"error": {**seen["error"], "message": f"{why}: {seen['error']['message']}"}}
        return _telling(runtime, machine_id, process, done)


@DBOS.workflow(name="delete_snapshot")
def delete_snapshot(change_id: str, machine_id: str, name: str, process: str) -> dict[str, Any]:
    """Delete a snapshot; what `process` was cut off at is done later, as it may have been half done."""
    with current().working(f"change:{change_id}") as runtime:
        app = runtime.app

        def act() -> dict[str, Any]:
            # Another snapshot may have the name of one whose deletion is over: that is never done again.
            if changes.is_over(app, f"change:{change_id}"):
                return {"vm": None}
            return steps.delete_snapshot(app, machine_id, name)

        done = DBOS.run_step({"name": "delete_snapshot"}, act)
        if "error" not in done:
            runtime.transaction("end", changes.end)
        return _telling(runtime, machine_id, process, done)


def _telling(runtime: Runtime, machine_id: str, process: str, done: dict[str, Any]) -> dict[str, Any]:
    """The outcome; an error that nobody waits for any more is told by whoever runs the engine."""
    if process != runtime.process and "error" in done:
        runtime.cut_off.append(f"{changes.name_of(runtime.app, machine_id)}: {done['error']['message']}")
    return done


@DBOS.workflow(name="tag")
def tag(change_id: str, machine_id: str, tags: dict[str, str]) -> dict[str, Any]:
    """Change a machine's tags at its hypervisor, and write down what stands on it then."""
    with current().working(f"change:{change_id}") as runtime:
        done = DBOS.run_step({"name": "tag"}, lambda: steps.tag(runtime.app, machine_id, tags))
        if "error" not in done:
            runtime.transaction("record", changes.record_tagged, runtime.app, machine_id, done["vm"])
        return dict(done)


@DBOS.workflow(name="remove")
def remove(change_id: str, machine_id: str) -> dict[str, Any]:
    """Delete a machine, and free its room once it is gone."""
    with current().working(f"change:{change_id}") as runtime:
        done = DBOS.run_step({"name": "delete"}, lambda: steps.delete(runtime.app, machine_id))
        if "error" not in done:
            runtime.transaction("record", changes.record_deleted, runtime.app, change_id, machine_id)
            return dict(done)
        return _not_removed(runtime, change_id, machine_id, done["error"])


def _not_removed(
    runtime: Runtime, change_id: str, machine_id: str, error: dict[str, Any]
) -> dict[str, Any]:
    """The outcome of a removal that failed, for which the machine may have been switched off.

    It runs again where it ran, unless the removal may still take effect; the books have what it is then.
    """
    app = runtime.app
    back = DBOS.run_step(
        {"name": "back"}, lambda: steps.back(app, machine_id, start=not error["retriable"])
    )
    if "error" not in back:
        runtime.transaction("power", changes.record_seen_power, app, change_id, machine_id, back["vm"])
        error = {**error, "message": f"{error['message']}{back['said']}"}
    return {"error": error}
