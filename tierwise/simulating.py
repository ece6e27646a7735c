"""Starting a simulated hypervisor from plain words: for people who want to try a driver, or break it."""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr, TypeAdapter, ValidationError

from catalog.pools import Endpoint
from tierwise.errors import InvalidInput, TierwiseError

ADDRESS = "127.0.0.1"


class Simulation(Protocol):
    """A running simulator. `password` is made anew at each start."""

    password: SecretStr

    def endpoint(self, name: str) -> Endpoint:
        """How a catalog names it."""

    def wait(self) -> None:
        """Until its process ends."""


class Kind(StrEnum):
    """The hypervisors for which there is a simulator that speaks their own protocol."""

    VSPHERE = "vsphere"
    HYPERV = "hyperv"
    XEN = "xen"


@contextmanager
def simulating(
    kind: Kind,
    estate: Mapping[str, str],
    *,
    port: int = 0,
    rules: Sequence[Any] = (),
    task_delay_ms: int = 0,
    cache_dir: Path,
) -> Iterator[Simulation]:
    """A simulator with these facts of its estate, and these rules of misbehaviour.

    Raises InvalidInput for facts or rules that it does not know, and TierwiseError, with what to install,
    where it cannot run or does not start.
    """
    _must_be_free(port)
    starter = _STARTERS[kind]
    try:
        with starter(estate, port, rules, task_delay_ms, cache_dir) as simulator:
            yield simulator
    except RuntimeError as error:
        raise TierwiseError(str(error)) from None


def _must_be_free(port: int) -> None:
    try:
        socket.create_server((ADDRESS, port)).close()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        msg = f"port {port} of {ADDRESS} cannot be used: {why}; name another, or 0 for a free one"
        raise TierwiseError(msg) from None


def facts(kind: Kind) -> dict[str, tuple[str, str]]:
    """What can be set of an estate: name -> (its default, as it is set, and what it is)."""
    return {
        name: (_text(field.get_default(call_default_factory=True)), field.description or "")
        for name, field in _estate_class(kind).model_fields.items()
    }


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, Mapping):
        return ",".join(f"{key}={one}" for key, one in value.items())
    return str(value)


def _estate_class(kind: Kind) -> Any:
    from connectors.simulators import hyperv, vsphere, xen  # noqa: PLC0415 - each only where it is used

    classes: dict[Kind, Any] = {
        Kind.VSPHERE: vsphere.Estate,
        Kind.HYPERV: hyperv.Estate,
        Kind.XEN: xen.Estate,
    }
    return classes[kind]


def _checked(model: Any, given: Mapping[str, str], what: str) -> Any:
    unknown = sorted(set(given) - set(model.model_fields))
    if unknown:
        msg = f"{what} has no {', '.join(unknown)}; there are: {', '.join(model.model_fields)}"
        raise InvalidInput(msg)
    values = {name: _value(str(model.model_fields[name].annotation), text) for name, text in given.items()}
    return _valid(model, values, what)


def _value(annotation: str, text: str) -> Any:
    """A list's parts have commas between them, and a mapping's have the form NAME=VALUE too."""
    parts = [part for part in text.split(",") if part]
    if "Mapping" in annotation:
        return {name: value for name, _, value in (part.partition("=") for part in parts)}
    return parts if "tuple" in annotation else text


def _valid(model: Any, value: Any, what: str) -> Any:
    try:
        return TypeAdapter(model).validate_python(value, strict=False)
    except ValidationError as error:
        msg = f"{what} is not valid"
        details = [f"{'.'.join(map(str, e['loc'])) or what}: {e['msg']}" for e in error.errors()]
        raise InvalidInput(msg, details=details) from None


def _need(absent: str | None) -> None:
    if absent:
        raise TierwiseError(absent)


def _rule(simulator: Any, rules: Sequence[Any]) -> None:
    try:
        simulator.rules(*rules)
    except ValueError as error:
        msg = f"the list of rules is not valid: {error}"
        raise InvalidInput(msg) from None


@contextmanager
def _vsphere(
    estate: Mapping[str, str], port: int, rules: Sequence[Any], task_delay_ms: int, cache_dir: Path
) -> Iterator[Simulation]:
    from connectors.simulators import vsphere  # noqa: PLC0415 - only where it is used

    facts_ = _checked(vsphere.Estate, estate, "the estate of vsphere")
    ruled = _valid(list[vsphere.Rule], rules, "the list of rules")
    _need(vsphere.missing())
    binary = vsphere.build(cache_dir)
    listen = f"{ADDRESS}:{port}"
    with vsphere.VsphereSimulator(
        binary, facts_, listen=listen, task_delay_s=task_delay_ms / 1000
    ) as simulator:
        _rule(simulator, ruled)
        yield simulator


@contextmanager
def _hyperv(
    estate: Mapping[str, str], port: int, rules: Sequence[Any], task_delay_ms: int, _cache_dir: Path
) -> Iterator[Simulation]:
    from connectors.simulators import hyperv  # noqa: PLC0415 - only where it is used

    facts_ = _checked(hyperv.Estate, estate, "the estate of hyperv")
    ruled = _valid(list[hyperv.Rule], rules, "the list of rules")
    if task_delay_ms:
        msg = "Hyper-V's cmdlets return when they are done, so there are no tasks to delay; give rules with a delay"
        raise InvalidInput(msg)
    _need(hyperv.missing())
    with hyperv.HypervSimulator(facts_, port=port) as simulator:
        _rule(simulator, ruled)
        yield simulator


@contextmanager
def _xen(
    estate: Mapping[str, str], port: int, rules: Sequence[Any], task_delay_ms: int, _cache_dir: Path
) -> Iterator[Simulation]:
    from connectors.simulators import xen  # noqa: PLC0415 - only where it is used

    facts_ = _checked(xen.Estate, estate, "the estate of xen")
    ruled = _valid(list[xen.Rule], rules, "the list of rules")
    with xen.XenSimulator(facts_, port=port, task_delay_s=task_delay_ms / 1000) as simulator:
        _rule(simulator, ruled)
        yield simulator


_STARTERS = {Kind.VSPHERE: _vsphere, Kind.HYPERV: _hyperv, Kind.XEN: _xen}
