from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.resources import Resources
from chargeback.events import MachineEvent
from chargeback.instants import instant, zone
from chargeback.rate_cards import RateCard, load_rate_cards

ROOT = Path(__file__).parents[3]
TIERS = ("tier-1", "tier-2", "tier-3")


@pytest.fixture
def acme() -> RateCard:
    file = ROOT / "examples" / "acme" / "rates.yaml"
    (card,) = load_rate_cards({"rates.yaml": file.read_text()}, TIERS)
    return card


@pytest.fixture
def card_of() -> Callable[..., RateCard]:
    """A card from the body of one: name, zone and rates as YAML flow mappings."""

    def make(*rates: str, zone: str = "UTC", minor_digits: int = 2, rounding: str = "half-up") -> RateCard:
        text = (
            "rate_cards:\n  test:\n    version: 1\n    currency: EUR\n"
            f"    minor_digits: {minor_digits}\n    time_zone: {zone}\n    rounding: {rounding}\n"
            "    recorded_at: 2000-01-01T00:00:00Z\n    rates:\n"
        )
        text += "".join(f"      - {{{rate}}}\n" for rate in rates)
        (card,) = load_rate_cards({"card.yaml": text}, TIERS)
        return card

    return make


@pytest.fixture
def at() -> Callable[[str], int]:
    """Epoch seconds of an ISO text in UTC."""
    return lambda text: instant(text, zone("UTC"))


@pytest.fixture
def event() -> Callable[..., MachineEvent]:
    """An event of machine web-1; a creation is of tenant shop on tier-1 unless it says otherwise."""

    def make(sequence: int, kind: str, at: int, **fields: object) -> MachineEvent:
        born = {
            "resources": Resources(vcpu=2, memory_mib=4096, disk_gib=50),
            "tenant": "shop", "cost_centre": "cc-1", "tier": "tier-1", "pool": "pool-a",
        }  # fmt: skip
        body = {"machine": "web-1", "recorded_at": at, "source": f"order {sequence}"}
        return MachineEvent.model_validate(
            body | (born if kind == "created" else {}) | fields
            | {"sequence": sequence, "kind": kind, "at": at}
        )  # fmt: skip

    return make
