"""Bills whose amounts can be read: a machine-hour costs 0.01, so a charge of 1234 hours is 12.34."""

from collections.abc import Callable
from typing import Any

import pytest

from chargeback.adjustment import Term
from chargeback.adjustments import kinds
from chargeback.charges import Charge
from chargeback.money import Rounding
from chargeback.periods import BillingPeriod
from chargeback.rates import Rate, RateCard
from chargeback.statements import Statement, statements
from chargeback.terms import Terms

HOUR = 3600
OCTOBER = BillingPeriod.parse("2026-10", "UTC")


def rate_of(tier: str = "tier-1", price_nanos: int = 10**7, metric: str = "machine", **more: Any) -> Rate:
    unit = {"machine": "machine-hour", "memory_mib": "GiB-hour", "vcpu": "vcpu-hour"}[metric]
    body = {"id": f"{metric.removesuffix('_mib')}-{tier}", "valid_from": 0, "recorded_at": 0} | more
    return Rate.model_validate(
        body | {"tier": tier, "metric": metric, "unit": unit, "rate_nanos": price_nanos}
    )


def card_of(*rates: Rate, **more: Any) -> RateCard:
    body = {
        "name": "test", "version": 1, "currency": "EUR", "minor_digits": 2, "time_zone": "UTC",
        "rounding": Rounding.HALF_UP, "rates": rates or (rate_of(),),
    }  # fmt: skip
    return RateCard.model_validate(body | more)


@pytest.fixture
def card() -> RateCard:
    return card_of()


@pytest.fixture
def charge() -> Callable[..., Charge]:
    """A charge of so many minor units, unless a rate with another price is given."""

    def make(amount_minor: int, machine: str = "m-1", rate: Rate | None = None, **more: Any) -> Charge:
        rate = rate or rate_of(more.get("tier", "tier-1"))
        body = {"period": OCTOBER, "tenant": "shop", "cost_centre": "cc-1", "tier": "tier-1"} | more
        return Charge(
            **body, machine=machine, rate=rate, quantity_seconds=amount_minor * rate.unit_seconds,
            seconds=HOUR, t_from=OCTOBER.t_from, t_to=OCTOBER.t_to,
        )  # fmt: skip

    return make


@pytest.fixture
def term() -> Callable[..., Term]:
    """A term as a document's reader makes it; of all months and known for ever unless it says otherwise."""

    def make(kind: str, name: str = "t", **body: Any) -> Term:
        head = {"name": name, "kind": kind, "valid_from": "2000-01", "recorded_at": 0}
        return kinds()[kind].model_validate(head | body)

    return make


@pytest.fixture
def bill() -> Callable[..., Statement]:
    """The one statement of charges under some terms."""

    def make(charges: list[Charge], *terms: Term, **more: Any) -> Statement:
        (statement,) = statements(
            charges, more.pop("card", card_of()), Terms(adjustments=terms, fx=more.pop("fx", ())), **more
        )
        return statement

    return make
