"""The templates that every simulated estate has, and machines made of them."""

import io
import sqlite3
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from catalog.pools import Template as Offered
from connectors import templates
from connectors.contract import Firmware, VmSpec
from connectors.drivers.simulated import contents
from connectors.drivers.simulated.machines import Machine
from connectors.errors import Refused


class Template(NamedTuple):
    """A template with one disk, which begins with its name."""

    name: str
    gib: int
    firmware: Firmware

    @property
    def content(self) -> bytes:
        """What stands at the beginning of its disk; the rest is zeros."""
        return f"made of the simulated template {self.name}\n".encode()


SHELF: Mapping[str, Template] = MappingProxyType(
    {
        one.name: one
        for one in (
            Template("alpine-3", 1, Firmware.BIOS),
            Template("debian-12", 1, Firmware.BIOS),
            Template("windows-2022", 20, Firmware.UEFI),
        )
    }
)
"""By their own names."""


def there(named: Mapping[str, str]) -> dict[str, Template]:
    """Those of the option's templates that the estate has, by the option's names."""
    return {name: SHELF[own] for name, own in named.items() if own in SHELF}


def offered(named: Mapping[str, str]) -> tuple[Offered, ...]:
    """The same for a probe."""
    return tuple(
        templates.described(name, found.gib * templates.GIB, found.firmware)
        for name, found in sorted(there(named).items())
    )


def missing(named: Mapping[str, str]) -> str:
    """Which of the option's templates the estate does not have, for the note of a probe."""
    gone = {name: own for name, own in named.items() if own not in SHELF}
    return templates.problems({name: f"there is no template '{own}'" for name, own in gone.items()})


def chosen(endpoint: str, spec: VmSpec, named: Mapping[str, str]) -> Template | None:
    """The template of a new machine. Raises NotFound, Unsupported, and Refused for what the template rules out."""
    name = None if spec.empty else templates.wanted(endpoint, spec, named)
    if name is None:
        return None
    found = SHELF.get(named[name])
    if found is None:
        raise templates.gone(endpoint, name, named[name], there(named))
    if spec.firmware not in {None, found.firmware}:
        why = f"template '{found.name}' starts by {found.firmware}, not by {spec.firmware}"
        raise Refused(endpoint, templates.OPERATION, why, hint="choose another template")
    if spec.resources.disk_gib < found.gib:
        why = f"the disk of template '{found.name}' has {found.gib} GiB, not {spec.resources.disk_gib} GiB"
        hint = f"order at least {found.gib} GiB, or choose another template"
        raise Refused(endpoint, templates.OPERATION, why, hint=hint)
    return found


def write(db: sqlite3.Connection, machine: Machine, template: Template) -> None:
    """Put the template's content on the machine's first disk."""
    contents.write(db, machine.seq, io.BytesIO(template.content), lambda _done: None)
