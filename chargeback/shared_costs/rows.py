"""Parts of pool costs as rows of statements, and what each tier cost, earned and left idle."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from chargeback.focus.units import held_unit
from chargeback.instants import utc_text
from chargeback.money import Rounding, divided, exact_text, format_minor, spelled, split
from chargeback.shared_costs.allocation import Allocation
from chargeback.shared_costs.costs import Charged, Due
from chargeback.shared_costs.parts import Kind, Part, whole_weights
from chargeback.statements import Row

NOBODY = "(unallocated)"
"""Where a statement's id has its tenant; no tenant's name has brackets."""

RATIO_DIGITS = 12


@dataclass(frozen=True, slots=True)
class TierMargin:
    """One tier's month, in minor units. `tier` is empty for costs and charges that are of no tier.

    `cost` is `held` + `idle`, and of that `unallocated` is what nobody bears. `recovered` is what
    statements charge, and `margin` is `recovered` - `cost`. `idle_charged` is the part of `recovered`
    that idle cost was passed on in.
    """

    tier: str
    cost_minor: int
    held_minor: int
    idle_minor: int
    unallocated_minor: int
    recovered_minor: int
    idle_charged_minor: int

    @property
    def margin_minor(self) -> int:
        """What is left of the charges when the cost is paid; negative where they do not cover it."""
        return self.recovered_minor - self.cost_minor


def charged(part: Part) -> bool:
    """Whether the cost's document makes this part a line of somebody's statement."""
    rule = part.cost.charge
    return bool(part.tenant) and (rule is Charged.ALL or (rule is Charged.IDLE and part.kind is Kind.IDLE))


def rows(found: Allocation, card: str, parts: Iterable[Part] | None = None) -> list[Row]:
    """The parts (all of them, or a choice) as rows of `chargeback.statements.COLUMNS`.

    Each is an adjustment: one month, times what of the cost it is. `card` labels the rate card whose
    bill they stand on. What nobody bears has a row of its own, with an empty tenant.
    """
    dues = {due.cost.name: due for due in found.dues}
    chosen = found.parts if parts is None else parts
    return [_row(found, part, card, dues[part.cost.name]) for part in chosen]


def _row(found: Allocation, part: Part, card: str, due: Due) -> Row:
    period, digits = found.period, found.minor_digits
    statement = f"{period.name}/{part.tenant or NOBODY}"
    amount = format_minor(part.amount_minor, digits)
    return {
        "statement": statement, "line": _line_id(part, statement), "charge_category": "Adjustment",
        "charge_class": "", "charge_frequency": "Recurring", "corrects": "",
        "tenant": part.tenant, "cost_centre": part.cost_centre, "period": period.name,
        "time_zone": period.time_zone,
        "charge_from": utc_text(max(period.t_from, part.cost.valid_from)),
        "charge_to": utc_text(min(period.t_to, part.cost.end)),
        "tier": part.tier, "pool": part.pool, "machine": "", "labels": "",
        "metric": part.metric.value, "quantity": "1", "hours": exact_text(period.hours),
        "unit": "month", "rate_id": part.cost.name, "rate": amount, "rate_card": card,
        "currency": found.currency, "list_amount_minor": part.amount_minor, "amount": amount,
        "amount_minor": part.amount_minor,
        "note": _note(part, format_minor(due.total_minor, digits, found.currency), due),
    }  # fmt: skip


def _line_id(part: Part, statement: str) -> str:
    parts = (
        statement, part.cost_centre, part.tier, part.metric.value, part.pool, part.cost.name, part.kind.value,
        part.via and f"via-{part.via}", part.by and f"by-{part.by}", part.why.replace(" ", "-"),
    )  # fmt: skip
    return "/".join(piece for piece in parts if piece)


def _note(part: Part, total: str, due: Due) -> str:
    """``idle memory_mib of pool fra-prod-1: 4.17 % of EUR 12400.00 (lease-1, by allocation)``."""
    share = Fraction(part.exact, due.total_minor) * 10_000 if due.total_minor else Fraction(0)
    percent = format_minor(divided(share.numerator, share.denominator, Rounding.HALF_UP), 2)
    how = f", by {part.by}" if part.by else ""
    through = f", from shared tenant {part.via}" if part.via else ""
    borne = f"; borne by nobody: {part.why}" if part.why else ""
    converted = f"; {due.converted}" if due.converted else ""
    return (
        f"{part.kind} {part.metric} of {part.cost.place}: {percent} % of {total} "
        f"({part.cost.name}{how}{through}){borne}{converted}"
    )


def allocated(found: Allocation) -> list[dict[str, str]]:
    """Per part, in order, what FOCUS 1.3 and later say of a split cost; empty where nobody bears it.

    The ratios of one cost's parts, those that nobody bears included, add up to exactly 1.
    """
    by_cost: dict[str, list[int]] = defaultdict(list)
    for i, part in enumerate(found.parts):
        by_cost[part.cost.name].append(i)
    ratios: dict[int, int] = {}
    for indices in by_cost.values():
        weights = whole_weights([found.parts[i].exact for i in indices])
        whole = 10**RATIO_DIGITS if any(weights) else 0
        ratios |= zip(indices, split(whole, weights), strict=True)
    return [_allocated(part, ratios[i]) for i, part in enumerate(found.parts)]


def _allocated(part: Part, ratio: int) -> dict[str, str]:
    if not part.tenant:
        return {"AllocatedMethodId": "", "AllocatedMethodDetails": "", "AllocatedResourceId": ""}
    method = f"{part.kind}-by-{part.by}" + ("-via-shared-tenant" if part.via else "")
    # Written by hand, as json would make a float of the ratio.
    element = f'{{"AllocatedRatio": {format_minor(ratio, RATIO_DIGITS)}, "UsageUnit": {json.dumps(held_unit(part.metric))}}}'
    return {
        "AllocatedMethodId": method,
        "AllocatedMethodDetails": f'{{"Elements": [{element}]}}',
        "AllocatedResourceId": f"{part.tenant}/{part.cost_centre}",
    }


def margins(found: Allocation, statement_rows: Iterable[Mapping[str, str | int]]) -> list[TierMargin]:
    """Each tier's cost beside what the rows charge, by tier; the sums over tiers are those of the whole.

    The rows are all that the period's statements charge, those made of `charged` parts not included:
    they are added here.
    """
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for part in found.parts:
        tier = sums[part.tier]
        tier[f"{part.kind}"] += part.amount_minor
        tier["nobody"] += 0 if part.tenant else part.amount_minor
        if charged(part):
            tier["recovered"] += part.amount_minor
            tier["idle charged"] += part.amount_minor if part.kind is Kind.IDLE else 0
    for row in statement_rows:
        sums[str(row["tier"])]["recovered"] += int(row["amount_minor"])
    return [
        TierMargin(
            tier, of[Kind.HELD] + of[Kind.IDLE], of[Kind.HELD], of[Kind.IDLE], of["nobody"],
            of["recovered"], of["idle charged"],
        )
        for tier, of in sorted(sums.items())
    ]  # fmt: skip


def headline(found: Allocation, recovered_minor: int) -> str:
    """The idle cost in a line, beside what the month's statements charge (`recovered_minor`).

    ``idle cost not passed on EUR 9,118.40 (2.8 %), shared by use``; the percentage is of the charges.
    """
    idle = found.where(kind=Kind.IDLE)
    apart = sum(part.amount_minor for part in idle if not charged(part))
    amount = apart or sum(part.amount_minor for part in idle)
    ways = sorted({part.by for part in idle if part.tenant})
    how = f"shared by {' and by '.join(ways)}" if ways else "kept apart"
    what = "idle cost not passed on" if apart else "idle cost passed on"
    return (
        f"{what} {spelled(amount, found.minor_digits, found.currency)}{_of(amount, recovered_minor)}, {how}"
    )


def _of(amount_minor: int, recovered_minor: int) -> str:
    """In percent of what is charged; where nothing is, there is no such percentage."""
    if not recovered_minor:
        return ""
    share = Fraction(1000 * amount_minor, recovered_minor)
    return f" ({format_minor(divided(share.numerator, share.denominator, Rounding.HALF_UP), 1)} %)"
