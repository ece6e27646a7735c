"""Two plans for the same requests, and what changes from one to the other."""

from decimal import Decimal

from catalog.base import Value
from placement.plan import Assignment, Candidate, Plan
from policies.decisions import Rejection


class TierChange(Value):
    """What one tier costs and how many machines it has, before and after."""

    tier: str
    machines_before: int
    machines_after: int
    before_micros: int
    after_micros: int


class Move(Value):
    """A machine that is elsewhere afterwards."""

    request_id: str
    from_pool: str
    to_pool: str
    before_micros: int
    after_micros: int


class Placement(Value):
    """A request without a place before that has one afterwards."""

    request_id: str
    to_pool: str
    after_micros: int


class Displacement(Value):
    """A request with a place before that has none afterwards, and all that stands against each pool."""

    request_id: str
    from_pool: str
    before_micros: int
    reasons: tuple[Rejection, ...]


class PlanDiff(Value):
    """What changes from one plan to another, in the order of the later plan's requests.

    Costs are over `horizon_hours`. `stayed_micros` is the change of cost of machines that do not move.
    """

    currency: str
    horizon_hours: int
    before_micros: int
    after_micros: int
    by_tier: tuple[TierChange, ...]
    moves: tuple[Move, ...]
    newly_placed: tuple[Placement, ...]
    newly_unplaced: tuple[Displacement, ...]
    still_unplaced: tuple[str, ...]
    stayed_micros: int

    @property
    def change_micros(self) -> int:
        """After less before."""
        return self.after_micros - self.before_micros

    def sentences(self) -> tuple[str, ...]:
        """The diff in a few lines for a person; amounts of money to the cent."""
        before, after = _money(self.before_micros), _money(self.after_micros)
        percent = f" ({self.change_micros / self.before_micros:+.1%})" if self.before_micros else ""
        lines = [f"cost over {self.horizon_hours} h: {self.currency} {before} -> {after}{percent}"]
        counted = (
            (len(self.moves), "to move"),
            (len(self.newly_placed), "newly placed"),
            (len(self.newly_unplaced), "no longer placed"),
            (len(self.still_unplaced), "unplaced before and after"),
        )
        lines += [f"{count:,} {what}" for count, what in counted if count]
        return (*lines, *(f"{d.request_id} loses {d.from_pool}" for d in self.newly_unplaced[:10]))


def diff(before: Plan, after: Plan) -> PlanDiff:
    """Compare by request id; a request that only the later plan has counts as unplaced before.

    Both plans must be in the same currency over the same horizon; anything else is a bug.
    """
    if (before.currency, before.horizon_hours) != (after.currency, after.horizon_hours):
        msg = f"plans are not comparable: {before.currency}/{before.horizon_hours} h, "
        msg += f"{after.currency}/{after.horizon_hours} h"
        raise AssertionError(msg)
    seats = {a.request_id: _seat(a) for a in before.assignments}
    pairs = [(a, seats.get(a.request_id), _seat(a)) for a in after.assignments]
    both = [(a, was, now) for a, was, now in pairs if was and now]
    return PlanDiff(
        currency=after.currency,
        horizon_hours=after.horizon_hours,
        before_micros=before.cost_micros,
        after_micros=after.cost_micros,
        by_tier=_by_tier(before, after),
        moves=tuple(_move(a, was, now) for a, was, now in both if was.pool != now.pool),
        newly_placed=tuple(
            Placement(request_id=a.request_id, to_pool=now.pool, after_micros=now.cost_micros)
            for a, was, now in pairs
            if now and not was
        ),
        newly_unplaced=tuple(_displacement(a, was) for a, was, now in pairs if was and not now),
        still_unplaced=tuple(a.request_id for a, was, now in pairs if not was and not now),
        stayed_micros=sum(
            now.cost_micros - was.cost_micros for _, was, now in both if was.pool == now.pool
        ),
    )


def _seat(assignment: Assignment) -> Candidate | None:
    """The candidate that was chosen."""
    return next((c for c in assignment.candidates if c.pool == assignment.pool), None)


def _move(assignment: Assignment, was: Candidate, now: Candidate) -> Move:
    return Move(
        request_id=assignment.request_id,
        from_pool=was.pool,
        to_pool=now.pool,
        before_micros=was.cost_micros,
        after_micros=now.cost_micros,
    )


def _displacement(assignment: Assignment, was: Candidate) -> Displacement:
    return Displacement(
        request_id=assignment.request_id,
        from_pool=was.pool,
        before_micros=was.cost_micros,
        reasons=tuple(r for candidate in assignment.candidates for r in candidate.rejections),
    )


def _by_tier(before: Plan, after: Plan) -> tuple[TierChange, ...]:
    sides = [[seat for a in plan.assignments if (seat := _seat(a))] for plan in (before, after)]
    tiers = sorted({c.tier for plan in (before, after) for a in plan.assignments for c in a.candidates})
    return tuple(_tier_change(tier, *sides) for tier in tiers)


def _tier_change(tier: str, before: list[Candidate], after: list[Candidate]) -> TierChange:
    was, now = ([c.cost_micros for c in side if c.tier == tier] for side in (before, after))
    return TierChange(
        tier=tier,
        machines_before=len(was),
        machines_after=len(now),
        before_micros=sum(was),
        after_micros=sum(now),
    )


def _money(micros: int) -> str:
    return f"{(Decimal(micros) / 1_000_000).quantize(Decimal('0.01')):,}"
