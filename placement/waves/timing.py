"""How long a move takes and what of links, providers and endpoints it uses meanwhile; and when there is enough of that."""

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from placement.waves.problem import NOWHERE, Carriage, Mode
from placement.waves.state import Step

MIB_PER_GIB = 1024


@dataclass(frozen=True)
class Use:
    """So much of something whose most is known."""

    of: Hashable
    amount: int
    most: int


@dataclass(frozen=True)
class Run:
    """What a step takes. A step takes at least a second."""

    duration_s: int
    copy_gib: int
    mib_s: int
    """0 where nothing is copied."""
    down_s: int
    """At its end."""
    uses: tuple[Use, ...]


def run_of(carriage: Carriage, step: Step) -> Run:
    """GiB x 1024 x passes / MiB/s, rounded up to the second, and the time to switch over.

    The rate is the least of what the stream, both providers and the link can do, and is the move's own throughout.
    """
    ends = [v for v in (step.source, step.target) if v != NOWHERE]
    slots = tuple(_slot(carriage, e) for e in sorted({int(carriage.endpoint_of[v]) for v in ends}))
    switch_s = int(carriage.switch_s[step.machine])
    gib = _copied(carriage, step)
    limits = _limits(carriage, step) if gib else []
    rate = min([carriage.stream_mib_s, *(most for _, most in limits)]) if gib else 0
    copy_s = -(-gib * MIB_PER_GIB * carriage.passes // rate) if gib else 0
    duration = max(1, copy_s + switch_s)
    mode = int(carriage.mode[step.machine])
    down = {Mode.LIVE: 0, Mode.SWITCH: min(duration, max(1, switch_s))}.get(Mode(mode), duration)
    uses = tuple(use for use in slots if use.most) + tuple(Use(of, rate, most) for of, most in limits)
    return Run(duration, gib, rate, 0 if NOWHERE in {step.source, step.target} else down, uses)


def _slot(carriage: Carriage, endpoint: int) -> Use:
    return Use(("endpoint", endpoint), 1, int(carriage.at_once[endpoint]))


def _copied(carriage: Carriage, step: Step) -> int:
    if NOWHERE in {step.source, step.target}:
        return 0
    here, there = int(carriage.storage_of[step.source]), int(carriage.storage_of[step.target])
    return 0 if here == there >= 0 else int(carriage.copy_gib[step.machine])


def _limits(carriage: Carriage, step: Step) -> list[tuple[Hashable, int]]:
    """What has a bandwidth on the way, with it."""
    ends = (step.source, step.target)
    sites = sorted(int(carriage.site_of[v]) for v in ends)
    link = carriage.link_mib_s.get((sites[0], sites[1]))
    found: list[tuple[Hashable, int]] = [] if link is None else [(("link", *sites), link)]
    if carriage.provider_mib_s is not None:
        found += [(("provider", v), int(most)) for v in ends if (most := carriage.provider_mib_s[v])]
    return found


class Bookings:
    """What is used when, in one wave."""

    def __init__(self) -> None:
        self._of: dict[Hashable, _Line] = {}

    def earliest(self, ready: int, run: Run) -> int:
        """The first instant, not before `ready`, from which there is enough of everything for as long as it takes."""
        at, before = ready, ready - 1
        while at != before:
            before = at
            for use in run.uses:
                line = self._of.get(use.of)
                at = at if line is None else line.earliest(at, run.duration_s, use.most - use.amount)
        return at

    def book(self, at: int, run: Run, sign: int = 1) -> None:
        """Use it from then on; -1 takes a booking back."""
        for use in run.uses:
            self._of.setdefault(use.of, _Line()).add(at, at + run.duration_s, sign * use.amount)


class _Line:
    """Amounts over time: from `at[i]` to `at[i + 1]` it is `used[i]`."""

    def __init__(self) -> None:
        self.at: list[int] = [-(2**62)]
        self.used: list[int] = [0]

    def earliest(self, ready: int, duration: int, most: int) -> int:
        i = bisect_right(self.at, ready) - 1
        start = ready
        while i < len(self.at) and self.at[i] < start + duration:
            if self.used[i] > most:
                start = self.at[i + 1]  # The last is never used, so there is one after it.
            i += 1
        return start

    def add(self, begin: int, end: int, amount: int) -> None:
        first, last = self._cut(begin), self._cut(end)
        for i in range(first, last):
            self.used[i] += amount

    def _cut(self, at: int) -> int:
        i = bisect_right(self.at, at) - 1
        if self.at[i] == at:
            return i
        self.at.insert(i + 1, at)
        self.used.insert(i + 1, self.used[i])
        return i + 1


def union_s(spans: Sequence[tuple[int, int]]) -> int:
    """How many seconds are in any of them."""
    total, reached = 0, -(2**62)
    for begin, end in sorted(spans):
        total += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return total
