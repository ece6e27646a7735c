"""Why a line costs what it costs: usage, rate, formula and rounding, as data that gives the same cent again.

    explanation = explain(line, usage, Known(card, at))
    assert recompute(explanation) == line.amount_minor

`recompute` uses nothing but what the explanation says, so one that left anything out would be noticed.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from catalog.base import Value
from chargeback.charges import Charge
from chargeback.instants import utc_text
from chargeback.late import Known
from chargeback.ledger import exact_number
from chargeback.money import NANOS_PER_UNIT, Rounding, exact_text, format_minor, round_to_minor
from chargeback.rates import HOUR_S, PowerRule, Rate, RateCard
from chargeback.stacks import StackedCharge
from chargeback.statements import Correction, Line
from chargeback.units import Per
from chargeback.usage import Power, UsageInterval, checked_table


class Unexplained(ValueError):
    """A line does not follow from the usage given: it is of something else, or was known at another time."""


class Cause(Value):
    """What happened at a moment, for the person who asks: ``resized`` by ``order 8812``."""

    machine: str
    at: int
    what: str
    source: str
    reference: str
    """What tells this cause from all others: the key of the event that recorded it."""
    recorded_at: int


class Piece(Value):
    """A stretch of time in which the machine had the same quantity, in the metric's unit, under the rate.

    `recorded_at` is when the last of the rows that say so was recorded, `source` where they come from;
    `cause` is the last thing that happened to the machine until the stretch began, where that is known.
    """

    t_from: int
    t_to: int
    quantity: int
    power: Power
    source: str
    recorded_at: int
    cause: Cause | None = None

    @property
    def seconds(self) -> int:
        """How long it is."""
        return self.t_to - self.t_from


class RateFacts(Value):
    """The rate as the card had it."""

    id: str
    rate_card: str
    price: str
    unit: str
    unit_amount: int
    per_s: int
    """The seconds that the price is for: 3600."""
    power: PowerRule
    valid_from: int
    valid_to: int | None
    recorded_at: int


class ExplainedStep(Value):
    """One term of the price, and what it comes to in the currency's units, exactly."""

    text: str
    amount: str


class Side(Value):
    """One priced quantity. A line has one side; a correction takes one back and states another.

    `sign` is -1 for what is taken back. `minor` is set only where a price was split over several lines
    and this one got a part of it.
    """

    sign: int
    known_at: int
    pieces: tuple[Piece, ...]
    rate: RateFacts
    quantity: str
    """In the rate's unit, exactly."""
    by_rule: bool
    """Whether the quantity is what a rule makes of the stretches, not their sum: what is paid once, a unit for
    each window that was begun, the most of the month, or what a stacked card left."""
    steps: tuple[ExplainedStep, ...]
    exact: str
    """The amount before rounding, in the currency's units."""
    minor: int | None
    exchange_rate: str
    """What the exact amount was multiplied by; empty where it is in the currency of the prices."""
    exchange: str
    """The same in words, with its day and source."""
    amount: str


class Explanation(Value):
    """Everything that a line's amount follows from."""

    line: str
    corrects: str
    tenant: str
    cost_centre: str
    period: str
    time_zone: str
    tier: str
    pool: str
    machine: str
    labels: str
    metric: str
    currency: str
    minor_digits: int
    rounding: Rounding
    sides: tuple[Side, ...]
    amount_minor: int
    amount: str


class Source(NamedTuple):
    """What one side of a line is explained from."""

    line: Line
    known: Known

    @property
    def card(self) -> RateCard:
        """The card whose rate the line has."""
        charge = self.line.charge
        stacked = charge.card if isinstance(charge, StackedCharge) else None
        return stacked or self.known.card

    @property
    def is_plain(self) -> bool:
        """Whether the line's quantity is the sum of its usage."""
        charge = self.line.charge
        return (
            self.card.is_plain(charge.rate)
            and charge.rate.per is not Per.ONCE
            and not isinstance(charge, StackedCharge)
        )


