"""Licences over a time: the horizon is cut where contracts are renewed and rules change, and priced piece by piece.

Costs fall evenly on the months that a price is for, so that horizons of any length compare; what is due when is told
beside it (`Due`). A renewal, and every other date, counts from the first month that begins on that day or later.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from itertools import pairwise

from catalog.wording import counted
from chargeback.economics.document import Economics
from chargeback.economics.figures import MICROS, Figure
from chargeback.economics.licences import Licence, Owned, Price, Way
from chargeback.economics.terms import AddOnTerms, AlternativeTerms, Due, LicenceTerms
from chargeback.economics.trace import (
    Factor,
    Line,
    MissingFigure,
    Part,
    Recurring,
    Span,
    Use,
    recurring,
    resolved,
)

_HUNDRED = Factor("hundredths", Fraction(100), divides=True)


def products(
    economics: Economics, start: date, months: int, region: str | None = None, *, on_day: int = 0
) -> tuple[LicenceTerms, ...]:
    """The products that must be licensed over `months` from `start` (see `Span`), in the document's order and then by time.

    Raises MissingFigure where a price says nothing of a month, or where a product applies and cannot be had.
    """
    span = Span(start, months, on_day=on_day)
    found: list[LicenceTerms] = []
    for licence in economics.licences:
        if licence.applies and licence.region in {None, region or None}:
            found += _pieces(licence, span, region or None)
    return tuple(found)


def products_of_regions(
    economics: Economics, start: date, months: int, regions: Iterable[str | None], *, on_day: int = 0
) -> tuple[tuple[LicenceTerms, tuple[str | None, ...]], ...]:
    """The products of several regions, each with those in which it is the same: these are one order together.

    Raises MissingFigure, as `products`.
    """
    found: list[tuple[LicenceTerms, list[str | None]]] = []
    for region in dict.fromkeys(one or None for one in regions):
        for terms in products(economics, start, months, region, on_day=on_day):
            same = next((where for other, where in found if _alike(other, terms)), None)
            if same is None:
                found.append((terms, [region]))
            else:
                same.append(region)
    return tuple((terms, tuple(where)) for terms, where in found)


def _alike(one: LicenceTerms, other: LicenceTerms) -> bool:
    """Whether all is the same but where in the document it stands."""
    return replace(one, lines=()) == replace(other, lines=())


def counted_once(needed: Iterable[tuple[LicenceTerms, Sequence[str | None]]]) -> None:
    """Raises MissingFigure where what is owned, or people, would count in each of several orders of one product.

    `needed` are the terms under which anything is licensed, with their regions: where prices differ by region, each region
    is an order of its own.
    """
    seen: dict[tuple[str, date, str], str] = {}
    for terms, regions in needed:
        where = " and ".join(one or "no region" for one in regions)
        for way in terms.alternatives:
            if not (way.owned_packs or way.principals):
                continue
            before = seen.setdefault((terms.product, terms.start, way.name), where)
            if before != where:
                what = (
                    f"{counted(way.owned_packs, 'pack')} owned"
                    if way.owned_packs
                    else counted(way.principals, "principal")
                )
                msg = (
                    f"licences.{terms.product}: '{way.name}' has {what}, and is another order in {where} than in {before}; "
                    "write a licence for each region, with what there is in it"
                )
                raise MissingFigure(msg)


def _pieces(licence: Licence, span: Span, region: str | None) -> Iterator[LicenceTerms]:
    cuts = sorted({0, span.months, *(span.first_at(day) for day in _days(licence))})
    wanted = [(begin, end) for begin, end in pairwise(cuts) if licence.holds(span.day(begin), region)]
    for begin, end in wanted:
        piece = _Piece(licence, span, begin, end, region)
        yield piece.terms(alone=len(wanted) == 1)


def _days(licence: Licence) -> Iterator[date]:
    """When something changes in how it is counted or owned; prices may change on the way."""
    days = [licence.since, licence.until]
    for way in licence.alternatives:
        days += [way.valid_from, way.valid_until, *(owned.until for owned in way.owned)]
    return (day for day in days if day is not None)


class _Piece:
    """The months `begin` to `end` of the horizon, of one product."""

    def __init__(self, licence: Licence, span: Span, begin: int, end: int, region: str | None) -> None:
        self.licence = licence
        self.span = span
        self.begin, self.end = begin, end
        self.region = region
        self.day = span.day(begin)
        self.lines: list[Line] = []
        self._at = f"licences.{licence.name}"

    def terms(self, *, alone: bool) -> LicenceTerms:
        """What a planner takes."""
        licence = self.licence
        numbered = [
            (n, way) for n, way in enumerate(licence.alternatives) if way.holds(self.day, self.region)
        ]
        if not numbered:
            where = f" in region {self.region}" if self.region else ""
            msg = (
                f"{self._at}.alternatives: none can be had on {self.day}{where}; add one that holds then, "
                "or say from when the product is not needed"
            )
            raise MissingFigure(msg)
        alternatives = tuple(self._alternative(way, f"{self._at}.alternatives.{n}") for n, way in numbered)
        sunk = {way.name: self._sunk(way, f"{self._at}.alternatives.{n}") for n, way in numbered}
        dues = {
            key: due
            for n, way in numbered
            for key, due in self._all_dues(way, f"{self._at}.alternatives.{n}")
        }
        name = licence.name if alone else f"{licence.name} from {self.day}"
        return LicenceTerms(
            name, licence.name, licence.layer, licence.match, licence.reach, licence.accepts, licence.whole_pool,
            alternatives, sunk, self.day, self.begin, self.end - self.begin, tuple(self.lines), dues,
        )  # fmt: skip

    def _alternative(self, way: Way, at: str) -> AlternativeTerms:
        cost = self._pack_cost(way.prices, way.pack_size, f"{at}.prices", f"a pack of {way.name}", way)
        fees = self._fees(way, at)
        self.lines += fees
        whole, rest = divmod(cost + _exactly(fees), 1)
        more = way.add_on
        add_on = None
        if more is not None:
            price, part = divmod(
                self._pack_cost(
                    more.prices, more.pack_size, f"{at}.add_on.prices", f"a pack of {more.name}", way
                ),
                1,
            )
            add_on = AddOnTerms(
                more.name, more.amount, price, more.unit_amount, more.granted, more.pack_size, part
            )
        return AlternativeTerms(
            name=way.name, metric=way.metric, pack_cost_micros=whole, pack_cost_rest=rest, add_on=add_on,
            per_socket_minimum=way.per_socket_minimum, per_host_minimum=way.per_host_minimum,
            core_factor_thousandths=dict(way.core_factor_thousandths), per_machine_minimum=way.per_machine_minimum,
            unit_covers=dict(way.unit_covers), amount=way.amount, unit_amount=way.unit_amount, principals=way.principals,
            covers=way.covers, per_hour=way.per_hour, pack_size=way.pack_size, pack_scope=way.pack_scope,
            order_minimum=way.order_minimum, owned_packs=sum(one.packs for one in self._running(way)),
            valid_from=way.valid_from, valid_until=way.valid_until,
        )  # fmt: skip

    def _running(self, way: Way) -> list[Owned]:
        """The contracts that pay for this piece."""
        return [owned for owned in way.owned if self.day < owned.until]

    def _pack_cost(self, prices: Sequence[Price], pack_size: int, at: str, what: str, way: Way) -> Fraction:
        found = Fraction(0)
        for n, price in enumerate(prices):
            lines = self._priced(price, pack_size, f"{at}.{n}.amount", what, "pack", way)
            self.lines += lines
            found += _exactly(lines)
        return found

    def _priced(self, price: Price, pack_size: int, at: str, what: str, part: str, way: Way) -> list[Line]:
        """The lines of one pack over the piece."""
        size = Factor("units in a pack", Fraction(pack_size if price.per == "unit" else 1))
        amount = Use(at, price.amount, f"price per {price.per} and {price.period}")
        if price.period == "once":
            return self._once(price, (amount, size), what, part, way)
        wanted = Recurring("licences", part, what, (amount, size), price.months)
        if price.period == "hour":
            # Hours are counted over the whole horizon, whatever the piece: each piece pays its months' share of them.
            wanted = replace(wanted, over=self.span.months)
            return list(recurring(wanted, self._span, self.region, self.begin))
        return list(recurring(wanted, self._span, self.region))

    def _bought(self, way: Way) -> int:
        """The month in which what is bought once is bought: the first in which it is needed and can be had."""
        days = [day for day in (way.valid_from, self.licence.since) if day is not None]
        return max((self.span.first_at(day) for day in days), default=0)

    def _once(self, price: Price, parts: tuple[Part, ...], what: str, part: str, way: Way) -> list[Line]:
        """Written off from the month in which it is bought, at that month's price."""
        bought = self._bought(way)
        begin, end = (min(n - bought, price.months) for n in (self.begin, self.end))
        if begin >= end:
            return []
        day = self.span.day(bought)
        note = f"bought {day}, written off over {counted(price.months, 'month')}"
        factors = resolved(parts, day, self.region)
        return [Line("licences", part, what, factors, self.day, begin, end, price.months, note)]

    @property
    def _span(self) -> Span:
        return replace(self.span, months=self.end - self.begin, first=self.begin)

    def _late(self, way: Way) -> tuple[int, Owned] | None:
        """The contract whose late renewal this piece begins with; of several the one with the highest fee."""
        found = [
            (n, owned)
            for n, owned in enumerate(way.owned)
            if owned.late
            and self.begin == self.span.first_at(owned.until)
            and (owned.renewed_on or owned.until) >= self.span.start  # Else it was paid before.
        ]
        return max(found, key=lambda item: self._percent(item[1]), default=None)

    def _percent(self, owned: Owned) -> Fraction:
        found = owned.late_fee_percent.at(self.day, self.region) if owned.late_fee_percent else None
        return found[1].value if found else Fraction(0)

    def _fees(self, way: Way, at: str) -> list[Line]:
        """What renewing late costs on each pack: a share of its first year."""
        late = self._late(way)
        fee = late[1].late_fee_percent if late else None
        if late is None or fee is None:
            return []
        n, owned = late
        percent = Use(f"{at}.owned.{n}.late_fee_percent", fee, "late fee in percent")
        what = f"fee for renewing {way.name} late, on {owned.renewed_on}"
        lines = []
        for k, price in enumerate(way.prices):
            if price.period in {"month", "year", "term"}:
                size = Factor("units in a pack", Fraction(way.pack_size if price.per == "unit" else 1))
                amount = Use(
                    f"{at}.prices.{k}.amount", price.amount, f"price per {price.per} and {price.period}"
                )
                year = Factor("months of the first year", Fraction(12, price.months))
                factors = resolved((amount, size, year, percent, _HUNDRED), self.day, self.region)
                lines.append(Line("licences", "pack", what, factors, self.day, 0, 1))
        return lines

    def _sunk(self, way: Way, at: str) -> int:
        """What the running contracts cost in this piece, by what was paid or else by the price."""
        found = 0
        for owned in self._running(way):
            n = way.owned.index(owned)
            packs = Factor("packs owned", Fraction(owned.packs))
            paid = owned.paid_per_pack_per_year
            what = f"{counted(owned.packs, 'pack')} of {way.name} until {owned.until}"
            if paid is not None:
                amount = Use(f"{at}.owned.{n}.paid_per_pack_per_year", paid, "paid per pack and year")
                lines = list(
                    recurring(
                        Recurring("licences", "sunk", what, (amount, packs), 12), self._span, self.region
                    )
                )
            else:
                lines = [
                    replace(x, factors=(*x.factors, packs))
                    for k, price in enumerate(way.prices)
                    if price.period not in {"hour", "once"}
                    for x in self._priced(
                        price, way.pack_size, f"{at}.prices.{k}.amount", what, "sunk", way
                    )
                ]
            self.lines += lines
            found += sum(line.micros for line in lines)
        return found

    def _all_dues(self, way: Way, at: str) -> Iterator[tuple[str, tuple[Due, ...]]]:
        fees = _exactly(self._fees(way, at))
        late = self._late(way)
        paid = [*self._dues(way.prices, way.pack_size, at, way)]
        if late is not None and fees:
            when = self.span.first_at(late[1].renewed_on or late[1].until)
            paid.append(Due(min(max(when, self.begin), self.end - 1), fees))
        yield way.name, tuple(paid)
        if way.add_on is not None:
            more = way.add_on
            dues = self._dues(more.prices, more.pack_size, f"{at}.add_on", way)
            yield f"{way.name} + {more.name}", tuple(dues)

    def _dues(self, prices: Sequence[Price], pack_size: int, at: str, way: Way) -> Iterator[Due]:
        """What one pack costs in cash: at the start of each month, year or term, and once when it is bought."""
        for n, price in enumerate(prices):
            path, size = f"{at}.prices.{n}.amount", pack_size if price.per == "unit" else 1
            if price.period == "once":
                if self.begin == self._bought(way):
                    yield Due(self.begin, self._on(price.amount, path, self.begin) * size * MICROS)
                continue
            every = 1 if price.period == "hour" else price.months
            for month in range(self.begin, self.end, every):
                amount = self._on(price.amount, path, month) * size
                if price.period == "hour":
                    amount *= Fraction(1, self.span.months)
                paid = every if self.end == self.span.months else min(every, self.end - month)
                yield Due(month, amount * Fraction(paid, every) * MICROS)

    def _on(self, figure: Figure, at: str, month: int) -> Fraction:
        return Use(at, figure, "price").on(self.span.day(month), self.region).value


def _exactly(lines: Iterable[Line]) -> Fraction:
    return sum((line.exact_micros for line in lines), Fraction(0))
