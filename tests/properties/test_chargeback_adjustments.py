"""What must hold for any agreements about any lines: amounts add up, order does not matter, late facts do."""

from collections import defaultdict
from fractions import Fraction
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargeback.adjustment import Show, Term
from chargeback.adjustment_explained import explain_adjustment, recompute_adjustment
from chargeback.adjustments import kinds
from chargeback.charges import Charge
from chargeback.fx import Billing
from chargeback.money import Rounding
from chargeback.periods import BillingPeriod
from chargeback.rates import Rate, RateCard
from chargeback.statements import Statement, corrections, statements, with_corrections
from chargeback.terms import Terms

PERIODS = tuple(BillingPeriod.parse(f"2026-{month}", "UTC") for month in ("09", "10", "11"))
LAST = PERIODS[-1]
TENANTS, CENTRES, TIERS = ("shop", "bank"), ("cc-1", "cc-2"), ("tier-1", "tier-2")
OFTEN = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

RATES = tuple(
    Rate.model_validate(
        {
            "id": f"{tier}-{i}", "tier": tier, "metric": "machine", "unit": "machine-hour",
            "rate_nanos": price, "valid_from": i * 1000, "valid_to": (i + 1) * 1000, "recorded_at": 0,
        }
    )
    for tier, prices in zip(TIERS, ((3, 10**7), (12_345_678, 333_333_333)), strict=True)
    for i, price in enumerate(prices)
)  # fmt: skip


def card(rounding: Rounding) -> RateCard:
    return RateCard.model_validate(
        {
            "name": "any", "version": 1, "currency": "EUR", "minor_digits": 2, "time_zone": "UTC",
            "rounding": rounding, "rates": RATES,
        }
    )  # fmt: skip


@st.composite
def charges(draw: Any, size: int = 14) -> list[Charge]:
    """Charges of a few machines, some taken back; each has its own identity, as rating gives them."""
    found = {}
    for _ in range(draw(st.integers(0, size))):
        rate = draw(st.sampled_from(RATES))
        period = draw(st.sampled_from(PERIODS))
        machine = draw(st.sampled_from(["a", "b", "c"]))
        tenant, centre = draw(st.sampled_from(TENANTS)), draw(st.sampled_from(CENTRES))
        labels = draw(st.sampled_from(["", "os=linux", "os=windows"]))
        quantity = draw(st.integers(1, 10**7)) * draw(st.sampled_from([1, 1, 1, 1, -1]))
        key = (period.name, tenant, centre, machine, rate.id, labels)
        found[key] = Charge(
            period, tenant, centre, rate.tier, machine, rate, quantity, abs(quantity), period.t_from,
            period.t_to, "pool", labels,
        )  # fmt: skip
    return list(found.values())


def money(most: int = 50_000) -> st.SearchStrategy[str]:
    return st.integers(1, most).map(lambda cents: f"{cents // 100}.{cents % 100:02d}")


