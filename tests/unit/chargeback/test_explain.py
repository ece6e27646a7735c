"""Why a line costs what it costs, checked with what a person computes from the story."""

from collections.abc import Callable
from fractions import Fraction

import pytest

from catalog.resources import Resources
from chargeback.events import MachineEvent
from chargeback.explain import Cause, Explanation, Unexplained, explain, formula, recompute
from chargeback.late import Known, rated
from chargeback.metering import intervals, reconcile
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.statements import Correction, Line, corrections
from chargeback.usage import UsageInterval, to_table

OCTOBER = BillingPeriod.parse("2026-10", "Europe/Berlin")
HOUR = 3600
CLOSED = OCTOBER.t_to
LATER = OCTOBER.t_to + 9 * 86400
SIZE = Resources(vcpu=8, memory_mib=96 * 1024, disk_gib=500)
GROWN = Resources(vcpu=8, memory_mib=128 * 1024, disk_gib=500)


@pytest.fixture
def life(event: Callable[..., MachineEvent]) -> list[MachineEvent]:
    """The machine of the journey: 96 GiB through the whole month, 128 from the 18th at 04:00."""
    return [
        event(0, "created", OCTOBER.t_from - 86400, resources=SIZE),
        event(1, "powered_on", OCTOBER.t_from - 86400),
        event(2, "resized", OCTOBER.t_from + 412 * HOUR, resources=GROWN, source="order 8812"),
    ]


@pytest.fixture
def rows(life: list[MachineEvent], event: Callable[..., MachineEvent]) -> list[UsageInterval]:
    """Metered in the middle of the month and at its end; on the 9th another owner since the 12th is learnt."""
    stored: list[UsageInterval] = []
    for moment in (OCTOBER.t_from + 300 * HOUR, CLOSED):
        known = [fact for fact in life if fact.recorded_at <= moment]
        stored += reconcile(stored, intervals(known, moment), recorded_at=moment, source="orders")
    late = event(3, "owner_changed", OCTOBER.t_from + 264 * HOUR, tenant="bank", cost_centre="cc-2")
    now = intervals([*life, late], CLOSED)
    return stored + reconcile(stored, now, recorded_at=LATER, source="orders")


def lines(rows: list[UsageInterval], known: Known) -> dict[tuple[str, str], Line]:
    found = [line for statement in rated(to_table(rows), known, OCTOBER) for line in statement.lines]
    return {(line.charge.tenant, line.charge.rate.metric.value): line for line in found}


def again(explanation: Explanation) -> Explanation:
    """As a program reads it that got it as JSON."""
    return Explanation.model_validate_json(explanation.model_dump_json())


def test_a_line_is_explained_by_the_stretches_the_rate_and_the_rounding_of_the_journey(
    acme: RateCard, rows: list[UsageInterval]
) -> None:
    known = Known(acme, CLOSED)
    line = lines(rows, known)["shop", "memory_mib"]
    resized = Cause(
        machine="web-1", at=OCTOBER.t_from + 412 * HOUR, what="resized", source="order 8812", reference="8812",
        recorded_at=OCTOBER.t_from + 412 * HOUR,
    )  # fmt: skip
    found = explain(line, to_table(rows), known, causes=[resized])
    (side,) = found.sides
    assert [(p.quantity, p.seconds) for p in side.pieces] == [
        (96 * 1024, 412 * HOUR),
        (128 * 1024, 333 * HOUR),
    ]
    assert [p.cause for p in side.pieces] == [None, resized]
    assert [p.recorded_at for p in side.pieces] == [CLOSED, CLOSED]
    assert formula(side, found) == [
        "96 x 412 h + 128 x 333 h = 82176 GiB-hour",
        "x 0.0042 per GiB-hour",
        "= 345.1392 -> 345.14 EUR (half-up, per line)",
    ]
    assert (side.rate.id, side.rate.rate_card) == ("memory-tier-1-2026-10", "acme-eur v2")
    assert recompute(again(found)) == line.amount_minor == 34514


def test_a_correction_is_explained_by_both_sides_as_known_then_and_now(
    acme: RateCard, rows: list[UsageInterval]
) -> None:
    before, now = Known(acme, CLOSED), Known(acme, LATER)
    table = to_table(rows)
    late = corrections(rated(table, before, OCTOBER), rated(table, now, OCTOBER))
    assert len(late) == 8
    for correction in late:
        found = again(explain(correction, table, now, before=before))
        assert recompute(found) == correction.amount_minor
        assert found.corrects == correction.corrects
        signs = [side.sign for side in found.sides]
        assert signs == ([1] if correction.tenant == "bank" else [-1, 1])
    (memory,) = (c for c in late if c.tenant == "shop" and c.corrects.split("/")[4] == "memory_mib")
    taken, stated = explain(memory, table, now, before=before).sides
    hours = [[Fraction(p.seconds, HOUR) for p in side.pieces] for side in (taken, stated)]
    assert hours == [[412, 333], [264]]
    assert (taken.known_at, stated.known_at) == (CLOSED, LATER)


def test_what_a_later_row_took_back_is_in_no_stretch(acme: RateCard, rows: list[UsageInterval]) -> None:
    known = Known(acme, LATER)
    found = explain(lines(rows, known)["bank", "machine"], to_table(rows), known)
    (piece,) = found.sides[0].pieces
    assert (piece.t_from, piece.t_to, piece.quantity) == (OCTOBER.t_from + 264 * HOUR, CLOSED, 1)
    assert piece.recorded_at == LATER


def test_an_explanation_with_anything_left_out_gives_another_amount(
    acme: RateCard, rows: list[UsageInterval]
) -> None:
    known = Known(acme, CLOSED)
    line = lines(rows, known)["shop", "memory_mib"]
    found = explain(line, to_table(rows), known)
    (side,) = found.sides
    fewer = side.model_copy(update={"pieces": side.pieces[1:]})
    dearer = side.model_copy(update={"rate": side.rate.model_copy(update={"price": "0.0043"})})
    for planted in (fewer, dearer):
        assert recompute(found.model_copy(update={"sides": (planted,)})) != line.amount_minor


def test_usage_that_does_not_add_up_to_the_line_explains_nothing(
    acme: RateCard, rows: list[UsageInterval]
) -> None:
    known = Known(acme, CLOSED)
    line = lines(rows, known)["shop", "vcpu"]
    with pytest.raises(Unexplained, match=r"the usage given adds up to 0 vcpu-seconds, and the line is of"):
        explain(line, to_table(rows[:0]), known)
    with pytest.raises(Unexplained, match="needs what that line was made from"):
        explain(Correction(line, None), to_table(rows), known)
