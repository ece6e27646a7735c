"""Right-sizing: what a machine needs going by what it used, under a policy; and machines that do nothing.

    needed = size today x utilization / 100 x (1 + headroom / 100)

rounded up to a whole step, and kept within the bounds of the policy. ``docs/reference/classification.md``
explains each bound. The result never falls as the utilization grows.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Context, Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, NamedTuple, Self

from pydantic import Field, StrictBool, StrictInt, field_validator, model_validator

from catalog.base import Value
from catalog.estates.classified import Confidence
from catalog.estates.model import Estate, EstateMachine, PowerState, Text, Utilization
from catalog.refusals import refuse
from catalog.resources import ResourceClass, Resources
from catalog.units import amount_of, format_amount, noun
from catalog.wording import counted

Share = Annotated[Decimal, Field(ge=0, le=1000, allow_inf_nan=False, max_digits=8)]
Whole = Annotated[StrictInt, Field(ge=0, le=2**40)]
Step = Annotated[StrictInt, Field(ge=1, le=2**40)]

_EXACT = Context(prec=80)
"""Enough for an amount of 16 digits x a percentage of 17 x a head-room of 8: products are exact."""
_WHOLE = 10_000
"""Percent of percent: needs are counted in ten-thousandths."""
_MOST_PERCENT = 1e6
"""More use than this is a mistake of the source; it is taken as this."""
INT_MAX = 2**53
"""The largest amount there is (`catalog.resources.Amount`)."""


class Bounds(Value):
    """How one resource is sized; amounts in its unit (vCPU, or MiB of memory)."""

    headroom_percent: Share = Field(
        default=Decimal(20),
        description="What is added to the need: 20 makes 1.2 of it, a comfort factor of 1.2.",
    )
    step: Step = Field(default=1, description="Sizes are whole multiples of this, rounded up.")
    smallest: Step = Field(default=1, description="No machine is made smaller than this.")
    largest: Step | None = Field(default=None, description="No machine is made larger than this.")
    keep_percent: Annotated[Share, Field(le=100)] = Field(
        default=Decimal(0),
        description="No less than this share of what it has: what guests fill with caches, and do not count as used.",
    )
    smallest_change: Whole = Field(
        default=0, description="A change of less than this is not worth a restart; the size is kept."
    )
    largest_cut_percent: Annotated[Share, Field(le=100)] = Field(
        default=Decimal(100), description="At most this share is taken away at once."
    )

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        if self.largest is not None and self.largest < self.smallest:
            refuse(f"largest {self.largest} must not be below smallest {self.smallest}")
        return self


class IdleTest(Value):
    """When a machine counts as doing something: every measure that is known is above its threshold."""

    cpu_percent: Share = Field(default=Decimal(5), description="Of its processors.")
    memory_percent: Share = Field(default=Decimal(5), description="Of its memory.")


MEMORY = Bounds(step=1024, smallest=1024, keep_percent=Decimal(50))
"""What is usual for memory, also in a policy that says something else of one of its bounds."""


class SizingPolicy(Value):
    """How machines are right-sized."""

    percentile: Annotated[Decimal, Field(gt=0, le=100, allow_inf_nan=False)] = Field(
        default=Decimal(95),
        description="Which percentile of the samples is the need; a lower one is not enough.",
    )
    vcpu: Bounds = Field(default=Bounds(), description="Processors.")
    memory_mib: Bounds = Field(default=MEMORY, description="Memory, in MiB.")
    min_samples: Whole = Field(default=168, description="With fewer samples the size is kept.")
    min_hours: Whole = Field(
        default=168, description="With a shorter window the size is kept; 168 is a week."
    )
    window_hours: Step = Field(
        default=720, description="The window with which the result is as sure as it can be; 720 is a month."
    )
    max_age_days: Whole = Field(default=45, description="With older data the size is kept.")
    may_grow: StrictBool = Field(default=True, description="false: machines are only ever made smaller.")
    idle: IdleTest = Field(default=IdleTest(), description="When a machine does nothing.")

    @field_validator("memory_mib", mode="before")
    @classmethod
    def _usual_for_memory(cls, bounds: object) -> object:
        return {**MEMORY.model_dump(), **bounds} if isinstance(bounds, Mapping) else bounds


class Activity(StrEnum):
    """Whether a machine does anything, as far as is known."""

    ACTIVE = "active"
    IDLE = "idle"
    """Below a threshold of the policy."""
    ZOMBIE = "zombie"
    """On, and using nothing at all of what is known."""
    OFF = "off"
    UNKNOWN = "unknown"


class Sized(Value):
    """A machine's right size."""

    machine: Text
    was: Resources
    resources: Resources
    """Disk is never changed."""
    reason: Text
    confidence: Confidence
    """How far the window and its samples reach what the policy wants; 0 where they do not do."""
    activity: Activity

    @property
    def saved(self) -> Mapping[ResourceClass, int]:
        """What it has less of, by resource; negative where it grows."""
        return {rc: self.was.amount(rc) - self.resources.amount(rc) for rc in ResourceClass}

    @property
    def is_changed(self) -> bool:
        """Whether it gets another size."""
        return self.was != self.resources