@st.composite
def a_term(draw: Any, name: str) -> Term:
    kind = draw(st.sampled_from(sorted(kinds())))
    percent = draw(st.integers(0, 1000)) / Fraction(10)
    amount = {"amount": draw(money()), "currency": "EUR"}
    body: dict[str, Any] = {
        "percentage_discount": {"percent": str(float(percent))},
        "tag_factor": {"percent": draw(st.integers(-100, 200))},
        "allowance": draw(
            st.sampled_from([amount, {"quantity": draw(st.integers(1, 4000)), "unit": "machine-hour"}])
        ),
        "commitment": amount
        | {"overage_factor": draw(st.sampled_from(["0", "0.7", "1.35"])), "cost_centre": "cc-9"},
        "minimum": amount | {"cost_centre": "cc-9"},
    }.get(kind, amount)
    if kind == "percentage_discount" and draw(st.booleans()):
        edges = sorted(draw(st.sets(st.integers(0, 300), min_size=1, max_size=3)))
        steps = [{"from_amount": edge, "percent": draw(st.integers(0, 100))} for edge in edges]
        body = {"steps": steps, "currency": "EUR", "mode": draw(st.sampled_from(["whole", "graduated"]))}
    selector: dict[str, Any] = {}
    if kind in {"minimum", "commitment"} or draw(st.booleans()):
        selector["tenants"] = draw(st.lists(st.sampled_from(TENANTS), min_size=1, max_size=2, unique=True))
    if draw(st.booleans()):
        selector |= draw(
            st.sampled_from([{"tiers": ["tier-1"]}, {"cost_centres": ["cc-2"]}, {"rates": ["tier-2-1"]}])
        )
    if kind == "tag_factor":
        selector["labels"] = {"os": "windows"}
    if "quantity" in body:
        selector["metrics"] = ["machine"]
    head = {
        "name": name, "kind": kind, "applies_to": selector, "show": draw(st.sampled_from(Show)),
        "order": draw(st.integers(0, 2)), "recorded_at": draw(st.sampled_from([0, LAST.t_to])),
        "valid_from": draw(st.sampled_from(["2026-08", "2026-10"])),
        "valid_to": draw(st.sampled_from([None, "2026-11"])),
    }  # fmt: skip
    return kinds()[kind].model_validate(head | body)


@st.composite
def agreements(draw: Any) -> Terms:
    count = draw(st.integers(1, 5))
    return Terms(adjustments=tuple(draw(a_term(f"t-{i}")) for i in range(count)))


roundings = st.sampled_from(Rounding)


def made(rows: list[Charge], by: RateCard, terms: Terms, known_at: int = LAST.t_to) -> list[Statement]:
    return statements(rows, by, terms, known_at=known_at, periods=PERIODS)


@given(charges(), agreements(), roundings)
@OFTEN
def test_every_adjustment_adds_up_to_its_whole_amount_and_leaves_the_lines_as_they_are(
    rows: list[Charge], terms: Terms, rounding: Rounding
) -> None:
    by = card(rounding)
    plain = {line.id: line for statement in statements(rows, by) for line in statement.lines}
    for statement in made(rows, by, terms):
        assert all(plain[line.id] == line for line in statement.lines)
        parts: dict[str, int] = defaultdict(int)
        for adjustment in statement.adjustments:
            parts[adjustment.term.name] += adjustment.amount_minor
        wholes = {adjustment.term.name: adjustment.whole_minor for adjustment in statement.adjustments}
        assert parts == wholes
        assert len({item.id for item in statement.items}) == len(statement.items)
        for adjustment in statement.adjustments:
            assert recompute_adjustment(explain_adjustment(adjustment)) == adjustment.amount_minor


@given(charges(), agreements(), roundings)
@OFTEN
def test_rows_add_up_to_the_statements_whatever_they_are_grouped_by(
    rows: list[Charge], terms: Terms, rounding: Rounding
) -> None:
    found = made(rows, card(rounding), terms)
    total = sum(statement.total_minor for statement in found)
    printed = [row for statement in found for row in statement.rows()]
    for column in ("tenant", "cost_centre", "tier", "machine", "labels", "charge_category", "rate_id"):
        groups: dict[Any, int] = defaultdict(int)
        for row in printed:
            groups[row[column]] += int(row["amount_minor"])
        assert sum(groups.values()) == total


@given(charges(), agreements(), roundings, st.randoms(use_true_random=False))
@OFTEN
def test_the_order_of_charges_and_of_terms_in_documents_changes_no_amount(
    rows: list[Charge], terms: Terms, rounding: Rounding, chance: Random
) -> None:
    by = card(rounding)
    shuffled, turned = list(rows), list(terms.adjustments)
    chance.shuffle(shuffled)
    chance.shuffle(turned)
    one, other = made(rows, by, terms), made(shuffled, by, Terms(adjustments=tuple(turned)))
    assert [s.adjustments for s in one] == [s.adjustments for s in other]
    assert [s.total_minor for s in one] == [s.total_minor for s in other]


