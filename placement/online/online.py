"""The kernel's door: ask where a request could go, put it there, take it away."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from placement.arrays import Bool, Int64
from placement.online import rules, scan, whole
from placement.online.admitted import TOGETHER, Admitted
from placement.online.chosen import Chosen
from placement.online.failover import plan_restarts
from placement.online.memory import COMES, FORBIDDEN, GOES, pack
from placement.online.tables import parts_of
from placement.problem import PlacementProblem
from placement.seats import Seats

_COMPILES = hasattr(scan.seek, "py_func")


class Online:
    """A problem with some of its requests placed; nobody is at first, whatever `problem.current` says.

    Every rule that forbids holds at each step, and so it is kept by every plan made by `decide` alone. Taking
    requests away can leave spread uneven or break nothing else; `uneven` tells. Costs are the objective's first
    level: its prices, and what penalties, openings and packs add given who is there.
    """

    def __init__(self, problem: PlacementProblem, *, compiled: bool = _COMPILES) -> None:
        """`compiled=False` searches in numpy: the same answers. Raises ValueError where failover is too large."""
        self.problem = problem
        admitted = Admitted(problem)
        self.classes = admitted.classes
        self.memory, self.parts = pack(parts_of(admitted))
        """What the compiled functions work on, and views of it by name; to be read, not written."""
        self._chosen = Chosen(admitted, self.parts)
        self._of = self.classes.of.astype(np.int64)
        self._home = np.full(len(self._of), -1) if problem.current is None else problem.current
        self._compiled = compiled

    @property
    def provider_of(self) -> Int64:
        """[R] where each request is, -1 for none; read-only."""
        view = self.parts.provider_of.view()
        view.setflags(write=False)
        return view

    @property
    def choices(self) -> dict[str, Int64]:
        """[R] what else was chosen, by the constraint that asks; -1 for none.

        ``numa`` is a bit mask of nodes, ``ha_reserve`` the provider to restart on where single hosts may fail; the
        others are as their constraints number what they told as stores.
        """
        parts = self.parts
        return self._chosen.named(self.provider_of, (parts.numa_of, parts.store_of, parts.target))

    @property
    def fit(self) -> Int64:
        """[V] what each provider has left in all resources together, each worth alike; read-only."""
        view = self.parts.fit.view()
        view.setflags(write=False)
        return view

    @property
    def nbytes(self) -> int:
        """The memory that the kernel itself keeps."""
        return self.memory.nbytes

    @property
    def seats(self) -> Seats:
        """A copy of the decisions, for the checker."""
        return Seats(self.provider_of.copy(), self.choices)

    def best(self, request: int) -> int:
        """The provider that would take the request at the least cost; -1 where none could.

        Among equals: where it runs today, then one with requests on it, then the tightest fit, then the first.
        A request that is placed is judged as if it were not.
        """
        with self._without(request):
            return self._seek(request)

    def mask(self, request: int) -> Bool:
        """[V] the providers that could take the request; one that is placed is judged as if it were not."""
        g = int(self._of[request])
        with self._without(request):
            return scan.mask(self.memory, g) if self._compiled else whole.mask(self.parts, g)

    def cost(self, request: int, provider: int) -> int:
        """What the request would add to the objective's first level there.

        Raises ValueError where it may never go there.
        """
        g, home, parts = int(self._of[request]), int(self._home[request]), self.parts
        price = int(parts.prices[parts.pattern_of[g], provider])
        if price == FORBIDDEN:
            name, where = self.problem.request_ids[request], self.problem.providers.ids[provider]
            msg = f"'{name}' has no price on '{where}': it may never go there; ask mask() where it can"
            raise ValueError(msg)
        away = int(parts.away[0]) if home not in {-1, provider} else 0
        with self._without(request):
            return price + away + int(rules.on_top(self.memory, g, provider))

    def decide(self, request: int) -> int:
        """Place the request on its best provider and give that back; -1, and nothing done, where none could take it."""
        assert self.parts.provider_of[request] < 0, f"{self.problem.request_ids[request]} is placed already"
        g, home = self._of[request], self._home[request]
        if self._compiled:
            return int(scan.decide(self.memory, request, g, home))
        provider = whole.seek(self.parts, int(g), int(home))
        if provider >= 0:
            rules.take(self.memory, request, int(g), provider)
        return provider

    def decide_many(self, requests: Sequence[int] | Int64) -> Int64:
        """`decide` of one after another, in one compiled loop: the provider of each, -1 for none."""
        return self.put(requests)[0]

    def put(self, requests: Sequence[int] | Int64) -> tuple[Int64, int]:
        """`decide_many`, and what these requests add to the objective's first level."""
        wanted = np.asarray(requests, dtype=np.int64)
        found = np.full(len(wanted), -1, dtype=np.int64)
        assert (self.parts.provider_of[wanted] < 0).all(), "some of these requests are placed already"
        if self._compiled:
            return found, int(scan.put_each(self.memory, wanted, self._of, self._home, found))
        spent = 0
        for n, i in enumerate(wanted.tolist()):
            found[n] = self._seek(i)
            if found[n] >= 0:
                spent += self.cost(i, int(found[n]))
                rules.take(self.memory, i, int(self._of[i]), int(found[n]))
        return found, spent

    def pull(self, requests: Sequence[int] | Int64) -> int:
        """Take these requests away; what the objective's first level is less by it."""
        wanted = np.asarray(requests, dtype=np.int64)
        return int(scan.pull_each(self.memory, wanted, self._of, self._home))

    def remembered(self, requests: Sequence[int] | Int64) -> tuple[Int64, ...]:
        """Where these requests are, with all that was chosen for them: what `restore` takes."""
        wanted, parts = np.asarray(requests, dtype=np.int64), self.parts
        chosen = (parts.provider_of, parts.numa_of, parts.store_of, parts.target)
        return (wanted, *(one[wanted] for one in chosen))

    def restore(self, remembered: tuple[Int64, ...]) -> None:
        """Put requests back as they were remembered; whoever has come since must have gone again."""
        wanted, provider_of, *chosen = remembered
        self.pull(wanted)
        parts = self.parts
        for part, values in zip((parts.numa_of, parts.store_of, parts.target), chosen, strict=True):
            part[wanted] = values
        for i, provider in zip(wanted.tolist(), provider_of.tolist(), strict=True):
            if provider >= 0:
                rules.count_in(self.memory, i, int(self._of[i]), provider, COMES)

    def group_of(self, request: int) -> tuple[Int64, Int64] | None:
        """The requests that must be in one domain with this one, and [V] each provider's domain; None where there are none."""
        p, g = self.parts, int(self._of[request])
        for f in p.rule[p.rule_at[g] : p.rule_soft[g]].tolist():
            if p.kind[f] == TOGETHER:
                entries = np.flatnonzero(p.rule == f)
                classes = np.searchsorted(p.rule_at, entries, side="right") - 1
                return np.flatnonzero(np.isin(self._of, classes)), p.maps[p.map_of[f]]
        return None

    def grouped(self) -> Bool:
        """[R] whether a request must be in one domain with others."""
        entries = np.flatnonzero(self.parts.kind[self.parts.rule] == TOGETHER)
        classes = np.searchsorted(self.parts.rule_at, entries, side="right") - 1
        return np.isin(self._of, classes)

    def place(self, request: int, provider: int, *, force: bool = False) -> None:
        """Put the request there; with `force`, whatever the rules say (a running estate may break them).

        Raises ValueError where it is placed already, or where the rules do not let it.
        """
        name, where = self.problem.request_ids[request], self.problem.providers.ids[provider]
        if self.parts.provider_of[request] >= 0:
            msg = f"'{name}' is placed already; move it, or remove it first"
            raise ValueError(msg)
        if not force and not self._may(request, provider):
            msg = f"'{name}' cannot go to '{where}': some rule forbids it; ask mask() where it can"
            raise ValueError(msg)
        rules.take(self.memory, request, int(self._of[request]), provider)

    def put_back(self, request: int, provider: int, choices: Mapping[str, Int64]) -> None:
        """Put a request that is not placed there with these choices [R], as `choices` has them, whatever the rules say.

        Where it restarts is planned anew as far as they do not say.
        """
        g = int(self._of[request])
        plan_restarts(self.memory, request, g, provider)
        self._chosen.note(request, provider, choices)
        rules.count_in(self.memory, request, g, provider, COMES)

    def remove(self, request: int) -> int:
        """Take the request away, and give back where it was; -1, and nothing done, where it was nowhere."""
        provider = int(self.parts.provider_of[request])
        if provider >= 0:
            rules.count_in(self.memory, request, int(self._of[request]), provider, GOES)
        return provider

    def move(self, request: int, provider: int) -> None:
        """Take the request from where it is to another provider. Raises ValueError, and nothing done, where it cannot go."""
        with self._without(request):
            possible = self._may(request, provider)
        if not possible:
            name, where = self.problem.request_ids[request], self.problem.providers.ids[provider]
            msg = f"'{name}' cannot move to '{where}': some rule forbids it; ask mask() where it can"
            raise ValueError(msg)
        self.remove(request)
        rules.take(self.memory, request, int(self._of[request]), provider)

    def uneven(self) -> int:
        """How many rules of spread or togetherness the requests break now: 0 unless some were removed or forced."""
        return int(rules.uneven(self.memory))

    def _seek(self, request: int) -> int:
        g, home = int(self._of[request]), int(self._home[request])
        return int(scan.seek(self.memory, g, home) if self._compiled else whole.seek(self.parts, g, home))

    def _may(self, request: int, provider: int) -> bool:
        return bool(scan.could(self.memory, int(self._of[request]), provider))

    @contextmanager
    def _without(self, request: int) -> Iterator[None]:
        """As if the request were not placed; afterwards it is where it was, with all that was chosen for it."""
        provider = self.remove(request)
        try:
            yield
        finally:
            if provider >= 0:
                rules.count_in(self.memory, request, int(self._of[request]), provider, COMES)
