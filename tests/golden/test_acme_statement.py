"""The October 2026 statements of a small company, as a file that a person can read and recompute.

October has 745 hours in Berlin, tier 1 got dearer on the 1st, and one fact comes late. After a
wanted change: `TIERWISE_WRITE_GOLDEN=1 pytest tests/golden`, then read the difference.
"""

import csv
import io
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import pytest

from catalog.resources import Resources
from chargeback.events import MachineEvent
from chargeback.instants import instant, zone
from chargeback.metering import intervals, reconcile
from chargeback.periods import BillingPeriod
from chargeback.rate_cards import RateCard, load_rate_cards
from chargeback.rating import Grain, rate
from chargeback.statements import COLUMNS, Statement, corrections, statements, with_corrections
from chargeback.usage import UsageInterval, to_table

HERE = Path(__file__).parent
BERLIN = zone("Europe/Berlin")
OCTOBER = BillingPeriod.parse("2026-10", "Europe/Berlin")


def fact(machine: str, sequence: int, kind: str, at: str, **fields: object) -> MachineEvent:
    moment = instant(at, BERLIN)
    body = {"machine": machine, "sequence": sequence, "kind": kind, "at": moment, "source": "orders"}
    return MachineEvent.model_validate(body | {"recorded_at": moment} | fields)


def born(machine: str, at: str, tenant: str, tier: str, size: tuple[int, int, int]) -> list[MachineEvent]:
    vcpu, memory_gib, disk_gib = size
    stamps = {"tenant": tenant, "cost_centre": f"cc-{tenant}", "tier": tier, "pool": f"pool-{tier}"}
    resources = Resources(vcpu=vcpu, memory_mib=memory_gib * 1024, disk_gib=disk_gib)
    return [
        fact(machine, 0, "created", at, resources=resources, **stamps),
        fact(machine, 1, "powered_on", at),
    ]


FACTS = [
    # The whole month, and resized on the 18th at 04:00: 96 GiB x 413 h + 128 GiB x 332 h.
    *born("sap-04", "2026-06-01", "payroll", "tier-1", (8, 96, 500)),
    fact("sap-04", 2, "resized", "2026-10-18T04:00:00",
         resources=Resources(vcpu=8, memory_mib=128 * 1024, disk_gib=500)),
    # Moved from tier 1 to tier 2 in the middle of the month.
    *born("web-17", "2026-10-05T08:00:00", "webshop", "tier-1", (2, 4, 50)),
    fact("web-17", 2, "moved", "2026-10-15", tier="tier-2", pool="pool-tier-2"),
    # Off over the night of the clock change, and deleted on the 26th.
    *born("test-3", "2026-10-20T09:30:15", "webshop", "tier-3", (4, 8, 20)),
    fact("test-3", 2, "powered_off", "2026-10-24T18:00:00"),
    fact("test-3", 3, "powered_on", "2026-10-25T08:00:00"),
    fact("test-3", 4, "deleted", "2026-10-26T12:00:00"),
]  # fmt: skip
LATE = fact("sap-04", 3, "owner_changed", "2026-10-12", tenant="webshop", cost_centre="cc-webshop",
            recorded_at=instant("2026-11-09", BERLIN))  # fmt: skip


@pytest.fixture(scope="module")
def card() -> RateCard:
    file = HERE.parents[1] / "examples" / "acme" / "rates.yaml"
    (found,) = load_rate_cards({"rates.yaml": file.read_text()}, ("tier-1", "tier-2", "tier-3"))
    return found


@pytest.fixture(scope="module")
def stored() -> list[UsageInterval]:
    """The store after the close of October, and after the late fact on 9 November."""
    rows: list[UsageInterval] = []
    for facts, moment in ((FACTS, "2026-11-01"), ([*FACTS, LATE], "2026-11-09")):
        at = instant(moment, BERLIN)
        rows += reconcile(rows, intervals(facts, OCTOBER.t_to), recorded_at=at, source="metering")
    return rows


def as_known(stored: list[UsageInterval], card: RateCard, moment: str) -> list[Statement]:
    known_at = instant(moment, BERLIN)
    return statements(rate(to_table(stored), card, [OCTOBER], known_at, grain=Grain.MACHINE), card)


def written(issued: Iterable[Statement]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for statement in issued:
        writer.writerows(statement.rows())
    return text.getvalue()


def number(text: str) -> Fraction:
    """What a person reads: a decimal, or a whole number and a fraction."""
    size = sum((Fraction(part) for part in text.removeprefix("-").split()), Fraction(0))
    return -size if text.startswith("-") else size


def agrees(text: str, name: str) -> None:
    file = HERE / name
    if os.environ.get("TIERWISE_WRITE_GOLDEN"):
        file.write_text(text)
    assert text.splitlines() == file.read_text().splitlines()


def test_the_statements_of_october_are_those_in_the_file(
    card: RateCard, stored: list[UsageInterval]
) -> None:
    agrees(written(as_known(stored, card, "2026-11-02")), "acme-2026-10.csv")


def test_the_corrections_of_the_late_owner_change_are_those_in_the_file(
    card: RateCard, stored: list[UsageInterval]
) -> None:
    before, after = (as_known(stored, card, moment) for moment in ("2026-11-02", "2026-11-10"))
    booked = with_corrections([], corrections(before, after), OCTOBER.next, card)
    agrees(written(booked), "acme-2026-11-corrections.csv")
    assert sum(statement.total_minor for statement in booked) == sum(
        statement.total_minor for statement in after
    ) - sum(statement.total_minor for statement in before)


def test_the_lines_in_the_file_are_what_a_person_computes_from_the_story(card: RateCard) -> None:
    rows = list(csv.DictReader(io.StringIO((HERE / "acme-2026-10.csv").read_text())))
    quantity = {(r["machine"], r["tier"], r["metric"]): number(r["quantity"]) for r in rows}
    amount = {(r["machine"], r["tier"], r["metric"]): r["amount"] for r in rows}
    # The clock goes back on the 25th, after the resize: 17 days and 4 hours are 412 hours.
    assert quantity["sap-04", "tier-1", "memory_mib"] == 96 * 412 + 128 * 333 == 82176
    assert amount["sap-04", "tier-1", "memory_mib"] == "345.14"  # 82176 x 0.0042 = 345.1392
    assert quantity["web-17", "tier-1", "vcpu"] == 2 * (9 * 24 + 16) == 464
    assert amount["web-17", "tier-1", "vcpu"] == "8.35"  # 464 x 0.018 = 8.352
    assert quantity["web-17", "tier-2", "machine"] == 745 - 14 * 24 == 409
    # 20 Oct 09:30:15 to 26 Oct 12:00 is 146:29:45 by the clock, and an hour more in truth.
    lived = 147 + Fraction(29, 60) + Fraction(45, 3600)
    assert quantity["test-3", "tier-3", "machine"] == lived
    # Off from the 24th 18:00 to the 25th 08:00: 14 hours by the clock, 15 in truth.
    assert quantity["test-3", "tier-3", "vcpu"] == 4 * (lived - 15)
    assert quantity["test-3", "tier-3", "disk_gib"] == 20 * lived
