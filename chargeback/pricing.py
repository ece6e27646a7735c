"""From fine sums of usage to charges: which rate, which quantity, which price, whose share.

Bill and quote both end here. The sums come from the query over all usage, or from a list of intervals.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from chargeback.charges import Charge
from chargeback.labels import labels_of
from chargeback.money import NANOS_PER_UNIT, exact_text, round_to_minor, split
from chargeback.periods import BillingPeriod
from chargeback.rates import Allocated, PowerRule, Proration, Rate, RateCard, Window
from chargeback.shape import Step
from chargeback.targets import Cut, Target, begin_of, window_of
from chargeback.usage import Power


class FineSum(NamedTuple):
    """For how many seconds a machine had a quantity (`level`) for a target, on or off.

    What was taken back counts negative, under the quantity that it took back.
    """

    target: int
    tenant: str
    cost_centre: str
    machine: str
    pool: str
    labels: str
    power: str
    level: int
    seconds: int


class Birth(NamedTuple):
    """When a machine came into being, and who paid for it then."""

    machine: str
    tenant: str
    cost_centre: str
    tier: str
    pool: str
    labels: str
    at: int


class Payer(NamedTuple):
    """What a line is about."""

    tenant: str
    cost_centre: str
    machine: str | None
    pool: str
    labels: str


class Unmatched(NamedTuple):
    """Usage whose labels no rate's selector matches."""

    tenant: str
    target: int
    quantity_seconds: int


@dataclass
class _Cell:
    """What one payer has in one window: seconds per level, and how long its machine existed."""

    levels: Counter[int] = field(default_factory=Counter)
    existence_s: int = 0

    @property
    def seconds(self) -> int:
        return sum(self.levels.values())


class _Group(NamedTuple):
    """A window of a rate: what is priced together. `scope` is the machine or the tenant."""

    t_from: int
    rate_id: str
    scope: str
    begin: int


@dataclass
class _Total:
    """What one line adds up to over all windows of a period."""

    quantity_seconds: int = 0
    seconds: int = 0
    nanos: Fraction = Fraction(0)
    steps: list[list[Step]] = field(default_factory=list)
    """The terms of each window; windows of one price share their list."""


class _Price(NamedTuple):
    """What a window's whole quantity costs, and why."""

    quantity: Fraction
    steps: list[Step]
    nanos: Fraction


class _Share(NamedTuple):
    """A payer's part of a window."""

    payer: Payer
    quantity_seconds: int
    seconds: int
    existence_s: int


Ran = frozenset[tuple[int, str]]
"""The first seconds of periods, with the machines that were on in them for any time, whatever priced that."""

Totals = dict[tuple[int, str, Payer], _Total]


