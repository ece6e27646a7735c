"""Meters of hypervisors, from the connectors into the store and onto the bill."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chargeback.basis import Options, effective
from connectors.contract import PowerAction, UsageReading
from connectors.drivers.simulated.driver import Simulated
from connectors.registry import connect
from tierwise.usecases import change
from tierwise.usecases.collect import Collected, collect
from tierwise.usecases.metering import epoch, interval_store, meter
from tierwise.usecases.samples import sample_store


def of(reports: list[Collected], endpoint: str) -> Collected:
    return next(report for report in reports if report.endpoint == endpoint)


@pytest.fixture
def metered(acme: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Acme with one machine, whose hypervisor's meters run by acme's clock."""
    original = Simulated.__init__

    def by_our_clock(self: Simulated, *arguments: Any) -> None:
        original(self, *arguments, clock=acme.clock.now)

    monkeypatch.setattr(Simulated, "__init__", by_our_clock)
    acme.app.endpoints.close()
    acme.deliver("shop-01")
    return acme


def where(acme: Any) -> str:
    ((endpoint,),) = acme.rows("SELECT endpoint FROM machine")
    return str(endpoint)


def used(acme: Any, metric: str) -> int:
    """Quantity x seconds, as a bill by use would have it."""
    meter(acme.app)
    usage, samples = interval_store(acme.app).read(), sample_store(acme.app).read()
    table = effective(usage, samples, [metric], Options(), known_at=epoch(acme.clock.now())).table
    own = [row for row in table.to_pylist() if row["metric"] == metric]
    assert {(row["tenant"], row["power"]) for row in own} <= {("web-shop", "on")}
    return sum(row["quantity"] * (row["t_to"] - row["t_from"]) for row in own)


def test_what_machines_used_is_collected_and_charged_to_the_second(metered: Any) -> None:
    first = collect(metered.app)
    assert {report.endpoint for report in first} == set(metered.app.endpoints.names)
    assert of(first, where(metered)).machines == 1
    with connect(metered.endpoint(where(metered))) as connector:
        start = {r.metric: r.value for r in connector.usage(metered.clock.now())}["cpu_ms"]
    for minutes in (7, 60, 13):
        metered.clock.advance(timedelta(minutes=minutes, seconds=1))
        assert of(collect(metered.app), where(metered)).added > 0
        assert of(collect(metered.app), where(metered)).added == 0, (
            "the same readings again are nothing new"
        )
    with connect(metered.endpoint(where(metered))) as connector:
        gained = {r.metric: r.value for r in connector.usage(metered.clock.now())}["cpu_ms"] - start
    assert gained > 0
    assert used(metered, "vcpu:usage") == gained // 1000
    memory_s = (
        80 * 60 + 3 - 1
    )  # A sample of memory counts for an hour at most; one was a second more apart.
    assert used(metered, "memory_mib:usage") == 4096 * memory_s


def test_an_endpoint_that_cannot_be_read_is_named_and_the_others_are_collected(metered: Any) -> None:
    metered.fault(where(metered), "usage", "unreachable")
    reports = collect(metered.app)
    assert [report.endpoint for report in reports if report.why_not] == [where(metered)]
    assert of(collect(metered.app), where(metered)).why_not is None


def test_readings_from_a_clock_that_is_ahead_are_left_out_and_told(
    metered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = metered.clock.now() + timedelta(hours=1)

    def early(_: Simulated, machine: Any, __: datetime) -> Iterator[UsageReading]:
        yield UsageReading(identity=machine.identity, metric="cpu_ms", value=1, at=ahead, counter=True)

    monkeypatch.setattr(Simulated, "_readings", early)
    found = of(collect(metered.app), where(metered))
    assert found.added == 0
    assert "1 reading is in the future and left out" in found.notes[0]
    assert sample_store(metered.app).read().num_rows == 0


def test_counters_that_count_from_a_moment_are_read_by_a_connector_of_their_own(
    metered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, datetime]] = []

    def since(self: Simulated, moment: datetime) -> list[UsageReading]:
        asked.append((id(self), moment))
        gained = int((metered.clock.now() - moment).total_seconds()) * 3000
        ((identity,),) = metered.rows("SELECT id FROM machine")
        if self.endpoint.name != where(metered):
            return []
        reading = UsageReading(
            identity=identity, metric="cpu_ms", value=gained, at=metered.clock.now(), counter=True
        )
        return [reading]

    monkeypatch.setattr(Simulated, "counts_from_since", True)
    monkeypatch.setattr(Simulated, "usage", since)
    metered.clock.advance(timedelta(hours=2))
    for _ in range(3):
        collect(metered.app)
        metered.clock.advance(timedelta(minutes=10))
    assert used(metered, "vcpu:usage") == 3 * (3600 + 2 * 600), "the first look goes back an hour"


def test_what_a_machine_did_before_the_others_were_last_read_is_not_lost(
    metered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One machine's host tells 20 s later than the other's; it is off in one look, and had run until a minute before."""
    endpoint = where(metered)
    metered.deliver("shop-02")
    ahead, behind = (UUID(one) for (one,) in metered.rows("SELECT id FROM machine ORDER BY name"))
    begun: dict[UUID, datetime] = {}
    off = False

    def count_from(_: Simulated, moments: dict[UUID, datetime]) -> None:
        begun.clear()
        begun.update(moments)

    def usage(self: Simulated, since: datetime) -> Iterator[UsageReading]:
        if self.endpoint.name != endpoint:
            return
        now = metered.clock.now()
        for identity, at in ((ahead, now), (behind, now - timedelta(seconds=20))):
            if identity == behind and off:
                continue
            ran = at - begun.get(identity, since)
            ran -= stood_still if identity == behind else timedelta(0)
            cpu_ms = int(ran.total_seconds()) * 1000
            yield UsageReading(identity=identity, metric="cpu_ms", value=cpu_ms, at=at, counter=True)

    monkeypatch.setattr(Simulated, "counts_from_since", True)
    monkeypatch.setattr(Simulated, "count_from", count_from)
    monkeypatch.setattr(Simulated, "usage", usage)
    stood_still = timedelta(0)
    collect(metered.app)
    for off_now, off_for_min in ((False, 0), (True, 0), (False, 1), (False, 0)):
        off, stood_still = off_now, timedelta(minutes=off_for_min)
        metered.clock.advance(timedelta(minutes=5))
        collect(metered.app)
    rows = sample_store(metered.app).read().to_pylist()
    counted = {
        one: sum(r["quantity"] * r["seconds"] for r in rows if r["machine"] == one)
        for one in (str(ahead), str(behind))
    }
    assert counted == {str(ahead): 3600 + 20 * 60, str(behind): 3600 - 20 + 20 * 60 - 60}


def test_what_a_machine_used_since_it_was_switched_on_is_not_spread_over_the_night(metered: Any) -> None:
    collect(metered.app)
    metered.clock.advance(timedelta(minutes=10))
    collect(metered.app)
    evening = used(metered, "vcpu:usage")
    for number, (action, hours) in enumerate(((PowerAction.OFF, 12), (PowerAction.ON, 0.5))):
        change.power(metered.app, UUID(int=number), "shop-01", action)
        metered.clock.advance(timedelta(hours=hours))
    collect(metered.app)
    assert used(metered, "vcpu:usage") > evening, "all of it while the machine was on"
