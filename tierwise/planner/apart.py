"""Which machines of an estate shall not share a host, from a few words of a person.

Exports do not say which machines a hypervisor keeps apart. What they do say is which application a machine is of,
and with which labels: ``shop-*`` keeps the machines of each such application apart, ``shop-*/component`` only
those of one application that have the same value of that label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from catalog.estates.model import Estate, EstateMachine
from catalog.wording import first_few
from tierwise.errors import InvalidInput


@dataclass(frozen=True)
class Apart:
    """A pattern of applications and, where machines of them are told apart once more, a label."""

    applications: str
    label: str = ""

    @classmethod
    def of(cls, text: str) -> "Apart":
        """From ``PATTERN`` or ``PATTERN/LABEL``. Raises InvalidInput."""
        pattern, slash, label = text.rpartition("/") if "/" in text else (text, "", "")
        if not pattern or (slash and not label):
            msg = f"--apart: '{text}' names no application; write a pattern such as 'shop-*', or 'shop-*/LABEL'"
            raise InvalidInput(msg)
        return cls(pattern, label)

    def group(self, machine: EstateMachine) -> str:
        """The group that a machine is in; empty for none."""
        if not machine.application or not fnmatchcase(machine.application, self.applications):
            return ""
        if not self.label:
            return machine.application
        value = machine.labels.get(self.label, "")
        return f"{machine.application}/{value}" if value else ""


Groups = Mapping[str, tuple[str, ...]]
"""Name -> ids of two or more machines."""


def groups(estate: Estate, wishes: Sequence[Apart]) -> Groups:
    """The groups, in the order of their names.

    Raises InvalidInput where a wish means no machine, or a machine would be in two groups.
    """
    found: dict[str, list[str]] = {}
    group_of: dict[str, str] = {}
    for wish in wishes:
        meant = [(one, name) for one in estate.machines if (name := wish.group(one))]
        if not meant:
            raise InvalidInput(_nothing(estate, wish))
        for one, name in meant:
            if (other := group_of.setdefault(one.id, name)) != name:
                msg = f"--apart: '{one.name}' would be in the groups {other} and {name}; keep one of the two wishes"
                raise InvalidInput(msg)
            if one.id not in found.setdefault(name, []):
                found[name].append(one.id)
    return {name: tuple(found[name]) for name in sorted(found) if len(found[name]) > 1}


def _nothing(estate: Estate, wish: Apart) -> str:
    apps = sorted({one.application for one in estate.machines if one.application})
    if not apps:
        return f"--apart: '{wish.applications}' means no machine, as the estate names no applications"
    if wish.label and any(Apart(wish.applications).group(one) for one in estate.machines):
        labels = sorted({name for one in estate.machines for name in one.labels})
        return f"--apart: no machine of '{wish.applications}' has a label '{wish.label}'; labels are {first_few(labels) or 'none'}"
    return f"--apart: no application is like '{wish.applications}'; there are {first_few(apps)}"
