"""What is to be moved, as columns; how it is carried; and when that may be."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from placement.arrays import Bool, Int64
from placement.problem import InvalidProblem

NOWHERE = -1
"""As a position before: the machine is new. As one after: it is retired."""

_LARGEST = 2.0**62


class Mode(IntEnum):
    """How long a machine is down while it moves."""

    LIVE = 0
    """Not at all."""
    SWITCH = 1
    """While it is switched over, at the end."""
    COLD = 2
    """From the first byte that is copied to the end."""


@dataclass(frozen=True, eq=False)
class MoveProblem:
    """Machines before and after; R machines, V providers (hosts or pools), P pools, K resources.

    Machines that stay are in it, for they take room. Checked when made, and the arrays become read-only.
    """

    demand: Int64
    """[R, K] >= 0."""
    before: Int64
    """[R] the provider of each machine, or `NOWHERE`."""
    after: Int64
    """[R] the same, when all is done."""
    capacity: Int64
    """[V, K] >= 0, what these machines may have together: overcommit, reserve and others' load applied."""
    largest: Int64
    """[V, K] >= 0, the most that one machine may have."""
    pool_of: Int64
    """[V]."""
    losses: Int64
    """[P] how many of a pool's providers may fail at once: its load is kept within what the others offer. 0: no rule."""
    app_of: Int64
    """[R] the application of each machine, -1 for none."""
    apart: tuple[Int64, ...] = ()
    """Groups of machines of which no two are ever on one provider."""

    def __post_init__(self) -> None:
        """Refuse wrong shapes, negative amounts and positions that are not there."""
        r, k = _shape("demand", self.demand, 2)
        v = _shape("capacity", self.capacity, 2)[0]
        (p,) = _shape("losses", self.losses, 1)
        wanted: dict[str, tuple[int, ...]] = {
            "capacity": (v, k), "largest": (v, k), "before": (r,), "after": (r,), "app_of": (r,), "pool_of": (v,),
        }  # fmt: skip
        _check(
            self,
            wanted,
            ends={"before": v, "after": v, "pool_of": p},
            from_minus_one={"before", "after", "app_of"},
        )
        _check(self, {"demand": (r, k), "losses": (p,)})
        for n, group in enumerate(self.apart):
            _shape(f"apart[{n}]", group, 1)
            _within(f"apart[{n}]", group, 0, r)
            if len(np.unique(group)) != len(group):
                _refuse(f"apart[{n}]", "a machine stands in it twice")
            group.setflags(write=False)
        for name in ("demand", "capacity"):
            if float(getattr(self, name).sum(axis=0, dtype=np.float64).max(initial=0)) >= _LARGEST:
                _refuse(name, "a sum of its values does not fit into 62 bits; use a coarser unit")

    @property
    def moving(self) -> Bool:
        """[R] whether a machine is elsewhere afterwards."""
        return np.not_equal(self.before, self.after)

    def reserve(self) -> Int64 | None:
        """[P, K] the most that a pool may hold so that it survives its losses, or None where no pool has a rule.

        Of each resource the sum over its providers less the largest ones that may fail. Pools without a rule have
        2**62 of everything.
        """
        if not self.losses.any():
            return None
        found = np.full((len(self.losses), self.demand.shape[1]), 2**62, dtype=np.int64)
        for p in np.flatnonzero(self.losses):
            inside = np.sort(self.capacity[self.pool_of == p], axis=0)
            found[p] = inside[: max(0, len(inside) - int(self.losses[p]))].sum(axis=0)
        return found


@dataclass(frozen=True, eq=False)
class Carriage:
    """How machines are carried; S sites, E endpoints. Each move has a rate of its own for as long as it takes."""

    site_of: Int64
    """[V]."""
    endpoint_of: Int64
    """[V] the hypervisor's endpoint."""
    storage_of: Int64
    """[V] providers on the same storage copy nothing to each other; -1: storage of its own."""
    copy_gib: Int64
    """[R] the machine's disk."""
    mode: Int64
    """[R] a `Mode`."""
    switch_s: Int64
    """[R] what each move takes beside copying: to stop, switch over and start."""
    keeps_copy: Bool
    """[R] whether the copy at the old place takes its room until the wave is confirmed."""
    at_once: Int64
    """[E] the most moves that touch an endpoint at one time, 0 for no limit."""
    stream_mib_s: int
    """The most that one move copies in a second."""
    passes: int = 1
    """How often a disk is gone through: read, converted, written, compared."""
    provider_mib_s: Int64 | None = None
    """[V] the bandwidth of each provider, in and out together, 0 for no limit; None: no provider has one."""
    link_mib_s: Mapping[tuple[int, int], int] = field(default_factory=lambda: MappingProxyType({}))
    """(site, site), the smaller first -> bandwidth in both directions together. Within a site only if it is here."""
    keeps_between: Bool | None = None
    """[R] whether a step to another endpoint, also to a stop there, keeps the copy where `keeps_copy` does not; None: none."""

    def __post_init__(self) -> None:
        """Refuse wrong shapes, negative amounts and unknown modes."""
        (v,), (r,) = _shape("site_of", self.site_of, 1), _shape("copy_gib", self.copy_gib, 1)
        (e,) = _shape("at_once", self.at_once, 1)
        wanted: dict[str, tuple[int, ...]] = {
            "site_of": (v,), "endpoint_of": (v,), "storage_of": (v,), "copy_gib": (r,), "mode": (r,),
            "switch_s": (r,), "at_once": (e,),
        }  # fmt: skip
        _check(self, wanted, ends={"endpoint_of": e, "mode": len(Mode)}, from_minus_one={"storage_of"})
        if self.keeps_copy.shape != (r,) or self.keeps_copy.dtype != np.bool_:
            _refuse("keeps_copy", f"must be {r} booleans")
        if self.keeps_between is not None and (
            self.keeps_between.shape != (r,) or self.keeps_between.dtype != np.bool_
        ):
            _refuse("keeps_between", f"must be {r} booleans")
        if self.provider_mib_s is not None:
            _check(self, {"provider_mib_s": (v,)})
        for name in ("stream_mib_s", "passes"):
            if getattr(self, name) < 1:
                _refuse(name, f"{getattr(self, name)} must be at least 1")
        for (a, b), mib_s in self.link_mib_s.items():
            if not 0 <= a <= b:
                _refuse("link_mib_s", f"({a}, {b}) must be two sites, the smaller first")
            if mib_s < 1:
                _refuse("link_mib_s", f"{mib_s} between sites {a} and {b} must be at least 1")

    def keeps(self, machine: int, source: int, target: int) -> bool:
        """Whether a step leaves a copy that takes its room at the old place until the wave is confirmed."""
        if NOWHERE in {source, target}:
            return False
        between = self.keeps_between is not None and bool(self.keeps_between[machine])
        other = bool(self.endpoint_of[source] != self.endpoint_of[target])
        return bool(self.keeps_copy[machine]) or (between and other)


