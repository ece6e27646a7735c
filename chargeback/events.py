"""What happens to machines, as facts that are recorded once and never edited."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from catalog.base import Name, Value
from catalog.frozen import FrozenMapping
from catalog.resources import Resources
from chargeback.instants import EpochSeconds, utc_text
from chargeback.labels import labels_text
from chargeback.usage import MachineId, Source


class EventKind(StrEnum):
    """What can happen to a machine that its bill depends on."""

    CREATED = "created"
    POWERED_ON = "powered_on"
    POWERED_OFF = "powered_off"
    RESIZED = "resized"
    OWNER_CHANGED = "owner_changed"
    MOVED = "moved"
    RELABELLED = "relabelled"
    DELETED = "deleted"


_ALL = ("resources", "tenant", "cost_centre", "tier", "pool")
_MAY: Mapping[EventKind, tuple[str, ...]] = {EventKind.CREATED: ("labels",)}
_NEEDS: Mapping[EventKind, tuple[str, ...]] = {
    EventKind.CREATED: _ALL,
    EventKind.RESIZED: ("resources",),
    EventKind.OWNER_CHANGED: ("tenant", "cost_centre"),
    EventKind.MOVED: ("tier", "pool"),
    EventKind.RELABELLED: ("labels",),
}


class MachineEvent(Value):
    """One fact about one machine: what happened, when (`at`), and when it was learnt (`recorded_at`).

    `created` says everything; `resized` the new resources, `owner_changed` the new tenant and cost
    centre, `moved` the new tier and pool, `relabelled` all labels anew, the others nothing. `sequence` numbers the facts of one
    machine as they were recorded and settles the order within one second. `replaces` is the sequence
    of an earlier fact that was wrong and that this one takes the place of.
    """

    machine: MachineId
    sequence: Annotated[int, Field(ge=0, strict=True)]
    kind: EventKind
    at: EpochSeconds
    recorded_at: EpochSeconds
    source: Source
    resources: Resources | None = None
    tenant: Name | None = None
    cost_centre: Name | None = None
    tier: Name | None = None
    pool: Name | None = None
    labels: FrozenMapping[str, str] | None = None
    replaces: Annotated[int, Field(ge=0, strict=True)] | None = None

    @field_validator("labels", mode="after")
    @classmethod
    def _labels_are_possible(cls, labels: Mapping[str, str] | None) -> Mapping[str, str] | None:
        labels_text(labels or {})
        return labels

    @model_validator(mode="after")
    def _says_what_its_kind_says(self) -> Self:
        needs = _NEEDS.get(self.kind, ())
        for name in (*_ALL, "labels"):
            given = getattr(self, name) is not None
            if given != (name in needs) and not (given and name in _MAY.get(self.kind, ())):
                what = "takes no" if given else "needs"
                msg = f"'{self.kind}' {what} {name}"
                raise ValueError(msg)
        if self.replaces is not None and self.replaces >= self.sequence:
            msg = f"replaces {self.replaces} must be an earlier fact than sequence {self.sequence}"
            raise ValueError(msg)
        return self


class LifeProblem(Value):
    """A contradiction among the events of one machine. `code` is one word for programs."""

    machine: MachineId
    sequence: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"machine {self.machine}, fact {self.sequence}: {self.message}"


def in_order(events: Iterable[MachineEvent]) -> tuple[list[MachineEvent], list[LifeProblem]]:
    """The valid facts of one machine in the order in which they happened, and what contradicts.

    Identical facts are one fact (they may be delivered twice). A replaced fact is gone; what replaces
    it stands in its place among the facts of the same second.
    """
    facts, problems = _distinct(events)
    places, more = _places(facts)
    replaced = {fact.replaces for fact in facts.values()}
    life = sorted(
        (fact for number, fact in facts.items() if number not in replaced),
        key=lambda fact: (fact.at, places[fact.sequence]),
    )
    return life, [*problems, *more, *(problem for check in _CHECKS for problem in check(life))]


def _distinct(
    events: Iterable[MachineEvent],
) -> tuple[dict[int, MachineEvent], list[LifeProblem]]:
    facts: dict[int, MachineEvent] = {}
    different = [event for event in events if facts.setdefault(event.sequence, event) != event]
    message = "two different facts have this sequence"
    problems = [_problem(event, "sequence-twice", message) for event in different]
    return dict(sorted(facts.items())), problems


def _places(facts: Mapping[int, MachineEvent]) -> tuple[dict[int, int], list[LifeProblem]]:
    """Per sequence, the sequence of the fact whose place it takes in the end: its own, or older."""
    places: dict[int, int] = {}
    problems = []
    seen: set[int] = set()
    for number, fact in facts.items():
        places[number] = number if fact.replaces is None else places.get(fact.replaces, number)
        if fact.replaces is None:
            continue
        if fact.replaces not in facts:
            message = f"replaces fact {fact.replaces}, which is not known"
            problems.append(_problem(fact, "replaces-unknown", message))
        if fact.replaces in seen:
            message = f"replaces fact {fact.replaces}, which is replaced already; replace the newer one"
            problems.append(_problem(fact, "replaced-twice", message))
        seen.add(fact.replaces)
    return places, problems


def _creation(life: list[MachineEvent]) -> Iterable[LifeProblem]:
    created = [i for i, fact in enumerate(life) if fact.kind is EventKind.CREATED]
    for i in created[1:]:
        yield _problem(life[i], "created-twice", f"created again at {utc_text(life[i].at)}")
    if not created:
        yield _problem(life[0], "never-created", "there is no creation of this machine")
        return
    born = life[created[0]]
    for fact in life[: created[0]]:
        when = "in the second of" if fact.at == born.at else "before"
        message = (
            f"'{fact.kind}' at {utc_text(fact.at)} stands {when} the creation at {utc_text(born.at)}"
            + ("; give it a later sequence" if fact.at == born.at else "")
        )
        yield _problem(fact, "before-creation", message)


def _deletion(life: list[MachineEvent]) -> Iterable[LifeProblem]:
    gone: MachineEvent | None = None
    for fact in life:
        if gone is not None:
            message = f"'{fact.kind}' at {utc_text(fact.at)} is after the deletion at {utc_text(gone.at)}"
            yield _problem(fact, "after-deletion", message)
        if fact.kind is EventKind.DELETED and gone is None:
            gone = fact


_CHECKS: tuple[Callable[[list[MachineEvent]], Iterable[LifeProblem]], ...] = (_creation, _deletion)


def _problem(fact: MachineEvent, code: str, message: str) -> LifeProblem:
    return LifeProblem(machine=fact.machine, sequence=fact.sequence, code=code, message=message)
