"""The checker of orders and waves: no plan is believed on the planner's word.

Shares no code with the planner. It replays every step, counting in Python integers machine by machine.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from catalog.wording import counted
from placement.waves.problem import Calendar, Carriage, MoveProblem
from placement.waves.result import Timed, WavePlan

_Step = tuple[int, int, int]


def order_breaches(
    problem: MoveProblem,
    steps: Sequence[_Step],
    begin: Sequence[int] | None = None,
    excused: Sequence[int] | None = None,
) -> tuple[str, ...]:
    """Everything that is wrong with steps made one after another, from `begin` or where machines are before.

    What was too much already with machines where `excused` says, is not held against them: a way back leads there.
    """
    world = _World(problem, problem.before.tolist() if begin is None else list(begin))
    if excused is not None:
        world.excuse(excused)
    found: list[str] = []
    for n, (machine, source, target) in enumerate(steps):
        if world.at[machine] != source:
            found.append(f"step {n}: machine {machine} is on {world.at[machine]}, not on {source}")
            return tuple(found)
        found += [f"step {n}: {text}" for text in world.begin(machine, target)]
        world.end(machine, keeps=False)
    return tuple(found)


def breaches(
    problem: MoveProblem, carriage: Carriage, calendar: Calendar, plan: WavePlan
) -> tuple[str, ...]:
    """Everything that is wrong with a plan, in words with the values; nothing when it holds."""
    replay = tuple(_replayed(problem, carriage, plan))
    return (
        *replay,
        *_times(carriage, calendar, plan),
        *_used(carriage, plan),
        *_whole(problem, calendar, plan),
        *(() if replay else _ways_back(problem, plan)),
        *(() if replay else _emptied(problem, carriage, plan)),
    )


class _World:
    """Who takes room where: a machine that moves does at both ends, one whose copy is kept at its old place too."""

    def __init__(self, problem: MoveProblem, at: list[int]) -> None:
        self.problem, self.at = problem, at
        self.demand: list[list[int]] = problem.demand.tolist()
        self.capacity: list[list[int]] = problem.capacity.tolist()
        self.largest: list[list[int]] = problem.largest.tolist()
        self.pool: list[int] = problem.pool_of.tolist()
        self.losses: list[int] = problem.losses.tolist()
        self.apart = [set(group.tolist()) for group in problem.apart]
        self.there: list[list[int]] = [[] for _ in self.capacity]
        self.kept: list[tuple[int, int]] = []
        for machine, provider in enumerate(at):
            if provider >= 0:
                self.there[provider].append(machine)
        self.leaving: dict[int, int] = {}
        self.met: set[tuple[int, int]] = set()
        self.home: dict[int, int] = {}
        self.limit = [list(row) for row in self.capacity]
        self.reserve = [self._most(p) if losses else None for p, losses in enumerate(self.losses)]

    def _most(self, pool: int) -> list[int]:
        """What a pool may hold so that it survives the loss of its largest providers, resource by resource."""
        rows = [row for row, p in zip(self.capacity, self.pool, strict=True) if p == pool]
        kept = max(0, len(rows) - self.losses[pool])
        return [sum(sorted(column)[:kept]) for column in zip(*rows, strict=True)]

    def excuse(self, at: Sequence[int]) -> None:
        """Allow what machines at these places take together, and who of them meet."""
        self.home = dict(enumerate(at))
        for v, limit in enumerate(self.limit):
            inside = [m for m, place in enumerate(at) if place == v]
            self.met |= {(m, other) for m in inside for other in inside}
            self.limit[v] = [
                max(most, sum(self.demand[m][k] for m in inside)) for k, most in enumerate(limit)
            ]
        for p, reserve in enumerate(self.reserve):
            inside = [m for m, place in enumerate(at) if place >= 0 and self.pool[place] == p]
            if reserve is not None:
                self.reserve[p] = [
                    max(n, sum(self.demand[m][k] for m in inside)) for k, n in enumerate(reserve)
                ]

    def begin(self, machine: int, target: int) -> Iterator[str]:
        """A move begins; yields what its new place has not."""
        self.leaving[machine] = self.at[machine]
        self.at[machine] = target
        if target < 0:
            return
        for group in self.apart:
            if machine in group:
                meeting = set(self.there[target]) & group - {machine}
                for other in sorted(other for other in meeting if (machine, other) not in self.met):
                    yield f"machines {machine} and {other} meet on provider {target}"
        self.there[target].append(machine)
        yield from self._room(machine, target)

    def end(self, machine: int, *, keeps: bool) -> None:
        """It ends; its old place is free unless a copy is kept there."""
        source = self.leaving.pop(machine)
        if source >= 0 and keeps and self.at[machine] >= 0:
            self.kept.append((machine, source))
        elif source >= 0:
            self.there[source].remove(machine)

    def confirm(self) -> None:
        """All copies are removed."""
        for machine, source in self.kept:
            self.there[source].remove(machine)
        self.kept.clear()

    def _room(self, machine: int, target: int) -> Iterator[str]:
        pool = self.pool[target]
        reserve = self.reserve[pool] if pool < len(self.reserve) else None
        for k, takes in enumerate(self.demand[machine]):
            if takes > self.largest[target][k] and self.home.get(machine) != target:
                yield f"machine {machine} has {takes} of resource {k}, and on provider {target} one may have {self.largest[target][k]}"
            load = sum(self.demand[m][k] for m in self.there[target])
            if takes and load > self.limit[target][k]:
                yield f"provider {target} lacks {load - self.limit[target][k]} of resource {k}"
            if takes and reserve is not None:
                members = (v for v, p in enumerate(self.pool) if p == pool)
                held = sum(self.demand[m][k] for v in members for m in self.there[v])
                if held > reserve[k]:
                    yield f"pool {pool} would not survive its losses: {held - reserve[k]} of resource {k} too much"


def _keeps(carriage: Carriage, machine: int, source: int, target: int) -> bool:
    """Whether a copy stays behind: the machine leaves one anywhere, or at another endpoint and this is one."""
    if min(source, target) < 0:
        return False
    if carriage.keeps_copy[machine]:
        return True
    between = carriage.keeps_between
    endpoints = carriage.endpoint_of.tolist()
    return between is not None and bool(between[machine]) and endpoints[source] != endpoints[target]


def _replayed(problem: MoveProblem, carriage: Carriage, plan: WavePlan) -> Iterator[str]:
    """Every beginning and end in the order of time; what ends at an instant has ended before anything begins at it."""
    world = _World(problem, problem.before.tolist())
    for n, wave in enumerate(plan.waves):
        events = [(move.end_s, 0, i) for i, move in enumerate(wave.moves)]
        events += [(move.begin_s, 1, i) for i, move in enumerate(wave.moves)]
        for _, begins, i in sorted(events):
            machine, source, target = wave.moves[i].step
            if not begins:
                world.end(machine, keeps=_keeps(carriage, machine, source, target))
            elif machine in world.leaving or world.at[machine] != source:
                yield f"wave {n}: machine {machine} is not on {source} when its move begins"
                return
            else:
                yield from (f"wave {n}, move {i}: {text}" for text in world.begin(machine, target))
        world.confirm()
        if world.at != wave.position.tolist():
            yield f"wave {n}: machines are not where it says that they are afterwards"
    gone = set(plan.left_out) | {one.step.machine for one in plan.unscheduled}
    after, before = problem.after.tolist(), problem.before.tolist()
    for machine, at in enumerate(world.at):
        if at != after[machine] and machine not in gone:
            yield f"machine {machine} ends on {at}, not on {after[machine]}, and nothing says why"
        if machine in plan.left_out and at != before[machine]:
            yield f"machine {machine} is left out and has moved"


def _times(carriage: Carriage, calendar: Calendar, plan: WavePlan) -> Iterator[str]:
    for n, wave in enumerate(plan.waves):
        begin, end = calendar.windows[wave.window]
        if len(wave.moves) > calendar.most_moves:
            yield f"wave {n} has {counted(len(wave.moves), 'move')}, more than {calendar.most_moves}"
        if [move.begin_s for move in wave.moves] != sorted(move.begin_s for move in wave.moves):
            yield f"wave {n}: moves are not in the order of time"
        for i, move in enumerate(wave.moves):
            if move.begin_s < begin or move.end_s > end:
                yield f"wave {n}, move {i}: from {move.begin_s} to {move.end_s} is not within its window"
            yield from (f"wave {n}, move {i}: {text}" for text in _duration(carriage, move))
    for n, (one, next_) in enumerate(pairwise(plan.waves)):
        if min(move.begin_s for move in next_.moves) < max(move.end_s for move in one.moves):
            yield f"wave {n + 1} begins before wave {n} has ended"


def _duration(carriage: Carriage, move: Timed) -> Iterator[str]:
    machine, source, target = move.step
    carried = source >= 0 and target >= 0
    same = carried and carriage.storage_of[source] == carriage.storage_of[target] != -1
    gib = int(carriage.copy_gib[machine]) if carried and not same else 0
    if move.copy_gib != gib:
        yield f"{move.copy_gib} GiB are said to be copied, and it is {gib}"
    whole, part = divmod(gib * 1024 * carriage.passes, move.mib_s) if gib else (0, 0)
    seconds = max(1, whole + (part > 0) + int(carriage.switch_s[machine]))
    if move.end_s - move.begin_s != seconds:
        yield f"it takes {move.end_s - move.begin_s} s, and {seconds} s are needed"
    down = (
        (0, min(seconds, max(1, int(carriage.switch_s[machine]))), seconds)[int(carriage.mode[machine])]
        if carried
        else 0
    )
    if move.down_s != down:
        yield f"it is said to be down for {move.down_s} s, and it is {down} s"


def _used(carriage: Carriage, plan: WavePlan) -> Iterator[str]:
    """Links, providers and endpoints at every instant at which a move begins."""
    for n, wave in enumerate(plan.waves):
        for instant in sorted({move.begin_s for move in wave.moves}):
            running = [move for move in wave.moves if move.begin_s <= instant < move.end_s]
            yield from (f"wave {n} at {instant}: {text}" for text in _overused(carriage, running))


def _overused(carriage: Carriage, running: Sequence[Timed]) -> Iterator[str]:
    used: Counter[tuple[str, int, int]] = Counter()
    for move in running:
        ends = [v for v in move.step[1:] if v >= 0]
        used.update({("moves", int(carriage.endpoint_of[v]), 0): 1 for v in ends})
        if move.copy_gib:
            a, b = sorted(int(carriage.site_of[v]) for v in ends)
            used.update({("link", a, b): move.mib_s} | {("provider", v, 0): move.mib_s for v in ends})
            if move.mib_s > carriage.stream_mib_s:
                yield f"machine {move.step[0]} is copied with {move.mib_s} MiB/s, and a stream has {carriage.stream_mib_s}"
    for (what, a, b), amount in used.items():
        most = _most_of(carriage, what, a, b)
        if most is not None and amount > most:
            yield f"{what} of {a}{f' and {b}' if what == 'link' else ''}: {amount}, more than {most}"


def _most_of(carriage: Carriage, what: str, a: int, b: int) -> int | None:
    """The limit of an endpoint's moves, a link or a provider; None for none."""
    if what == "link":
        return carriage.link_mib_s.get((a, b), None if a == b else 0)
    if what == "moves":
        return int(carriage.at_once[a]) or None
    return None if carriage.provider_mib_s is None else int(carriage.provider_mib_s[a]) or None


