"""libvirt's XML documents, written and changed as trees, never as text."""

import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import PurePosixPath
from uuid import UUID

from catalog.resources import Resources
from connectors.contract import Firmware, VmSpec
from connectors.drivers.libvirt import names
from connectors.drivers.libvirt.settings import Options

ET.register_namespace(names.PREFIX, names.NAMESPACE)

KIB = 1024
EMULATED_MODEL = "qemu64"
"""What emulated machines are given: a fixed model, so that they keep their processor over an upgrade of QEMU."""
HEADROOM = 4
"""How often its first size a machine can grow while it runs, where the host has that much."""
SEED_SUFFIX = ".seed.iso"
MEMORY_SLOTS = 16
MEMORY_STEP_MIB = 2
"""QEMU adds memory in huge pages of 2 MiB; Linux guests take whole blocks of 128 MiB only."""


@dataclass(frozen=True)
class Shape:
    """A machine's size, and up to where it can grow while it runs."""

    resources: Resources
    most_vcpu: int
    most_memory_mib: int

    @classmethod
    def within(cls, resources: Resources, host: Resources, *, hotplug: bool) -> "Shape":
        """The shape of a machine on this host; without `hotplug` it cannot grow while it runs."""
        if not hotplug:
            return cls(resources, resources.vcpu, resources.memory_mib)
        return cls(
            resources,
            max(resources.vcpu, min(HEADROOM * resources.vcpu, host.vcpu)),
            max(resources.memory_mib, min(HEADROOM * resources.memory_mib, host.memory_mib)),
        )


def parse(text: str) -> ET.Element:
    """A document as the daemon wrote it."""
    return ET.fromstring(text)  # noqa: S314 -- written by the daemon that we log in to


def text_of(root: ET.Element) -> str:
    """A document as text."""
    return ET.tostring(root, encoding="unicode")


def domain(
    spec: VmSpec,
    identity: UUID,
    disk: str,
    shape: Shape,
    *,
    domain_type: str,
    arch: str,
    options: Options,
    seed: str | None = None,
) -> str:
    """A machine's definition, with its identity, its real name and annotations in it.

    `disk` and `seed` are the paths of its volumes.
    """
    root = _marked(spec, identity, domain_type)
    _system(root, arch, options, spec.firmware)
    if domain_type != "test":
        _child(root, "features").extend(
            [ET.Element("acpi"), *([ET.Element("apic")] if "86" in arch else [])]
        )
        root.append(_processor(domain_type, arch))
        _child(root, "on_crash", "destroy")
    reshape(root, shape)
    _devices(root, identity, disk, domain_type, options)
    if seed is not None:
        _seed(root, seed)
    return text_of(root)


def container(spec: VmSpec, identity: UUID, disk: str, *, arch: str, options: Options) -> str:
    """A container's definition. Without a network card it has no network: by itself it would have the host's."""
    root = _marked(spec, identity, "lxc")
    system = _child(root, "os")
    _child(system, "type", "exe", arch=arch)
    _child(system, "init", options.container_init)
    _child(_child(root, "features"), "privnet")
    _child(root, "on_crash", "destroy")
    size = spec.resources
    reshape(root, Shape(size, size.vcpu, size.memory_mib))
    devices = _child(root, "devices")
    place = _child(devices, "filesystem", type="file", accessmode="passthrough")
    _child(place, "driver", type="loop", format="raw")
    _child(place, "source", file=disk)
    _child(place, "target", dir="/")
    _cards(devices, options, model=None)
    _child(devices, "console", type="pty")
    return text_of(root)


def xen_machine(
    spec: VmSpec,
    identity: UUID,
    disk: str,
    *,
    arch: str,
    os_type: str,
    options: Options,
    seed: str | None = None,
) -> str:
    """A definition of a machine of Xen; its disks are qcow2 files that QEMU serves in the control domain."""
    root = _marked(spec, identity, "xen")
    system = ET.Element("os")
    _child(system, "type", os_type, arch=arch)
    if os_type != "hvm" and options.kernel is None:
        _child(root, "bootloader", options.bootloader)
    root.append(system)
    _kernel(system, options)
    if os_type == "hvm":
        _child(root, "features").extend([ET.Element(name) for name in ("acpi", "apic", "pae")])
    _child(root, "on_crash", "destroy")
    size = spec.resources
    reshape(root, Shape(size, size.vcpu, size.memory_mib))
    devices = _child(root, "devices")
    devices.append(_xen_disk(disk, XEN_FIRST))
    if seed is not None:
        # No CD-ROM drive, as Linux has no driver for Xen's, and not by QEMU, which serves no read-only raw file (7.2).
        drive = _xen_disk(seed, XEN_SEED, by="phy", form="raw")
        _child(drive, "readonly")
        devices.append(drive)
    _cards(devices, options, model=None)
    if os_type == "hvm":
        _child(devices, "serial", type="pty")
    else:
        _child(_child(devices, "console", type="pty"), "target", type="xen")
    return text_of(root)


