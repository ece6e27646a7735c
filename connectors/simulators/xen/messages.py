# ruff: noqa: ARG001, EM101 -- messages have XenAPI's parameters, and an error code is no sentence
"""The messages that the simulated xapi knows: those written by hand, and the accessors of every field."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.schema import Field, schema
from connectors.simulators.xen.store import HIDDEN, REVERSES
from connectors.simulators.xen.world import Context, World

Body = Callable[..., Any]


class Message(NamedTuple):
    """One message. `params` are the types after the session's; the last `optional` of them may be missing."""

    name: str
    params: tuple[str, ...]
    body: Body
    optional: int = 0
    session: bool = True
    writes: bool = True
    can_be_async: bool = False


WRITTEN: dict[str, Message] = {}

WITHOUT_SEARCH = frozenset({"pool"})
"""Classes with a name_label, but without `get_by_name_label`."""


def message(
    name: str,
    *params: str,
    optional: int = 0,
    session: bool = True,
    writes: bool = True,
    can_be_async: bool = False,
) -> Callable[[Body], Body]:
    """Make a function the body of a message; it gets the world, the context and the parameters."""

    def register(body: Body) -> Body:
        WRITTEN[name] = Message(name, params, body, optional, session, writes, can_be_async)
        return body

    return register


def all_messages() -> Mapping[str, Message]:
    """Every message by name; one written by hand takes the place of an accessor."""
    generic = {found.name: found for name in schema().classes for found in _accessors(name)}
    return generic | WRITTEN


def _accessors(class_name: str) -> Iterator[Message]:
    fields = schema().classes[class_name]
    this = f"{class_name} ref"
    yield _reads(f"{class_name}.get_record", (this,), partial(_get_record, class_name))
    yield _reads(f"{class_name}.get_by_uuid", ("string",), partial(_get_by_uuid, class_name))
    if class_name not in HIDDEN:
        yield _reads(f"{class_name}.get_all", (), partial(_get_all, class_name))
        yield _reads(f"{class_name}.get_all_records", (), partial(_get_all_records, class_name))
    if "name_label" in fields and class_name not in WITHOUT_SEARCH:
        body = partial(_get_by_name_label, class_name)
        yield _reads(f"{class_name}.get_by_name_label", ("string",), body)
    for field in fields.values():
        yield _reads(f"{class_name}.get_{field.name}", (this,), partial(_get, class_name, field.name))
        if field.access == "rw":
            yield from _setters(class_name, field)


def _setters(class_name: str, field: Field) -> Iterator[Message]:
    this, name = f"{class_name} ref", field.name
    yield Message(f"{class_name}.set_{name}", (this, field.type), partial(_set, class_name, name))
    if field.type.endswith(" map"):
        key, value = field.type.removeprefix("(").removesuffix(") map").split(" -> ")
        add, remove = partial(_add_to, class_name, name), partial(_remove_from, class_name, name)
        yield Message(f"{class_name}.add_to_{name}", (this, key, value), add)
        yield Message(f"{class_name}.remove_from_{name}", (this, key), remove)
    if field.type.endswith(" set"):
        one = field.type.removesuffix(" set")
        yield Message(f"{class_name}.add_{name}", (this, one), partial(_add, class_name, name))
        yield Message(f"{class_name}.remove_{name}", (this, one), partial(_remove, class_name, name))


def _reads(name: str, params: tuple[str, ...], body: Body) -> Message:
    return Message(name, params, body, writes=False)


def _get_record(class_name: str, world: World, context: Context, ref: str) -> Any:
    return world.shown(class_name, world.store.record(class_name, ref))


def _get_by_uuid(class_name: str, world: World, context: Context, uuid: str) -> str:
    for ref, row in world.store.rows(class_name).items():
        if row["uuid"] == uuid:
            return ref
    raise Failure("UUID_INVALID", class_name, uuid)


def _get_by_name_label(class_name: str, world: World, context: Context, label: str) -> list[str]:
    return [ref for ref, row in world.store.rows(class_name).items() if row["name_label"] == label]


def _get_all(class_name: str, world: World, context: Context) -> list[str]:
    return list(world.store.rows(class_name))


def _get_all_records(class_name: str, world: World, context: Context) -> dict[str, Any]:
    records = world.store.records(class_name)
    return {ref: world.shown(class_name, record) for ref, record in records.items()}


def _get(class_name: str, field: str, world: World, context: Context, ref: str) -> Any:
    if (class_name, field) in REVERSES:
        world.store.row(class_name, ref)
        return world.store.related(*REVERSES[class_name, field], ref)
    return world.shown(class_name, dict(world.store.row(class_name, ref)))[field]


def _set(class_name: str, field: str, world: World, context: Context, ref: str, value: Any) -> None:
    world.store.set(class_name, ref, **{field: value})


def _add_to(
    class_name: str, field: str, world: World, context: Context, ref: str, key: str, value: Any
) -> None:
    row = world.store.row(class_name, ref)
    if key in row[field]:
        raise Failure("MAP_DUPLICATE_KEY", class_name, field, row["uuid"], key)
    world.store.set(class_name, ref, **{field: {**row[field], key: value}})


def _remove_from(class_name: str, field: str, world: World, context: Context, ref: str, key: str) -> None:
    kept = {k: v for k, v in world.store.row(class_name, ref)[field].items() if k != key}
    world.store.set(class_name, ref, **{field: kept})


def _add(class_name: str, field: str, world: World, context: Context, ref: str, value: Any) -> None:
    kept = world.store.row(class_name, ref)[field]
    world.store.set(class_name, ref, **{field: kept if value in kept else [*kept, value]})


def _remove(class_name: str, field: str, world: World, context: Context, ref: str, value: Any) -> None:
    kept = [one for one in world.store.row(class_name, ref)[field] if one != value]
    world.store.set(class_name, ref, **{field: kept})


def _written_accessors() -> Iterator[Message]:
    """VM.other_config is not RW in the model, yet can be changed by messages whose bodies are xapi's own."""
    this, name = "VM ref", "other_config"
    field = f"VM.{{}}{name}"
    yield Message(field.format("set_"), (this, "(string -> string) map"), partial(_set, "VM", name))
    yield Message(field.format("add_to_"), (this, "string", "string"), partial(_add_to, "VM", name))
    yield Message(field.format("remove_from_"), (this, "string"), partial(_remove_from, "VM", name))


WRITTEN.update((one.name, one) for one in _written_accessors())