def _whole(problem: MoveProblem, calendar: Calendar, plan: WavePlan) -> Iterator[str]:
    """Applications that are in several waves are said to be; none is down for too long in a window."""
    waves_of: dict[int, set[int]] = {}
    down: dict[tuple[int, int], list[tuple[int, int]]] = {}
    app_of = problem.app_of.tolist()
    for n, wave in enumerate(plan.waves):
        for move in wave.moves:
            app = app_of[move.step[0]]
            if app >= 0:
                waves_of.setdefault(app, set()).add(n)
                down.setdefault((app, wave.window), []).append((move.end_s - move.down_s, move.end_s))
    for (app, window), spans in down.items():
        most = -1 if calendar.downtime_s is None else int(calendar.downtime_s[app])
        seconds = _in_any(spans)
        if 0 <= most < seconds:
            yield f"application {app} is down for {seconds} s in window {window}, and may be for {most}"
    said = {one.app: one.waves for one in plan.torn}
    for app, numbers in waves_of.items():
        if (len(numbers) > 1 or app in said) and said.get(app) != tuple(sorted(numbers)):
            yield f"application {app} is in waves {sorted(numbers)}, and said to be in {said.get(app)}"


def _in_any(spans: Sequence[tuple[int, int]]) -> int:
    """Between each two neighbouring ends, the time counts if any span covers it."""
    ends = sorted({end for span in spans for end in span})
    return sum(b - a for a, b in pairwise(ends) if any(begin <= a and b <= end for begin, end in spans))


