"""A month of orders and changes, of our own making, shaped like public cloud traces.

As in the Azure and Huawei traces: tenants order in batches of geometric size, small sizes are the
most common, most machines stay and a few live for hours or days, and changes are rare per machine.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Action(StrEnum):
    """What happens to a machine during the month."""

    GROW = "grow"
    POWER_OFF = "power off"
    POWER_ON = "power on"
    DELETE = "delete"


@dataclass(frozen=True)
class Wish:
    """One order: what a requester types."""

    machine_name: str
    tenant: str
    offering: str
    parameters: Mapping[str, int | str | bool] = field(default_factory=dict)
    tier: str | None = None


@dataclass(frozen=True)
class Batch:
    """Orders that arrive together."""

    at: datetime
    wishes: tuple[Wish, ...]


@dataclass(frozen=True)
class LifeEvent:
    """Something that happens to the n-th delivered machine."""

    at: datetime
    machine_name: str
    action: Action


def stream(
    start: datetime, count: int, tastes: Mapping[str, Sequence[tuple[str, int]]], seed: int
) -> list[Batch]:
    """`count` orders in batches over the first three weeks after `start`, first batch at once."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable story, not a secret
    tenants = sorted(tastes)
    batches: list[Batch] = []
    at = start + timedelta(hours=9)
    numbers: dict[str, int] = {}
    left = count
    while left:
        size = min(left, 4 + int(chance.expovariate(1 / 8)))
        wishes = [_wish(chance, tenants, tastes, numbers) for _ in range(size)]
        batches.append(Batch(at, tuple(wishes)))
        left -= size
        at += timedelta(minutes=int(chance.uniform(1 * 24 * 60, 4 * 24 * 60)))
    return batches


def _wish(
    chance: random.Random,
    tenants: Sequence[str],
    tastes: Mapping[str, Sequence[tuple[str, int]]],
    numbers: dict[str, int],
) -> Wish:
    tenant = chance.choices(tenants, weights=range(len(tenants), 0, -1))[0]
    offerings, weights = zip(*tastes[tenant], strict=True)
    offering = chance.choices(offerings, weights=weights)[0]
    stem = offering.split("-")[0]
    numbers[stem] = numbers.get(stem, 0) + 1
    return Wish(machine_name=f"{stem}-{numbers[stem]:02d}", tenant=tenant, offering=offering)


def lives(batches: Sequence[Batch], end: datetime, seed: int) -> list[LifeEvent]:
    """What happens to the machines until `end`, in order of time."""
    chance = random.Random(seed + 1)  # noqa: S311 - as above
    events: list[LifeEvent] = []
    for batch in batches:
        for wish in batch.wishes:
            events += _life(chance, wish.machine_name, batch.at, end)
    return sorted(events, key=lambda event: (event.at, event.machine_name))


def _life(chance: random.Random, name: str, born: datetime, end: datetime) -> list[LifeEvent]:
    """Mostly nothing; sometimes a resize, a weekend switched off, or an early end."""
    kind = chance.choices(["nothing", "grow", "cycle", "short"], weights=[50, 20, 20, 10])[0]
    room = end - born
    moment = born + room * chance.uniform(0.1, 0.7)
    moment = moment.replace(second=0, microsecond=0)
    match kind:
        case "grow":
            return [LifeEvent(moment, name, Action.GROW)]
        case "cycle":
            off_for = timedelta(hours=int(chance.uniform(10, 62)))
            back = min(moment + off_for, end - timedelta(hours=1))
            return [LifeEvent(moment, name, Action.POWER_OFF), LifeEvent(back, name, Action.POWER_ON)]
        case "short":
            return [LifeEvent(moment, name, Action.DELETE)]
        case _:
            return []
