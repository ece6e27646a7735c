import textwrap
from collections.abc import Callable

import pytest

from catalog.documents import DocumentError
from chargeback.instants import utc_text
from chargeback.rate_cards import RateCard, load_rate_cards
from chargeback.rates import PowerRule
from chargeback.usage import MEASURED, Metric

TIERS = ("tier-1", "tier-2", "tier-3")
HEAD = """\
rate_cards:
  test:
    version: 1
    currency: EUR
    minor_digits: 2
    time_zone: Europe/Berlin
    recorded_at: 2025-12-01T09:00:00
    rates:
"""


def problems_of(*rates: str, head: str = HEAD) -> list[str]:
    text = head + "".join(f"      - {{{rate}}}\n" for rate in rates)
    with pytest.raises(DocumentError) as caught:
        load_rate_cards({"rates.yaml": text}, TIERS)
    return [str(problem) for problem in caught.value.problems]


def vcpu(more: str = "", name: str = "a", price: str = "0.01", start: str = "2026-01-01") -> str:
    return (
        f"id: {name}, tier: tier-1, metric: vcpu, unit: vcpu-hour, price: {price}, valid_from: {start}"
        + (f", {more}" if more else "")
    )


def test_the_example_card_loads_with_tier_1_the_dearest_for_every_metric(acme: RateCard) -> None:
    assert (acme.label, acme.currency, acme.time_zone) == ("acme-eur v2", "EUR", "Europe/Berlin")
    dearest = {}
    for rate in acme.rates:
        dearest.setdefault(rate.metric, {}).setdefault(rate.tier, rate.rate_nanos)
    assert set(dearest) == set(Metric) - MEASURED
    for prices in dearest.values():
        assert prices["tier-1"] > prices["tier-2"] > prices["tier-3"] > 0


def test_a_replacing_rate_takes_over_at_its_own_valid_from_and_only_once_it_is_known(
    acme: RateCard, at: Callable[[str], int]
) -> None:
    def in_force(known_at: str) -> list[tuple[str, str, str]]:
        found = acme.segments(at("2026-09-01"), at("2026-11-01"), at(known_at))
        return [
            (s.rate.id, utc_text(s.t_from), utc_text(s.t_to))
            for s in found
            if (s.rate.tier, s.rate.metric) == ("tier-1", "vcpu")
        ]

    assert in_force("2026-10-01") == [
        ("vcpu-tier-1", "2026-09-01T00:00:00Z", "2026-09-30T22:00:00Z"),
        ("vcpu-tier-1-2026-10", "2026-09-30T22:00:00Z", "2026-11-01T00:00:00Z"),
    ]
    assert in_force("2026-09-01") == [("vcpu-tier-1", "2026-09-01T00:00:00Z", "2026-11-01T00:00:00Z")]


