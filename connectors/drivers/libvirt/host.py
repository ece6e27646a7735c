"""What an endpoint's host is and can do, asked once a connection and again at each probe."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.capabilities import Capability, Gap
from catalog.pools import Host, Template
from catalog.resources import Resources
from connectors import templates
from connectors.drivers.libvirt import containers, gaps, offering, processor, seeds, storage, xen
from connectors.drivers.libvirt.settings import Options


@dataclass(frozen=True)
class HostFacts:
    """One host. `domain_type` is ``kvm``, ``qemu`` (emulation, TCG), ``xen``, ``lxc`` or ``test``."""

    name: str
    provider: str
    arch: str
    domain_type: str
    total: Resources
    product: str
    gaps: Mapping[Capability, Gap]
    cpu: frozenset[str] = frozenset()
    sockets: int = 0
    cores: int = 0
    """Physical, of all sockets; 0 where the daemon does not say, as for sockets."""
    templates: tuple[Template, ...] = ()
    """Those that orders can choose."""
    not_offered: str = ""
    """Which of the option's are not among them, and why."""
    os_type: str = ""
    """Of new machines of Xen: ``hvm``, ``xen`` (paravirtual) or ``xenpvh``."""

    @property
    def has_statistics(self) -> bool:
        """Whether libvirt tells the state and the counters of all machines in one answer."""
        return self.domain_type not in {"lxc", "xen"}

    @property
    def hotplug(self) -> bool:
        """Whether machines are made so that memory and vCPUs can be added while they run."""
        return Capability.RESIZE_HOT not in self.gaps

    @property
    def traits(self) -> frozenset[str]:
        """The architecture, whether machines run on the processor or are emulated, and what they find in theirs."""
        kinds = {
            "kvm": {"ACCEL_KVM"}, "qemu": {"ACCEL_TCG"}, "lxc": {"CUSTOM_CONTAINERS"},
            "xen": {f"CUSTOM_XEN_{self.os_type.upper()}"},
        }  # fmt: skip
        words = kinds.get(self.domain_type, set())
        arch = f"HW_ARCH_{re.sub(r'[^A-Z0-9]', '_', self.arch.upper())}"
        return frozenset({arch, *words, *self.cpu, *templates.traits(self.templates)})

    @property
    def note(self) -> str:
        """What a reader of the probe should know."""
        return "; ".join(filter(None, (_NOTES.get(self.os_type or self.domain_type), self.not_offered)))


_MACHINES = frozenset({"qemu", "xen"})
"""Drivers whose machines have disks and cards of their own, and run."""

_NOTES = {
    "test": "libvirt's test driver: machines are kept in memory and never run",
    "lxc": "machines are containers (LXC): they share the host's kernel, and their root is the host's root",
    "qemu": "machines are emulated by QEMU (TCG), many times slower than KVM",
    "xen": "machines are paravirtual (PV): they need a kernel that knows Xen, and start by no firmware",
    "xenpvh": "machines are PVH: they need a kernel that knows Xen, and start by no firmware",
}


def as_host(found: HostFacts) -> Host:
    """The pool's only host."""
    return Host(name=found.name, resources=found.total, sockets=found.sockets, cores=found.cores)


def facts(vendor: Any, connection: Any, options: Options, known: HostFacts | None) -> HostFacts:
    """Ask the daemon. Raises libvirtError.

    What is `known` of the name and the processor is not asked for again: the daemon resolves the name,
    and slow name servers make it wait (5 s measured).
    """
    arch, memory_mib, vcpu, *_ = connection.getInfo()
    driver = connection.getType().lower()
    name = connection.getHostname() if known is None else known.name
    domain_type = _domain_type(vendor, connection, options) if driver == "qemu" else driver
    cpu = known.cpu if known is not None and known.domain_type == domain_type else None
    if cpu is None:
        cpu = processor.traits(vendor, connection, arch, domain_type, options.emulator)
    sockets, cores = processor.topology(connection) if known is None else (known.sockets, known.cores)
    pool_gib, problem = storage.capacity_gib(vendor, connection, options.storage_pool)
    if problem is None and driver == "lxc":
        problem = containers.problem(connection, options.storage_pool)
    carries = driver in _MACHINES
    chosen, wrong = offering.offered(vendor, connection, options) if carries else ({}, {})
    os_type, not_run = xen.os_type(connection, options) if driver == "xen" else ("", {})
    if driver == "xen":
        memory_mib -= xen.control_domain_mib(connection)
    return HostFacts(
        name=name,
        provider=options.provider or name,
        arch=arch,
        domain_type=domain_type,
        cpu=cpu,
        sockets=sockets,
        cores=cores,
        total=Resources(vcpu=vcpu, memory_mib=memory_mib, disk_gib=pool_gib),
        product=_product(connection, driver),
        gaps=_gaps(driver, arch, options, problem) | not_run,
        os_type=os_type,
        templates=tuple(chosen.values()),
        not_offered=templates.problems(wrong),
    )


def _gaps(driver: str, arch: str, options: Options, problem: str | None) -> dict[Capability, Gap]:
    found: dict[Capability, Gap] = {}
    if driver == "test":
        found |= gaps.TEST_DRIVER
    elif driver == "xen":
        found |= gaps.XEN
    elif driver == "lxc":
        found |= gaps.CONTAINERS if options.container_image else {**gaps.CONTAINERS, **gaps.NO_IMAGE}
    elif arch != "x86_64":
        found |= gaps.NO_HOTPLUG
    if driver != "test" and not (options.network or options.bridge):
        found |= gaps.NO_NETWORK
    if driver in _MACHINES and not options.templates:
        found[Capability.TEMPLATE] = templates.NONE
    if driver == "qemu" and not options.peers:
        found |= gaps.NO_PEERS
    if driver in _MACHINES and not seeds.can_write():
        found |= gaps.NO_PYCDLIB
    if problem is not None:
        found |= gaps.no_storage(problem)
    return found


def _domain_type(vendor: Any, connection: Any, options: Options) -> str:
    if options.domain_type != "auto":
        return options.domain_type
    try:
        connection.getDomainCapabilities(options.emulator, None, None, "kvm")
    except vendor.libvirtError:
        return "qemu"
    return "kvm" if processor.virtualizes(vendor, connection) else "qemu"


def _product(connection: Any, driver: str) -> str:
    library = _version(connection.getLibVersion())
    if driver == "test":
        return f"libvirt {library}, test driver"
    if driver == "lxc":
        return f"libvirt {library}, LXC on Linux {_version(connection.getVersion())}"
    kind = {"qemu": "QEMU", "xen": "Xen"}[driver]
    return f"libvirt {library}, {kind} {_version(connection.getVersion())}"


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
