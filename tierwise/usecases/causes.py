"""What happened to machines that explains a line, or that was learnt too late for it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from catalog.resources import Resources
from catalog.units import format_amount
from chargeback.rates import Rate, RateCard
from tierwise.app import App
from tierwise.store import events as event_store
from tierwise.store.tables import MachineEventRow
from tierwise.usecases.books import Late
from tierwise.usecases.metering import epoch

_WORDS = {
    "created": "created",
    "powered_on": "powered on",
    "powered_off": "powered off",
    "resized": "resized",
    "owner_changed": "owner change",
    "moved": "moved",
    "relabelled": "relabelled",
    "deleted": "deleted",
}

_NAMES = {"tenant": "tenant", "cost_centre": "cost centre", "tier": "tier", "pool": "pool"}


@dataclass(frozen=True)
class LateFact:
    """Something that was learnt after a period was closed, and that changed one of its lines.

    `subject` is the machine's name, or the rate's id.
    """

    what: str
    subject: str
    at: int
    recorded_at: int
    source: str


def late_facts(app: App, names: Mapping[str, str], late: Iterable[Late]) -> Sequence[LateFact]:
    """What caused these corrections, in the order in which it was learnt; each fact once."""
    found: dict[LateFact, None] = {}
    for each in late:
        if not each.corrections:
            continue
        for rate in _late_rates(each):
            found[rate] = None
        machines = {str(c.row("")["machine"]) for c in each.corrections}
        for row in events_of(app, machines):
            known = each.before.at < epoch(row.recorded_at) <= each.after.at
            if known and epoch(row.at) < each.period.t_to:
                found[_fact(row, names)] = None
    return tuple(sorted(found, key=lambda fact: (fact.recorded_at, fact.at, fact.subject)))


def events_of(app: App, machines: Iterable[str]) -> list[MachineEventRow]:
    """All that happened to these machines, by machine and time."""
    with app.session() as session:
        return [
            row
            for machine in sorted(machines)
            for row in event_store.known_at(session, app.clock.now(), machine)
        ]


def in_words(row: MachineEventRow) -> str:
    """``resized to 8 vCPU, 128 GiB memory, 500 GiB disk``: what an event says."""
    details = json.loads(row.details)
    parts = [f"{_NAMES[key]} {details[key]}" for key in _NAMES if details.get(key)]
    if details.get("resources"):
        parts.insert(0, in_amounts(Resources(**details["resources"])))
    words = _WORDS.get(row.kind, row.kind)
    return f"{words}: {', '.join(parts)}" if parts else words


def in_amounts(resources: Resources) -> str:
    """``8 vCPU, 128 GiB, 500 GiB``."""
    return ", ".join(format_amount(name, amount) for name, amount in resources.as_mapping().items())


def _fact(row: MachineEventRow, names: Mapping[str, str]) -> LateFact:
    return LateFact(
        _WORDS.get(row.kind, row.kind),
        names.get(row.machine, row.machine),
        epoch(row.at),
        epoch(row.recorded_at),
        row.source,
    )


def _late_rates(each: Late) -> Iterable[LateFact]:
    old = _known_rates(each.before.card, each.before.at)
    for rate_id, rate in _known_rates(each.after.card, each.after.at).items():
        if rate_id not in old and rate.valid_from < each.period.t_to and rate.end > each.period.t_from:
            yield LateFact("new rate", rate_id, rate.valid_from, rate.recorded_at, each.after.card.label)


def _known_rates(card: RateCard, at: int) -> dict[str, Rate]:
    return {rate.id: rate for rate in card.rates if rate.recorded_at <= at}
