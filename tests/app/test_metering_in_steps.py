"""Metering that only looks at what is new, against a walk through the whole history each time."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from chargeback.metering import intervals, reconcile
from chargeback.usage import UsageInterval
from tierwise.errors import TierwiseError
from tierwise.store import events as event_store
from tierwise.usecases.metering import METERED_BY, epoch, fact, interval_store, meter

SIZE = {"vcpu": 2, "memory_mib": 1024, "disk_gib": 10}
BORN = {"resources": SIZE, "tenant": "web-shop", "cost_centre": "cc", "tier": "tier-1", "pool": "p"}


def change(chance: Random) -> tuple[str, dict[str, Any]]:
    return chance.choice([
        ("powered_on", {}),
        ("powered_off", {}),
        ("resized", {"resources": SIZE | {"vcpu": chance.randint(1, 4), "disk_gib": chance.randint(0, 2)}}),
        ("owner_changed", {"tenant": chance.choice(["payroll", "web-shop"]), "cost_centre": "cc"}),
        ("moved", {"tier": chance.choice(["tier-1", "tier-2"]), "pool": "q"}),
        ("relabelled", {"labels": {"class": chance.choice(["web", "db"])}}),
    ])  # fmt: skip


class Story:
    """Random lives, written to the database at random times, and metered both ways."""

    def __init__(self, acme: Any, seed: int) -> None:
        self.acme = acme
        self.chance = Random(seed)
        self.born: dict[str, datetime] = {}
        self.gone: set[str] = set()
        self.expected: dict[str, list[UsageInterval]] = defaultdict(list)

    def write(self, machine: str, kind: str, at: datetime, recorded_at: datetime, **details: Any) -> None:
        with self.acme.app.session() as session:
            key = f"{machine}-{self.chance.random()}"
            event_store.append(
                session, key=key, machine=machine, kind=kind, at=at, recorded_at=recorded_at,
                source="a test", details=details,
            )  # fmt: skip
            session.commit()

    def something_happens(self) -> None:
        now, chance = self.acme.clock.now(), self.chance
        if len(self.born) < 3 or chance.random() < 0.2:
            machine = f"m{len(self.born)}"
            self.born[machine] = now
            self.write(machine, "created", now, now, **BORN)
            return
        machine = chance.choice(sorted(self.born))
        if machine in self.gone:
            return
        if chance.random() < 0.05:
            self.gone.add(machine)
            self.write(machine, "deleted", now + timedelta(days=99), now)
            return
        kind, details = change(chance)
        late = timedelta(seconds=chance.choice([0, 0, 0, 5, 4000, 90_000]))
        early = timedelta(seconds=chance.choice([0, 0, 0, 0, 700]))
        at = max(now - late + early, self.born[machine] + timedelta(seconds=1))
        # What was recorded before the last run may be committed after it, where writers overlap.
        recorded_at = now - timedelta(seconds=chance.choice([0, 0, 0, 2, 500]))
        self.write(machine, kind, at, max(recorded_at, self.born[machine]), **details)

    def meter_both(self) -> int:
        moment = self.acme.clock.now()
        now = epoch(moment)
        with self.acme.app.session() as session:
            known = [fact(row) for row in event_store.known_at(session, moment)]
        for machine in sorted({each.machine for each in known}):
            facts = [each for each in known if each.machine == machine]
            stored = self.expected[machine]
            newest = max((row.recorded_at for row in stored), default=-1)
            for at in sorted({f.recorded_at for f in facts if newest <= f.recorded_at <= now} | {now}):
                then = intervals([f for f in facts if f.recorded_at <= at], at)
                stored += reconcile(stored, then, recorded_at=at, source=METERED_BY)
        return meter(self.acme.app)

    def check(self) -> None:
        expected = [row.model_dump(mode="json") for rows in self.expected.values() for row in rows]
        found = interval_store(self.acme.app).read().to_pylist()
        by_row = lambda row: (row["machine"], row["sequence"])  # noqa: E731 - said once, used twice
        assert sorted(found, key=by_row) == sorted(expected, key=by_row)


@pytest.mark.parametrize("seed", [1, 2])
def test_looking_at_new_facts_alone_appends_the_very_rows_of_a_walk_through_everything(
    estate: Any, seed: int
) -> None:
    story = Story(estate(), seed)
    for _ in range(50):
        for _ in range(story.chance.choice([0, 0, 1, 3])):
            story.something_happens()
            story.acme.clock.advance(timedelta(seconds=story.chance.choice([0, 0, 1, 30])))
        story.meter_both()
        story.acme.clock.advance(timedelta(seconds=story.chance.choice([0, 1, 3600, 40_000])))
        if story.chance.random() < 0.1:
            for notes in interval_store(story.acme.app).folder.glob("*.state"):
                notes.unlink()  # They can be made again.
    story.check()
    assert len(story.born) > 5


def test_a_run_reads_no_row_of_machines_about_which_nothing_new_is_known(
    estate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(estate(), 1)
    start = story.acme.clock.now()
    for n in range(20):
        story.write(f"m{n}", "created", start, start, **BORN)
    story.acme.clock.advance(timedelta(hours=1))
    assert meter(story.acme.app) == 80
    asked: list[Any] = []
    original = type(interval_store(story.acme.app)).read
    monkeypatch.setattr(
        "tierwise.store.usage.UsageStore.read",
        lambda store, **limits: asked.append(limits) or original(store, **limits),
    )
    story.acme.clock.advance(timedelta(hours=1))
    assert meter(story.acme.app) == 80
    assert asked == []
    now = story.acme.clock.now()
    story.write(
        "m7", "owner_changed", start + timedelta(minutes=10), now, tenant="payroll", cost_centre="c"
    )
    assert meter(story.acme.app) == 8, "what was wrong is taken back, what is right is added"
    assert asked == [{"machines": ["m7"]}]
    story.acme.clock.advance(timedelta(hours=1))
    assert meter(story.acme.app) == 80


def test_a_contradiction_stops_the_run_and_says_which_machine(estate: Any) -> None:
    story = Story(estate(), 1)
    start = story.acme.clock.now()
    story.write("m0", "created", start, start, **BORN)
    meter(story.acme.app)
    story.write("m1", "powered_on", start, start)
    story.acme.clock.advance(timedelta(hours=1))
    with pytest.raises(TierwiseError, match="nothing was metered") as caught:
        meter(story.acme.app)
    assert "machine m1" in caught.value.details[0]
    assert "there is no creation" in caught.value.details[0]
    assert interval_store(story.acme.app).read().num_rows == 0
    story.write("m1", "created", datetime(2026, 9, 1, tzinfo=UTC), story.acme.clock.now(), **BORN)
    assert meter(story.acme.app) == 12, "m0 since then, m1 while it was off and since it is on"