def _xen_disk(path: str, target: str, *, by: str = "qemu", form: str = "qcow2") -> ET.Element:
    disk = ET.Element("disk", type="file", device="disk")
    _child(disk, "driver", name=by, type=form)
    _child(disk, "source", file=path)
    _child(disk, "target", dev=target, bus="xen")
    return disk


def _marked(spec: VmSpec, identity: UUID, domain_type: str) -> ET.Element:
    """A definition that says whose it is."""
    root = ET.Element("domain", type=domain_type)
    _child(root, "name", names.stored(spec.name))
    _child(root, "uuid", str(identity))
    mark = ET.SubElement(_child(root, "metadata"), names.ELEMENT)
    mark.text = names.mark_text(spec.name, spec.annotations, identity)
    return root


def reshape(root: ET.Element, shape: Shape) -> None:
    """Give a definition another size; memory that was added while it ran becomes part of it."""
    for gone in ("memory", "currentMemory", "maxMemory", "vcpu", "vcpus"):
        for element in root.findall(gone):
            root.remove(element)
    for devices in root.findall("devices"):
        for module in devices.findall("memory"):
            devices.remove(module)
    memory_kib = str(shape.resources.memory_mib * KIB)
    _child(root, "memory", memory_kib, unit="KiB")
    _child(root, "currentMemory", memory_kib, unit="KiB")
    _child(root, "vcpu", str(shape.most_vcpu), current=str(shape.resources.vcpu))
    for numa in root.findall("cpu/numa"):
        root.find("cpu").remove(numa)  # type: ignore[union-attr] # the element that findall went through
    cpu = root.find("cpu")
    if cpu is not None and shape.most_memory_mib > shape.resources.memory_mib:
        _child(root, "maxMemory", str(shape.most_memory_mib * KIB), unit="KiB", slots=str(MEMORY_SLOTS))
        _child(
            _child(cpu, "numa"), "cell", id="0", cpus=_cpus(shape.most_vcpu), memory=memory_kib, unit="KiB"
        )


def memory_module(memory_mib: int) -> str:
    """A module of memory to add to a machine that runs."""
    root = ET.Element("memory", model="dimm")
    target = _child(root, "target")
    _child(target, "size", str(memory_mib * KIB), unit="KiB")
    _child(target, "node", "0")
    return text_of(root)


def volume(name: str, size_bytes: int, *, thin: bool = True, form: str = "qcow2") -> str:
    """An empty volume; a `thin` one takes space only as it is written."""
    root = ET.Element("volume")
    _child(root, "name", name)
    _child(root, "capacity", str(size_bytes), unit="bytes")
    if thin:
        _child(root, "allocation", "0")
    target = _child(root, "target")
    _child(target, "format", type=form)
    if form == "qcow2":
        _child(target, "compat", "1.1")
    return text_of(root)


def snapshot(name: str, number: int) -> str:
    """A snapshot's definition; its real name and its place in the order are in the description."""
    root = ET.Element("domainsnapshot")
    _child(root, "name", names.stored(name))
    _child(root, "description", names.snapshot_text(name, number))
    return text_of(root)