@dataclass(frozen=True, eq=False)
class Calendar:
    """When waves may be. Instants are whole seconds of one clock, as Unix time is; an end is not part of a span."""

    windows: tuple[tuple[int, int], ...]
    """[from, to), in order, none over another. Every move begins and ends in the same."""
    most_moves: int = 50
    """In a wave."""
    downtime_s: Int64 | None = None
    """[A] the longest that an application may be down in one window, with any of its machines; -1 for no limit."""

    def __post_init__(self) -> None:
        """Refuse windows that end before they begin or overlap, and limits below what a wave needs."""
        for n, (begin, end) in enumerate(self.windows):
            if begin >= end:
                _refuse(f"windows[{n}]", f"ends at {end}, which is not after its beginning at {begin}")
            if n and begin < self.windows[n - 1][1]:
                _refuse(f"windows[{n}]", f"begins at {begin}, before the one in front of it ends")
        if self.most_moves < 1:
            _refuse("most_moves", f"{self.most_moves} must be at least 1")
        if self.downtime_s is not None:
            _check(self, {"downtime_s": (len(self.downtime_s),)}, from_minus_one={"downtime_s"})


def fits_together(problem: MoveProblem, carriage: Carriage, calendar: Calendar | None = None) -> None:
    """Raises InvalidProblem where columns of one do not fit the other, or two sites that are moved between have no link."""
    (r, _), (v, _) = problem.demand.shape, problem.capacity.shape
    if len(carriage.copy_gib) != r:
        _refuse("copy_gib", f"{len(carriage.copy_gib)} machines, but demand has {r}")
    if len(carriage.site_of) != v:
        _refuse("site_of", f"{len(carriage.site_of)} providers, but capacity has {v}")
    for a, b in _site_pairs(problem, carriage):
        if a != b and (a, b) not in carriage.link_mib_s:
            _refuse(
                "link_mib_s",
                f"machines move between sites {a} and {b}, which have no link; give its bandwidth",
            )
    apps = int(problem.app_of.max(initial=-1)) + 1
    if calendar is not None and calendar.downtime_s is not None and len(calendar.downtime_s) < apps:
        _refuse("downtime_s", f"{len(calendar.downtime_s)} applications, but app_of has {apps}")


def _site_pairs(problem: MoveProblem, carriage: Carriage) -> list[tuple[int, int]]:
    carried = problem.moving & (problem.before != NOWHERE) & (problem.after != NOWHERE)
    sites = np.column_stack(
        [carriage.site_of[problem.before[carried]], carriage.site_of[problem.after[carried]]]
    )
    return [(int(a), int(b)) for a, b in np.unique(np.sort(sites, axis=1), axis=0)]


def _shape(name: str, array: Int64, axes: int) -> tuple[int, ...]:
    if not isinstance(array, np.ndarray) or array.ndim != axes:
        _refuse(name, f"must be a numpy array of {axes} dimension{'s' if axes > 1 else ''}")
    shape: tuple[int, ...] = array.shape
    return shape


def _check(
    of: Any,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    ends: Mapping[str, int] = MappingProxyType({}),
    from_minus_one: set[str] | frozenset[str] = frozenset(),
) -> None:
    """Shapes, types and ranges; the arrays become read-only."""
    for name, shape in shapes.items():
        array = getattr(of, name)
        if not isinstance(array, np.ndarray) or array.shape != shape:
            _refuse(name, f"shape {getattr(array, 'shape', None)} must be {shape}")
        if array.dtype != np.int64:
            _refuse(name, f"must be of type int64, not {array.dtype}")
        _within(name, array, -1 if name in from_minus_one else 0, ends.get(name))
        array.setflags(write=False)
    assert all(name in {one.name for one in fields(of)} for name in ends), ends


def _within(name: str, array: Int64, begin: int, end: int | None) -> None:
    wrong = np.argwhere((array < begin) | ((array >= end) if end is not None else (array >= 2**62)))
    if len(wrong):
        index = "".join(f"[{i}]" for i in wrong[0])
        rule = (
            f"must be at least {begin} and below 2**62"
            if end is None
            else f"must be from {begin} to {end - 1}"
        )
        _refuse(f"{name}{index}", f"{array[tuple(wrong[0])]} {rule}")


def _refuse(path: str, rule: str) -> NoReturn:
    msg = f"{path}: {rule}"
    raise InvalidProblem(msg)
