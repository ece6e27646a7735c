"""Pool cost documents: what they mean, and every mistake at once with its place."""

from pathlib import Path

import pytest

from catalog.documents import DocumentError
from chargeback.instants import instant, zone
from chargeback.shared_costs.costs import By, Charged
from chargeback.shared_costs.documents import Known, SharedCosts, load_shared_costs
from chargeback.shared_costs.sharing import Among
from chargeback.usage import Metric

KNOWN = Known(["p", "q"], ["tier-1"], ["fra"], ["shop", "bank"])
ROOT = Path(__file__).parents[3]

GOOD = """
pool_costs:
  lease:
    pool: p
    currency: EUR
    per_month: 1180.50
    split: {vcpu: 0.5, memory_mib: 35}
    share: custom
    idle: use
    custom: {shop: 3, bank: 1}
    charge: idle
    time_zone: Europe/Berlin
    valid_from: 2026-01-01
    recorded_at: 2025-11-28T10:00:00
    source: lease 4711
shared_tenants:
  bank: {by: even}
"""


def load(text: str) -> SharedCosts:
    return load_shared_costs({"costs.yaml": text}, KNOWN)


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_cost_is_read_exactly_and_its_times_by_its_own_clocks() -> None:
    found = load(GOOD)
    (cost,) = found.costs
    assert cost.month_nanos == 1_180_500_000_000
    assert dict(cost.split) == {Metric.VCPU: 500_000_000, Metric.MEMORY_MIB: 35_000_000_000}
    assert (cost.share, cost.idle, cost.charge) == (By.CUSTOM, By.USE, Charged.IDLE)
    assert cost.valid_from == instant("2026-01-01", zone("Europe/Berlin"))
    assert [(t.tenant, t.by) for t in found.tenants] == [("bank", Among.EVEN)]


def test_a_document_without_these_sections_has_no_costs() -> None:
    assert load("rules: {}") == SharedCosts()


def test_all_mistakes_of_a_file_are_reported_at_once_with_their_lines() -> None:
    found = problems(
        GOOD.replace("pool: p", "pool: x\n    site: fra")
        .replace("1180.50", "-3")
        .replace("bank: 1", "zoo: 1")
        .replace("bank: {by: even}", "bank: {by: custom, custom: {bank: 1}}")
    )
    assert len(found) == 2, "what is no amount hides the rest of its entry, and no other entry"
    assert "costs.yaml:7:" in found[0]
    assert "must be from 0 to a million million a month: -3" in found[0]
    assert "a shared tenant cannot bear its own cost; remove it" in found[1]
    found = problems(GOOD.replace("pool: p", "pool: x\n    site: fra").replace("bank: 1", "zoo: 1"))
    expected = (
        "must be of exactly one of pool, tier and site; it names pool and site",
        "there is no pool 'x'; known are p, q",
        "there is no tenant 'zoo'; known are bank, shop",
    )
    assert len(found) == len(expected)
    for problem, said in zip(found, expected, strict=True):
        assert said.split(";")[0] in problem


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    share: custom\n", "", "'custom' is read only where share or idle is custom"),
        ("    custom: {shop: 3, bank: 1}\n", "", "a custom share needs 'custom'"),
        ("    pool: p\n", "", "must be of exactly one of pool, tier and site; it names none"),
        ("vcpu: 0.5", "vcpu: 0", "must be above zero: 0; leave out what has no share"),
        ("2026-01-01", "2026-10-25T02:30:00", "happens twice in Europe/Berlin"),
        ("2026-01-01", "2026-01-01\n    valid_to: 2025-01-01", "must be after valid_from"),
        ("source: lease 4711", "source: lease 4711\n    replaces: [old]", "there is no pool cost of that name"),
        ("bank: {by: even}", "zoo: {by: even}", "there is no tenant 'zoo'"),
        ("bank: {by: even}", "bank: {by: weight}", "by"),
        (
            "bank: {by: even}",
            "bank: {by: even}\n  shop: {by: custom, custom: {bank: 1}}",
            "'bank' is a shared tenant too and bears nothing; name others",
        ),
        ("bank: {by: even}", "bank: {custom: {shop: 1}}", "custom"),
    ],
)  # fmt: skip
def test_each_mistake_is_named(old: str, new: str, said: str) -> None:
    assert old in GOOD
    assert any(said in problem for problem in problems(GOOD.replace(old, new)))


