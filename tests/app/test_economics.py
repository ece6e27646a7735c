"""What metered use would recover: counted by hand from machines' lives, and billed by the rating engine."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chargeback.economics.rates import card_text
from chargeback.rate_cards import load_rate_cards
from chargeback.rating import rate
from tierwise.cli.main import app as command
from tierwise.errors import InvalidInput
from tierwise.usecases import economics
from tierwise.usecases.books import month_of
from tierwise.usecases.metered_use import metered_use
from tierwise.usecases.metering import epoch, interval_store

ACME = Path(__file__).parents[2] / "examples" / "acme" / "economics.yaml"
OCTOBER_S = 745 * 3600
"""October 2026 in Berlin, where clocks go back."""


@pytest.fixture
def lived(estate: Any) -> Any:
    """Acme after October 2026: a database through all of it, and a web server from its 11th on."""
    made = estate()
    with made.running():
        made.deliver("pay-01", "db-medium", tenant="payroll")
        made.clock.set(datetime(2026, 10, 10, 22, tzinfo=UTC))
        made.deliver("web-01", "web-small", tenant="web-shop", tier="tier-2")
        made.clock.set(datetime(2026, 11, 2, tzinfo=UTC))
    return made


def test_metered_use_is_what_machines_had_times_how_long(lived: Any) -> None:
    found = metered_use(lived.app, "2026-10")
    later = OCTOBER_S - 10 * 24 * 3600
    assert found["tier-1"] == {
        "vcpu": 8 * OCTOBER_S, "memory_mib": 65536 * OCTOBER_S, "disk_gib": 500 * OCTOBER_S, "machine": OCTOBER_S,
    }  # fmt: skip
    assert found["tier-2"] == {
        "vcpu": 2 * later,
        "memory_mib": 4096 * later,
        "disk_gib": 40 * later,
        "machine": later,
    }
    with pytest.raises(InvalidInput):
        metered_use(lived.app, "2026-13")


def test_what_metered_use_recovers_is_what_the_card_would_have_billed(lived: Any) -> None:
    document, metered = economics.load(ACME), metered_use(lived.app, "2026-10")
    proposals = economics.proposals(document, datetime(2026, 10, 1, tzinfo=UTC).date(), 1)
    start = proposals[0].cost.start
    text = card_text(
        proposals,
        name="proposed",
        currency="EUR",
        valid_from=start,
        recorded_at="2026-09-01T00:00:00",
        time_zone="Europe/Berlin",
    )
    (card,) = load_rate_cards({"rates.yaml": text}, ("tier-1", "tier-2", "tier-3"))
    period = month_of("2026-10", card)
    billed: dict[tuple[str, str], Fraction] = {}
    for charge in rate(interval_store(lived.app).read(), card, [period], epoch(lived.clock.now())):
        key = (charge.rate.tier, charge.rate.metric.value)
        billed[key] = billed.get(key, Fraction(0)) + charge.amount_nanos
    recovered = {
        (one.tier, one.resource): one.recovered_nanos(metered[one.tier].get(one.resource, 0))
        for proposal in proposals
        for one in proposal.rates
        if one.tier in metered
    }
    assert recovered == billed
    rows = economics.rate_rows(proposals, economics.Money("EUR"), metered)
    for tier in ("tier-1", "tier-2", "tier-3"):
        of_tier = [row for row in rows if row["tier"] == tier]
        assert sum(row["cost_minor"] for row in of_tier) == sum(row["recovered_minor"] for row in of_tier)


def test_a_months_recovery_is_shown_from_the_command_line(
    lived: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERWISE_DATA_DIR", str(lived.settings.data_dir))
    last = (datetime.now(UTC).replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    shown = CliRunner().invoke(command, ["economics", "rates", str(ACME), "--month", last])
    assert shown.exit_code == 0, shown.output
    assert "unrecovered" in shown.stdout