class Pricing:
    """Prices the fine sums of one cut. `by_machine` says what the charges are about, `ran` who was on when."""

    def __init__(self, card: RateCard, cut: Cut, *, by_machine: bool, ran: Ran = frozenset()) -> None:
        self.card = card
        self.cut = cut
        self.by_machine = by_machine
        self.ran = ran
        self.unmatched: list[Unmatched] = []
        self._rates = {rate.id: rate for rate in card.rates}
        self._known: dict[tuple[str, int, int], _Price] = {}
        self._periods: dict[int, BillingPeriod] = {period.t_from: period for period, _ in cut.once}

    def charges(self, sums: Sequence[FineSum], births: Iterable[Birth] = ()) -> list[Charge]:
        """The charges, in no order. What no selector matches is left out, and kept in `unmatched`."""
        totals: Totals = defaultdict(_Total)
        scopes: dict[tuple[int, str, Payer], str] = {}
        for group, cells in self._grouped(sums).items():
            for share, nanos, steps in self._priced(group, cells):
                key = (group.t_from, group.rate_id, share.payer)
                total = totals[key]
                total.quantity_seconds += share.quantity_seconds
                total.seconds += share.seconds
                total.nanos += nanos
                total.steps.append(steps)
                scopes[key] = group.scope
        minor = self._rounded_together(totals, scopes)
        found = [self._charge(key, total, minor.get(key)) for key, total in totals.items()]
        return [charge for charge in found if charge] + self._once(births)

    def _grouped(self, sums: Sequence[FineSum]) -> dict[_Group, dict[Payer, _Cell]]:
        found: dict[_Group, dict[Payer, _Cell]] = defaultdict(lambda: defaultdict(_Cell))
        for row in sums:
            target = self.cut.targets[row.target]
            rate = _chosen(target, row.labels)
            if rate is None:
                base = not target.existence and not (target.candidates and target.candidates[0].component)
                if base:
                    self.unmatched.append(Unmatched(row.tenant, row.target, row.level * row.seconds))
                continue
            if not _is_charged(rate, row.power, (target.period.t_from, row.machine) in self.ran):
                continue
            window = window_of(rate)
            scope = row.tenant if window is Window.TENANT_MONTH else row.machine
            begin = begin_of(target.period, window, target.at)
            cell = found[_Group(target.period.t_from, rate.id, scope, begin)][Payer(*row[1:6])]
            if target.existence:
                cell.existence_s += row.seconds
            else:
                cell.levels[row.level] += row.seconds
        return found

    def _priced(
        self, group: _Group, cells: Mapping[Payer, _Cell]
    ) -> Iterable[tuple[_Share, Fraction, list[Step]]]:
        """Each payer's part of one window: quantity, exact amount, and the terms of it."""
        rate = self._rates[group.rate_id]
        per_s = self.card.per_s(rate, self._periods[group.t_from])
        if rate.proration is Proration.WHOLE:
            return ((share, Fraction(0), []) for share in self._whole(cells, rate.unit_amount * per_s))
        if not rate.shape.linear and rate.window is Window.MOMENT:
            return (self._at_each_moment(rate, per_s, payer, cell) for payer, cell in cells.items())
        shares = self._shares(rate, cells)
        if rate.shape.linear:
            return ((share, Fraction(0), []) for share in shares)
        whole = sum(share.quantity_seconds for share in shares)
        if not whole and sum(share.existence_s for share in shares) <= 0:
            return ((share, Fraction(0), []) for share in shares)
        return _split(self._price(rate, per_s, whole), whole, shares)

    def _price(self, rate: Rate, per_s: int, quantity_seconds: int) -> "_Price":
        """The price of a quantity; most windows of a bill have one that another window had."""
        key = (rate.id, per_s, quantity_seconds)
        if key not in self._known:
            quantity = Fraction(quantity_seconds, rate.unit_amount * per_s)
            steps = rate.shape.steps(quantity)
            self._known[key] = _Price(quantity, steps, sum((step.nanos for step in steps), Fraction(0)))
        return self._known[key]

    def _whole(self, cells: Mapping[Payer, _Cell], unit_seconds: int) -> list[_Share]:
        """One unit for the window that was begun, in parts by time."""
        seconds = [cell.seconds for cell in cells.values()]
        total = unit_seconds if any(each > 0 for each in seconds) else 0
        parts = split(total, [max(0, each) for each in seconds])
        return [
            _Share(self._rolled(payer), part, each, 0)
            for payer, part, each in zip(cells, parts, seconds, strict=True)
        ]

    def _at_each_moment(
        self, rate: Rate, per_s: int, payer: Payer, cell: _Cell
    ) -> tuple[_Share, Fraction, list[Step]]:
        levels = cell.levels.copy()
        if cell.existence_s > cell.seconds:
            levels[0] += cell.existence_s - cell.seconds
        steps = [
            Step(f"{exact_text(Fraction(seconds, per_s))} {rate.per} x ({step.text})", step.nanos * Fraction(seconds, per_s))
            for level, seconds in sorted(levels.items())
            if seconds
            for step in rate.shape.steps(Fraction(level, rate.unit_amount))
        ]  # fmt: skip
        quantity_seconds = sum(level * seconds for level, seconds in levels.items())
        share = _Share(self._rolled(payer), quantity_seconds, max(cell.seconds, cell.existence_s), 0)
        return share, sum((step.nanos for step in steps), Fraction(0)), steps

    def _shares(self, rate: Rate, cells: Mapping[Payer, _Cell]) -> list[_Share]:
        """Each payer's quantity: level x seconds, or the machine's highest level for all its seconds."""
        highest = self._highest(rate, cells)
        found: dict[Payer, _Share] = {}
        for payer, cell in cells.items():
            quantity_seconds = sum(level * seconds for level, seconds in cell.levels.items())
            if highest:
                quantity_seconds = highest[payer.machine] * cell.seconds
            at = self._rolled(payer)
            held = found.get(at, _Share(at, 0, 0, 0))
            found[at] = _Share(
                at, held.quantity_seconds + quantity_seconds, held.seconds + cell.seconds,
                held.existence_s + cell.existence_s,
            )  # fmt: skip
        return list(found.values())

    def _highest(self, rate: Rate, cells: Mapping[Payer, _Cell]) -> dict[str | None, int]:
        if self.card.conventions.allocated is not Allocated.MAXIMUM or rate.is_measured:
            return {}
        levels: dict[str | None, Counter[int]] = defaultdict(Counter)
        for payer, cell in cells.items():
            for level, seconds in cell.levels.items():
                levels[payer.machine][level] += seconds
        return {
            machine: max((level for level, seconds in each.items() if seconds > 0), default=0)
            for machine, each in levels.items()
        }

    def _rolled(self, payer: Payer) -> Payer:
        return payer if self.by_machine else Payer(payer.tenant, payer.cost_centre, None, "", "")

    def _rounded_together(
        self, totals: Totals, scopes: Mapping[tuple[int, str, Payer], str]
    ) -> dict[tuple[int, str, Payer], int]:
        """Minor units of charges that are parts of one price, so that they add up to its rounded amount."""
        together: dict[tuple[int, str, str], list[tuple[int, str, Payer]]] = defaultdict(list)
        for key, scope in scopes.items():
            rate = self._rates[key[1]]
            of_tenant = window_of(rate) is Window.TENANT_MONTH
            shared = not rate.shape.linear and rate.window is not Window.MOMENT
            if (shared or rate.proration is Proration.WHOLE) and (self.by_machine or of_tenant):
                together[key[0], key[1], scope].append(key)
        found: dict[tuple[int, str, Payer], int] = {}
        for (_, rate_id, _), keys in together.items():
            if len(keys) > 1:
                ordered = sorted(keys, key=_payer_order)
                exact = [self._nanos(self._rates[rate_id], key[0], totals[key]) for key in ordered]
                found |= dict(zip(ordered, apportioned(exact, self.card), strict=True))
        return found

    def _nanos(self, rate: Rate, t_from: int, total: _Total) -> Fraction:
        if not rate.shape.linear:
            return total.nanos
        per_s = self.card.per_s(rate, self._periods[t_from])
        return Fraction(rate.rate_nanos * total.quantity_seconds, rate.unit_amount * per_s)

    def _charge(self, key: tuple[int, str, Payer], total: _Total, minor: int | None) -> Charge | None:
        """The charge of a total; None for what was all taken back."""
        if not (total.quantity_seconds or total.seconds or total.nanos):
            return None
        t_from, rate_id, payer = key
        rate, period = self._rates[rate_id], self._periods[t_from]
        linear = rate.shape.linear
        one_price = self.by_machine or window_of(rate) is Window.TENANT_MONTH
        return Charge(
            period, payer.tenant, payer.cost_centre, rate.tier, payer.machine, rate,
            total.quantity_seconds, total.seconds, *self.cut.spans[t_from, rate_id], payer.pool, payer.labels,
            per_s=self.card.per_s(rate, period), nanos=None if linear else total.nanos, minor=minor,
            steps=_merged(total.steps) if one_price else (),
        )  # fmt: skip

    def _once(self, births: Iterable[Birth]) -> list[Charge]:
        """What is paid once for machines that came into being in a period."""
        counts: Counter[tuple[int, str, Payer]] = Counter()
        spans = {}
        for birth in births:
            for period, segments in self.cut.once:
                if not period.t_from <= birth.at < period.t_to:
                    continue
                valid = [s for s in segments if s.rate.tier == birth.tier and s.t_from <= birth.at < s.t_to]
                for component in sorted({segment.rate.component for segment in valid}):
                    rates = [
                        s for s in valid if s.rate.component == component and _matches(s.rate, birth.labels)
                    ]
                    if rates:
                        best = max(rates, key=lambda segment: len(segment.rate.where))
                        payer = Payer(
                            birth.tenant, birth.cost_centre, birth.machine, birth.pool, birth.labels
                        )
                        counts[period.t_from, best.rate.id, self._rolled(payer)] += 1
                        spans[period.t_from, best.rate.id] = best.t_from, best.t_to
        return [
            Charge(
                self._periods[t_from], payer.tenant, payer.cost_centre, self._rates[rate_id].tier, payer.machine,
                self._rates[rate_id], count, 0, *spans[t_from, rate_id], payer.pool, payer.labels, per_s=1,
            )
            for (t_from, rate_id, payer), count in counts.items()
        ]  # fmt: skip


