"""What a scenario's saving hangs on: sensitivity, break-even, and how much of it the first moves bring.

Each figure is the answer of a whole plan: nothing is interpolated.
"""

import itertools
from collections.abc import Callable, Sequence
from decimal import Decimal

from catalog.base import Value
from placement.plan import Limits
from tierwise.errors import InvalidInput
from tierwise.planner.asking import Answer, Variant, Workers, ask
from tierwise.planner.change import Change
from tierwise.planner.changes.growth import Growth
from tierwise.planner.changes.licence import Licence
from tierwise.planner.changes.most_moves import MostMoves
from tierwise.planner.changes.price import Price
from tierwise.planner.checking import TERMS
from tierwise.planner.document import Scenario
from tierwise.planner.prepare import Prepared, changes_of

Knob = Callable[[Decimal], tuple[Change, ...]]
"""A percentage -> the change of the world; no change for 0."""
_CLOSE = Decimal(1)
"""Break-even is found to a hundredth of what is changed."""
_LEAST, _MOST = Decimal(-100), Decimal(10_000)
"""What prices and machines can change by."""
_STEP = Decimal("0.000001")
"""What percentages are rounded to."""


class Swing(Value):
    """What a scenario saves against today if something is `percent` less or more than assumed."""

    knob: str
    less_micros: int | None
    more_micros: int | None
    """None: not answered."""
    errors: tuple[str, ...] = ()

    @property
    def width_micros(self) -> int:
        """How far the saving swings."""
        found = [one for one in (self.less_micros, self.more_micros) if one is not None]
        return max(found) - min(found) if len(found) > 1 else 0


class Sensitivity(Value):
    """A tornado: the widest swing first."""

    scenario: str
    percent: Decimal
    saving_micros: int
    """As assumed, over the horizon."""
    unplaced: int
    """Machines that it leaves without a place: what they would cost is missing, not saved."""
    swings: tuple[Swing, ...]


class Point(Value):
    """Both costs at one change of the world."""

    percent: Decimal
    machines: int
    vcpus: int
    """Of today's machines in that world."""
    first_micros: int
    second_micros: int

    @property
    def better_micros(self) -> int:
        """What the first costs less than the second."""
        return self.second_micros - self.first_micros

    @property
    def side(self) -> int:
        """1: the first is cheaper; -1: the second is; 0: they cost the same."""
        return (self.better_micros > 0) - (self.better_micros < 0)


class BreakEven(Value):
    """Between which changes of the world two scenarios change places."""

    first: str
    second: str
    knob: str
    points: tuple[Point, ...]
    """Every one that was solved, in order."""
    crossings: tuple[tuple[Point, Point], ...]
    """Neighbours of which not the same one is cheaper; where both cost the same, neither is."""
    errors: tuple[str, ...] = ()


class Step(Value):
    """What the scenario saves with no more moves than this."""

    limit: int
    moves: int
    saving_micros: int
    unplaced: int


class Pareto(Value):
    """Saving against number of moves; `steps` by the limit, the last one without any."""

    scenario: str
    steps: tuple[Step, ...]
    errors: tuple[str, ...] = ()

    def leaves_out(self, step: Step) -> bool:
        """Whether it leaves out more machines than all moves do: what these cost is missing, not saved."""
        return step.unplaced > self.steps[-1].unplaced


def knobs(prepared: Prepared) -> dict[str, Knob]:
    """All prices that are turned one by one: of each term of cost, and of each licence."""
    found: dict[str, Knob] = {}
    for term in TERMS:
        if term != "licences":
            found[term] = price_of(term)
    for product in prepared.economics.licences:
        found[f"licence {product.name}"] = licence_of(product.name)
    return found


def price_of(term: str) -> Knob:
    """Turns the prices of a term, everywhere."""

    def turn(percent: Decimal) -> tuple[Change, ...]:
        return (Price(kind="price", term=term, percent=percent),) if percent else ()

    return turn


