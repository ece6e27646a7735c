# ruff: noqa: EM101 -- an error code is data, not a sentence
"""The simulated pool: its hosts, storage and network, and who is logged in."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import Field

from catalog.base import Value
from connectors.simulators.xen.content import Content
from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.lifecycle import allowed_operations
from connectors.simulators.xen.schema import NULL
from connectors.simulators.xen.store import Record, Store, now

MIB = 1 << 20
GIB = 1 << 30
VERSION = {"product_brand": "XenServer simulator of tierwise", "product_version": "8.4.0", "xapi": "25.6"}
API_MAJOR, API_MINOR = 2, 21
THIN = "ext"
"""The type of SR on which a disk takes what was written to it, and no more."""
READER = "reader"
"""A second user, with the same password and the role read-only."""
MOST_SESSIONS = 500
"""Of one originator; xapi drops the one that was idle longest (`Xapi_globs.max_sessions`)."""


class Estate(Value):
    """What the simulated pool holds when it starts."""

    pool: str = Field(default="xen-pool", description="The pool's name; empty as for a host that is alone.")
    hosts: int = Field(default=2, ge=1)
    disabled_hosts: int = Field(default=0, ge=0, description="The last ones are in maintenance.")
    host_cpus: int = Field(default=16, ge=1)
    host_sockets: int = Field(default=2, ge=1)
    host_memory_mib: int = Field(default=64 * 1024, ge=2048)
    dom0_memory_mib: int = Field(default=1024, ge=256)
    sr_gib: int = Field(default=1024, ge=1, description="Size of the shared SR, the pool's default.")
    local_sr_mib: int = Field(
        default=0, ge=0, description="Size of a thin SR that each host has for itself; 0: none."
    )
    second_sr_gib: int = Field(default=0, ge=0, description="Size of a second shared SR, 'fast'; 0: none.")
    content_ms: int = Field(default=0, ge=0, description="How long a disk's content takes to another SR.")
    online_resize: bool = Field(default=False, description="Whether the SR's type can grow attached disks.")
    ha: bool = False
    rrd_in_xml: bool = Field(default=False, description="Measurements come as XML whatever is asked.")
    default_sr: bool = True
    guest_tools: bool = Field(default=True, description="Whether guests answer; else they lack features.")
    guests_obey_shutdown: bool = True
    machines: int = Field(
        default=0, ge=0, description="Machines that somebody else made, off, with a disk."
    )


@dataclass
class Context:
    """One call under way. `task` is set where the client asked for an asynchronous call."""

    session: str = NULL
    task: str = NULL


class World:
    """Everything that the messages work on; whoever uses it holds `store.changed`."""

    def __init__(
        self,
        estate: Estate,
        user: str,
        password: str,
        task_delay_s: float = 0,
        addresses: Sequence[str] = (),
    ) -> None:
        self.estate = estate
        self.user = user
        self.password = password
        self.task_delay_s = task_delay_s
        self.addresses = addresses
        self.store = Store()
        self.pool = ""
        self.hosts: list[str] = []
        self.sr = NULL
        self.contents: dict[str, Content] = {}
        """What stands on disks, by reference; a disk that nobody wrote to is not in it."""
        self.clock_offset_s = 0
        self.measured_since: dict[str, float] = {}
        """When each running machine's measurement began, by reference."""
        with self.store.changed:
            self._populate()

    def _populate(self) -> None:
        add = self.store.add
        estate = self.estate
        network = add("network", name_label="Pool-wide network associated with eth0", bridge="xenbr0")
        self.network = network
        features = {"VDI_CREATE": 1, "VDI_DELETE": 1, "VDI_RESIZE": 1, "VDI_SNAPSHOT": 1, "VDI_CLONE": 1}
        if estate.online_resize:
            features["VDI_RESIZE_ONLINE"] = 1
        add("SM", name_label="LVM over iSCSI", type="lvmoiscsi", vendor="tierwise", features=features)
        self.sr = add(
            "SR",
            name_label="shared",
            type="lvmoiscsi",
            content_type="user",
            shared=True,
            physical_size=estate.sr_gib * GIB,
        )
        shared = [self.sr]
        if estate.second_sr_gib:
            size = estate.second_sr_gib * GIB
            shared.append(
                add(
                    "SR",
                    name_label="fast",
                    type="lvmoiscsi",
                    content_type="user",
                    shared=True,
                    physical_size=size,
                )
            )
        tools = add("SR", name_label="XenServer Tools", type="iso", content_type="iso", shared=True)
        for number in range(estate.hosts):
            host = self._add_host(number)
            for sr in (*shared, tools):
                add("PBD", host=host, SR=sr, currently_attached=True)
        if estate.local_sr_mib:
            self._add_local_srs()
        default = self.sr if estate.default_sr else NULL
        self.pool = add(
            "pool",
            name_label=estate.pool,
            master=self.hosts[0],
            default_SR=default,
            suspend_image_SR=default,
            ha_enabled=estate.ha,
            ha_plan_exists_for=int(estate.ha and estate.hosts > 1),
        )
        self._add_template(NULL)
        for number in range(estate.machines):
            self._add_machine(number)

    def _add_machine(self, number: int) -> None:
        add = self.store.add
        vm = add(
            "VM",
            name_label=f"other-{number:05}",
            metrics=add("VM_metrics"),
            VCPUs_max=1,
            VCPUs_at_startup=1,
            memory_static_max=256 * MIB,
            memory_dynamic_max=256 * MIB,
            memory_dynamic_min=256 * MIB,
            memory_static_min=128 * MIB,
        )
        vdi = add("VDI", SR=self.sr, virtual_size=GIB, type="user", name_label=f"other-{number:05} 0")
        add("VBD", VM=vm, VDI=vdi, userdevice="0", type="Disk", mode="RW", bootable=True)

    def _add_local_srs(self) -> None:
        features = {"VDI_CREATE": 1, "VDI_DELETE": 1, "VDI_RESIZE": 1, "VDI_SNAPSHOT": 1, "VDI_CLONE": 1}
        self.store.add("SM", name_label="Local EXT", type=THIN, vendor="tierwise", features=features)
        for number, host in enumerate(self.hosts, start=1):
            sr = self.store.add(
                "SR",
                name_label=f"Local storage on xen-{number}",
                type=THIN,
                content_type="user",
                shared=False,
                physical_size=self.estate.local_sr_mib * MIB,
            )
            self.store.add("PBD", host=host, SR=sr, currently_attached=True)

    def _add_host(self, number: int) -> str:
        estate = self.estate
        metrics = self.store.add(
            "host_metrics", memory_total=estate.host_memory_mib * MIB, live=True, last_updated=now()
        )
        host = self.store.add(
            "host",
            name_label=f"xen-{number + 1}",
            hostname=f"xen-{number + 1}",
            address=self._address(number),
            enabled=number < estate.hosts - estate.disabled_hosts,
            memory_overhead=128 * MIB,
            metrics=metrics,
            API_version_major=API_MAJOR,
            API_version_minor=API_MINOR,
            API_version_vendor="XenSource",
            software_version=dict(VERSION),
            cpu_info={
                "cpu_count": str(estate.host_cpus),
                "socket_count": str(estate.host_sockets),
                "vendor": "GenuineIntel",
            },
        )
        dom0_bytes = estate.dom0_memory_mib * MIB
        domain = self.store.add(
            "VM",
            name_label=f"Control domain on host: xen-{number + 1}",
            is_control_domain=True,
            power_state="Running",
            resident_on=host,
            VCPUs_max=4,
            VCPUs_at_startup=4,
            memory_static_max=dom0_bytes,
            memory_dynamic_max=dom0_bytes,
            memory_dynamic_min=dom0_bytes,
            memory_static_min=dom0_bytes,
        )
        self.store.set("host", host, control_domain=domain)
        self.hosts.append(host)
        return host

    def _address(self, number: int) -> str:
        if number < len(self.addresses):
            return self.addresses[number]
        return self.addresses[0] if self.addresses else ""

    def _add_template(self, host: str) -> None:
        self.store.add(
            "VM",
            name_label="Other install media",
            is_a_template=True,
            is_default_template=True,
            affinity=host,
            user_version=1,
            VCPUs_max=1,
            VCPUs_at_startup=1,
            memory_static_max=256 * MIB,
            memory_dynamic_max=256 * MIB,
            memory_dynamic_min=256 * MIB,
            memory_static_min=128 * MIB,
            actions_after_shutdown="destroy",
            actions_after_reboot="restart",
            actions_after_crash="restart",
            HVM_boot_policy="BIOS order",
            HVM_boot_params={"order": "dc"},
            platform={"viridian": "false", "acpi": "1", "apic": "true", "pae": "true", "nx": "true"},
            other_config={"default_template": "true", "install-methods": "cdrom"},
            domain_type="hvm",
        )

    def shown(self, class_name: str, record: Record) -> Record:
        """A record with the fields that xapi computes when it is read."""
        if class_name == "VM":
            record["allowed_operations"] = allowed_operations(record)
        elif class_name == "SR":
            record |= self.space(record["uuid"])
        return record

    def _ref(self, class_name: str, uuid: str) -> str:
        return next(ref for ref, row in self.store.rows(class_name).items() if row["uuid"] == uuid)

    def space(self, sr_uuid: str) -> dict[str, int]:
        """What the disks of an SR take and promise, in bytes."""
        sr = self._ref("SR", sr_uuid)
        disks = [row for row in self.store.rows("VDI").values() if row["SR"] == sr]
        return {
            "physical_utilisation": sum(disk["physical_utilisation"] for disk in disks),
            "virtual_allocation": sum(disk["virtual_size"] for disk in disks),
        }

    def free_space(self, sr: str) -> int:
        """Bytes of an SR that no disk takes. Raises Failure HANDLE_INVALID."""
        row = self.store.row("SR", sr)
        return int(row["physical_size"]) - self.space(row["uuid"])["physical_utilisation"]

    def hosts_at(self, address: str) -> tuple[str, ...]:
        """The hosts that answer at an address: those without one of their own do so at the master's."""
        rows = self.store.rows("host")
        return tuple(host for host in self.hosts if rows[host]["address"] == address)

    def sees(self, host: str, sr: str) -> bool:
        """Whether the SR is attached to the host."""
        pbds = self.store.rows("PBD").values()
        return any(pbd["host"] == host and pbd["SR"] == sr and pbd["currently_attached"] for pbd in pbds)

    def content(self, disk: str) -> Content:
        """What stands on a disk, to read and to write."""
        return self.contents.setdefault(disk, Content())

    def seconds(self) -> float:
        """The hosts' clock, in seconds since 1970; its owner can put it forward."""
        return time.time() + self.clock_offset_s

    def free_memory(self, host: str) -> int:
        """Bytes of a host's memory that neither Xen nor any domain has."""
        row = self.store.row("host", host)
        total = self.store.row("host_metrics", row["metrics"])["memory_total"]
        domains = [vm for vm in self.store.rows("VM").values() if vm["resident_on"] == host]
        taken = sum(vm["memory_dynamic_max"] + vm["memory_overhead"] for vm in domains)
        free: int = total - row["memory_overhead"] - taken
        return free

    def login(self, user: str, password: str, originator: str, may: Sequence[str] = ()) -> str:
        """A new session. Raises Failure SESSION_AUTHENTICATION_FAILED."""
        if user not in {self.user, READER} or password != self.password:
            raise Failure("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")
        own = [ref for ref, row in self.store.rows("session").items() if row["originator"] == originator]
        for oldest in own[: max(0, len(own) - MOST_SESSIONS + 1)]:
            self.store.remove("session", oldest)
        return self.store.add(
            "session",
            this_host=self.hosts[0],
            originator=originator,
            is_local_superuser=user != READER,
            auth_user_name=user,
            rbac_permissions=list(may),
            pool=False,
            last_active=now(),
        )

    def check_session(self, ref: str) -> None:
        """Raises Failure SESSION_INVALID."""
        if ref not in self.store.rows("session"):
            raise Failure("SESSION_INVALID", ref)

    def check_role(self, session: str, permission: str) -> None:
        """Raises Failure RBAC_PERMISSION_DENIED for a user that may only read."""
        if not self.store.row("session", session)["is_local_superuser"]:
            raise Failure("RBAC_PERMISSION_DENIED", permission.lower(), "No permission in user session")

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Let others work until something is so, or the time is over."""
        end_s = time.monotonic() + seconds
        while not done():
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return False
            self.store.changed.wait(left_s)
        return True

    def forget_clients(self) -> None:
        """What a restart of xapi's process loses: sessions and tasks. Machines stay."""
        for class_name in ("session", "task"):
            for ref in list(self.store.rows(class_name)):
                self.store.remove(class_name, ref)

    def forget_the_deleted(self) -> None:
        """A restart also loses what was deleted when: xapi keeps that in memory only."""
        self.store.deleted.clear()
