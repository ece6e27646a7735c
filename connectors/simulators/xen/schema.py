# ruff: noqa: EM101 -- an error code is data, not a sentence
"""The classes, fields and enums that the simulated xapi has, and how values of their types are read.

Types are written as XenAPI's data model writes them: ``string``, ``int``, ``VM ref``, ``string set``,
``(string -> string) map``, ``enum vbd_mode``, ``VM record``.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from xmlrpc.client import DateTime

from connectors.simulators.xen.failure import Failure

NULL = "OpaqueRef:NULL"

LEFT_OUT: Mapping[str, Mapping[str, tuple[str, Any]]] = {
    "VM": {
        "NVRAM": ("(string -> string) map", {}),
        "appliance": ("VM_appliance ref", NULL),
        "generation_id": ("string", "0:0"),
        "ha_always_run": ("bool", False),
        "is_snapshot_from_vmpp": ("bool", False),
        "is_vmss_snapshot": ("bool", False),
        "last_boot_CPU_flags": ("(string -> string) map", {}),
        "last_booted_record": ("string", ""),
        "order": ("int", 0),
        "protection_policy": ("VMPP ref", NULL),
        "shutdown_delay": ("int", 0),
        "snapshot_schedule": ("VMSS ref", NULL),
        "start_delay": ("int", 0),
        "version": ("int", 0),
    },
    "VIF": {
        "ipv4_allowed": ("string set", []),
        "ipv6_allowed": ("string set", []),
        "trunks": ("int set", []),
    },
}
"""What XenAPI's constructors take and the simulator does not have: its type, and the value that asks for nothing.

`has_vendor_device` is not among them: no guest here would see its device, whatever it says.
"""

_TABLE = Path(__file__).with_name("schema.txt")
_BEYOND = Path(__file__).with_name("beyond.txt")
_MAP = re.compile(r"^\((?P<key>.+?) -> (?P<value>.+)\) map$")


class Field(NamedTuple):
    """One field of a class. `access` is rw, new or ro; `default` is None where the model has none."""

    name: str
    type: str
    access: str
    default: str | None


class Schema(NamedTuple):
    """What `schema.txt` says."""

    classes: Mapping[str, Mapping[str, Field]]
    enums: Mapping[str, tuple[str, ...]]


@cache
def schema() -> Schema:
    """The table, read once."""
    classes: dict[str, dict[str, Field]] = {}
    enums: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("enum "):
            enum, _, values = line.removeprefix("enum ").partition(": ")
            enums[enum] = tuple(values.split())
        elif line.startswith("  "):
            field = _field(line)
            classes[name][field.name] = field
        elif line and not line.startswith("#"):
            name = line
            classes[name] = {}
    return Schema(classes, enums)


@cache
def beyond() -> frozenset[str]:
    """The messages that xapi has and the simulator has not, as `Class.message`: what `beyond.txt` says."""
    names, class_name = set[str](), ""
    for line in _BEYOND.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            first, *rest = line.split()
            names.update(f"{class_name}.{first.removeprefix('-')}{name}" for name in rest)
        elif not line.startswith("#"):
            class_name = line
    return frozenset(names)


def _field(line: str) -> Field:
    declared, _, rest = line.partition(" | ")
    access, _, kind = declared.strip().partition(" ")
    name, has_default, default = rest.partition(" = ")
    return Field(name, kind, access, default if has_default else None)


def initial(field: Field) -> Any:
    """The value of a field that nobody has set: the model's default, or its type's empty value."""
    if field.default is not None and field.default not in {"", "Null"}:
        return _default(field.type, field.default)
    return _empty(field.type)


def _default(kind: str, text: str) -> Any:
    if kind == "string":
        return text.strip('"')
    if kind == "bool":
        return text == "true"
    if kind in {"int", "float"}:
        return int(text) if kind == "int" else float(text)
    if kind == "datetime":
        return DateTime(text)
    return _empty(kind) if text == "{}" else text


def _empty(kind: str) -> Any:
    if kind.endswith((" set", " map")):
        return [] if kind.endswith(" set") else {}
    if kind.endswith(" ref"):
        return NULL
    if kind.startswith("enum "):
        return schema().enums[kind.removeprefix("enum ")][0]
    simple = {"int": 0, "float": 0.0, "bool": False, "datetime": DateTime("19700101T00:00:00Z")}
    return simple.get(kind, "")


def read(kind: str, name: str, value: Any) -> Any:
    """A parameter's value, checked against its type. Raises Failure FIELD_TYPE_ERROR."""
    if kind.endswith(" set"):
        return [read(kind.removesuffix(" set"), name, one) for one in _of(list, name, value)]
    if mapped := _MAP.match(kind):
        items = _of(dict, name, value).items()
        return {read(mapped["key"], name, k): read(mapped["value"], name, v) for k, v in items}
    if kind.endswith(" record"):
        return _record(kind.removesuffix(" record"), _of(dict, name, value))
    if kind.startswith("enum "):
        if value not in schema().enums[kind.removeprefix("enum ")]:
            raise Failure("FIELD_TYPE_ERROR", name)
        return value
    return _simple(kind, name, value)


def _simple(kind: str, name: str, value: Any) -> Any:
    if kind == "int":
        return _int(name, value)
    if kind == "float":
        return float(value) if isinstance(value, int) else _of(float, name, value)
    if kind == "bool":
        return _of(bool, name, value)
    if kind == "datetime":
        return _of(DateTime, name, value)
    return _of(str, name, value)


def _int(name: str, value: Any) -> int:
    """Clients send 64-bit integers as strings; small ones may come as numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise Failure("FIELD_TYPE_ERROR", name)
    try:
        return int(value)
    except ValueError:
        raise Failure("FIELD_TYPE_ERROR", name) from None


def _of(kind: type, name: str, value: Any) -> Any:
    if not isinstance(value, kind):
        raise Failure("FIELD_TYPE_ERROR", name)
    return value


def _record(class_name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The fields that make an object; those xapi sets itself, and names unknown to it, are ignored, as xapi does.

    Raises Failure NOT_IMPLEMENTED for a value that would have an effect in xapi and has none here.
    """
    for name, (kind, nothing) in LEFT_OUT.get(class_name, {}).items():
        if name in given and read(kind, name, given[name]) not in (nothing, ""):
            raise Failure("NOT_IMPLEMENTED", f"{class_name}.{name}")
    made = {}
    for field in schema().classes[class_name].values():
        if field.access == "ro":
            continue
        if field.name in given:
            made[field.name] = read(field.type, field.name, given[field.name])
        elif field.default is None:
            raise Failure("FIELD_TYPE_ERROR", field.name)
    return made