def licence_of(product: str) -> Knob:
    """Turns the prices of a licence."""

    def turn(percent: Decimal) -> tuple[Change, ...]:
        return (Licence(kind="licence", product=product, percent=percent),) if percent else ()

    return turn


def growth(percent: Decimal) -> tuple[Change, ...]:
    """Turns the number of machines; there is no shrinking."""
    if percent < 0:
        msg = f"machines: an estate cannot grow by {percent}%; start at 0"
        raise InvalidInput(msg)
    return (Growth(kind="growth", percent=percent),) if percent else ()


def sensitivity(
    prepared: Prepared,
    scenario: Scenario,
    limits: Limits,
    *,
    percent: Decimal = Decimal(20),
    workers: Workers | None = None,
) -> Sensitivity:
    """What the saving becomes if each assumption alone is `percent` less or more. Raises InvalidInput."""
    variants = [Variant("as assumed", scenario)]
    for name, knob in knobs(prepared).items():
        variants.append(Variant(f"{name} less", scenario, knob(-percent)))
        variants.append(Variant(f"{name} more", scenario, knob(percent)))
    found = {one.name: one for one in ask(prepared, variants, limits, workers)}
    base = found["as assumed"]
    if base.result is None or base.saving_micros is None:
        msg = f"scenario {scenario.name} could not be answered: {base.error}"
        raise InvalidInput(msg)
    swings = [_swing(name, found[f"{name} less"], found[f"{name} more"]) for name in knobs(prepared)]
    return Sensitivity(
        scenario=scenario.name,
        percent=percent,
        saving_micros=base.saving_micros,
        unplaced=base.result.unplaced,
        swings=tuple(sorted(swings, key=lambda one: (-one.width_micros, one.knob))),
    )


def _swing(name: str, less: Answer, more: Answer) -> Swing:
    return Swing(
        knob=name,
        less_micros=less.saving_micros,
        more_micros=more.saving_micros,
        errors=tuple(one.error for one in (less, more) if one.error),
    )


def break_even(
    prepared: Prepared,
    first: Scenario | None,
    second: Scenario | None,
    knob: tuple[str, Knob],
    between: tuple[Decimal, Decimal],
    limits: Limits,
    *,
    steps: int = 8,
    workers: Workers | None = None,
) -> BreakEven:
    """Where two scenarios (None: today) change places as something grows `between` two percentages.

    The range is solved at `steps` + 1 places; then each change of places is narrowed to one percent. More
    than one within a step would be seen only where they are an odd number. Raises InvalidInput.
    """
    low, high = between
    if knob[1] is growth and None in {first, second}:
        msg = "today has no room for machines to come; compare with a scenario that has no changes"
        raise InvalidInput(msg)
    if not all(one.is_finite() and _LEAST <= one <= _MOST for one in between):
        msg = f"the range from {low}% to {high}% must lie within {_LEAST}% and {_MOST}%"
        raise InvalidInput(msg)
    if low >= high:
        msg = f"the range from {low}% to {high}% is empty; begin below its end"
        raise InvalidInput(msg)
    told: list[str] = []
    known: dict[Decimal, Point] = {}

    def solve(places: Sequence[Decimal]) -> None:
        new = [one for one in places if one not in known]
        known.update(_points(prepared, (first, second), knob[1], new, limits, workers, told))

    solve([_rounded(low + (high - low) * n / steps) for n in range(steps + 1)])
    asked: set[Decimal] = set()  # One that cannot be solved is not asked for again.
    while middles := [one for one in _middles(known) if one not in asked]:
        asked.update(middles)
        solve(middles)
    return BreakEven(
        first=_name(first),
        second=_name(second),
        knob=knob[0],
        points=tuple(known[at] for at in sorted(known)),
        crossings=tuple(_crossings(known)),
        errors=tuple(dict.fromkeys(told)),
    )