@given(charges(), charges(4), agreements(), roundings)
@OFTEN
def test_what_was_closed_and_its_corrections_are_the_full_recompute(
    rows: list[Charge], late: list[Charge], terms: Terms, rounding: Rounding
) -> None:
    by = card(rounding)
    replaced = {
        (c.period, c.tenant, c.cost_centre, c.machine, c.rate.id, c.labels): c for c in (*rows, *late)
    }
    closed, now = made(rows, by, terms), made(list(replaced.values()), by, terms, LAST.t_to + 10)
    found = corrections(closed, now)
    for statement in with_corrections([], found, LAST.next, by, terms):
        tenant = statement.tenant
        before, after = (sum(s.total_minor for s in side if s.tenant == tenant) for side in (closed, now))
        assert before + statement.total_minor == after
    items = {item.id: item.amount_minor for statement in closed for item in statement.items}
    for correction in found:
        items[correction.corrects] = items.get(correction.corrects, 0) + correction.amount_minor
    expected = {item.id: item.amount_minor for statement in now for item in statement.items}
    assert {key: cents for key, cents in items.items() if cents} == {k: c for k, c in expected.items() if c}


@given(charges(), agreements())
@OFTEN
def test_no_month_costs_less_than_nothing_where_nothing_was_taken_back(
    rows: list[Charge], terms: Terms
) -> None:
    for statement in made([row for row in rows if row.quantity_seconds > 0], card(Rounding.HALF_UP), terms):
        assert statement.total_minor >= 0


@given(charges(), st.lists(st.integers(1, 20_000), min_size=1, max_size=3))
@OFTEN
def test_credits_never_pay_more_than_they_are_and_pay_all_they_can(
    rows: list[Charge], granted: list[int]
) -> None:
    """Against a purse that is emptied month by month."""
    by = card(Rounding.HALF_UP)
    terms = Terms(
        adjustments=tuple(
            kinds()["credit"].model_validate(
                {
                    "name": f"c-{i}", "kind": "credit", "amount": f"{cents // 100}.{cents % 100:02d}",
                    "currency": "EUR", "valid_from": "2026-09", "recorded_at": 0,
                }
            )
            for i, cents in enumerate(granted)
        )
    )  # fmt: skip
    purses = dict.fromkeys(TENANTS, sum(granted))
    for statement in made(rows, by, terms):
        gross = sum(line.amount_minor for line in statement.lines)
        paid = min(max(gross, 0), purses[statement.tenant])
        purses[statement.tenant] -= paid
        assert statement.total_minor == gross - paid


@given(charges(), st.integers(1, 3 * 10**9), st.integers(0, 3), roundings)
@OFTEN
def test_each_converted_line_is_its_exact_amount_times_the_rate_to_half_a_unit(
    rows: list[Charge], rate_nanos: int, digits: int, rounding: Rounding
) -> None:
    text = f"{rate_nanos // 10**9}.{rate_nanos % 10**9:09d}"
    days = [f"2026-{month:02d}-01" for month in (9, 10, 11)]
    fx = Billing.model_validate(
        {
            "name": "x", "from_currency": "EUR", "to_currency": "XXX", "minor_digits": digits,
            "tenants": ["shop"], "use_rate_of": "period-start",
            "rates": [{"day": day, "rate": text, "source": "test", "recorded_at": 0} for day in days],
        }
    )  # fmt: skip
    for statement in made(rows, card(rounding), Terms(fx=(fx,))):
        for line in statement.lines:
            nanos = Fraction(line.charge.rate.rate_nanos * line.charge.quantity_seconds, 3600)
            worth = Fraction(rate_nanos, 10**9) if statement.tenant == "shop" else Fraction(1)
            exact = nanos * worth / 10**9 * 10 ** (digits if statement.tenant == "shop" else 2)
            assert abs(line.amount_minor - exact) <= Fraction(1, 2)
