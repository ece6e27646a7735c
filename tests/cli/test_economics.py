"""``tierwise economics`` on the examples and on wrong documents."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chargeback.rate_cards import load_rate_cards
from tierwise.cli.economics import app
from tierwise.errors import InvalidInput

ACME = Path(__file__).parents[2] / "examples" / "acme" / "economics.yaml"
TIERS = ("tier-1", "tier-2", "tier-3")


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def rows(*arguments: object) -> list[dict[str, Any]]:
    found = run(*arguments, "-o", "json")
    assert found.exit_code == 0, found.output
    known: list[dict[str, Any]] = json.loads(found.stdout)
    return known


def test_show_lists_every_value_and_of_a_day_the_one_that_holds() -> None:
    prices = {
        row["figure"]: row["value"] for row in rows("show", ACME) if "fra*.price_per_kwh" in row["figure"]
    }
    assert prices == {"sites.fra*.price_per_kwh": "0.24", "sites.fra*.price_per_kwh.changes.0": "0.27"}
    (price,) = (
        row for row in rows("show", ACME, "--day", "2027-02-01") if "fra*.price_per_kwh" in row["figure"]
    )
    assert (price["value"], price["evidence"], price["source"]) == ("0.27", "contract", "tariff 2027")


def test_check_names_assumptions_and_old_prices() -> None:
    found = {row["subject"]: row["finding"] for row in rows("check", ACME, "--day", "2026-12-01")}
    assert found["labour.machines_per_admin"] == "assumption: put your own here"
    assert "host_types.vsphere-2022.purchase_price" not in found, "an invoice does not grow old"
    found = {row["subject"]: row["finding"] for row in rows("check", ACME, "--day", "2029-12-01")}
    assert found["host_types.any.purchase_price"] == "of 2026-09-15: does it still hold?"


def test_rates_recover_each_tiers_cost_to_the_cent() -> None:
    found = rows("rates", ACME, "--start", "2026-12-01")
    for tier in TIERS:
        of_tier = [row for row in found if row["tier"] == tier]
        assert of_tier[-1]["resource"] == "unrecovered"
        assert sum(row["cost_minor"] for row in of_tier) == sum(row["recovered_minor"] for row in of_tier)


def test_the_hypervisors_licences_are_in_the_rates() -> None:
    # 8 hosts of 32 cores: 512 packs are paid at 150 until March whatever runs, then 256 at 210
    licences = 512 * 150 * 3 // 12 + 256 * 210 * 9 // 12
    first = rows("rates", ACME, "--start", "2026-12-01")[0]
    traced = [
        row for row in rows("rates", ACME, "--start", "2026-12-01", "--trace") if row["tier"] == "tier-1"
    ]
    terms = {term: sum(row["micros"] for row in traced if row["term"] == term) for term in ("hardware", "maintenance", "power", "space", "network")}  # fmt: skip
    halves = sum(terms[term] for term in ("hardware", "maintenance", "space", "network")) // 2
    vcpu = halves + terms["power"] * 70 // 100 + licences * 10**6
    assert first["resource"] == "vcpu"
    assert abs(first["cost_minor"] - round(vcpu / 10**4)) <= 1, (
        "the cents of a tier add up by largest remainder"
    )


FLEET = """
format: tierwise-economics/1
currency: EUR
host_types: {any: {purchase_price: 4800, depreciation_months: 48, bought_on: 2026-01-01}}
sites: {fra: {region: DE}, nyc: {region: US}}
tiers:
  tier-1: {target_utilisation_percent: {vcpu: 50}, split: {hardware: {vcpu: 1}, licences: {vcpu: 1}}}
fleet:
  a: {tier: tier-1, pool: p, site: fra, hypervisor: xen, model: X, hosts: 4, cores: 16, memory_mib: 4194304, machines: 1, used: {vcpu: 8}}
  b: {tier: tier-1, pool: q, site: nyc, hypervisor: xen, model: Y, hosts: 1, cores: 8, memory_mib: 1048576, raw_storage_gib: 300}
licences:
  suite:
    layer: hypervisor
    match: {hypervisors: [xen]}
    alternatives: [{name: s, METRIC, prices: [{amount: PRICE, period: month}]}]