def _rounded(percent: Decimal) -> Decimal:
    return percent.quantize(_STEP).normalize() + 0  # The sum writes 1E+2 as 100.


def _points(
    prepared: Prepared,
    pair: tuple[Scenario | None, Scenario | None],
    knob: Knob,
    places: Sequence[Decimal],
    limits: Limits,
    workers: Workers | None,
    told: list[str],
) -> dict[Decimal, Point]:
    variants = [
        Variant(f"{side} {at}", scenario, knob(at)) for at in places for side, scenario in enumerate(pair)
    ]
    answers = iter(ask(prepared, variants, limits, workers))
    found: dict[Decimal, Point] = {}
    for at in places:
        sides = [next(answers), next(answers)]
        told += [f"at {at}%: {one.error}" for one in sides if one.error]
        results = [
            one.today if scenario is None else one.result for one, scenario in zip(sides, pair, strict=True)
        ]
        left, right = results
        if left is None or right is None:
            continue
        told += [
            f"{_name(scenario)} leaves machines without a place: what they cost is missing, not saved"
            for scenario, one, other in zip(pair, results, reversed(results), strict=True)
            if one is not None and other is not None and one.unplaced > other.unplaced
        ]
        found[at] = Point(
            percent=at,
            machines=left.machines,
            vcpus=sum(room.load for room in left.rooms if room.resource_class == "vcpu"),
            first_micros=left.cost_micros,
            second_micros=right.cost_micros,
        )
    return found


def _middles(known: dict[Decimal, Point]) -> list[Decimal]:
    """Where to look next: half-way between neighbours that are not close."""
    wide = [(a.percent, b.percent) for a, b in _crossings(known) if b.percent - a.percent > _CLOSE]
    return [_rounded((low + high) / 2) for low, high in wide]


def _crossings(known: dict[Decimal, Point]) -> list[tuple[Point, Point]]:
    ordered = [known[at] for at in sorted(known)]
    return [(a, b) for a, b in itertools.pairwise(ordered) if a.side != b.side]


def _name(scenario: Scenario | None) -> str:
    return "today" if scenario is None else scenario.name


def pareto(
    prepared: Prepared,
    scenario: Scenario,
    limits: Limits,
    *,
    most: Sequence[int] = (),
    workers: Workers | None = None,
) -> Pareto:
    """What the scenario saves with few moves, more, and as many as it likes. Raises InvalidInput.

    `most` are limits that are of interest, such as 200; others are spread evenly.
    """
    free = Scenario(
        name=scenario.name,
        changes=tuple(one for one in changes_of(scenario) if not isinstance(one, MostMoves)),
    )
    (whole,) = ask(prepared, [Variant("any number", free)], limits, workers)
    if whole.result is None or whole.saving_micros is None:
        msg = f"scenario {scenario.name} could not be answered: {whole.error}"
        raise InvalidInput(msg)
    moves = len(whole.result.moves)
    even = [moves * n // 8 for n in range(8)]
    wanted = sorted({limit for limit in (*even, *most) if 0 <= limit < moves})
    variants = [Variant(str(limit), _limited(free, limit)) for limit in wanted]
    answers = ask(prepared, variants, limits, workers)
    steps = [
        _step(limit, one) for limit, one in zip(wanted, answers, strict=True) if one.result is not None
    ]
    return Pareto(
        scenario=scenario.name,
        steps=(*steps, _step(moves, whole)),
        errors=tuple(f"{one.name} moves: {one.error}" for one in answers if one.error),
    )


def _limited(scenario: Scenario, limit: int) -> Scenario:
    return Scenario(
        name=scenario.name, changes=(*scenario.changes, MostMoves(kind="most_moves", machines=limit))
    )


def _step(limit: int, answer: Answer) -> Step:
    assert answer.result is not None
    return Step(
        limit=limit,
        moves=len(answer.result.moves),
        saving_micros=answer.saving_micros or 0,
        unplaced=answer.result.unplaced,
    )
