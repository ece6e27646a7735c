"""Which size of a workload class a machine gets, and how near it is."""

from collections.abc import Sequence
from typing import NamedTuple

from catalog.estates.class_rules import NEAREST
from catalog.estates.classified import AS_IS
from catalog.resources import ResourceClass
from catalog.units import amount_of
from catalog.workload_classes import WorkloadClass

Amounts = tuple[int, ...]
"""One amount for each resource class that sizes must hold."""

ALIKE = 10_000


class Fit(NamedTuple):
    """A size for a machine. `alike` is `ALIKE` where it is the machine's own, and nears 0 as they differ."""

    size: str
    amounts: Amounts
    alike: int
    words: str


class Sizes:
    """The sizes of one workload class, seen only in what they must hold."""

    def __init__(self, of: WorkloadClass, hold: Sequence[ResourceClass]) -> None:
        self._name = of.name
        self._hold = tuple(hold)
        self._sizes = {name: tuple(size.amount(rc) for rc in hold) for name, size in of.sizes.items()}
        self._known: dict[tuple[Amounts, str], Fit] = {}

    def fit(self, machine: Amounts, wanted: str) -> Fit:
        """The size that is wanted: the nearest that holds the machine, its own, or one of the class by its name."""
        known = self._known.get((machine, wanted))
        if known is None:
            known = self._known[machine, wanted] = self._fit(machine, wanted)
        return known

    def _fit(self, machine: Amounts, wanted: str) -> Fit:
        if wanted == AS_IS:
            return Fit(AS_IS, machine, ALIKE, "its own size")
        if wanted != NEAREST:
            return self._sized(machine, wanted)
        holding = [name for name, size in self._sizes.items() if _holds(size, machine)]
        if holding:
            return self._sized(machine, self._nearest(machine, holding))
        near = self._nearest(machine, list(self._sizes))
        short = self._lacking(machine, self._sizes[near])
        words = f"no size of {self._name} holds it ({near} is {short} short), so it keeps its own"
        return Fit(AS_IS, machine, likeness(machine, self._sizes[near]), words)

    def _nearest(self, machine: Amounts, names: Sequence[str]) -> str:
        """The one most alike; of several, the one with less, then the one that is written first."""
        return min(names, key=lambda name: (-likeness(machine, self._sizes[name]), self._sizes[name]))

    def _sized(self, machine: Amounts, name: str) -> Fit:
        size = self._sizes[name]
        alike, short = likeness(machine, size), self._lacking(machine, size)
        words = f"size {name}, {(alike + 50) // 100} % alike" + (f", {short} short" if short else "")
        return Fit(name, size, alike, words)

    def _lacking(self, machine: Amounts, size: Amounts) -> str:
        """What the machine has and the size does not, in words; empty where the size holds it."""
        short = [(rc, n - has) for rc, n, has in zip(self._hold, machine, size, strict=True) if n > has]
        return " and ".join(amount_of(rc, n) for rc, n in short)


def likeness(machine: Amounts, size: Amounts) -> int:
    """The mean over what is held of smaller / larger, in ten-thousandths, rounded half up: 10,000 where both are equal.

    In whole numbers, so that it is the same on every machine; over one common denominator.
    """
    above, below = 0, 1
    for one, other in zip(machine, size, strict=True):
        least, most = (one, other) if one <= other else (other, one)
        if most:
            above, below = above * most + least * below, below * most
        else:
            above += below
    below *= len(machine)
    return (2 * ALIKE * above + below) // (2 * below)


def _holds(size: Amounts, machine: Amounts) -> bool:
    return all(has >= needs for has, needs in zip(size, machine, strict=True))