"""


@pytest.mark.parametrize(
    ("metric", "price", "paid"),
    [
        ("metric: per_core", "10", 64 * 10 + 8 * 10),
        ("metric: per_core", "{value: 10, changes: [{value: 11, region: US}]}", 64 * 10 + 8 * 11),
        # Both sites are one order: its minimum, what is owned of it, and people count once.
        ("metric: per_core, order_minimum: 100", "10", 1000),
        # At two prices, too; what is missing costs the lower one.
        (
            "metric: per_core, order_minimum: 100",
            "{value: 10, changes: [{value: 11, region: US}]}",
            92 * 10 + 8 * 11,
        ),
        ("metric: per_core, owned: [{packs: 60, until: 2030-01-01}]", "10", 720),
        ("metric: per_principal, principals: 40", "10", 400),
        # 4 TiB on each host of a: two units of 3 TiB.
        ("metric: per_coverage_unit, unit_covers: {memory_gib: 3072}", "10", 4 * 20 + 10),
        ("metric: per_core, core_factor_thousandths: {X: 500, Y: 1000}", "10", 320 + 80),
    ],
)
def test_licences_of_a_fleet_at_two_sites_are_counted_as_by_hand(
    tmp_path: Path, metric: str, price: str, paid: int
) -> None:
    (tmp_path / "e.yaml").write_text(FLEET.replace("METRIC", metric).replace("PRICE", price))
    traced = rows("rates", tmp_path / "e.yaml", "--start", "2026-10-01", "--months", 1, "--trace")
    assert sum(row["micros"] for row in traced if row["term"] == "licences") == paid * 10**6


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (
            "metric: per_amount, amount: raw_storage_gib",
            "'s' counts raw_storage_gib of hosts, and fleet.a does not say",
        ),
        (
            "metric: per_core, core_factor_thousandths: {X: 500}",
            "'s' has no factor of the model 'Y' of fleet.b; add it",
        ),
    ],
)
def test_what_a_fleet_does_not_say_of_its_hosts_is_told(tmp_path: Path, metric: str, said: str) -> None:
    (tmp_path / "e.yaml").write_text(FLEET.replace("METRIC", metric).replace("PRICE", "10"))
    found = run("rates", tmp_path / "e.yaml", "--start", "2026-10-01")
    assert isinstance(found.exception, InvalidInput)
    assert said in str(found.exception)


@pytest.mark.parametrize(
    ("used", "said"),
    [
        # 500 of hosts over 72 vCPU at half of them: use of 8 is 8/36 of 500, of 72 twice 500.
        (8, "tier-1: use does not recover EUR 388.89 of EUR 500.00"),
        (
            72,
            "tier-1: use recovers EUR 500.00 more than the EUR 500.00 that the tier costs, so that unrecovered is below zero",
        ),
    ],
)
def test_what_use_recovers_is_told_in_words(tmp_path: Path, used: int, said: str) -> None:
    text = FLEET.partition("licences:\n  suite")[0].replace("used: {vcpu: 8}", f"used: {{vcpu: {used}}}")
    (tmp_path / "e.yaml").write_text(text)
    found = run("rates", tmp_path / "e.yaml", "--start", "2026-10-01", "--months", 1, "--decimals", 9)
    assert said in found.stderr


def test_the_rates_are_a_card_that_is_read() -> None:
    found = run("rates", ACME, "--start", "2026-12-01", "--card", "proposed")
    (card,) = load_rate_cards({"rates.yaml": found.stdout}, TIERS)
    assert (card.name, card.currency, len(card.rates)) == ("proposed", "EUR", 12)


def test_licences_are_shown_piece_by_piece() -> None:
    found = rows("licences", ACME, "--start", "2026-12-01")
    suite = [
        (x["from"], x["months"], x["owned_packs"], x["pack_cost"], x["sunk"])
        for x in found
        if x["product"] == "hypervisor-suite"
    ]
    assert suite == [
        ("2026-12-01", 3, 512, "EUR 37.50", "EUR 19,200.00"),
        ("2027-03-01", 9, 0, "EUR 157.50", "EUR 0.00"),
    ]
    assert "--region" in run("licences", "--help").stdout


def test_the_defaults_are_printed_and_are_a_document_that_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(run("defaults").stdout)
    assert rows("check", file)
    assert json.loads(run("schema").stdout)["title"] == "tierwise economics"


def test_lines_have_their_figures_with_places() -> None:
    found = list(csv.DictReader(io.StringIO(run("rates", ACME, "--trace", "-o", "csv").stdout)))
    power = next(row for row in found if row["term"] == "power")
    assert "sites.fra*.price_per_kwh" in power["figures"]
    assert "data centre's report 2025" in power["sources"]


@pytest.mark.parametrize(
    ("text", "said", "details"),
    [
        ("currency: EUR", "1 problem; nothing was loaded", ["format: is required and missing"]),
        ("format: tierwise-economics/1\ncurrency: EUR\nlabour: {cost_per_hour: x}\nzoo: {}", "2 problems", ["e.yaml:3:25: labour.cost_per_hour", "zoo: unknown section"]),
        ("\0", "1 problem", ["cannot stand in YAML"]),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_told_at_once(
    tmp_path: Path, text: str, said: str, details: list[str]
) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(text)
    error = run("check", file).exception
    assert isinstance(error, InvalidInput)
    assert said in str(error)
    for detail, expected in zip(error.details, details, strict=True):
        assert expected in detail


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tiers: {tier-1: {}}", "fleet: nothing stands in any tier; describe what does"),
        ("tiers: {tier-1: {}}\nfleet: {a: {tier: tier-1, pool: p, hypervisor: xen, hosts: 1, cores: 4, memory_mib: 9}}", "host_types: none fits"),
    ],
)  # fmt: skip
def test_rates_say_what_the_document_lacks(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(f"format: tierwise-economics/1\ncurrency: EUR\n{text}")
    error = run("rates", file).exception
    assert isinstance(error, InvalidInput)
    assert said in str(error)


@pytest.mark.parametrize(
    "command",
    [
        ("licences", "--start", "9000-12-31"),
        ("rates", "--start", "9001-01-01"),
        ("rates", "--month", "9999-12"),
    ],
)
def test_a_time_beyond_the_calendar_is_refused_and_the_last_one_before_is_not(
    command: tuple[str, ...],
) -> None:
    ended = run(command[0], ACME, *command[1:], *(("--months", "120") if "--start" in command else ()))
    if command[2] == "9000-12-31":
        assert ended.exit_code == 0
    else:
        assert isinstance(ended.exception, InvalidInput)
        assert "is after 9000-12-31, the last day that can be planned from" in str(ended.exception)


def test_files_that_are_none_are_told(tmp_path: Path) -> None:
    assert "cannot be read" in str(run("show", tmp_path / "none.yaml").exception)
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9")
    assert "not UTF-8 text (byte 10)" in str(run("show", tmp_path / "latin.yaml").exception)


def test_a_planners_document_beside_the_catalog_is_not_read_as_one() -> None:
    from tierwise.documents import load, read_texts

    assert not [name for name in read_texts(ACME.parent) if name.endswith("economics.yaml")]
    assert load(ACME.parent).catalog.tiers
