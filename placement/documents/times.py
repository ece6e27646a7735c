"""Time in a document as slots: where requests and reservations begin and end."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from catalog.wording import known_names
from placement.arrays import Bool, Int64
from placement.documents.form import Document, Moment, Request, Reservation
from placement.documents.rooms import unknown_class
from placement.periods import Periods
from placement.problem import PlacementProblem
from placement.providers import Providers

Span = Request | Reservation
Cut = int | date
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_FORMS = 'an hour from now (24), a day ("2026-12-01"), or one of `periods`'


@dataclass
class Times:
    """Reads spans of time; what is wrong goes into `problems`."""

    form: Document
    problems: list[str] = field(default_factory=list)

    def periods(
        self, counts: Sequence[int], rooms: PlacementProblem, provider: Callable[[str, str], int | None]
    ) -> Periods | None:
        """The slots of a document, those of requests and what reservations take; None where it says nothing of time."""
        form = self.form
        spans: list[tuple[str, Span]] = [(f"requests[{n}]", one) for n, one in enumerate(form.requests)]
        spans += [(f"reservations[{n}]", one) for n, one in enumerate(form.reservations)]
        timed = any(one.from_ is not None or one.until is not None for _, one in spans)
        if not timed and form.periods is None and not form.reservations:
            return None
        slots = self._named(form.periods) if form.periods is not None else self._cut(spans)
        if self.problems:
            return None
        first, end = self._slots(spans, slots)
        r = len(form.requests)
        taken = self._taken(slots, first[r:], end[r:], rooms, provider)
        if self.problems:
            return None
        return Periods(
            names=slots.names,
            first=np.repeat(np.array(first[:r], dtype=np.int64), counts),
            end=np.repeat(np.array(end[:r], dtype=np.int64), counts),
            taken=taken,
        )

    def _named(self, names: tuple[str, ...]) -> "_Slots":
        for n, name in enumerate(names):
            if name in names[:n]:
                self.problems.append(f"periods[{n}]: '{name}' is there twice; use each name once")
        return _Slots(names, {name: n for n, name in enumerate(names)})

    def _cut(self, spans: list[tuple[str, Span]]) -> "_Slots":
        """A slot between every two moments at which something begins or ends, and at both open ends if needed."""
        said = [
            (f"{at}.{name}", moment)
            for at, one in spans
            for name, moment in (("from", one.from_), ("until", one.until))
            if moment is not None
        ]
        found = {path: cut for path, moment in said if (cut := self._moment(path, moment)) is not None}
        hours = [path for path, cut in found.items() if isinstance(cut, int)]
        if hours and len(hours) < len(found):
            day = next(path for path, cut in found.items() if not isinstance(cut, int))
            self.problems.append(f"{day}: is a day, but {hours[0]} an hour; use one of the two everywhere")
        if self.problems:
            return _Slots((), {})
        cuts = sorted(found.values())
        cuts = list(dict.fromkeys(cut for cut in cuts if cut != 0))
        return _slots(cuts, late=all(one.from_ not in {None, 0} for _, one in spans), spans=spans)

    def _moment(self, path: str, moment: Moment) -> Cut | None:
        if isinstance(moment, int):
            return moment
        try:
            if _DAY.fullmatch(moment):
                return date.fromisoformat(moment)
        except ValueError:
            pass
        self.problems.append(f"{path}: must be {_FORMS} (found '{moment}')")
        return None

    def _slots(self, spans: list[tuple[str, Span]], slots: "_Slots") -> tuple[list[int], list[int]]:
        first, end, last = [], [], len(slots.names)
        for at, one in spans:
            begins = 0 if one.from_ is None else self._at(slots, f"{at}.from", one.from_)
            ends = last if one.until is None else self._at(slots, f"{at}.until", one.until)
            if begins >= ends and not self.problems:
                self.problems.append(f"{at}.until: {_shown(one.until)} is not after {_shown(one.from_)}")
            first.append(begins)
            end.append(ends)
        return first, end

    def _at(self, slots: "_Slots", path: str, moment: Moment) -> int:
        if moment not in slots.at:
            self.problems.append(
                f"{path}: there is no period {_shown(moment)}; {known_names(moment, slots.names)}"
            )
        return slots.at.get(moment, 0)

    def _taken(
        self,
        slots: "_Slots",
        first: list[int],
        end: list[int],
        rooms: PlacementProblem,
        provider: Callable[[str, str], int | None],
    ) -> Int64:
        classes, providers = self.form.resource_classes, rooms.providers
        taken = np.zeros((len(slots.names), len(providers.ids), len(classes)), dtype=np.int64)
        for n, one in enumerate(self.form.reservations):
            v = self._holder(n, one, providers, provider)
            for name, amount in one.resources.items():
                at = f"reservations[{n}].resources.{name}"
                if name not in classes:
                    self.problems.append(unknown_class(self.form, at, name))
                elif v is not None:
                    k = classes.index(name)
                    span = taken[first[n] : end[n], :, k]
                    for whose, inside, free in _limits(rooms, v, k):
                        if amount > free - int(span[:, inside].sum(axis=1).max(initial=0)):
                            more = f"hold more {name} of '{whose}' than the {free} that are free"
                            self.problems.append(f"{at}: with {amount}, reservations {more}")
                            break
                    else:
                        span[:, v] += amount
        return taken

    def _holder(
        self, n: int, one: Reservation, providers: Providers, provider: Callable[[str, str], int | None]
    ) -> int | None:
        """The provider; where only the pool is named, and hosts have no say in what is reserved, its first host."""
        pools = {pool.id: p for p, pool in enumerate(self.form.pools)}
        own = {
            name
            for name, own in zip(self.form.resource_classes, providers.own.tolist(), strict=True)
            if own
        }
        if one.provider in pools and providers.are_hosts and not own & set(one.resources):
            return int(np.argmax(providers.pool_of == pools[one.provider]))
        return provider(f"reservations[{n}].provider", one.provider)


def _limits(rooms: PlacementProblem, v: int, k: int) -> Iterator[tuple[str, Bool, int]]:
    """Whose room a reservation takes, which providers share it [V], and how much is free: the provider's and its pool's."""
    providers, pool = rooms.providers, int(rooms.providers.pool_of[v])
    if providers.own[k]:
        yield providers.ids[v], np.arange(len(providers.ids)) == v, int(providers.free[v, k])
    if providers.are_hosts:
        yield rooms.pool_ids[pool], providers.pool_of == pool, int(rooms.free[pool, k])


@dataclass(frozen=True)
class _Slots:
    names: tuple[str, ...]
    at: dict[Moment, int]
    """The slot that begins at each moment; the number of slots for the end of the last."""


def _slots(cuts: Sequence[Cut], *, late: bool, spans: list[tuple[str, Span]]) -> _Slots:
    """`late`: nothing is there before the first cut, so no slot is needed for it."""
    early = [] if late and cuts else [None]
    over = all(one.until is not None for _, one in spans)
    bounds: list[Cut | None] = [*early, *cuts, *([] if over and cuts else [None])]
    pairs = list(pairwise(bounds)) or [(None, None)]
    at: dict[Moment, int] = {0: 0}
    for n, (begins, ends) in enumerate(pairs):
        for moment, slot in ((begins, n), (ends, n + 1)):
            if moment is not None:
                at[moment if isinstance(moment, int) else moment.isoformat()] = slot
    return _Slots(tuple(_name(begins, ends) for begins, ends in pairs), at)


def _name(begins: Cut | None, ends: Cut | None) -> str:
    last = ends - timedelta(days=1) if isinstance(ends, date) else ends
    if begins is None and last is None:
        return "always"
    if begins is None:
        return f"until {last}" if isinstance(last, date) else f"hour 0 to {last}"
    if last is None:
        return f"from {begins}" if isinstance(begins, date) else f"from hour {begins}"
    return f"{begins} to {last}" if isinstance(begins, date) else f"hour {begins} to {last}"


def _shown(moment: Moment | None) -> str:
    return f"'{moment}'" if isinstance(moment, str) else str(0 if moment is None else moment)