def disks(root: ET.Element) -> list[tuple[str, str]]:
    """Target device and path of each disk of a definition, without CD-ROM and floppy drives and seed disks.

    A container's disk is a file system, and its target a folder.
    """
    found = []
    for system in root.findall("devices/filesystem[@type='file']"):
        source, target = system.find("source"), system.find("target")
        if source is not None and target is not None:
            found.append((target.get("dir", ""), source.get("file", "")))
    for disk in root.findall("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if disk.get("device", "disk") == "disk" and source is not None and target is not None:
            path = source.get("file") or source.get("dev") or source.get("name") or ""
            if not path.endswith(SEED_SUFFIX):
                found.append((target.get("dev", ""), path))
    return found


def files(root: ET.Element) -> set[str]:
    """Paths of all that a definition's drives hold, those of CD-ROM included."""
    drives = (root.findall(f"devices/{kind}/source") for kind in ("disk", "filesystem"))
    sources = (source.attrib for source in itertools.chain(*drives))
    return {path for given in sources if (path := given.get("file") or given.get("dev"))}


def seed(root: ET.Element, identity: UUID) -> str | None:
    """The path of the seed disk that tierwise made for this machine."""
    return next((path for path in files(root) if PurePosixPath(path).name == seed_name(identity)), None)


def with_file(root: ET.Element, before: str, after: str) -> ET.Element:
    """A definition in which one file stands for another of the same format."""
    for source in root.findall("devices/disk/source"):
        if source.get("file") == before:
            source.set("file", after)
    return root


def with_disk(root: ET.Element, key: str, path: str) -> str:
    """A definition whose disk at a target device is another qcow2 file."""
    for disk in root.findall("devices/disk"):
        target = disk.find("target")
        if target is None or target.get("dev") != key:
            continue
        for tag in ("source", "backingStore"):
            for element in disk.findall(tag):
                disk.remove(element)
        disk.set("type", "file")
        _child(disk, "source", file=path)
        for driver in disk.findall("driver"):
            driver.set("type", "qcow2")
    return text_of(root)


def copy_target(path: str) -> str:
    """The qcow2 file that QEMU is to copy a disk into."""
    disk = ET.Element("disk", type="file")
    _child(disk, "driver", type="qcow2")
    _child(disk, "source", file=path)
    return text_of(disk)


def mirror(root: ET.Element, key: str) -> str | None:
    """The file that a disk is being copied into; None where it is not."""
    source = root.find(f"devices/disk/target[@dev='{key}']/../mirror/source")
    return None if source is None else source.get("file")


def mirror_is_ready(root: ET.Element, key: str) -> bool:
    """Whether the copy of a disk has all of it, and only keeps up with the guest."""
    return root.find(f"devices/disk/target[@dev='{key}']/../mirror[@ready='yes']") is not None


def own_disk(root: ET.Element, identity: UUID) -> tuple[str, str] | None:
    """Target device and path of the disk that tierwise made for this machine."""
    own = (volume_name(identity), second_name(identity), container_name(identity))
    return next((disk for disk in disks(root) if PurePosixPath(disk[1]).name in own), None)


def volume_name(identity: UUID) -> str:
    """The name of a machine's volume."""
    return f"{identity}.qcow2"


def second_name(identity: UUID) -> str:
    """Its name after its content was exchanged, and the first one again after the next time."""
    return f"{identity}.2.qcow2"


def other_name(identity: UUID, name: str) -> str:
    """The first of the two names for the second, and the second for any other."""
    first, second = volume_name(identity), second_name(identity)
    return first if name == second else second


def passing_name(identity: UUID, form: str) -> str:
    """The name of a volume that is there only while a disk is given."""
    return f"{identity}.export.{form}"


def container_name(identity: UUID) -> str:
    """The name of a container's volume; short, as the kernel has 64 bytes for a loop device's whole path."""
    return f"{identity.hex}.img"


def seed_name(identity: UUID) -> str:
    """The name of the volume of a machine's seed disk."""
    return f"{identity}{SEED_SUFFIX}"


def further_name(identity: UUID, label: str) -> str:
    """The name of the volume of a disk that was added."""
    return f"{further_prefix(identity)}{label}.qcow2"


def further_prefix(identity: UUID) -> str:
    """What the names of all volumes begin with that were added to this machine."""
    return f"{identity}.disk."


def further_label(identity: UUID, path: str) -> str:
    """What a disk was called when it was added to this machine; empty for others."""
    name, prefix = PurePosixPath(path).name, further_prefix(identity)
    return name.removeprefix(prefix).removesuffix(".qcow2") if name.startswith(prefix) else ""


def further_disk(path: str, target: str, label: str) -> ET.Element:
    """A disk to add; its serial number is what it is called, where it can have one."""
    if target.startswith("xvd"):
        return _xen_disk(path, target)
    disk = ET.Element("disk", type="file", device="disk")
    _child(disk, "driver", name="qemu", type="qcow2", discard="unmap")
    _child(disk, "source", file=path)
    _child(disk, "target", dev=target, bus="scsi")
    _child(disk, "serial", label)
    return disk


MOST_SCSI = 14
"""Disks beside the first place of the controller, where a seed disk is; libvirt has 15 places on one."""


XEN_FIRST, XEN_SEED = "xvda", "xvdp"
"""The first and the last of the 16 disks that every guest of Xen can name; between them are as many as `MOST_SCSI`."""


def further_target(bus: str, number: int) -> str:
    """The target device of the n-th further disk, from 1; `bus` is ``scsi`` or ``xen``."""
    return f"{'xvd' if bus == 'xen' else 'sd'}{chr(ord('a') + number)}"


def last_further(root: ET.Element, bus: str) -> int:
    """The number of the last further disk; 0 where none is."""
    found = (target.get("dev", "") for target in root.findall(f"devices/disk/target[@bus='{bus}']"))
    pattern = re.compile(r"(?:sd|xvd)([a-o])")
    return max((ord(m[1]) - ord("a") for dev in found if (m := pattern.fullmatch(dev))), default=0)


def has_scsi(root: ET.Element) -> bool:
    """Whether a machine has the controller that disks are added to."""
    return root.find("devices/controller[@type='scsi'][@model='virtio-scsi']") is not None


def give_scsi(root: ET.Element) -> None:
    """Let a definition have that controller."""
    devices = root.find("devices")
    assert devices is not None, "a machine's definition has devices"
    if not has_scsi(root):
        taken = [int(c.get("index", "0")) for c in devices.findall("controller[@type='scsi']")]
        index = str(1 + max(taken, default=-1))
        _child(devices, "controller", type="scsi", index=index, model="virtio-scsi")


def all_names(identity: UUID) -> tuple[str, ...]:
    """Every name that a volume of this machine can have, but for disks that were added."""
    passing = (passing_name(identity, form) for form in ("qcow2", "raw"))
    own = (volume_name(identity), second_name(identity), container_name(identity), seed_name(identity))
    return (*own, *passing)


def machine_type(arch: str, options: Options) -> str | None:
    """The machine type of new machines; None: the emulator's own default."""
    return options.machine or ("q35" if arch == "x86_64" else None)


def _system(root: ET.Element, arch: str, options: Options, firmware: Firmware | None) -> None:
    system = _child(root, "os")
    if firmware is Firmware.UEFI:
        # The daemon chooses the file; without keys of its own, as a guest that moves here has its own loader.
        system.set("firmware", "efi")
        _child(_child(system, "firmware"), "feature", enabled="no", name="secure-boot")
    kind = _child(system, "type", "hvm", arch=arch)
    machine = machine_type(arch, options)
    if machine:
        kind.set("machine", machine)
    _kernel(system, options)


def _kernel(system: ET.Element, options: Options) -> None:
    for tag in ("kernel", "initrd", "cmdline"):
        if value := getattr(options, tag):
            _child(system, tag, value)


def _processor(domain_type: str, arch: str) -> ET.Element:
    if domain_type == "kvm":
        return ET.Element("cpu", mode="host-model")
    if arch != "x86_64":
        return ET.Element("cpu", mode="maximum")
    cpu = ET.Element("cpu", mode="custom", match="exact")
    _child(cpu, "model", EMULATED_MODEL, fallback="allow")
    return cpu


def _devices(root: ET.Element, identity: UUID, path: str, domain_type: str, options: Options) -> None:
    devices = _child(root, "devices")
    if options.emulator:
        _child(devices, "emulator", options.emulator)
    disk = _child(devices, "disk", type="file", device="disk")
    _child(disk, "driver", name="qemu", type="qcow2", discard="unmap")
    _child(disk, "source", file=path)
    _child(disk, "target", dev="vda", bus="virtio")
    _cards(devices, options, model="virtio")
    if domain_type != "test":
        give_scsi(root)
        _serial(devices, identity, options)
        _child(_child(devices, "memballoon", model="virtio"), "stats", period="10")


def _cards(devices: ET.Element, options: Options, *, model: str | None) -> None:
    for kind, source in (("network", options.network), ("bridge", options.bridge)):
        if source:
            card = _child(devices, "interface", type=kind)
            ET.SubElement(card, "source", {kind: source})
            if model is not None:
                _child(card, "model", type=model)


def _seed(root: ET.Element, path: str) -> None:
    """A CD-ROM drive by virtio: cloud kernels have no driver of the others (Debian's: no AHCI)."""
    devices = root.find("devices")
    assert devices is not None, "a machine's definition has devices"
    drive = _child(devices, "disk", type="file", device="cdrom")
    _child(drive, "driver", name="qemu", type="raw")
    _child(drive, "source", file=path)
    _child(drive, "target", dev="sda", bus="scsi")
    _child(drive, "readonly")


def _serial(devices: ET.Element, identity: UUID, options: Options) -> None:
    serial = _child(devices, "serial", type="pty")
    if options.serial_log_dir:
        _child(serial, "log", file=f"{options.serial_log_dir}/{identity}.log", append="on")


def _cpus(count: int) -> str:
    return f"0-{count - 1}" if count > 1 else "0"


def _child(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element
