"""What an endpoint's host is and can do, asked once a connection and again at each probe."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.capabilities import Capability, Gap
from catalog.pools import Host
from catalog.resources import Resources
from connectors import templates
from connectors.drivers.libvirt import containers, gaps, offering, processor, seeds, storage
from connectors.drivers.libvirt.settings import Options


@dataclass(frozen=True)
class HostFacts:
    """One host. `domain_type` is ``kvm``, ``qemu`` (emulation, TCG), ``lxc`` or ``test``."""

    name: str
    provider: str
    arch: str
    domain_type: str
    total: Resources
    product: str
    gaps: Mapping[Capability, Gap]
    cpu: frozenset[str] = frozenset()
    templates: frozenset[str] = frozenset()
    """The names of those that orders can choose."""
    not_offered: str = ""
    """Which of the option's are not among them, and why."""

    @property
    def hotplug(self) -> bool:
        """Whether machines are made so that memory and vCPUs can be added while they run."""
        return Capability.RESIZE_HOT not in self.gaps

    @property
    def traits(self) -> frozenset[str]:
        """The architecture, whether machines run on the processor or are emulated, and what they find in theirs."""
        kinds = {"kvm": {"ACCEL_KVM"}, "qemu": {"ACCEL_TCG"}, "lxc": {"CUSTOM_CONTAINERS"}}
        words = kinds.get(self.domain_type, set())
        arch = f"HW_ARCH_{re.sub(r'[^A-Z0-9]', '_', self.arch.upper())}"
        return frozenset({arch, *words, *self.cpu, *map(templates.trait, self.templates)})

    @property
    def note(self) -> str:
        """What a reader of the probe should know."""
        return "; ".join(filter(None, (_NOTES.get(self.domain_type), self.not_offered)))


_NOTES = {
    "test": "libvirt's test driver: machines are kept in memory and never run",
    "lxc": "machines are containers (LXC): they share the host's kernel, and their root is the host's root",
    "qemu": "machines are emulated by QEMU (TCG), many times slower than KVM",
}


def as_host(found: HostFacts) -> Host:
    """The pool's only host."""
    return Host(name=found.name, resources=found.total)


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
    pool_gib, problem = storage.capacity_gib(vendor, connection, options.storage_pool)
    if problem is None and driver == "lxc":
        problem = containers.problem(connection, options.storage_pool)
    chosen, wrong = offering.offered(vendor, connection, options) if driver == "qemu" else (frozenset(), {})
    return HostFacts(
        name=name,
        provider=options.provider or name,
        arch=arch,
        domain_type=domain_type,
        cpu=cpu,
        total=Resources(vcpu=vcpu, memory_mib=memory_mib, disk_gib=pool_gib),
        product=_product(connection, driver),
        gaps=_gaps(driver, arch, options, problem),
        templates=chosen,
        not_offered=templates.problems(wrong),
    )


def _gaps(driver: str, arch: str, options: Options, problem: str | None) -> Mapping[Capability, Gap]:
    found: dict[Capability, Gap] = {}
    if driver == "test":
        found |= gaps.TEST_DRIVER
    elif driver == "lxc":
        found |= gaps.CONTAINERS if options.container_image else {**gaps.CONTAINERS, **gaps.NO_IMAGE}
    elif arch != "x86_64":
        found |= gaps.NO_HOTPLUG
    if driver == "qemu" and not (options.network or options.bridge):
        found |= gaps.NO_NETWORK
    if driver == "qemu" and not options.templates:
        found[Capability.TEMPLATE] = templates.NONE
    if driver == "qemu" and not options.peers:
        found |= gaps.NO_PEERS
    if driver == "qemu" and not seeds.can_write():
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
    return f"libvirt {library}, QEMU {_version(connection.getVersion())}"


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
