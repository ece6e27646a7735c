# ruff: noqa: ARG001, EM101 -- messages have XenAPI's parameters, and an error code is no sentence
"""Messages about sessions, tasks, events, and the pool itself."""

from typing import Any
from xmlrpc.client import DateTime

from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.messages import all_messages, message
from connectors.simulators.xen.schema import schema
from connectors.simulators.xen.store import HIDDEN, now, written
from connectors.simulators.xen.wire import Int32
from connectors.simulators.xen.world import READER, Context, World

LONGEST_WAIT_S = 3600.0


@message(
    "session.login_with_password",
    "string",
    "string",
    "string",
    "string",
    optional=2,
    session=False,
    writes=False,
)
def login(
    world: World, context: Context, user: str, password: str, version: str = "", originator: str = ""
) -> str:
    """A new session; that of a local superuser has no list of what it may do."""
    may = [name.lower() for name, one in all_messages().items() if not one.writes]
    return world.login(user, password, originator, [] if user != READER else may)


@message("session.logout", writes=False)
def logout(world: World, context: Context) -> None:
    """End the session that asks."""
    world.store.remove("session", context.session)


@message("system.listMethods", session=False, writes=False)
def list_methods(world: World, context: Context) -> list[str]:
    """The names of all messages; XML-RPC's own, asked without a session."""
    return sorted(all_messages())


@message("host.compute_free_memory", "host ref", writes=False)
def compute_free_memory(world: World, context: Context, host: str) -> int:
    """Bytes that a new machine could have on the host."""
    world.store.row("host", host)
    return max(0, world.free_memory(host))


@message("host.get_servertime", "host ref", writes=False)
def get_servertime(world: World, context: Context, host: str) -> DateTime:
    """The time by the host's clock. Raises Failure HOST_OFFLINE."""
    metrics = world.store.row("host", host)["metrics"]
    if not world.store.row("host_metrics", metrics)["live"]:
        raise Failure("HOST_OFFLINE", host)
    return written(world.seconds())


@message("host.disable", "host ref", "bool", optional=1, can_be_async=True)
def disable(world: World, context: Context, host: str, _auto_enable: bool = True) -> None:
    """Start no machines on the host any more."""
    world.store.set("host", host, enabled=False)


@message("host.enable", "host ref", can_be_async=True)
def enable(world: World, context: Context, host: str) -> None:
    """Start machines on the host again."""
    world.store.set("host", host, enabled=True)


@message("task.create", "string", "string", writes=False)
def task_create(world: World, context: Context, label: str, description: str) -> str:
    """A task for the client's own use."""
    return new_task(world, label, description)


def new_task(world: World, label: str, description: str = "") -> str:
    """A pending task."""
    return world.store.add(
        "task",
        name_label=label,
        name_description=description,
        status="pending",
        created=now(),
        resident_on=world.hosts[0],
        type="<none/>",
    )


@message("task.destroy", "task ref", writes=False)
def task_destroy(world: World, context: Context, ref: str) -> None:
    """Forget a task; what it does goes on."""
    world.store.remove("task", ref)


@message("task.cancel", "task ref", writes=False)
def task_cancel(world: World, context: Context, ref: str) -> None:
    """Ask a task to stop."""
    if world.store.row("task", ref)["status"] == "pending":
        world.store.set("task", ref, status="cancelling")


@message("task.set_other_config", "task ref", "(string -> string) map", writes=False)
def task_set_other_config(world: World, context: Context, ref: str, value: dict[str, str]) -> None:
    """Notes on a task."""
    world.store.set("task", ref, other_config=value)


@message("event.inject", "string", "string", writes=False)
def inject(world: World, context: Context, class_name: str, ref: str) -> str:
    """Say that an object changed; the token from before which the change is seen."""
    name = _class(class_name)
    world.store.row(name, ref)
    return _token(world.store.touch(ref))


@message("event.get_current_id", writes=False)
def get_current_id(world: World, context: Context) -> int:
    """The number of the last event."""
    return world.store.generation


@message("event.from", "string set", "string", "float", writes=False)
def events_from(world: World, context: Context, classes: list[str], token: str, timeout: float) -> Any:
    """What changed since the token, at once or when something does; nothing when the time is over."""
    since = _since(token)
    wanted = [_subscription(one) for one in classes]

    def found() -> list[dict[str, Any]]:
        world.check_session(context.session)
        return _events(world, wanted, since)

    world.wait(lambda: bool(found()), min(timeout, LONGEST_WAIT_S))
    return {
        "events": found(),
        "valid_ref_counts": {
            name.lower(): Int32(len(world.store.rows(name)))
            for name in schema().classes
            if name not in HIDDEN
        },
        "token": _token(world.store.generation),
    }


def _token(generation: int) -> str:
    return f"{generation:020d},{0:020d}"


def _since(token: str) -> int:
    if not token:
        return 0
    first, comma, second = token.partition(",")
    if not (comma and first.isdigit() and second.isdigit()):
        raise Failure("EVENT_FROM_TOKEN_PARSE_FAILURE", token)
    return int(first)


def _class(name: str) -> str:
    known = {one.lower(): one for one in schema().classes if one not in HIDDEN}
    if name.lower() not in known:
        raise Failure("EVENT_SUBSCRIPTION_PARSE_FAILURE", name)
    return known[name.lower()]


def _subscription(text: str) -> tuple[str, str]:
    """Class and reference; empty for all. Classes that are not simulated have no objects, so no events."""
    if text == "*":
        return "", ""
    name, _, ref = text.partition("/")
    return name.lower(), ref


def _events(world: World, wanted: list[tuple[str, str]], since: int) -> list[dict[str, Any]]:
    found = []
    for class_name, ref, operation, record in world.store.changes(since):
        name = class_name.lower()
        if not any(c in {"", name} and r in {"", ref} for c, r in wanted):
            continue
        event = {
            "id": world.store.generation,
            "timestamp": "0.",
            "class": name,
            "operation": operation,
            "ref": ref,
        }
        if record is not None:
            event["snapshot"] = world.shown(class_name, record)
        found.append(event)
    return found