class _Part(NamedTuple):
    """The new amount of one resource, and why."""

    amount: int
    words: str


def rightsize(machine: EstateMachine, policy: SizingPolicy, age_days: int = 0) -> Sized:
    """The size that the machine's utilization asks for; its own where the data are too few, too old or missing.

    `age_days` is how long ago the utilization was measured.
    """
    was = machine.resources()
    why_kept = "; ".join(_kept(machine, policy, age_days))
    if why_kept:
        return Sized(
            machine=machine.id, was=was, resources=was, reason=f"kept: {why_kept}", confidence=0,
            activity=activity(machine, policy.idle),
        )  # fmt: skip
    use = machine.utilization
    parts = (
        _part(ResourceClass.VCPU, was.vcpu, use.cpu_percent, policy.vcpu, policy),
        _part(ResourceClass.MEMORY_MIB, was.memory_mib, use.memory_percent, policy.memory_mib, policy),
    )
    return Sized(
        machine=machine.id,
        was=was,
        resources=Resources(vcpu=parts[0].amount, memory_mib=parts[1].amount, disk_gib=was.disk_gib),
        reason="; ".join(part.words for part in parts),
        confidence=_trust(use.hours, use.samples, use.percentile is not None, policy.window_hours),
        activity=activity(machine, policy.idle),
    )


def resized(estate: Estate, sizes: Iterable[Sized]) -> Estate:
    """The estate as it would be with these sizes; machines without one keep theirs.

    Their utilization, which is in percent of the old size, is left out where the size changes.
    """
    known = {one.machine: one.resources for one in sizes if one.is_changed}
    machines = tuple(
        one.model_copy(
            update={
                "vcpus": known[one.id].vcpu,
                "memory_mib": known[one.id].memory_mib,
                "utilization": Utilization(),
            }
        )
        if one.id in known
        else one
        for one in estate.machines
    )
    return estate.model_copy(update={"machines": machines})


def activity(machine: EstateMachine, test: IdleTest) -> Activity:
    """What the machine does, going by its utilization; machines are named by this, and never removed."""
    if machine.power in {PowerState.OFF, PowerState.SUSPENDED}:
        return Activity.OFF
    use = machine.utilization
    known = [
        (_exact(percent), limit)
        for percent, limit in (
            (use.cpu_percent, test.cpu_percent),
            (use.memory_percent, test.memory_percent),
        )
        if percent is not None
    ]
    if not known:
        return Activity.UNKNOWN
    if all(percent == 0 for percent, _ in known):
        return Activity.ZOMBIE
    return Activity.ACTIVE if all(percent > limit for percent, limit in known) else Activity.IDLE


