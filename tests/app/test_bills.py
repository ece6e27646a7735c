"""From what happens to machines to the bill, recomputed here from the prices as they stand in the file."""

import decimal
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import yaml

from catalog.resources import Resources
from connectors.contract import PowerAction
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.usecases import change
from tierwise.usecases.billing import bill, summary
from tierwise.usecases.metering import interval_store, meter
from tierwise.usecases.owner import change_owner

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)
WEB = Resources(vcpu=2, memory_mib=4096, disk_gib=40)


def at(text: str) -> datetime:
    """A moment by Berlin's clocks."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def prices(acme: Any, tier: str, day: str) -> dict[str, Fraction]:
    """Metric -> euros per vCPU-hour, GiB-hour or machine-hour, read from the rate card's file by eye."""
    (card,) = yaml.safe_load((acme.settings.catalog_dir / "rates.yaml").read_text())["rate_cards"].values()
    rates = [r for r in card["rates"] if r["tier"] == tier and str(r["valid_from"]) <= day]
    ended = {name for rate in rates for name in rate.get("replaces", [])}
    assert card["rounding"] == "half-up"
    return {r["metric"]: Fraction(str(r["price"])) for r in rates if r["id"] not in ended}


def cents(euros: Fraction) -> int:
    """Half up, for amounts that are not negative."""
    return int(euros * 100 + Fraction(1, 2))


def amounts(rows: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row["metric"]] = found.get(row["metric"], 0) + row["amount_minor"]
    return found


def live_a_month(acme: Any) -> tuple[str, dict[str, Fraction]]:
    """One machine's life in October; gives its tier, and its unit-hours as added up by hand."""
    acme.clock.set(at("2026-10-05T08:00:00"))
    row = acme.deliver("shop-01")
    acme.clock.set(at("2026-10-10T20:30:15"))
    change.power(acme.app, UUID(int=1), "shop-01", PowerAction.OFF)
    acme.clock.set(at("2026-10-12T06:00:00"))
    change.resize(acme.app, UUID(int=2), "shop-01", Resources(vcpu=6, memory_mib=10240, disk_gib=60))
    change.power(acme.app, UUID(int=3), "shop-01", PowerAction.ON)
    acme.clock.set(at("2026-10-26T12:00:00"))  # A day after the clocks went back.
    change.delete(acme.app, UUID(int=4), "shop-01")
    small_on = 5 * 24 + 12 + Fraction(30 * 60 + 15, 3600)  # 5 Oct 08:00 to 10 Oct 20:30:15
    small_off = 24 + 9 + Fraction(29 * 60 + 45, 3600)  # to 12 Oct 06:00
    large_on = 14 * 24 + 6 + 1  # to 26 Oct 12:00, and the hour that was there twice
    return row.tier, {
        "vcpu": 2 * small_on + 6 * large_on,
        "memory_mib": 4 * small_on + 10 * large_on,
        "disk_gib": 40 * (small_on + small_off) + 60 * large_on,
        "machine": small_on + small_off + large_on,
    }


def test_the_bill_of_a_machines_life_is_what_a_person_computes_from_the_rate_card(acme: Any) -> None:
    tier, unit_hours = live_a_month(acme)
    acme.clock.set(at("2026-11-02T00:00:00"))
    price = prices(acme, tier, "2026-10-31")
    by_hand = {metric: cents(hours * price[metric]) for metric, hours in unit_hours.items()}
    october = bill(acme.app, "2026-10")
    assert amounts(october.rows) == by_hand
    assert october.total == f"EUR {sum(by_hand.values()) / 100:.2f}"
    assert {row["machine_name"] for row in october.rows} == {"shop-01"}
    assert october.complete


def test_the_summary_adds_up_to_the_lines_and_shows_what_rounding_made(acme: Any) -> None:
    live_a_month(acme)
    acme.deliver("shop-02")
    acme.clock.set(at("2026-11-02T00:00:00"))
    october = bill(acme.app, "2026-10")
    for statement in october.statements:
        found = summary(october.rows_of(statement), october.card)
        assert sum(row["amount_minor"] for row in found) == statement.total_minor
        for row in found:
            quantity, rounding = (exact(row[name]) for name in ("quantity", "rounding"))
            made = Fraction(row["amount_minor"], 100) - quantity * Fraction(row["rate"])
            assert abs(made - rounding) <= Fraction(1, 2_000_000), "it is shown to six digits"


def exact(text: str) -> Fraction:
    """A decimal, or a whole number and a fraction."""
    size = sum((Fraction(part) for part in text.removeprefix("-").split()), Fraction(0))
    return -size if text.startswith("-") else size