def _ways_back(problem: MoveProblem, plan: WavePlan) -> Iterator[str]:
    """Each wave one move after another, and undone the same way."""
    before = problem.before.tolist()
    for n, wave in enumerate(plan.waves):
        forth: list[_Step] = [(*move.step,) for move in wave.moves]
        yield from (
            f"wave {n} one after another: {text}" for text in order_breaches(problem, forth, before)
        )
        after = wave.position.tolist()
        yield from (
            f"wave {n} undone: {text}" for text in order_breaches(problem, wave.undo, after, before)
        )
        place = list(after)
        for machine, _, target in wave.undo:
            place[machine] = target
        if place != before:
            yield f"wave {n} undone does not lead back"
        before = after


def _emptied(problem: MoveProblem, carriage: Carriage, plan: WavePlan) -> Iterator[str]:
    """Providers that had machines and have none in the end, from the last instant at which any took room there."""
    until: dict[int, int] = {}
    for wave in plan.waves:
        ends = max(move.end_s for move in wave.moves)
        for move in wave.moves:
            machine, source, target = move.step
            if source >= 0:
                kept = _keeps(carriage, machine, source, target)
                until[source] = max(until.get(source, 0), ends if kept else move.end_s)
    last = set((plan.waves[-1].position if plan.waves else problem.before).tolist())
    had = set(problem.before.tolist()) - {-1}
    counted = {v: until[v] for v in had - last}
    said = dict(one for wave in plan.waves for one in wave.freed)
    if said != counted:
        yield f"providers are said to be empty {said}, and are {counted}"