def test_a_cost_may_replace_only_an_older_one_of_the_same_place_and_currency() -> None:
    second = (
        GOOD.split("shared_tenants", maxsplit=1)[0].replace("pool_costs:\n", "").replace("lease:", "newer:")
    )
    second = second.replace("source: lease 4711", "source: new\n    replaces: [lease]")
    both = GOOD.replace("shared_tenants:", second.strip("\n") + "\nshared_tenants:")
    assert "which was not recorded before it" in problems(both)[0]
    later = second.replace("2025-11-28", "2025-11-29")
    assert len(load(both.replace(second.strip("\n"), later.strip("\n"))).costs) == 2
    elsewhere = later.replace("pool: p", "pool: q")
    assert "which is of pool p" in problems(both.replace(second.strip("\n"), elsewhere.strip("\n")))[0]
    other = later.replace("EUR", "USD")
    assert "is in EUR, but 'newer'" in problems(both.replace(second.strip("\n"), other.strip("\n")))[0]


def test_the_same_name_in_two_files_is_refused() -> None:
    with pytest.raises(DocumentError, match="stands in two files"):
        load_shared_costs({"a.yaml": GOOD, "b.yaml": GOOD}, KNOWN)


RATES = """
cost_fx:
  dollars:
    {from_currency: USD, to_currency: EUR, time_zone: Europe/Berlin, recorded_at: 2026-11-02T09:00:00,
     rates: [{day: 2026-10-30, rate: 0.9223, source: ECB},
       {day: 2026-10-30, rate: 0.9, source: ECB, recorded_at: 2026-11-03T09:00:00Z}]}
"""


def test_exchange_rates_of_costs_have_the_moment_of_their_entry_or_their_own() -> None:
    (fx,) = load(RATES).fx
    assert [rate.rate for rate in fx.rates] == [922_300_000, 900_000_000]
    assert fx.rates[0].recorded_at == instant("2026-11-02T08:00:00Z", zone("UTC"))
    assert fx.rates[1].recorded_at == instant("2026-11-03T09:00:00Z", zone("UTC"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("to_currency: EUR", "to_currency: USD", "are both USD; costs in it need no rate"),
        (", recorded_at: 2026-11-03T09:00:00Z", "", "two rates of 2026-10-30 are recorded at the same time"),
        ("rate: 0.9223", "rate: -1", "must be above 0"),
        ("rate: 0.9223", "rate: 1e2", "plain decimal"),
        ("day: 2026-10-30, rate: 0.9223", "day: 2026-02-30, rate: 0.9223", "day"),
        ("recorded_at: 2026-11-02T09:00:00", "recorded_at: 2026-10-25T02:30:00", "happens twice in Europe/Berlin"),
        ("time_zone: Europe/Berlin", "time_zone: Berlin", "is no time zone"),
        ("cost_fx:\n", ("cost_fx:\n  more: {from_currency: USD, to_currency: EUR, time_zone: UTC, recorded_at: 2026-01-01, "
         "rates: [{day: 2026-01-01, rate: 1, source: x}]}\n"), "'more' leads from USD to EUR already; put the rates there"),
    ],
)  # fmt: skip
def test_each_mistake_of_exchange_rates_is_named(old: str, new: str, said: str) -> None:
    assert old in RATES
    assert any(said in problem for problem in problems(RATES.replace(old, new))), problems(
        RATES.replace(old, new)
    )