def explain(
    line: Line | Correction,
    usage: Any,
    known: Known,
    *,
    before: Known | None = None,
    usage_before: Any = None,
    causes: Iterable[Cause] = (),
) -> Explanation:
    """Why `line` costs what it costs.

    `usage` is a `pyarrow.Table` of `chargeback.usage.SCHEMA` with at least the machine's rows in the
    line's period, measured ones with their basis; `known` is what the line was made from, and for a correction `before` what the line
    that it corrects was, with the usage of then where that is another table. `causes` may be of any machine and time. Raises Unexplained where the usage
    does not add up to the line.
    """
    happened = tuple(causes)
    rows = {1: _rows(usage), -1: _rows(usage if usage_before is None else usage_before)}
    sources = _sources(line, known, before)
    sides = tuple(_side(sign, source, rows[sign], happened) for sign, source in sources)
    shown = sources[-1][1].line
    charge, card = shown.charge, shown.card
    return Explanation(
        line=line.id if isinstance(line, Line) else "",
        corrects=line.corrects if isinstance(line, Correction) else "",
        tenant=charge.tenant,
        cost_centre=charge.cost_centre,
        period=charge.period.name,
        time_zone=charge.period.time_zone,
        tier=charge.tier,
        pool=charge.pool,
        machine=charge.machine or "",
        labels=charge.labels,
        metric=charge.rate.metric_key,
        currency=card.currency,
        minor_digits=card.minor_digits,
        rounding=card.rounding,
        sides=sides,
        amount_minor=line.amount_minor,
        amount=format_minor(line.amount_minor, card.minor_digits),
    )


def recompute(explanation: Explanation) -> int:
    """The amount in minor units, from what the explanation says and nothing else."""
    return sum(side.sign * _recomputed(side, explanation) for side in explanation.sides)


def _recomputed(side: Side, explanation: Explanation) -> int:
    if side.minor is not None and not side.exchange_rate:
        return side.minor
    if side.steps:
        nanos = sum((exact_number(step.amount) for step in side.steps), Fraction(0)) * NANOS_PER_UNIT
    else:
        used = sum(piece.quantity * piece.seconds for piece in side.pieces)
        units = Fraction(used, side.rate.unit_amount * side.rate.per_s)
        if side.by_rule:
            units = exact_number(side.quantity)
        nanos = units * Fraction(side.rate.price) * NANOS_PER_UNIT
    if side.exchange_rate:
        nanos *= Fraction(side.exchange_rate)
    return round_to_minor(nanos, explanation.minor_digits, explanation.rounding)


def _sources(line: Line | Correction, known: Known, before: Known | None) -> list[tuple[int, Source]]:
    if isinstance(line, Line):
        return [(1, Source(line, known))]
    if before is None:
        msg = f"a correction of {line.corrects} needs what that line was made from"
        raise Unexplained(msg)
    sides = ((-1, line.before, before), (1, line.after, known))
    return [(sign, Source(side, as_known)) for sign, side, as_known in sides if isinstance(side, Line)]


def _side(sign: int, source: Source, rows: Sequence[UsageInterval], causes: Sequence[Cause]) -> Side:
    line, known = source
    charge = line.charge
    pieces = tuple(_with_causes(pieces_of(source, rows), charge, causes, known))
    used = sum(piece.quantity * piece.seconds for piece in pieces)
    if used != charge.quantity_seconds and source.is_plain:
        msg = (
            f"{line.id}: the usage given adds up to {used} {charge.rate.metric}-seconds, and the line is of "
            f"{charge.quantity_seconds}"
        )
        raise Unexplained(msg)
    return Side(
        sign=sign,
        known_at=known.at,
        pieces=pieces,
        rate=_rate_facts(charge, line),
        quantity=line.quantity,
        by_rule=used != charge.quantity_seconds,
        steps=tuple(
            ExplainedStep(text=text, amount=exact_text(Fraction(nanos, NANOS_PER_UNIT)))
            for text, nanos in charge.steps
        ),
        exact=exact_text(Fraction(charge.amount_nanos, NANOS_PER_UNIT)),
        minor=charge.minor,
        exchange_rate=line.conversion.rate_text if line.conversion else "",
        exchange=line.conversion.note(charge.amount_nanos) if line.conversion else "",
        amount=line.amount,
    )


def _rate_facts(charge: Charge, line: Line) -> RateFacts:
    rate = charge.rate
    return RateFacts(
        id=rate.id,
        rate_card=line.card.label,
        price=rate.price_text,
        unit=rate.unit,
        unit_amount=rate.unit_amount,
        per_s=charge.per_s,
        power=rate.power,
        valid_from=rate.valid_from,
        valid_to=rate.valid_to,
        recorded_at=rate.recorded_at,
    )


def _rows(usage: Any) -> list[UsageInterval]:
    """The rows of a table; a measured metric has its basis with it, which the type of intervals knows not."""
    table = checked_table(usage)
    return [
        UsageInterval.model_construct(**row | {"power": Power(row["power"])}) for row in table.to_pylist()
    ]


def pieces_of(source: Source, rows: Iterable[UsageInterval]) -> list[Piece]:
    """The stretches that a line counts, in order of time: what is left of its rows after reversals."""
    charge, at = source.line.charge, source.known.at
    mine = [row for row in rows if row.recorded_at <= at and _counts(charge, charge.rate, row)]
    found: list[Piece] = []
    for t_from, t_to in _in_force(source):
        for power in Power:
            of_power = [row for row in mine if row.power is power]
            found += _netted(of_power, t_from, t_to)
    return sorted(found, key=lambda piece: (piece.t_from, piece.power))


