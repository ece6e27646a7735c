"""What a simulated hypervisor lets in: room on its hosts and storage, names, and states."""

import sqlite3

from catalog.resources import Resources
from connectors.contract import NewDisk, PowerAction, PowerState, VmSpec
from connectors.drivers.simulated import machines
from connectors.drivers.simulated.further import Held
from connectors.drivers.simulated.machines import Machine
from connectors.drivers.simulated.options import EstateOptions
from connectors.errors import Conflict, NotFound, Refused


class Admission:
    """The checks before a machine is made or changed; each raises what the contract names."""

    def __init__(self, endpoint: str, options: EstateOptions) -> None:
        self._endpoint = endpoint
        self._options = options
        self._hosts = {provider: options.hosts_of(provider) for provider in options.providers}

    def room_for(self, db: sqlite3.Connection, spec: VmSpec) -> str:
        """The host for a new machine. Raises NotFound, Conflict or Refused."""
        if spec.provider not in self._options.providers:
            known = ", ".join(self._options.providers)
            why = f"there is no provider '{spec.provider}'; there are: {known}"
            raise NotFound(self._endpoint, "create_vm", why)
        if self._options.unique_names and machines.by_name(db, spec.name):
            why = f"another machine has the name '{spec.name}'; choose another name"
            raise Conflict(self._endpoint, "create_vm", why)
        self.check_disk(db, spec.provider, spec.resources.disk_gib, "create_vm")
        return self.host(db, "create_vm", spec.provider, spec.resources)

    def check_disk(self, db: sqlite3.Connection, provider: str, more_gib: int, operation: str) -> None:
        """Raises Refused when the provider's storage lacks `more_gib`."""
        free_gib = self._options.disk_gib - machines.reserved_disk_gib(db, provider)
        if more_gib > free_gib:
            why = f"{more_gib} GiB of disk are wanted, {provider} has {free_gib} GiB free"
            raise Refused(self._endpoint, operation, why, vendor_code="SIM_NO_DISK")

    def host(
        self,
        db: sqlite3.Connection,
        operation: str,
        provider: str,
        size: Resources,
        keep: Machine | None = None,
    ) -> str:
        """The machine's present host if it fits there, otherwise the emptiest one; Refused if none."""
        if size.vcpu > self._options.host_vcpu:
            why = f"{size.vcpu} vcpu are wanted, a host of {provider} has {self._options.host_vcpu}"
            raise Refused(self._endpoint, operation, why, vendor_code="SIM_NO_VCPU")
        free = machines.free_memory_mib(db, self._hosts.get(provider, ()), without=keep.seq if keep else 0)
        if keep and free.get(keep.host, -1) >= size.memory_mib:
            return keep.host
        best = max(free, key=lambda host: free[host], default=None)
        if best is None or free[best] < size.memory_mib:
            most = 0 if best is None else free[best]
            why = f"{size.memory_mib} MiB of memory are wanted, the emptiest host of {provider} has {most}"
            raise Refused(self._endpoint, operation, why, vendor_code="SIM_NO_MEMORY")
        return best

    def check_host(self, db: sqlite3.Connection, machine: Machine, host: str) -> None:
        """Raises NotFound for a host that is not there, and Refused for one that cannot take the machine."""
        if host == machine.host:
            return
        known = {one.name: one for one in self._hosts.get(machine.provider, ())}
        if host not in known:
            why = f"{machine.provider} has no host '{host}'"
            raise NotFound(self._endpoint, "migrate", why, hint=f"there are: {', '.join(list(known)[:8])}")
        if not known[host].usable:
            why = f"host '{host}' is in maintenance"
            raise Refused(self._endpoint, "migrate", why, vendor_code="SIM_MAINTENANCE")
        free = machines.free_memory_mib(db, (known[host],), without=machine.seq)[host]
        if machine.power is PowerState.ON and free < machine.resources.memory_mib:
            why = f"{machine.resources.memory_mib} MiB of memory are wanted, host '{host}' has {free}"
            raise Refused(self._endpoint, "migrate", why, vendor_code="SIM_NO_MEMORY")

    def check_power(self, machine: Machine, action: PowerAction) -> None:
        """Raises Conflict when a machine that does not run is asked to suspend or shut down."""
        needs_running = action in {PowerAction.SUSPEND, PowerAction.SHUTDOWN}
        if needs_running and machine.power is not PowerState.ON:
            why = f"machine '{machine.name}' is {machine.power.value}; switch it on first"
            raise Conflict(self._endpoint, action.value, why)

    def check_resize(self, machine: Machine, size: Resources) -> None:
        """Raises Conflict when the machine cannot take that size in its present state."""
        now = machine.resources
        why = ""
        if size.disk_gib < now.disk_gib:
            why = f"its disk of {now.disk_gib} GiB cannot shrink to {size.disk_gib} GiB"
        elif machine.power is PowerState.SUSPENDED:
            why = "it is suspended; switch it on or off first"
        elif machine.power is PowerState.ON and (size.vcpu < now.vcpu or size.memory_mib < now.memory_mib):
            why = "vcpu and memory cannot shrink while it runs; stop it first"
        if why:
            raise Conflict(self._endpoint, "resize", f"machine '{machine.name}': {why}")

    def check_disks_change(self, db: sqlite3.Connection, machine: Machine, operation: str) -> None:
        """Raises Conflict for a machine whose disks have to stay as they are."""
        why = ""
        if machine.power is PowerState.SUSPENDED:
            why = "is suspended; switch it on or off first"
        elif db.execute("SELECT 1 FROM snapshot WHERE vm = ? LIMIT 1", (machine.seq,)).fetchone():
            why = "has snapshots, with which its disks stay as they are; delete them first"
        if why:
            raise Conflict(self._endpoint, operation, f"machine '{machine.name}' {why}")

    def check_same(self, machine: Machine, there: Held, disk: NewDisk) -> None:
        """Raises Conflict for a disk that has the name and is not the one that is wanted."""
        if there.gib != disk.size_gib:
            why = f"machine '{machine.name}' has a disk '{disk.name}' of {there.gib} GiB"
            raise Conflict(self._endpoint, "add_disk", why, hint="grow it, or choose another name")

    def check_grown(self, machine: Machine, disk: Held, size_gib: int) -> None:
        """Raises Conflict for a disk that would shrink."""
        if size_gib < disk.gib:
            why = f"disk '{disk.key}' of machine '{machine.name}' has {disk.gib} GiB"
            raise Conflict(self._endpoint, "grow_disk", f"{why} and cannot shrink to {size_gib} GiB")
