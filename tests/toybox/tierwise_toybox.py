"""A driver for toys: machines are entries of a file `machines.json` in the folder that an endpoint's address names.

A whole driver in its smallest form, as docs/how-to/add-a-driver.md describes it; a package that offers it has
this one file. One provider, "box", with one host of 64 vCPUs, 256 GiB of memory and 4 TiB of disk.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

from filelock import FileLock, Timeout

from catalog.capabilities import Capability, Gap, GapReason
from catalog.pools import Host, Hypervisor
from catalog.resources import Resources
from connectors.contract import (
    Connector,
    EndpointSnapshot,
    PoolSnapshot,
    PowerAction,
    PowerState,
    VmSpec,
    VmView,
    hot_resize,
)
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, NotFound, Refused, Unreachable

PROVIDER, HOST = "box", "shelf"
SIZE = Resources(vcpu=64, memory_mib=262_144, disk_gib=4096)
WORKS = {
    Capability.CREATE,
    Capability.DELETE,
    Capability.POWER_ON,
    Capability.POWER_OFF,
    Capability.SHUTDOWN,
    Capability.RESIZE_COLD,
}
AFTER = {
    PowerAction.ON: PowerState.ON,
    PowerAction.OFF: PowerState.OFF,
    PowerAction.SHUTDOWN: PowerState.OFF,
}

Entries = dict[str, dict[str, Any]]


class Toybox(Connector):
    """Machines of a folder; a machine's key in the file is its identity."""

    driver = "toybox"
    gaps = MappingProxyType(
        {
            capability: Gap(reason=GapReason.NEVER, detail="a toy does no more than start and stop")
            for capability in Capability
            if capability not in WORKS
        }
    )
    _open = False

    def open(self) -> None:
        self._open = True
        try:
            with self._entries("open"):
                pass
        except ConnectorError:
            self._open = False
            raise

    def close(self) -> None:
        self._open = False

    def probe(self) -> EndpointSnapshot:
        with self._entries("probe") as entries:
            sizes = [(Resources(**entry["size"]), entry["power"] == "on") for entry in entries.values()]
        used = Resources(
            vcpu=sum(size.vcpu for size, on in sizes if on),
            memory_mib=sum(size.memory_mib for size, on in sizes if on),
            disk_gib=sum(size.disk_gib for size, _ in sizes),
        )
        pool = PoolSnapshot(
            provider=PROVIDER,
            hypervisor=Hypervisor.LIBVIRT,
            total=SIZE,
            used=used,
            hosts=(Host(name=HOST, resources=SIZE),),
            capabilities=self.declared(),
        )
        return EndpointSnapshot(endpoint=self.endpoint.name, product="toybox 1", secure=True, pools=(pool,))

    def list_vms(self) -> list[VmView]:
        with self._entries("list_vms") as entries:
            found = [_view(key, entry) for key, entry in entries.items()]
        return sorted(found, key=lambda vm: (vm.name, vm.native_id))

    def get_vm(self, identity: UUID) -> VmView:
        with self._entries("get_vm") as entries:
            return _view(str(identity), self._entry(entries, identity, "get_vm"))

    def create_vm(self, spec: VmSpec, identity: UUID) -> VmView:
        self.check_spec(spec)
        with self._entries("create_vm") as entries:
            if spec.provider != PROVIDER:
                raise self._failed(
                    NotFound, "create_vm", f"there is no '{spec.provider}', only '{PROVIDER}'"
                )
            self._require_room(spec.resources, "create_vm")
            entries.setdefault(
                str(identity),
                {
                    "name": spec.name,
                    "power": PowerState.OFF.value,
                    "size": spec.resources.model_dump(mode="json"),
                    "annotations": dict(spec.annotations),
                },
            )
            return _view(str(identity), entries[str(identity)])

    def delete_vm(self, identity: UUID) -> None:
        with self._entries("delete_vm") as entries:
            entries.pop(str(identity), None)

    def power(self, identity: UUID, action: PowerAction) -> VmView:
        if action not in AFTER:
            raise self.unsupported(Capability.SUSPEND)
        with self._entries("power") as entries:
            entry = self._entry(entries, identity, "power")
            entry["power"] = AFTER[action].value
            return _view(str(identity), entry)

    def resize(self, identity: UUID, resources: Resources) -> VmView:
        with self._entries("resize") as entries:
            entry = self._entry(entries, identity, "resize")
            size = Resources(**entry["size"])
            if size == resources:
                return _view(str(identity), entry)
            if entry["power"] == "on":
                raise self.unsupported(hot_resize(size, resources))
            if resources.disk_gib < entry["size"]["disk_gib"]:
                raise self._failed(Conflict, "resize", "a disk never shrinks; ask for as much as there is")
            self._require_room(resources, "resize")
            entry["size"] = resources.model_dump(mode="json")
            return _view(str(identity), entry)

    @contextmanager
    def _entries(self, operation: str) -> Iterator[Entries]:
        """The file's entries, written back at the end; nobody else reads or writes meanwhile."""
        if not self._open:
            raise self._failed(Unreachable, operation, "the connection is not open", "open it first")
        file = Path(self.endpoint.address) / "machines.json"
        if not file.parent.is_dir():
            raise self._failed(Unreachable, operation, f"there is no folder {file.parent}", "make it")
        try:
            with FileLock(file.with_suffix(".lock"), timeout=self.endpoint.timeout_s):
                entries: Entries = json.loads(file.read_text("utf-8")) if file.exists() else {}
                yield entries
                new = file.with_suffix(".new")
                new.write_text(json.dumps(entries), "utf-8")
                new.replace(file)
        except Timeout:
            raise self._failed(DeadlineExceeded, operation, "somebody else holds the box") from None
        except (OSError, ValueError) as error:
            hint = "check the folder that is the endpoint's address"
            raise self._failed(Unreachable, operation, f"{file} cannot be used: {error}", hint) from error

    def _entry(self, entries: Entries, identity: UUID, operation: str) -> dict[str, Any]:
        entry = entries.get(str(identity))
        if entry is None:
            raise self._failed(NotFound, operation, f"there is no machine {identity}")
        return entry

    def _require_room(self, size: Resources, operation: str) -> None:
        if size.vcpu > SIZE.vcpu or size.memory_mib > SIZE.memory_mib or size.disk_gib > SIZE.disk_gib:
            raise self._failed(Refused, operation, "no host is so large", "ask for less")

    def _failed(
        self, kind: type[ConnectorError], operation: str, why: str, hint: str = ""
    ) -> ConnectorError:
        return kind(self.endpoint.name, operation, why, hint=hint)


def _view(key: str, entry: dict[str, Any]) -> VmView:
    power = PowerState(entry["power"])
    return VmView(
        identity=UUID(key),
        native_id=key,
        name=entry["name"],
        provider=PROVIDER,
        host=HOST if power is PowerState.ON else None,
        power=power,
        resources=Resources(**entry["size"]),
        annotations=entry["annotations"],
    )
