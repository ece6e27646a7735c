"""What ``tierwise charge`` says about closing a month and about a single line, for people."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from catalog.wording import counted
from tierwise.cli.output import note, stdout
from tierwise.cli.words import day, money

if TYPE_CHECKING:
    from chargeback.adjustment_explained import TermExplanation, TermStep
    from chargeback.explain import Explanation, Piece, Side
    from tierwise.usecases.causes import LateFact
    from tierwise.usecases.explaining import Explained, Verified
    from tierwise.usecases.ledger import Closing

Row = dict[str, Any]

_FACTS_SHOWN = 5
_PIECES_SHOWN = 40

_WHAT = {"vcpu": "vCPU", "memory_mib": "memory", "disk_gib": "disk", "machine": "machine"}


def print_closing(found: "Closing", idle_cost: str) -> None:
    """A closed period, or the preview of one, in a few lines; `idle_cost` is a line of its own where there is one."""
    console = stdout()
    head = f"{_month(found)}, {found.period.time_zone}, {_hours(found.period.hours)}{_clock_change(found)}"
    sizes = f"{counted(found.machines, 'machine')}   {counted(len(found.statements), 'tenant')}"
    console.print(f"{head}      {sizes}", markup=False)
    nothing = [("charges", money(0, found.card), "")]
    own = [(_named(each.kind), each.text, "") for each in found.sums if each.kind != "Correction"]
    late = [each.text for each in found.sums if each.kind == "Correction"] or [money(0, found.card)]
    totals = [("total", each.text, "") for each in found.totals] or [("total", money(0, found.card), "")]
    shown = [*(own or nothing), *(("corrections", text, _because(found)) for text in late), *totals]
    width = max(len(amount) for _, amount, _ in shown)
    for name, amount, text in shown:
        console.print(f"  {name:<16} {amount:>{width}}     {text}".rstrip(), markup=False)
    if idle_cost:
        console.print(f"  {'beside it':<16} {idle_cost}", markup=False)
    difference = found.check.difference_minor
    equal = (
        "lines = statements = ledger" if difference == 0 else f"lines, statements, ledger: {found.check}"
    )
    console.print(f"  {'check':<16} {equal}, difference {difference}", markup=False)
    note(_ending(found))


def _named(category: str) -> str:
    return "charges" if category == "Usage" else f"{category.lower()}s"


def _ending(found: "Closing") -> str:
    from chargeback.instants import utc_text

    known = f"as known at {utc_text(found.known_at)}"
    if found.closed_at is None:
        return f"a preview, {known}: nothing was changed; close it with `tierwise charge close {found.period.name}`"
    numbers = [statement.number for statement in found.statements]
    span = f"statements {numbers[0]} to {numbers[-1]}" if numbers else "no statements"
    at = found.closed_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    if found.already:
        return f"{found.period.name} was closed already, at {at} and {known}; nothing was changed"
    return f"closed at {at}, {known}: {span}"


def _month(found: "Closing") -> str:
    from datetime import date

    return f"{date(found.period.year, found.period.month, 1):%B %Y}"


def _hours(hours: Fraction) -> str:
    from chargeback.money import exact_text

    return f"{exact_text(hours)} h"


def _clock_change(found: "Closing") -> str:
    return "" if found.period.hours.denominator == 1 and found.period.hours % 24 == 0 else " (clock change)"


def _because(found: "Closing") -> str:
    if not found.corrections:
        return ""
    facts = found.facts
    if not facts:
        return counted(found.corrections, "line")
    zone = found.period.time_zone
    named = [_fact(fact, zone) for fact in facts[:_FACTS_SHOWN]]
    more = [f"and {len(facts) - len(named)} more"] if len(facts) > len(named) else []
    return f"from {counted(len(facts), 'late fact')}: {', '.join([*named, *more])}"


def _fact(fact: "LateFact", zone: str) -> str:
    return f"{fact.what} of {fact.subject} ({day(fact.at, zone)})"


def as_data(found: "Closing") -> Row:
    """A closing for programs. Amounts are in minor units of the currency."""
    from chargeback.instants import utc_text

    return {
        "period": found.period.name,
        "time_zone": found.period.time_zone,
        "hours": _hours(found.period.hours).removesuffix(" h"),
        "state": "open" if found.closed_at is None else "closed",
        "already_closed": found.already,
        "known_at": utc_text(found.known_at),
        "closed_at": found.closed_at.isoformat() if found.closed_at else "",
        "rate_card": found.card.label,
        "machines": found.machines,
        "sums": [each._asdict() for each in found.sums],
        "corrections": found.corrections,
        "totals": [each._asdict() for each in found.totals],
        "difference_minor": found.check.difference_minor,
        "late_facts": [
            {
                "what": fact.what, "subject": fact.subject, "at": utc_text(fact.at),
                "recorded_at": utc_text(fact.recorded_at), "source": fact.source,
            }
            for fact in found.facts
        ],
        "statements": [
            {
                "number": s.number, "tenant": s.tenant, "lines": s.lines, "currency": s.currency,
                "minor_digits": s.minor_digits, "total_minor": s.total_minor,
            }
            for s in found.statements
        ],
    }  # fmt: skip


def verified_rows(found: Iterable["Verified"]) -> list[Row]:
    """One row per closed period."""
    return [
        {
            "period": each.period,
            "statements": each.statements,
            "lines": each.lines,
            "verdict": f"{counted(len(each.problems), 'difference')}" if each.problems else "the same",
        }
        for each in found
    ]


def print_explained(found: "Explained") -> None:
    """A line and where it comes from."""
    from chargeback.explain import Explanation, formula, rate_in_words

    console, why, row = stdout(), found.explanation, found.row
    if not isinstance(why, Explanation):
        _print_term(row, why)
        return
    machine = row["machine_name"] or row["machine"]
    title = f"{machine}, {_WHAT.get(why.metric, why.metric)} on {why.tier}, {why.period}"
    console.print(f"{title}: {why.currency} {why.amount}", markup=False)
    console.print(
        f"  {row['statement']} line {row['number']}, tenant {why.tenant}, cost centre {why.cost_centre}, pool {why.pool}",
        markup=False,
    )
    if why.corrects:
        of = f" of {row['corrects_statement']}" if row["corrects_statement"] else ""
        console.print(f"  corrects {why.corrects}{of}", markup=False)
    for side in why.sides:
        console.print(_heading(side, why), markup=False)
        _print_pieces(side.pieces, why)
        console.print(f"    {rate_in_words(side.rate)}", markup=False)
        for text in formula(side, why):
            console.print(f"    {text}", markup=False)
    if len(why.sides) > 1 or why.corrects:
        parts = " ".join(f"{'-' if side.sign < 0 else '+'} {side.amount}" for side in why.sides)
        console.print(f"  {parts} = {why.amount} {why.currency}", markup=False)


def _print_term(row: Row, why: "TermExplanation") -> None:
    """An adjustment: its steps, and by what its amount was split."""
    console = stdout()
    whose = f"tenant {row['tenant']}" + (
        f", cost centre {row['cost_centre']}" if row["cost_centre"] else ""
    )
    console.print(f"{row['rate_id']}, {row['period']}: {row['currency']} {row['amount']}", markup=False)
    console.print(f"  {row['statement']} line {row['number']}, {whose}", markup=False)
    for side in why.sides:
        console.print("  taken back:" if side.sign < 0 else "  stated:", markup=False)
        for step in side.steps[:-1]:
            console.print(f"    {step.text}{f' = {step.amount}' if step.amount else ''}", markup=False)
        console.print(f"    {_last_step(side.steps[-1])}", markup=False)
        if side.shared:
            mine = sum(one.before_minor for one in side.shared if one.mine)
            whole = sum(one.before_minor for one in side.shared)
            console.print(
                f"    split over {counted(len(side.shared), 'line')} by what they cost: {mine} of {whole} minor units",
                markup=False,
            )


def _last_step(step: "TermStep") -> str:
    """The formula; with the amount that it gives, where it does not end with that itself."""
    return step.text if step.text.endswith(step.amount) else f"{step.text} -> {step.amount}"


def _heading(side: "Side", why: "Explanation") -> str:
    from chargeback.instants import utc_text

    known = f"as known at {utc_text(side.known_at)}"
    if not why.corrects:
        return f"  {known}:"
    return f"  {'taken back, ' if side.sign < 0 else 'stated now, '}{known}:"


def _print_pieces(pieces: Sequence["Piece"], why: "Explanation") -> None:
    console = stdout()
    for piece in pieces[:_PIECES_SHOWN]:
        span = f"{day(piece.t_from, why.time_zone)} - {day(piece.t_to, why.time_zone)}"
        console.print(f"    {span:<28} {piece.quantity:,} {why.metric}, {piece.power}", markup=False)
        cause = piece.cause
        if cause is not None:
            by = f"{cause.source} {cause.reference[:8]}"
            console.print(f"      since {day(cause.at, why.time_zone)}: {cause.what} ({by})", markup=False)
    if len(pieces) > _PIECES_SHOWN:
        console.print(
            f"    and {len(pieces) - _PIECES_SHOWN} more stretches; -o json has all", markup=False
        )
