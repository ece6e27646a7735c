"""What a rate card says, as rows."""

from typing import Any

from chargeback.instants import utc_text
from chargeback.rates import Rate, RateCard


def rate_rows(card: RateCard) -> list[dict[str, Any]]:
    """One row a rate, in the card's order."""
    return [_row(rate, card) for rate in card.rates]


def _row(rate: Rate, card: RateCard) -> dict[str, Any]:
    return {
        "card": card.label,
        "rate_id": rate.id,
        "tier": rate.tier,
        "metric": rate.metric.value,
        "basis": rate.basis.value,
        "component": rate.component,
        "where": ",".join(f"{key}={value}" for key, value in sorted(rate.where.items())),
        "unit": rate.unit,
        "rate": rate.price_text,
        "window": "" if rate.shape.linear else rate.window.value,
        "power": rate.power.value,
        "frequency": rate.frequency.value,
        "valid_from": utc_text(rate.valid_from),
        "valid_to": "" if rate.valid_to is None else utc_text(rate.valid_to),
        "recorded_at": utc_text(rate.recorded_at),
    }