def _kept(machine: EstateMachine, policy: SizingPolicy, age_days: int) -> Iterator[str]:
    """Every reason why the machine keeps its size."""
    use = machine.utilization
    if machine.power in {PowerState.OFF, PowerState.SUSPENDED}:
        yield f"it is {machine.power}, so nothing is known of its need"
    if use.cpu_percent is None and use.memory_percent is None:
        yield "its use is not known"
        return
    if age_days > policy.max_age_days:
        yield f"its use was measured {counted(age_days, 'day')} ago, the policy takes {policy.max_age_days}"
    if use.percentile is not None and _exact(use.percentile) < policy.percentile:
        yield f"its use is a percentile of {use.percentile:g}, the policy wants {policy.percentile}"
    if use.samples < policy.min_samples:
        yield f"{_samples(use.samples)}, the policy wants {policy.min_samples}"
    if use.hours < policy.min_hours:
        yield f"its window is {counted(use.hours, 'hour')}, the policy wants {policy.min_hours}"


def _samples(count: int) -> str:
    if not count:
        return "the source does not say how many samples it has"
    return f"it has {counted(count, 'sample')}"


def _part(
    rc: ResourceClass, was: int, percent: float | None, bounds: Bounds, policy: SizingPolicy
) -> _Part:
    if percent is None:
        return _Part(was, f"{noun(rc)} kept: its use is not known")
    if not was:
        return _Part(was, f"{noun(rc)} kept: it has none")
    amount, limit = _bounded(was, _wanted(was, percent, bounds), bounds)
    if amount > was and not policy.may_grow:
        amount, limit = was, "may_grow: false"
    if abs(amount - was) < bounds.smallest_change and amount != was:
        amount, limit = was, f"smallest_change {bounds.smallest_change}"
    used = f"{round(percent, 1):g} % used"
    change = f"{noun(rc)} kept" if amount == was else f"{amount_of(rc, was)} to {format_amount(rc, amount)}"
    return _Part(amount, f"{change}: {used}" + (f", {limit}" if limit else ""))


def _wanted(was: int, percent: float, bounds: Bounds) -> int:
    """The need in whole steps, before any bound."""
    needed = _EXACT.multiply(
        _EXACT.multiply(was, _exact(min(percent, _MOST_PERCENT))), 100 + bounds.headroom_percent
    )
    wanted = min(_up(needed, bounds.step), INT_MAX)
    # A size between two steps is one that can be had, as it is there: what fits into it does not make it grow.
    return min(was, wanted) if needed <= was * _WHOLE else wanted


def _bounded(was: int, wanted: int, bounds: Bounds) -> tuple[int, str]:
    """What is wanted within the bounds, and the bound that it ran into.

    Every bound is a largest or a smallest of two amounts of which one does not depend on the use, so that more use
    never gives less. A machine that is beyond a bound today is not moved by that bound.
    """
    least = {
        "smallest": min(was, bounds.smallest),
        "keep_percent": min(was, _up(_EXACT.multiply(was * 100, bounds.keep_percent), bounds.step)),
        "largest_cut_percent": min(
            was, _up(_EXACT.multiply(was * 100, 100 - bounds.largest_cut_percent), bounds.step)
        ),
    }
    name, floor = max(least.items(), key=lambda item: item[1])
    if wanted < floor:
        return floor, f"{name} {getattr(bounds, name)}"
    if bounds.largest is not None and wanted > max(was, bounds.largest):
        return max(was, bounds.largest), f"largest {bounds.largest}"
    return wanted, ""


@lru_cache(maxsize=4096)
def _trust(hours: int, samples: int, has_percentile: bool, window_hours: int) -> float:
    """The share of the wanted window that is there, x at least one sample an hour, x 1/2 where no percentile is stated."""
    window = min(Fraction(1), Fraction(hours, window_hours))
    density = min(Fraction(1), Fraction(samples, hours)) if hours else Fraction(0)
    stated = Fraction(1) if has_percentile else Fraction(1, 2)
    return float(round(window * density * stated, 2))


def _up(amount: Decimal, step: int) -> int:
    """To the next whole multiple of the step, at least one: a machine needs something. In ten-thousandths."""
    steps, rest = _EXACT.divmod(amount, Decimal(_WHOLE * step))
    return max(1, int(steps) + (rest > 0)) * step


def _exact(percent: float) -> Decimal:
    """The decimal that the number is written as, so that 60 % of 10 with 1.0 of head-room is 6 and not a hair more."""
    return Decimal(repr(percent))
