"""From the life of each machine to usage intervals.

    facts = [event for event in log if event.recorded_at <= known_at]
    rows = reconcile(stored, intervals(facts, until), recorded_at=now, source="orders")

`rows` is what to append to the store: nothing where the store is right already.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from pydantic import Field

from catalog.base import Name, Value
from catalog.resources import Resources
from chargeback.events import EventKind, LifeProblem, MachineEvent, in_order
from chargeback.labels import labels_text
from chargeback.usage import MEASURED, Metric, Power, UsageInterval


class InvalidLives(ValueError):
    """Some machines' events contradict each other; every contradiction is in `problems`."""

    def __init__(self, problems: Iterable[LifeProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Metered(Value):
    """The intervals of the machines whose events agree, and what is wrong with the others."""

    intervals: tuple[UsageInterval, ...]
    problems: tuple[LifeProblem, ...] = Field(
        description="Machines named here have no intervals; what is stored of them stays as it is."
    )


class _State(NamedTuple):
    """What a machine is between two events."""

    tenant: Name
    cost_centre: Name
    tier: Name
    pool: Name
    power: Power
    resources: Resources
    labels: str

    def after(self, event: MachineEvent) -> "_State":
        """This state with what the event says changed."""
        power = {EventKind.POWERED_ON: Power.ON, EventKind.POWERED_OFF: Power.OFF}
        return _State(
            event.tenant or self.tenant,
            event.cost_centre or self.cost_centre,
            event.tier or self.tier,
            event.pool or self.pool,
            power.get(event.kind, self.power),
            event.resources or self.resources,
            self.labels if event.labels is None else labels_text(event.labels),
        )

    def quantity(self, metric: Metric) -> int:
        """How much of a metric a machine in this state has."""
        return 1 if metric is Metric.MACHINE else int(getattr(self.resources, metric.value))


class Key(NamedTuple):
    """What two rows must share to count together."""

    machine: str
    tenant: str
    cost_centre: str
    tier: str
    pool: str
    labels: str
    metric: Metric
    power: Power


def intervals(events: Iterable[MachineEvent], until: int) -> list[UsageInterval]:
    """The usage that the events describe, up to the moment `until`, by machine, metric and time.

    A machine is off from its creation until it is powered on. Give only the events known at T to
    learn what was known at T. Raises InvalidLives with every contradiction of every machine.
    """
    metered = meter(events, until)
    if metered.problems:
        raise InvalidLives(metered.problems)
    return list(metered.intervals)


def meter(events: Iterable[MachineEvent], until: int) -> Metered:
    """Like `intervals`, but a machine whose events contradict each other does not stop the others."""
    by_machine = defaultdict(list)
    for event in events:
        by_machine[event.machine].append(event)
    rows: list[UsageInterval] = []
    problems: list[LifeProblem] = []
    for machine in sorted(by_machine):
        life, wrong = in_order(by_machine[machine])
        problems.extend(wrong)
        if not wrong:
            rows.extend(_usage(life, until))
    return Metered(intervals=tuple(rows), problems=tuple(problems))


def reconcile(
    stored: Iterable[UsageInterval], wanted: Iterable[UsageInterval], *, recorded_at: int, source: str
) -> list[UsageInterval]:
    """The rows to append so that `stored` adds up to `wanted`: reversals first, then what is right.

    Both must be about the same machines: what is stored of a machine that is not wanted is taken
    back. Only the stretches that differ get rows, so a second call appends nothing, and neither the
    order of rows nor the batches in which facts arrived change what the history adds up to. Raises
    ValueError where something stored was recorded after `recorded_at`.
    """
    before = list(stored)
    next_sequence = _next_sequences(before, recorded_at)
    have, want = _changes(before), _changes(wanted)
    rows = []
    for key in sorted(have.keys() | want.keys()):
        for t_from, t_to, quantity in _appended(have[key], want[key]):
            row = UsageInterval(
                **key._asdict(), quantity=quantity, t_from=t_from, t_to=t_to,
                recorded_at=recorded_at, source=source, sequence=next_sequence[key.machine],
            )  # fmt: skip
            next_sequence[key.machine] += 1
            rows.append(row)
    return rows


def standing(events: Iterable[MachineEvent], until: int) -> list[tuple[Key, int]] | None:
    """What one machine has from its last event on, in the order in which `reconcile` appends it.

    Nothing where it is deleted. None where an event is still to come after `until`: what it has then
    does not last. The events must not contradict each other.
    """
    life, _ = in_order(events)
    if life[-1].at > until:
        return None
    if life[-1].kind is EventKind.DELETED:
        return []
    state = _born(life[0])
    for event in life:
        state = state.after(event)
    found = (
        (Key(life[0].machine, *state[:4], state.labels, metric, state.power), state.quantity(metric))
        for metric in Metric
        if metric not in MEASURED
    )
    return sorted((key, quantity) for key, quantity in found if quantity)


def _usage(life: Sequence[MachineEvent], until: int) -> Iterator[UsageInterval]:
    known_at = max(event.recorded_at for event in life)
    pieces = list(_pieces(life, until))
    sequence = 0
    for metric in (metric for metric in Metric if metric not in MEASURED):
        for t_from, t_to, state, source in _joined(pieces, metric):
            yield UsageInterval(
                machine=life[0].machine, tenant=state.tenant, cost_centre=state.cost_centre,
                tier=state.tier, pool=state.pool, labels=state.labels, metric=metric, quantity=state.quantity(metric),
                power=state.power, t_from=t_from, t_to=t_to, recorded_at=known_at, source=source,
                sequence=sequence,
            )  # fmt: skip
            sequence += 1


_Piece = tuple[int, int, _State, str]


def _pieces(life: Sequence[MachineEvent], until: int) -> Iterator[_Piece]:
    """The stretches between events, cut at `until`; the last event is in force until then."""
    state = _born(life[0])
    ends = [*(event.at for event in life[1:]), until]
    for event, end in zip(life, ends, strict=True):
        state = state.after(event)
        if event.kind is not EventKind.DELETED and event.at < min(end, until):
            yield event.at, min(end, until), state, event.source


def _born(first: MachineEvent) -> _State:
    """A machine's state as it is created."""
    assert first.tenant and first.cost_centre and first.tier and first.pool and first.resources, first  # noqa: PT018 - MachineEvent refuses a creation without them
    return _State(first.tenant, first.cost_centre, first.tier, first.pool, Power.OFF, first.resources, "")


def _joined(pieces: Sequence[_Piece], metric: Metric) -> Iterator[_Piece]:
    """Pieces in one where nothing about this metric changed; pieces of none left out.

    The pieces of a life follow one another without a gap.
    """
    held: _Piece | None = None
    for piece in pieces:
        if held and _same(held[2], piece[2], metric):
            held = (held[0], piece[1], held[2], held[3])
            continue
        if held and held[2].quantity(metric):
            yield held
        held = piece
    if held and held[2].quantity(metric):
        yield held


def _same(one: _State, other: _State, metric: Metric) -> bool:
    same = one._replace(resources=other.resources) == other
    return same and one.quantity(metric) == other.quantity(metric)


_Changes = dict[int, int]


def _changes(rows: Iterable[UsageInterval]) -> defaultdict[Key, _Changes]:
    """Per key, by how much the net quantity changes at each moment."""
    found: defaultdict[Key, _Changes] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        key = Key(*(getattr(row, name) for name in Key._fields))
        found[key][row.t_from] += row.quantity
        found[key][row.t_to] -= row.quantity
    return found


def _appended(have: _Changes, want: _Changes) -> list[tuple[int, int, int]]:
    """(from, to, quantity) of the rows that turn `have` into `want`, reversals first."""
    reversals, additions = [], []
    for t_from, t_to, is_now, should_be in _differing(have, want):
        if is_now:
            reversals.append((t_from, t_to, -is_now))
        if should_be:
            additions.append((t_from, t_to, should_be))
    return reversals + additions


def _differing(have: _Changes, want: _Changes) -> Iterator[tuple[int, int, int, int]]:
    is_now = should_be = 0
    held: tuple[int, int, int, int] | None = None
    for t_from, t_to in pairwise(sorted(have.keys() | want.keys())):
        is_now += have.get(t_from, 0)
        should_be += want.get(t_from, 0)
        if held and (held[1], held[2], held[3]) == (t_from, is_now, should_be):
            held = (held[0], t_to, is_now, should_be)
            continue
        if held and held[2] != held[3]:
            yield held
        held = (t_from, t_to, is_now, should_be)
    if held and held[2] != held[3]:
        yield held


def _next_sequences(stored: Iterable[UsageInterval], recorded_at: int) -> defaultdict[str, int]:
    found: defaultdict[str, int] = defaultdict(int)
    for row in stored:
        if row.recorded_at > recorded_at:
            msg = (
                f"machine {row.machine}: row {row.sequence} was recorded at {row.recorded_at}, after "
                f"{recorded_at}; the history only grows forward"
            )
            raise ValueError(msg)
        found[row.machine] = max(found[row.machine], row.sequence + 1)
    return found