def _counts(charge: Charge, rate: Rate, row: UsageInterval) -> bool:
    if rate.power is PowerRule.POWERED_ON and row.power is not Power.ON:
        return False
    return (row.tenant, row.cost_centre, row.tier, row.machine, row.pool, row.labels, row.metric) == (
        charge.tenant, charge.cost_centre, charge.tier, charge.machine, charge.pool, charge.labels,
        rate.metric_key,
    )  # fmt: skip


def _in_force(source: Source) -> list[tuple[int, int]]:
    """When the rate was in force in the period; a rate that another one interrupted has several times."""
    charge = source.line.charge
    segments = source.card.segments(charge.period.t_from, charge.period.t_to, source.known.at)
    return [(found.t_from, found.t_to) for found in segments if found.rate.id == charge.rate.id]


def _netted(rows: Sequence[UsageInterval], t_from: int, t_to: int) -> Iterator[Piece]:
    """What rows of one kind come to within a time; stretches of the same quantity in one."""
    cut = sorted(
        {t_from, t_to, *(at for row in rows for at in (row.t_from, row.t_to) if t_from < at < t_to)}
    )
    held: Piece | None = None
    for begin, end in pairwise(cut):
        piece = _standing([row for row in rows if row.t_from <= begin and end <= row.t_to], begin, end)
        if held and piece and (held.quantity, held.source) == (piece.quantity, piece.source):
            held = held.model_copy(
                update={"t_to": end, "recorded_at": max(held.recorded_at, piece.recorded_at)}
            )
            continue
        if held:
            yield held
        held = piece
    if held:
        yield held


def _standing(rows: Iterable[UsageInterval], begin: int, end: int) -> Piece | None:
    """What stands of rows over one stretch: each reversal takes the oldest row of its quantity away."""
    standing: list[UsageInterval] = []
    for row in sorted(rows, key=lambda row: (row.recorded_at, row.sequence)):
        taken = next((old for old in standing if old.quantity == -row.quantity), None)
        if taken is None:
            standing.append(row)
        else:
            standing.remove(taken)
    quantity = sum(row.quantity for row in standing)
    if not quantity:
        return None
    newest = max(standing, key=lambda row: (row.recorded_at, row.sequence))
    return Piece(
        t_from=begin, t_to=end, quantity=quantity, power=newest.power, source=newest.source,
        recorded_at=newest.recorded_at,
    )  # fmt: skip


def _with_causes(
    pieces: Iterable[Piece], charge: Charge, causes: Sequence[Cause], known: Known
) -> Iterator[Piece]:
    """Each piece with the last thing known that happened to the machine until it began."""
    mine = [c for c in causes if c.machine == charge.machine and c.recorded_at <= known.at]
    for piece in pieces:
        until = [cause for cause in mine if cause.at <= piece.t_from]
        last = max(until, key=lambda cause: (cause.at, cause.recorded_at), default=None)
        yield piece.model_copy(update={"cause": last})


def formula(side: Side, explanation: Explanation) -> list[str]:
    """A side as a person would write it down, line by line: quantities, price, exact amount, rounding."""
    unit, per_h = side.rate.unit, Fraction(side.rate.per_s, HOUR_S)
    terms = [
        f"{exact_text(Fraction(piece.quantity, side.rate.unit_amount))} x "
        f"{exact_text(Fraction(piece.seconds, HOUR_S))} h"
        for piece in side.pieces
    ]
    sum_ = f"{' + '.join(terms) or '0'}{'' if per_h == 1 else f' over {exact_text(per_h)} h'}"
    made = "charged by the rate's rule as" if side.by_rule else "="
    lines = [f"{sum_} {made} {side.quantity} {unit}"]
    if side.steps:
        lines += [f"{step.text} = {step.amount}" for step in side.steps]
    else:
        lines.append(f"x {side.rate.price} per {unit}")
    if side.exchange:
        lines.append(side.exchange)
    split = side.minor is not None and not side.exchange_rate
    how = "part of a price that was split" if split else f"{explanation.rounding}, per line"
    lines.append(f"= {side.exact} -> {side.amount} {explanation.currency} ({how})")
    return lines


def rate_in_words(rate: RateFacts) -> str:
    """``rate memory-tier-1 of acme-eur v2, valid from 2026-10-01T00:00:00Z, recorded ...``."""
    until = "" if rate.valid_to is None else f" to {utc_text(rate.valid_to)}"
    return (
        f"rate {rate.id} of {rate.rate_card}, valid from {utc_text(rate.valid_from)}{until}, "
        f"recorded {utc_text(rate.recorded_at)}"
    )
