# ruff: noqa: EM101 -- an error code is data, not a sentence
"""Which operations a machine's state allows, and in which order xapi finds them forbidden.

The table is that of xapi's ``xapi_vm_lifecycle.ml``: blocked operations, then the power state, then
operations that are under way, then templates and snapshots.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from connectors.simulators.xen.failure import Failure

_ALL = ("Halted", "Paused", "Suspended", "Running")
_POWER_STATES: Mapping[str, tuple[str, ...]] = {
    "start": ("Halted",),
    "start_on": ("Halted",),
    "changing_memory_limits": ("Halted",),
    "changing_static_range": ("Halted",),
    "changing_VCPUs": ("Halted",),
    "make_into_template": ("Halted",),
    "provision": ("Halted",),
    "clone": ("Halted",),
    "unpause": ("Paused",),
    "resume": ("Suspended",),
    "clean_shutdown": ("Running",),
    "suspend": ("Running",),
    "pause": ("Running",),
    "pool_migrate": ("Running",),
    "migrate_send": ("Halted", "Suspended", "Running"),
    "changing_VCPUs_live": ("Running",),
    "changing_dynamic_range": ("Halted", "Running"),
    "destroy": ("Halted", "Suspended"),
    "hard_shutdown": ("Paused", "Suspended", "Running"),
    "checkpoint": ("Paused", "Suspended", "Running"),
    "snapshot": _ALL,
    "revert": _ALL,
}

_OF_TEMPLATES = frozenset(
    {
        "changing_dynamic_range",
        "changing_static_range",
        "changing_memory_limits",
        "changing_VCPUs",
        "clone",
        "provision",
        "destroy",
    }
)
_OF_SNAPSHOTS = frozenset({"revert", "clone", "destroy", "hard_shutdown"})


def check(vm: Mapping[str, Any], ref: str, operation: str) -> None:
    """Raises Failure where the machine's state forbids the operation."""
    if operation in vm["blocked_operations"]:
        raise Failure("OPERATION_BLOCKED", ref, vm["blocked_operations"][operation])
    expected = _POWER_STATES[operation]
    if vm["power_state"] not in expected:
        words = ", ".join(state.lower() for state in expected)
        raise Failure("VM_BAD_POWER_STATE", ref, words, vm["power_state"].lower())
    _check_concurrent(vm, ref, operation)
    if vm["is_a_snapshot"] and operation not in _OF_SNAPSHOTS:
        raise Failure("VM_IS_SNAPSHOT", ref, operation)
    if vm["is_a_template"] and not vm["is_a_snapshot"] and operation not in _OF_TEMPLATES:
        raise Failure("VM_IS_TEMPLATE", ref)
    if operation == "revert" and not vm["is_a_snapshot"]:
        raise Failure("ONLY_REVERT_SNAPSHOT")
    if vm["is_control_domain"]:
        raise Failure("OPERATION_NOT_ALLOWED", "Operations on domain 0 are not allowed")


def _check_concurrent(vm: Mapping[str, Any], ref: str, operation: str) -> None:
    under_way = vm["current_operations"]
    if not under_way or (operation == "snapshot" and set(under_way.values()) == {"snapshot"}):
        return
    task, running = next(iter(under_way.items()))
    if operation == "hard_shutdown" and running == "clean_shutdown":
        return  # xapi cancels the clean one first
    raise Failure("OTHER_OPERATION_IN_PROGRESS", "VM", ref, running, task)


def allowed_operations(vm: Mapping[str, Any]) -> list[str]:
    """The operations that would not fail at once."""
    maps = (vm[name].items() for name in _MAPS)
    return list(_allowed(tuple(vm[name] for name in _PLAIN), *map(tuple, maps)))


_PLAIN = ("power_state", "is_a_snapshot", "is_a_template", "is_control_domain")
_MAPS = ("blocked_operations", "current_operations")


@lru_cache(maxsize=1024)
def _allowed(plain: tuple[Any, ...], *maps: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """All that `check` reads of a machine; kept, because most machines of a pool are in the same few states."""
    vm = dict(zip(_PLAIN, plain, strict=True)) | dict(zip(_MAPS, map(dict, maps), strict=True))
    return tuple(operation for operation in _POWER_STATES if _is_allowed(vm, operation))


def _is_allowed(vm: Mapping[str, Any], operation: str) -> bool:
    try:
        check(vm, "", operation)
    except Failure:
        return False
    return True