def test_a_replacement_for_a_while_gives_the_time_after_it_back(
    card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    card = card_of(
        vcpu(),
        vcpu("valid_to: 2026-03-01, recorded_at: 2026-01-15T00:00:00Z, replaces: [a]", "b", "0.02", "2026-02-01"),
        vcpu("valid_to: 2026-03-01, recorded_at: 2026-01-20T00:00:00Z, replaces: [b]", "c", "0.03", "2026-02-10"),
    )  # fmt: skip
    segments = card.segments(at("2026-01-01"), at("2026-04-01"))
    assert [(s.rate.id, s.seconds // 86400) for s in segments] == [
        ("a", 31),
        ("b", 9),
        ("c", 19),
        ("a", 31),
    ]


def test_what_replaces_a_replacement_also_stands_for_what_that_replaced(
    card_of: Callable[..., RateCard], at: Callable[[str], int]
) -> None:
    card = card_of(
        vcpu(),
        vcpu("valid_to: 2026-02-10, recorded_at: 2026-01-15T00:00:00Z, replaces: [a]", "b", "0.02", "2026-02-01"),
        vcpu("valid_to: 2026-03-01, recorded_at: 2026-01-20T00:00:00Z, replaces: [b]", "c", "0.03", "2026-02-05"),
    )  # fmt: skip
    segments = card.segments(at("2026-01-01"), at("2026-04-01"))
    assert [(s.rate.id, s.seconds // 86400) for s in segments] == [
        ("a", 31),
        ("b", 4),
        ("c", 24),
        ("a", 31),
    ]


def test_prices_never_pass_through_a_binary_float(card_of: Callable[..., RateCard]) -> None:
    card = card_of(vcpu(price="0.1"), vcpu("valid_to: 2026-01-01", "b", "0.000000003", "2025-01-01"))
    assert [rate.rate_nanos for rate in card.rates] == [100_000_000, 3]
    assert card.rates[0].price_text == "0.1"


def test_every_mistake_is_reported_at_once_with_its_line() -> None:
    found = problems_of(
        vcpu(price="-0.01"),
        vcpu(name="b", price="0.0000000001"),
        vcpu(name="c").replace("tier-1", "tier-9"),
        vcpu(name="d").replace("vcpu-hour", "core-hour"),
        vcpu("valid_to: 2026-01-01", name="e"),
        vcpu(name="f", start="01.02.2026"),
        vcpu(name="g", start="2026-03-29T02:30:00"),
        vcpu("colour: red", name="h"),
        vcpu(name="i", price="1e-3"),
        vcpu(name="j").replace("metric: vcpu", "metric: gpu"),
        head=HEAD.replace("EUR", "Euro").replace("Europe/Berlin", "Europe/Atlantis"),
    )
    expected = [
        ("4", "currency", "a currency code of three capitals"),
        ("6", "time_zone", "use an IANA name"),
        ("9", "price", "must not be negative: -0.01"),
        ("10", "price", "10 decimals"),
        ("11", "tier", "there is no tier 'tier-9'; known are tier-1, tier-2, tier-3"),
        ("12", "unit", "vcpu is not priced per 'core-hour'; use vcpu with -hour"),
        ("13", "valid_to", "must be after valid_from"),
        ("14", "valid_from", "must be a date like 2026-10-01"),
        ("16", "colour", "unknown field"),
        ("17", "price", "plain decimal"),
        ("18", "metric", "vcpu"),
    ]
    for line, field, message in expected:
        assert [p for p in found if p.startswith(f"rates.yaml:{line}:") and field in p and message in p], (
            line, field, message, found,
        )  # fmt: skip
    assert len(found) == len(expected)


def test_a_time_that_the_cards_own_clock_skips_is_refused() -> None:
    (found,) = problems_of(vcpu(start="2026-03-29T02:30:00"))
    assert "does not exist in Europe/Berlin" in found


def test_all_that_is_wrong_with_one_rate_is_told_at_once() -> None:
    wrong = vcpu("currency: USD, colour: red", price="-1", start="2026-03-29T02:30:00")
    found = problems_of(wrong)
    for message in (
        "must not be negative",
        "unknown field",
        "does not exist in",
        "not the card's currency",
    ):
        assert [p for p in found if message in p], (message, found)
    assert len(found) == 4


def test_a_currency_that_there_is_not_is_refused() -> None:
    assert problems_of(vcpu(), head=HEAD.replace("EUR", "ERU")) == [
        "rates.yaml:4:15: rate_cards.test.currency: there is no currency 'ERU' in ISO 4217"
    ]


def test_two_rates_of_one_time_are_refused_and_say_from_when() -> None:
    (found,) = problems_of(vcpu("valid_to: 2026-07-01"), vcpu(name="b", start="2026-06-01"))
    assert found.startswith("rates.yaml:10:9:")
    assert "'b' overlaps 'a' from 2026-05-31T22:00:00Z (vcpu of tier-1)" in found
    assert "replaces: [a]" in found


def test_an_overlap_stays_one_if_the_replacement_names_another_rate() -> None:
    found = problems_of(
        vcpu("valid_to: 2026-02-01"),
        vcpu(name="b", start="2026-02-01"),
        vcpu("recorded_at: 2026-03-01T00:00:00Z, replaces: [a]", name="c", start="2026-01-15"),
    )
    assert ["'c' overlaps 'b'" in problem for problem in found] == [True]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("replaces: [z], recorded_at: 2026-03-01T00:00:00Z", "there is no rate of that id"),
        ("replaces: [m], recorded_at: 2026-03-01T00:00:00Z", "prices memory_mib of tier-1"),
        ("replaces: [a], recorded_at: 2025-03-01T00:00:00Z", "recorded_at must be later"),
    ],
)
def test_a_rate_can_only_replace_an_earlier_one_of_the_same_thing(more: str, message: str) -> None:
    memory = "id: m, tier: tier-1, metric: memory_mib, unit: GiB-hour, price: 1, valid_from: 2026-01-01"
    found = problems_of(vcpu("valid_to: 2027-01-01"), memory, vcpu(more, "b", start="2027-01-01"))
    assert [problem for problem in found if message in problem]


def test_a_hole_between_two_rates_is_a_problem_of_the_later_one() -> None:
    (found,) = problems_of(vcpu(name="b", start="2026-03-01"), vcpu("valid_to: 2026-02-01"))
    assert found.startswith("rates.yaml:9:9:")
    assert "no rate for vcpu from 2026-01-31T23:00:00Z to 2026-02-28T23:00:00Z" in found
    assert "price 0" in found


def test_a_metric_that_only_some_tiers_price_is_a_problem() -> None:
    (found,) = problems_of(
        vcpu(), "id: m, tier: tier-2, metric: machine, unit: machine-hour, price: 1, valid_from: 2026-01-01",
        vcpu(name="v2").replace("tier-1", "tier-2"),
    )  # fmt: skip
    assert "tier-1 has no rate for machine, which other tiers have" in found


def test_a_card_has_the_name_of_its_key() -> None:
    (found,) = problems_of(vcpu(), head=HEAD.replace("    version", "    name: other\n    version"))
    assert "the name of a card is its key, here 'test'" in found


def test_an_id_that_stands_twice_is_a_problem() -> None:
    (found,) = problems_of(vcpu("valid_to: 2026-02-01"), vcpu(start="2026-02-01"))
    assert "the id 'a' stands twice" in found


def test_a_rate_charges_stopped_machines_unless_it_says_powered_on(
    card_of: Callable[..., RateCard],
) -> None:
    assert card_of(vcpu()).rates[0].power is PowerRule.ALWAYS
    assert card_of(vcpu("power: powered-on")).rates[0].power is PowerRule.POWERED_ON
    for other in ("on", "off", "sometimes"):
        assert ["power" in problem for problem in problems_of(vcpu(f"power: {other}"))] == [True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate_cards: [1]", "must be a mapping from name to rate card"),
        ("rate_cards: {a: 1}", "must be a mapping"),
        ("rate_cards: {a: {rates: []}}", "must be a list with at least one rate"),
        ("rate_cards: {a: {rates: [7]}}", "rates.0"),
        ("rate_cards: [", "not readable as YAML"),
    ],
)
def test_what_is_no_card_at_all_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        load_rate_cards({"rates.yaml": text}, TIERS)


def test_one_name_in_two_files_is_a_problem_and_other_sections_are_left_alone() -> None:
    text = HEAD + f"      - {{{vcpu()}}}\n"
    assert load_rate_cards({"tiers.yaml": "tiers: {}", "empty.yaml": ""}, TIERS) == ()
    with pytest.raises(DocumentError, match=r"b\.yaml:2:3: .*stands in two files"):
        load_rate_cards({"a.yaml": text, "b.yaml": text + textwrap.dedent("tiers: {}")}, TIERS)
