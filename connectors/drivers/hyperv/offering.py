"""Templates that orders choose: generalised VHDX or VHD files, each copied to a new machine's disk on its host."""

from collections.abc import Mapping
from typing import NamedTuple

from catalog.pools import Template as Offered
from connectors import templates
from connectors.contract import Firmware, VmSpec
from connectors.drivers.hyperv.dispatcher import Command, PowerShellError
from connectors.drivers.hyperv.faults import is_gone
from connectors.drivers.hyperv.machines import GENERATION_WITH_UEFI, GIB, MIB
from connectors.drivers.hyperv.session import Op, Rows
from connectors.drivers.hyperv.settings import Options
from connectors.errors import Refused


class Template(NamedTuple):
    """A template's file."""

    path: str
    size_bytes: int


def looks(options: Options) -> tuple[Command, ...]:
    """What asks for each template of the option, in order."""
    return tuple(_look(path, optional=True) for path in options.templates.values())


def offered(options: Options, found: Rows) -> tuple[Offered, ...]:
    """The option's templates that are there; `found` answers `looks`."""
    return tuple(
        templates.described(name, int(rows[0]["Size"]), _firmware(options, name))
        for name, rows in zip(options.templates, found, strict=True)
        if rows
    )


def lacking(options: Options, found: Rows) -> Mapping[str, str]:
    """What is wrong with templates of the option, by name; `found` answers `looks`."""
    return {
        name: f"its file '{path}' is not there, or is no virtual hard disk"
        for (name, path), rows in zip(options.templates.items(), found, strict=True)
        if not rows
    }


def chosen(op: Op, folder: str, spec: VmSpec) -> Template | None:
    """The template of a new machine, whose files are to be in a folder of this host; None where it begins empty.

    Raises NotFound, Refused and Unsupported.
    """
    options = op.session.settings.options
    name = None if spec.empty else templates.wanted(op.endpoint, spec, options.templates)
    if name is None:
        return None
    path = options.templates[name]
    firmware = _firmware(options, name)
    if spec.firmware not in {None, firmware}:
        why = f"template '{path}' starts by {firmware}, not by {spec.firmware}"
        raise op.error(Refused, why, hint="choose another template; a guest starts by one of them only")
    room = Command("Storage\\Get-Volume", {"FilePath": folder}, select=("SizeRemaining",), optional=True)
    try:
        (file,), volumes = op.run(_look(path), room)
    except PowerShellError as error:
        if not is_gone(error):
            raise
        there = options.templates.keys() - lacking(options, op.run(*looks(options)))
        raise templates.gone(op.endpoint, name, path, there) from error
    size_bytes, takes_bytes = int(file["Size"]), int(file["FileSize"])
    if size_bytes > spec.resources.disk_gib * GIB:
        has_gib = -(-size_bytes // GIB)
        why = f"the disk of template '{path}' has {has_gib} GiB, not {spec.resources.disk_gib} GiB"
        raise op.error(Refused, why, hint=f"order at least {has_gib} GiB, or choose another template")
    free_bytes = min((int(row["SizeRemaining"] or 0) for row in volumes), default=takes_bytes)
    if takes_bytes > free_bytes:
        why = (
            f"'{folder}' has {free_bytes // MIB} MiB free, and template '{path}' takes {takes_bytes // MIB}"
        )
        raise op.error(Refused, why, hint="free some space there, or choose another pool")
    return Template(path, size_bytes)


def _firmware(options: Options, name: str) -> Firmware:
    return Firmware.BIOS if options.template_generation(name) == 1 else Firmware.UEFI


def generation(options: Options, spec: VmSpec) -> int:
    """Of a new machine; the first knows BIOS only, the second UEFI only."""
    if spec.firmware is not None:
        return 1 if spec.firmware is Firmware.BIOS else GENERATION_WITH_UEFI
    named = () if spec.empty else (name for name in spec.templates if name in options.templates)
    return next(map(options.template_generation, named), options.generation)


def _look(path: str, *, optional: bool = False) -> Command:
    return Command("Hyper-V\\Get-VHD", {"Path": path}, select=("Size", "FileSize"), optional=optional)
