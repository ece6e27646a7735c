"""Licences as an economics document has them: who needs them, how they may be counted, prices, contracts.

The fields of an alternative mean what they mean in placement (docs/how-to/count-licences.md); only that here prices
stand per unit and month, year, term or once, and what is owned has a renewal. No vendor's rule is known.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from catalog.base import Value
from catalog.frozen import FrozenMapping
from catalog.licence_metrics import BELONGS_TO, Limiter, Metric
from catalog.pools import Hypervisor
from chargeback.economics.figures import Amount, Day, Evidence, Figure, Patterns, Percent, Sourced, Text
from chargeback.economics.matching import fits

Quantity = Annotated[int, Field(strict=True, ge=1, le=10**9)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]


class Price(Value):
    """What is paid for a unit or a pack, and for how long that pays.

    A price for an hour is of unit-hours; one paid ``once`` is written off over `write_off_months` from the start of the
    time that is looked at.
    """

    amount: Amount
    per: Literal["unit", "pack"] = "unit"
    period: Literal["hour", "month", "year", "term", "once"]
    term_months: Annotated[int, Field(strict=True, ge=1, le=600)] | None = None
    write_off_months: Annotated[int, Field(strict=True, ge=1, le=600)] | None = None

    @model_validator(mode="after")
    def _of_its_period(self) -> Self:
        for field, period in (("term_months", "term"), ("write_off_months", "once")):
            if (getattr(self, field) is not None) != (self.period == period):
                word = (
                    "needs it"
                    if self.period == period
                    else f"is for the period {period} only; leave it out"
                )
                msg = (
                    f"{field}: the period {self.period} {word}"
                    if self.period == period
                    else f"{field}: {word}"
                )
                raise ValueError(msg)
        return self

    @property
    def months(self) -> int:
        """For how many months it pays."""
        return {"month": 1, "year": 12}.get(self.period) or self.term_months or self.write_off_months or 1


def _some(found: tuple[Value, ...]) -> tuple[Value, ...]:
    # Pydantic's own minimum would also complain of a list whose one entry has a mistake.
    if not found:
        msg = "must have at least one entry"
        raise ValueError(msg)
    return found


Prices = Annotated[tuple[Price, ...], AfterValidator(_some), Field(description="All of them are paid.")]


class Owned(Value):
    """Packs that are paid for until a renewal, needed or not. After that they are paid for like others."""

    packs: Quantity
    until: Day = Field(description="The renewal: the first day that is not paid for.")
    paid_per_pack_per_year: Amount | None = Field(
        default=None, description="What was paid, for the record of sunk cost; else the price of today."
    )
    renewed_on: Day | None = Field(default=None, description="When it will be renewed, if later than that.")
    late_fee_percent: Percent | None = Field(
        default=None, description="Of the first year, if it is renewed late."
    )
    source: Text | None = None
    evidence: Evidence | None = None

    @property
    def late(self) -> bool:
        """Whether a fee for renewing late is due."""
        return (
            self.renewed_on is not None
            and self.renewed_on > self.until
            and self.late_fee_percent is not None
        )


class AddOnPrice(Value):
    """What must be bought beside the licences for something that hosts have, as far as these do not bring it along."""

    name: Text
    amount: Text
    unit_amount: Quantity = 1
    granted: Count = 0
    pack_size: Quantity = 1
    prices: Prices


class Way(Value):
    """One legal way to license a product."""

    name: Text
    metric: Metric
    per_socket_minimum: Count = 0
    per_host_minimum: Count = 0
    core_factor_thousandths: FrozenMapping[str, Quantity] = Field(default_factory=dict)
    per_machine_minimum: Count = 0
    unit_covers: FrozenMapping[Text, Quantity] = Field(default_factory=dict)
    amount: Text | None = None
    unit_amount: Quantity = 1
    principals: Count = 0
    covers: Quantity | None = None
    per_hour: bool = False
    pack_size: Quantity = 1
    pack_scope: Literal["scope", "order"] = "scope"
    order_minimum: Count = 0
    add_on: AddOnPrice | None = None
    valid_from: Day | None = None
    valid_until: Day | None = None
    region: Text | None = Field(default=None, description="Where it can be had; left out: everywhere.")
    prices: Prices
    owned: tuple[Owned, ...] = ()
    source: Text | None = None
    evidence: Evidence | None = None

    @model_validator(mode="after")
    def _of_its_metric(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterable[str]:
        for field, metrics in BELONGS_TO.items():
            if self.metric not in metrics and getattr(self, field) != _default(field):
                yield f"{field}: says nothing of the metric {self.metric}; leave it out"
        if self.metric == "per_coverage_unit" and not self.unit_covers:
            yield "unit_covers: per_coverage_unit needs it; say what one unit covers, such as two sockets"
        if self.metric == "per_amount" and self.amount is None:
            yield "amount: per_amount needs it; name what of a host is counted, with its unit"
        if self.covers is not None and "machines" in self.unit_covers:
            yield "covers: unit_covers counts machines already; leave one of them out"
        if self.valid_from and self.valid_until and self.valid_until <= self.valid_from:
            yield f"valid_until: {self.valid_until} must be after valid_from, {self.valid_from}"
        if any((price.period == "hour") != self.per_hour for price in self.prices):
            yield "per_hour: goes with prices of the period hour, and only with them"

    def holds(self, day: date, region: str | None) -> bool:
        """Whether it can be had then and there; what is owned can be used until its renewal."""
        if self.region not in {None, region}:
            return False
        until = max((one.until for one in self.owned), default=date.min)
        ended = self.valid_until is not None and day >= max(self.valid_until, until)
        return not ended and (self.valid_from is None or self.valid_from <= day)


def _default(field: str) -> object:
    return Way.model_fields[field].get_default(call_default_factory=True)


class LicenceMatch(Value):
    """Which machines need a product: those of the hypervisors and pools that any of the other fields finds.

    With neither guest systems, software nor labels these are all machines there.
    """

    hypervisors: tuple[Hypervisor, ...] = ()
    pools: Patterns = ()
    guest_os: Patterns = ()
    software: Patterns = ()
    labels: FrozenMapping[str, str] = Field(default_factory=dict, description="A machine must have all.")

    def needs(
        self,
        *,
        hypervisor: str = "",
        pool: str = "",
        guest_os: str = "",
        software: Iterable[str] = (),
        labels: Mapping[str, str] | None = None,
    ) -> bool:
        """Whether such a machine needs it there."""
        if (self.hypervisors and hypervisor not in set(self.hypervisors)) or not fits(self.pools, pool):
            return False
        if not (self.guest_os or self.software or self.labels):
            return True
        has = labels or {}
        return (
            (bool(self.guest_os) and fits(self.guest_os, guest_os))
            or (bool(self.software) and any(fits(self.software, one) for one in software))
            or (bool(self.labels) and all(has.get(key) == value for key, value in self.labels.items()))
        )


class Licence(Sourced):
    """A product that must be licensed, from and until when, where, and by whom."""

    name: Text
    layer: Literal["hypervisor", "guest"]
    applies: bool = Field(default=True, description="Off: the rule is not in this contract.")
    match: LicenceMatch = LicenceMatch()
    reach: Literal["pool", "site", "manager", "estate"] = Field(
        default="pool", description="How far its machines can move, so that hosts there count."
    )
    accepts: tuple[Limiter, ...] = Field(default=(), description="What narrows the reach, by its vendor.")
    whole_pool: bool = Field(default=False, description="All hosts of a pool are licensed alike.")
    alternatives: Annotated[tuple[Way, ...], AfterValidator(_some)]

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        names = [way.name for way in self.alternatives]
        for name in names:
            if names.count(name) > 1:
                msg = f"alternatives: two are named '{name}'; name them apart"
                raise ValueError(msg)
        return self

    def figures(self) -> Iterable[tuple[str, Figure]]:
        """All figures of it, with their paths below the product."""
        for n, way in enumerate(self.alternatives):
            at = f"alternatives.{n}"
            for k, price in enumerate(way.prices):
                yield f"{at}.prices.{k}.amount", price.amount
            for k, price in enumerate(way.add_on.prices if way.add_on else ()):
                yield f"{at}.add_on.prices.{k}.amount", price.amount
            for k, owned in enumerate(way.owned):
                for field in ("paid_per_pack_per_year", "late_fee_percent"):
                    figure = getattr(owned, field)
                    if figure is not None:
                        yield f"{at}.owned.{k}.{field}", figure