def test_metering_again_appends_nothing_but_the_time_that_has_passed(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.clock.advance(2 * HOUR)
    assert meter(acme.app) == 4
    before = interval_store(acme.app).files()
    assert meter(acme.app) == 0
    assert interval_store(acme.app).files() == before
    acme.clock.advance(HOUR)
    assert meter(acme.app) == 4
    seconds = sum(r["t_to"] - r["t_from"] for r in interval_store(acme.app).read().to_pylist())
    assert seconds == 4 * 3 * 3600


def test_how_often_it_was_metered_does_not_change_the_bill(estate: Any, tmp_path: Any) -> None:
    bills = []
    for name, often in (("once", False), ("often", True)):
        acme = estate(tmp_path / name)
        with acme.running():
            if often:
                acme.clock.set(at("2026-10-05T08:00:00"))
                meter(acme.app)
            live_a_month(acme)
            for day in range(27, 31) if often else ():
                acme.clock.set(at(f"2026-10-{day}T01:02:03"))
                meter(acme.app)
            acme.clock.set(at("2026-11-02T00:00:00"))
            bills.append([{**r, "machine": ""} for r in bill(acme.app, "2026-10").rows])
    assert bills[0] == bills[1] != []


@pytest.mark.parametrize("month", ["2026-10", "2026-11", "2027-03"])
def test_a_whole_months_statement_is_its_quote_whatever_the_clocks_do(estate: Any, month: str) -> None:
    from chargeback.periods import BillingPeriod
    from chargeback.quotes import price

    period = BillingPeriod.parse(month, "Europe/Berlin")
    begin, end = (datetime.fromtimestamp(t, UTC) for t in (period.t_from, period.t_to))
    acme = estate(start=begin)
    with acme.running():
        tiers = {acme.deliver(f"shop-{tier}", tier=tier).tier for tier in ("tier-1", "tier-2", "tier-3")}
        acme.clock.set(end + 10 * HOUR)
        lines = bill(acme.app, month).rows
    card = acme.app.documents.rate_card
    for tier in tiers:
        quoted = price(WEB, tier, card, period=period)
        stated = [row for row in lines if row["tier"] == tier]
        assert sum(row["amount_minor"] for row in stated) == quoted.total_minor
        hours = Fraction(int((end - begin).total_seconds()), 3600)
        per_hour = prices(acme, tier, month + "-28")
        units = {"vcpu": 2, "memory_mib": 4, "disk_gib": 40, "machine": 1}
        assert quoted.total_minor == sum(cents(n * hours * per_hour[m]) for m, n in units.items())
    assert period.hours == {"2026-10": 745, "2026-11": 720, "2027-03": 743}[month]


def test_the_price_on_the_order_is_that_of_its_next_thirty_days(acme: Any) -> None:
    acme.clock.set(at("2026-11-01T00:00:00"))
    row = acme.deliver("shop-01")
    acme.clock.set(at("2026-12-01T00:00:00"))
    assert sum(line["amount_minor"] for line in bill(acme.app, "2026-11").rows) == row.price_minor


def issue_october_then_learn(acme: Any) -> Any:
    """October issued on 2 November; on the 4th it is known that marketing owned it since the 20th."""
    acme.deliver("shop-01")
    acme.clock.set(at("2026-11-02T09:00:00"))
    issued = bill(acme.app, "2026-10", issue=True)
    acme.clock.set(at("2026-11-04T09:00:00"))
    change_owner(acme.app, UUID(int=1), "shop-01", "marketing", at("2026-10-20T00:00:00"))
    return issued


def corrections(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["charge_class"] == "Correction"]


def test_an_issued_statement_never_changes_and_the_next_carries_exactly_the_difference(acme: Any) -> None:
    issued = issue_october_then_learn(acme)
    assert issued.issued
    assert bill(acme.app, "2026-10").rows == issued.rows
    as_known_now = bill(acme.app, "2026-10", known_at=acme.clock.now())
    assert {row["tenant"] for row in as_known_now.rows} == {"web-shop", "marketing"}
    booked = corrections(bill(acme.app, "2026-11").rows)
    for tenant in ("web-shop", "marketing"):
        before, after, corrected = (
            sum(row["amount_minor"] for row in rows if row["tenant"] == tenant)
            for rows in (issued.rows, as_known_now.rows, booked)
        )
        assert corrected == after - before != 0
    assert {row["period"] for row in booked} == {"2026-10"}


def test_a_correction_is_booked_once(acme: Any) -> None:
    issue_october_then_learn(acme)
    acme.clock.set(at("2026-12-01T09:00:00"))
    november = bill(acme.app, "2026-11", issue=True)
    assert corrections(november.rows)
    acme.clock.set(at("2027-01-01T09:00:00"))
    assert corrections(bill(acme.app, "2026-12").rows) == []
    assert bill(acme.app, "2026-11").rows == november.rows


def test_what_is_learnt_of_an_old_month_after_two_were_issued_comes_with_the_third(acme: Any) -> None:
    issued = issue_october_then_learn(acme)
    acme.clock.set(at("2026-12-01T09:00:00"))
    november = bill(acme.app, "2026-11", issue=True)
    change_owner(acme.app, UUID(int=2), "shop-01", "research", at("2026-10-25T00:00:00"))
    acme.clock.set(at("2027-01-01T09:00:00"))
    december = bill(acme.app, "2026-12", issue=True)
    whole = [*issued.rows, *november.rows, *december.rows]
    for month in ("2026-10", "2026-11"):
        for tenant in ("web-shop", "marketing", "research"):
            stated = sum(r["amount_minor"] for r in whole if (r["period"], r["tenant"]) == (month, tenant))
            known = bill(acme.app, month, known_at=acme.clock.now()).rows
            # Every month's own lines and all corrections of it add up to what is known of it today.
            own = [r for r in known if r["tenant"] == tenant and not r["charge_class"]]
            assert stated == sum(r["amount_minor"] for r in own), (month, tenant)


def test_a_fact_learnt_in_the_second_of_the_issue_is_a_correction_too(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.clock.set(at("2026-11-02T09:00:00"))
    issued = bill(acme.app, "2026-10", issue=True)
    change_owner(acme.app, UUID(int=1), "shop-01", "marketing", at("2026-10-20T00:00:00"))
    assert bill(acme.app, "2026-10").rows == issued.rows
    acme.clock.advance(HOUR)
    assert bill(acme.app, "2026-10").rows == issued.rows
    assert corrections(bill(acme.app, "2026-11").rows)


def test_a_bill_as_known_at_a_moment_is_the_one_that_was_seen_then(acme: Any) -> None:
    acme.deliver("shop-01")
    seen = []
    for day, tenant in ((8, "marketing"), (12, "research"), (20, "payroll")):
        acme.clock.set(at(f"2026-10-{day:02}T10:00:00"))
        seen.append((acme.clock.now(), bill(acme.app, "2026-10").rows))
        acme.clock.advance(HOUR)
        change_owner(acme.app, UUID(int=day), "shop-01", tenant, at("2026-10-03T00:00:00"))
    acme.clock.set(at("2026-11-20T00:00:00"))
    meter(acme.app)
    for moment, rows in seen:
        assert bill(acme.app, "2026-10", known_at=moment).rows == rows != []


def test_a_bill_as_known_at_a_moment_does_not_depend_on_when_it_was_metered(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.clock.set(at("2026-10-08T10:00:00"))
    change_owner(acme.app, UUID(int=1), "shop-01", "marketing", at("2026-10-03T00:00:00"))
    acme.clock.set(at("2026-10-20T10:00:00"))
    change_owner(acme.app, UUID(int=2), "shop-01", "research", at("2026-10-04T00:00:00"))
    acme.clock.set(at("2026-11-20T00:00:00"))  # It is metered now for the first time.
    tenants = {
        day: {
            row["tenant"] for row in bill(acme.app, "2026-10", known_at=at(f"2026-10-{day}T12:00:00")).rows
        }
        for day in ("08", "20")
    }
    assert tenants == {"08": {"web-shop", "marketing"}, "20": {"web-shop", "marketing", "research"}}


@pytest.mark.parametrize(
    ("months", "what"),
    [
        (("2026-11",), "2026-11 is not over in Europe/Berlin; it can be issued when it is"),
        (("2026-09", "2026-08"), "2026-09 was issued already; 2026-08 cannot be issued after it"),
        (("2026-08", "2026-10"), "2026-09 was not issued; issue it first"),
        (("2026-13",), "month"),
        (("October",), "'October' is no month; write it like 2026-10"),
    ],
)
def test_a_month_that_cannot_be_issued_is_not(estate: Any, months: tuple[str, ...], what: str) -> None:
    acme = estate(start=at("2026-11-01T00:00:00"))
    *before, last = months
    for month in before:
        bill(acme.app, month, issue=True)
    with pytest.raises(InvalidInput, match=what):
        bill(acme.app, last, issue=True)
    assert [
        period for (period,) in acme.rows("SELECT period FROM billing_period WHERE state = 'closed'")
    ] == before


def test_issuing_again_changes_nothing(acme: Any) -> None:
    issued = issue_october_then_learn(acme)
    assert bill(acme.app, "2026-10", issue=True).rows == issued.rows
    assert len(acme.rows("SELECT * FROM billing_period WHERE state = 'closed'")) == 1


def test_a_month_is_over_by_the_cards_own_clocks(estate: Any) -> None:
    acme = estate(start=at("2026-11-01T00:00:00") - timedelta(seconds=1))
    with pytest.raises(InvalidInput, match="not over"):
        bill(acme.app, "2026-10", issue=True)
    acme.clock.advance(timedelta(seconds=1))
    assert bill(acme.app, "2026-10", issue=True).issued


def test_usage_without_a_rate_is_named_and_nothing_is_issued(acme: Any) -> None:
    from dataclasses import replace

    tier = acme.deliver("shop-01").tier
    acme.clock.set(at("2026-11-02T00:00:00"))
    card = acme.app.documents.rate_card
    rates = tuple(rate for rate in card.rates if (rate.tier, rate.metric.value) != (tier, "disk_gib"))
    poorer = replace(acme.app.documents, rate_cards=(card.model_copy(update={"rates": rates}),))
    with pytest.raises(InvalidInput, match="has no rate for some usage") as caught:
        bill(replace(acme.app, documents=poorer), "2026-10", issue=True)
    assert any("disk_gib" in detail for detail in caught.value.details)
    assert acme.rows("SELECT * FROM billing_period WHERE state = 'closed'") == []


def test_a_batch_that_cannot_be_priced_fails_with_the_reason_and_frees_its_names(estate: Any) -> None:
    acme = estate(start=at("2025-06-01T00:00:00"))
    with acme.running():
        (row,) = acme.submit(acme.order("shop-01"))
        (why,) = acme.why(row)
        assert row.status == "failed"
        assert "the batch could not be planned" in why.why
        assert "no rate" in why.why
        acme.clock.set(at("2026-06-01T00:00:00"))
        (again,) = acme.submit(acme.order("shop-01", order_id=UUID(int=3)))
        assert again.status == "delivered"


def test_a_clock_that_was_set_back_is_named_and_nothing_is_metered(acme: Any) -> None:
    from dataclasses import replace

    from tierwise.clock import SteppedClock

    acme.deliver("shop-01")
    acme.clock.advance(2 * HOUR)
    meter(acme.app)
    files = interval_store(acme.app).files()
    early = replace(acme.app, clock=SteppedClock(acme.clock.now() - HOUR))
    with pytest.raises(TierwiseError, match=r"but the clock says 2026-09-30T23:00:00.*set the clock right"):
        meter(early)
    assert interval_store(acme.app).files() == files


def test_a_clock_that_was_set_back_by_seconds_is_waited_for_and_the_bill_is_the_same(acme: Any) -> None:
    from dataclasses import replace

    from tierwise.clock import SteppedClock

    acme.deliver("shop-01")
    acme.clock.advance(2 * HOUR)
    meter(acme.app)
    before, files = bill(acme.app, "2026-10").rows, interval_store(acme.app).files()
    early = replace(acme.app, clock=SteppedClock(acme.clock.now() - timedelta(seconds=40)))
    assert meter(early) == 0
    assert interval_store(acme.app).files() == files
    bill(early, "2026-09")
    assert bill(acme.app, "2026-10").rows == before
    acme.clock.advance(HOUR)
    meter(acme.app)
    (quantity,) = {row["hours"] for row in bill(acme.app, "2026-10").rows if row["metric"] == "vcpu"}
    assert quantity == "3"


def test_a_clock_that_was_set_back_does_not_end_a_machine_before_it_began(acme: Any) -> None:
    from dataclasses import replace

    from tierwise.clock import SteppedClock
    from tierwise.jobs import changes

    row = acme.deliver("shop-01")
    early = replace(acme.app, clock=SteppedClock(acme.clock.now() - HOUR))
    with acme.app.session() as session:
        changes.record_deleted(session, early, "gone", row.id)
        session.commit()
    acme.clock.advance(HOUR)
    assert meter(acme.app) == 0, "it lived for no second, and no other machine's bill is stopped by it"


def test_no_amount_passes_through_floating_point(acme: Any) -> None:
    live_a_month(acme)
    acme.clock.set(at("2026-11-02T00:00:00"))
    with decimal.localcontext() as context:
        context.traps[decimal.FloatOperation] = True
        rows = bill(acme.app, "2026-10").rows
    assert rows
    assert not any(isinstance(value, float) for row in rows for value in row.values())
