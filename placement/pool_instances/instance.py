"""The pool problem of a benchmark file as frozen columns, checked when made."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from placement.arrays import Bool, Int64
from placement.columns import integers, refuse, refuse_first

_LARGEST = 2.0**53
"""Sums stay below this, so that linear solvers, which count in floats, see every integer exactly."""


@dataclass(frozen=True, eq=False)
class PoolInstance:
    """N requests of C classes and A applications on P pools; R resources, of which the first is vCPU.

    What a plan costs: the unit cost of each placed request, the open cost of each used pool, licence
    packs for the Windows vCPU of each pool, and `unplaced_cost` for each request without a pool.
    """

    demand: Int64
    """[C, R] >= 0."""
    klass: Int64
    """[N] the class of each request."""
    app: Int64
    """[N] the application of each request."""
    capacity: Int64
    """[P, R] >= 0."""
    allowed: Bool
    """[C, P]."""
    unit_cost: Int64
    """[C, P] >= 0, of one request there."""
    open_cost: Int64
    """[P] >= 0, once for a pool that is used."""
    windows: Int64
    """[C] above 0 where the class needs Windows licences for its vCPU."""
    app_spread: Bool
    """[A] whether the application must not have more than its share in one pool."""
    licence_pack_vcpus: int
    """vCPU that one licence pack covers, within one pool; > 0."""
    licence_pack_cost: int
    app_max_share: float
    """The largest part of an application's requests in one pool, rounded up to requests; 0 to 1."""
    unplaced_cost: int
    app_most: Int64 | None = None
    """[A] in place of the share: the most requests of each application in one pool."""

    def __post_init__(self) -> None:
        """Refuse wrong shapes, unknown classes and applications, negative values and sums over 53 bits."""
        c, r = _shape("demand", self.demand, 2)
        p = _shape("capacity", self.capacity, 2)[0]
        (n,) = _shape("klass", self.klass, 1)
        (a,) = _shape("app_spread", self.app_spread, 1)
        expected = {
            "capacity": (p, r), "allowed": (c, p), "unit_cost": (c, p), "open_cost": (p,),
            "windows": (c,), "app": (n,),
        }  # fmt: skip
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                refuse(name, f"shape {getattr(self, name).shape} must be {shape}")
        if r == 0:
            refuse("demand", "there must be at least one resource; the first is vCPU")
        for name in ("demand", "capacity", "unit_cost", "open_cost", "windows", "klass", "app"):
            _within(name, getattr(self, name), None)
        _within("klass", self.klass, c)
        _within("app", self.app, a)
        if self.app_most is not None and (
            self.app_most.shape != (a,) or (self.app_most[self.app_spread] < 0).any()
        ):
            refuse("app_most", f"{a} numbers are needed, none below 0 for an application that spreads")
        self._check_numbers()
        self._check_sums()
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def _check_numbers(self) -> None:
        if self.licence_pack_vcpus <= 0:
            refuse("licence_pack_vcpus", f"{self.licence_pack_vcpus} must be above 0")
        for name in ("licence_pack_cost", "unplaced_cost"):
            if getattr(self, name) < 0:
                refuse(name, f"{getattr(self, name)} must not be negative")
        if not 0 <= self.app_max_share <= 1:
            refuse("app_max_share", f"{self.app_max_share} must be from 0 to 1")

    def _check_sums(self) -> None:
        n = float(len(self.klass))
        most = n * float(self.demand.max(initial=0))
        sums = {
            "demand": most,
            "capacity": float(self.capacity.astype(np.float64).sum()),
            "unit_cost": n * float(self.unit_cost.max(initial=0)),
            "open_cost": float(self.open_cost.astype(np.float64).sum()),
            "licence_pack_cost": float(self.licence_pack_cost) * (most / self.licence_pack_vcpus + n),
            "unplaced_cost": n * float(self.unplaced_cost),
        }
        for name, worst in sums.items():
            if worst >= _LARGEST:
                refuse(name, f"a sum of {worst:.3g} over {n:.0f} requests does not fit into 53 bits")
        costs = ("unit_cost", "open_cost", "licence_pack_cost", "unplaced_cost")
        if sum(sums[name] for name in costs) >= _LARGEST:
            refuse("unplaced_cost", "the sum of all costs does not fit into 53 bits")

    def group_limits(self) -> Int64:
        """[A] the most requests of an application in one pool; as many as it has where it need not spread.

        Of an application with one request, that one may go anywhere.
        """
        size = np.bincount(self.app, minlength=len(self.app_spread)).astype(np.int64)
        if self.app_most is not None:
            return np.where(self.app_spread, np.minimum(self.app_most, size), size)
        most = np.ceil(self.app_max_share * size).astype(np.int64)
        return np.where(self.app_spread & (size >= 2), most, size)


def from_columns(columns: Mapping[str, Any]) -> PoolInstance:
    """An instance from named arrays, as a .npz file holds them; other names are ignored.

    Raises InvalidProblem, whose message starts with the column's name.
    """
    missing = [
        one.name for one in fields(PoolInstance) if one.default is MISSING and one.name not in columns
    ]
    if missing:
        others = f", and none of {', '.join(missing[1:])}" if missing[1:] else ""
        refuse(missing[0], f"there is no such column{others}")
    made: dict[str, Any] = {}
    for field in (one for one in fields(PoolInstance) if one.name in columns):
        value = np.asarray(columns[field.name])
        if field.type in {int, float}:
            made[field.name] = _number(field.name, value, field.type)
        elif field.type == Bool:
            made[field.name] = _bools(field.name, value)
        else:
            made[field.name] = integers(field.name, value)
    return PoolInstance(**made)


def _number(name: str, value: npt.NDArray[Any], kind: Any) -> int | float:
    if value.shape != () or value.dtype.kind not in ("iu" if kind is int else "iuf"):
        refuse(name, f"must be one {'whole number' if kind is int else 'number'}")
    number: int | float = kind(value)
    return number


def _bools(name: str, value: npt.NDArray[Any]) -> Bool:
    if value.dtype.kind not in "biu":
        refuse(name, f"must be true or false everywhere, not {value.dtype}")
    refuse_first(name, value, ~np.isin(value, (0, 1)), "must be true or false")
    return value.astype(np.bool_)


def _shape(name: str, array: npt.NDArray[Any], axes: int) -> tuple[int, ...]:
    if array.ndim != axes:
        refuse(name, f"shape {array.shape} must have {axes} axes")
    return array.shape


def _within(name: str, array: Int64, end: int | None) -> None:
    """Every value is at least 0 and, where there is an end, below it."""
    rule = "must not be negative" if end is None else f"must be below {end}"
    refuse_first(name, array, (array < 0) if end is None else (array >= end), rule)