def apportioned(exact: Sequence[Fraction], card: RateCard) -> list[int]:
    """Parts of one price in minor units that add up to its rounded amount, by largest remainder.

    Of equal remainders the earlier part gets the unit; parts may be negative.
    """
    scale = Fraction(10**card.minor_digits, NANOS_PER_UNIT)
    scaled = [part * scale for part in exact]
    parts = [part.numerator // part.denominator for part in scaled]
    total = round_to_minor(sum(exact, Fraction(0)), card.minor_digits, card.rounding)
    by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - scaled[i], i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def _split(
    price: _Price, whole: int, shares: Sequence[_Share]
) -> Iterable[tuple[_Share, Fraction, list[Step]]]:
    """The price of the window's whole quantity, in parts by quantity."""
    if len(shares) == 1:
        return [(shares[0], price.nanos, price.steps)]
    existence_s = sum(share.existence_s for share in shares)
    found = []
    for share in shares:
        part = (
            Fraction(share.quantity_seconds, whole) if whole else Fraction(share.existence_s, existence_s)
        )
        own = exact_text(price.quantity * part)
        text = f"less what others have of it: this is {own} of {exact_text(price.quantity)}"
        found.append(
            (share, price.nanos * part, [*price.steps, Step(text, price.nanos * part - price.nanos)])
        )
    return found


def _merged(windows: Sequence[list[Step]]) -> tuple[Step, ...]:
    """The terms of all windows, those of equal ones as one: ``31 x (2 x 0.5)``."""
    if len(windows) == 1:
        return tuple(windows[0])
    counts = Counter(id(steps) for steps in windows)
    each = {id(steps): steps for steps in windows}
    return tuple(
        step if counts[key] == 1 else Step(f"{counts[key]} x ({step.text})", counts[key] * step.nanos)
        for key, steps in each.items()
        for step in steps
    )


def _payer_order(key: tuple[int, str, Payer]) -> tuple[Any, ...]:
    payer = key[2]
    return payer.tenant, payer.cost_centre, payer.machine or "", payer.pool, payer.labels


def _is_charged(rate: Rate, power: str, ran: bool) -> bool:
    if rate.power is PowerRule.ONCE_ON:
        return ran
    return rate.power is PowerRule.ALWAYS or power == Power.ON.value


def _chosen(target: Target, labels: str) -> Rate | None:
    """The most special rate of a target that these labels match."""
    return next((rate for rate in target.candidates if _matches(rate, labels)), None)


def _matches(rate: Rate, labels: str) -> bool:
    return not rate.where or rate.where.items() <= _labels(labels).items()


@lru_cache(maxsize=4096)
def _labels(text: str) -> dict[str, str]:
    return labels_of(text)
