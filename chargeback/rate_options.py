"""The words of rate cards that choose between ways of charging, and the answers that a card gives."""

from enum import StrEnum

from pydantic import Field

from catalog.base import Value
from chargeback.units import MonthLength, YearLength


class PowerRule(StrEnum):
    """Whether a machine that is switched off is charged too.

    By `ONCE_ON` the whole existence in a month is charged if the machine ran in it at all.
    """

    ALWAYS = "always"
    POWERED_ON = "powered-on"
    ONCE_ON = "powered-on-at-least-once"


class Basis(StrEnum):
    """Which quantity of the metric is charged: what a machine may use, does use, or has set aside for it."""

    ALLOCATION = "allocation"
    USAGE = "usage"
    RESERVATION = "reservation"
    MAX_OF_USAGE_AND_ALLOCATION = "max-of-usage-and-allocation"
    MAX_OF_USAGE_AND_RESERVATION = "max-of-usage-and-reservation"


class Window(StrEnum):
    """Over what a quantity is added up before a shape that is not linear prices it.

    `MOMENT` adds nothing up: what a machine has at each moment is priced per unit of time.
    """

    MOMENT = "moment"
    MACHINE_HOUR = "machine-hour"
    MACHINE_DAY = "machine-day"
    MACHINE_MONTH = "machine-month"
    TENANT_MONTH = "tenant-month"


class Frequency(StrEnum):
    """How often a rate charges; the words are those of FOCUS ChargeFrequency in small letters."""

    USAGE_BASED = "usage-based"
    RECURRING = "recurring"
    ONE_TIME = "one-time"


class Proration(StrEnum):
    """What a recurring fee charges for a time that began or ended on the way."""

    SECOND = "second"
    WHOLE = "whole"


class Category(StrEnum):
    """FOCUS ChargeCategory of a rate's charges in small letters."""

    USAGE = "usage"
    PURCHASE = "purchase"


class Allocated(StrEnum):
    """What of an allocation that changed within a month is charged."""

    TIME_WEIGHTED = "time-weighted"
    MAXIMUM = "maximum"


class MissingSample(StrEnum):
    """What a machine used while it had no sample."""

    ZERO = "zero"
    CARRY_FORWARD = "carry-forward"


class Presence(StrEnum):
    """Whether fixed amounts of measured rates need a sample, or only a machine that exists."""

    SAMPLES = "samples"
    EXISTENCE = "existence"


class Conventions(Value):
    """The questions that products answer differently, each with this card's answer."""

    month: MonthLength = Field(
        default=MonthLength.CALENDAR, description="Length of the month of a monthly price."
    )
    year: YearLength = Field(
        default=YearLength.DAYS_365, description="Length of the year of a yearly price."
    )
    allocated: Allocated = Field(
        default=Allocated.TIME_WEIGHTED,
        description="What of an allocation that changed within a month is charged for the time that it existed.",
    )
    missing_sample: MissingSample = Field(
        default=MissingSample.ZERO, description="What a machine used while it had no sample."
    )
    fixed_needs: Presence = Field(
        default=Presence.SAMPLES,
        description="What a fixed amount of a measured rate needs: a sample, or only that the machine exists.",
    )
