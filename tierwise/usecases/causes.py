"""What happened to machines that explains a line, or that was learnt too late for it."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

from catalog.resources import Resources
from catalog.units import format_amount
from chargeback.fx import FxRate
from chargeback.instants import zone
from chargeback.late import Known
from chargeback.rates import Rate
from tierwise.app import App
from tierwise.store import events as event_store
from tierwise.store.tables import MachineEventRow
from tierwise.usecases.books import Late
from tierwise.usecases.metering import epoch
from tierwise.usecases.provider_bills import taken_in
from tierwise.usecases.samples import sample_store

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

_FACTS = {
    "created": "creation",
    "powered_on": "switching on",
    "powered_off": "switching off",
    "resized": "resize",
    "owner_changed": "owner change",
    "moved": "move",
    "relabelled": "label change",
    "deleted": "removal",
}
"""The same as things that can be late: ``label change of sap-04``."""

_NAMES = {"tenant": "tenant", "cost_centre": "cost centre", "tier": "tier", "pool": "pool"}


@dataclass(frozen=True)
class LateFact:
    """Something that was learnt after a period was closed, and that changed one of its lines.

    `subject` is the machine's name, the rate's id, or what an agreement is called.
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
        for fact in (*_late_rates(each), *_late_terms(each), *_late_exchange_rates(each)):
            found[fact] = None
        machines = {str(c.row("")["machine"]) for c in each.corrections}
        for fact in (*_late_samples(app, names, machines, each), *_late_bills(app, each)):
            found[fact] = None
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
        _FACTS.get(row.kind, row.kind),
        names.get(row.machine, row.machine),
        epoch(row.at),
        epoch(row.recorded_at),
        row.source,
    )


def _late_rates(each: Late) -> Iterator[LateFact]:
    old = _known_rates(each.before)
    for key, rate in _known_rates(each.after).items():
        if key not in old and rate.valid_from < each.period.t_to and rate.end > each.period.t_from:
            yield LateFact("new rate", rate.id, rate.valid_from, rate.recorded_at, key[0])


def _known_rates(known: Known) -> dict[tuple[str, str], Rate]:
    """Of the card and those that are stacked on it: (card, rate id) -> rate."""
    return {
        (card.label, rate.id): rate
        for card in known.cards
        for rate in card.rates
        if rate.recorded_at <= known.at
    }


def _late_terms(each: Late) -> Iterator[LateFact]:
    old = {term.name for term in each.before.terms.adjustments if term.recorded_at <= each.before.at}
    for term in each.after.terms.adjustments:
        if term.name not in old and term.recorded_at <= each.after.at and term.valid_in(each.period.name):
            yield LateFact("new adjustment", term.title, each.period.t_from, term.recorded_at, "documents")


def _late_exchange_rates(each: Late) -> Iterator[LateFact]:
    old = _known_exchange_rates(each.before)
    for key, rate in _known_exchange_rates(each.after).items():
        if key not in old:
            day = epoch(datetime.combine(rate.day, time(), zone(each.period.time_zone)))
            yield LateFact("new exchange rate", f"'{key[0]}'", day, rate.recorded_at, rate.source)


def _known_exchange_rates(known: Known) -> dict[tuple[str, date, int], FxRate]:
    return {
        (billing.name, rate.day, rate.recorded_at): rate
        for billing in known.terms.fx
        for rate in billing.rates
        if rate.recorded_at <= known.at
    }


def _late_samples(
    app: App, names: Mapping[str, str], machines: Collection[str], each: Late
) -> Iterator[LateFact]:
    """One fact for each machine and source, at its first sample."""
    if not each.after.measured or not machines:
        return
    period, since = each.period, each.before.at
    rows = sample_store(app).read(
        t_from=period.t_from, t_to=period.t_to, machines=machines, recorded_after=since
    )
    first: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows.select(["machine", "source", "at", "recorded_at"]).to_pylist():
        if row["recorded_at"] <= each.after.at:
            key, found = (row["machine"], row["source"]), (row["at"], row["recorded_at"])
            first[key] = min(first.get(key, found), found)
    for (machine, source), (at, recorded_at) in first.items():
        yield LateFact("measured use", names.get(machine, machine), at, recorded_at, source)


def _late_bills(app: App, each: Late) -> Iterator[LateFact]:
    for mark, known_at in taken_in(app.settings.data_dir, each.period.name):
        if each.before.at < known_at <= each.after.at:
            yield LateFact("provider's bill", mark, each.period.t_from, known_at, "import")
