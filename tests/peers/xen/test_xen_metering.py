"""Counters from the hosts' archives: worked out by hand, over gaps, archives and hosts."""

import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, PowerAction, VmSpec
from connectors.drivers.xen.metering import Meters, Updates, parsed
from connectors.errors import DeadlineExceeded, Refused, Unreachable
from connectors.simulators.xen import READER, Estate, Rule, XenSimulator

IDENTITY = UUID("0e9b1c6e-7d0c-4a3b-9f58-0a4f5c0e7b11")
VM = "5b0f3c8e-0000-4000-8000-000000000001"
RECORD = {"uuid": VM, "memory_dynamic_max": str(512 << 20)}
RRD = "GET /rrd_updates"

Start = Callable[..., XenSimulator]


def counted(
    meters: Meters, step_s: int, *rows: tuple[int, list[float]], names: tuple[str, ...]
) -> dict[str, int]:
    """What one look gives: rows as a host tells them, under these names of data sources."""
    updates = Updates(
        step_s, rows[-1][0] if rows else 0, [f"AVERAGE:vm:{VM}:{name}" for name in names], rows
    )
    return {one.metric: one.value for one in meters.counted(IDENTITY, RECORD, updates)}


def begun(until_s: int) -> Meters:
    """Counters that are counted until a moment."""
    meters = Meters()
    counted(meters, 5, names=())
    meters._meters[IDENTITY].until_s = until_s
    return meters


def test_rates_times_their_steps_are_the_sums() -> None:
    names = (
        "cpu0",
        "cpu1",
        "vbd_xvda_read",
        "vbd_xvdb_read",
        "vbd_xvda_write",
        "vif_0_rx",
        "vif_0_tx",
        "vif_1_tx",
    )
    found = counted(
        begun(100),
        5,
        (105, [0.5, 0.25, 100, 10, 1, 1000, 7, 0]),
        (110, [1.0, 0.0, 200, 0, 1, 0, 7, 3]),
        names=names,
    )
    # cpu: (0.5 + 0.25 + 1.0) x 5 s; reads: (110 + 200) x 5; sent: (7 + 7 + 3) x 5.
    assert found["cpu_ms"] == 8750
    assert found["disk_read_bytes"] == 1550
    assert found["disk_written_bytes"] == 10
    assert (found["net_received_bytes"], found["net_sent_bytes"]) == (5000, 85)


def test_a_row_is_counted_once_and_one_that_began_before_in_part() -> None:
    meters = begun(100)
    assert counted(meters, 5, (105, [1.0]), names=("cpu0",))["cpu_ms"] == 5000
    assert counted(meters, 5, (105, [1.0]), (110, [1.0]), names=("cpu0",))["cpu_ms"] == 10_000
    # A minute that ends at 120: 10 of its seconds are new.
    assert counted(meters, 60, (120, [0.5]), names=("cpu0",))["cpu_ms"] == 15_000


def test_what_was_not_measured_is_not_counted() -> None:
    meters = begun(100)
    rows: list[tuple[int, list[float]]] = [(105, [math.nan]), (110, [1.0]), (115, [math.inf])]
    assert counted(meters, 5, *rows, names=("cpu0",))["cpu_ms"] == 5000
    assert counted(meters, 5, (120, [1.0]), names=("cpu0",))["cpu_ms"] == 10_000


def test_sources_of_other_machines_and_unknown_ones_are_nobodys() -> None:
    legend = [
        f"AVERAGE:vm:{uuid4()}:cpu0",
        "AVERAGE:host:x:cpu0",
        f"MAX:vm:{VM}:cpu0",
        f"AVERAGE:vm:{VM}:cpu_usage",
    ]
    meters = begun(100)
    updates = Updates(5, 105, legend, [(105, [1.0] * 4)])
    assert {one.value for one in meters.counted(IDENTITY, RECORD, updates) if one.counter} == {0}


def test_memory_is_a_gauge_in_mebibytes_and_the_guests_part_only_where_it_tells() -> None:
    names = ("memory", "memory_internal_free")
    # 1 GiB less 256 MiB, which xapi tells in KiB.
    found = counted(begun(0), 5, (5, [float(1 << 30), 262144.0]), names=names)
    assert (found["memory_assigned_mib"], found["memory_used_mib"]) == (1024, 768)
    found = counted(begun(0), 5, (5, [float(1 << 30), math.nan]), names=names)
    assert (found["memory_assigned_mib"], "memory_used_mib" in found) == (1024, False)
    assert counted(begun(0), 5, names=names)["memory_assigned_mib"] == 512


XML = b"""<?xml version="1.0"?><xport><meta><start>10</start><step>5</step><end>15</end><rows>2</rows>
<columns>2</columns><legend><entry>AVERAGE:vm:a:cpu0</entry><entry>AVERAGE:vm:a:memory</entry></legend></meta>
<data><row><t>15</t><v>0.5</v><v>NaN</v></row><row><t>10</t><v>0.25</v><v>1e9</v></row></data></xport>"""
JSON = b"""{"meta": {"start": 10, "step": 5, "end": 15, "rows": 2, "columns": 2,
"legend": ["AVERAGE:vm:a:cpu0", "AVERAGE:vm:a:memory"]},
"data": [{"t": 15, "values": ["0.5", "NaN"]}, {"t": 10, "values": ["0.25", "1e9"]}]}"""


def test_both_encodings_say_the_same() -> None:
    one, other = parsed(XML), parsed(JSON)
    assert (one.step_s, one.end_s, list(one.legend)) == (
        5,
        15,
        ["AVERAGE:vm:a:cpu0", "AVERAGE:vm:a:memory"],
    )
    assert [time for time, _ in one.rows] == [10, 15]
    assert repr(one) == repr(other), "NaN is not equal to itself"


@pytest.mark.parametrize("text", [JSON.replace(b'"1e9"', b""), XML.replace(b"<v>NaN</v>", b"")])
def test_an_answer_whose_rows_do_not_fit_the_legend_is_not_read(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- whichever way it cannot be read
        parsed(text)


# --- with the simulator; its load a second, in even and odd minutes, stands in connectors/simulators/xen/rrd.py ---

LOAD = {
    "cpu_ms": (250, 750),
    "disk_read_bytes": (1000, 3000),
    "disk_written_bytes": (512, 512),
    "net_received_bytes": (2000, 0),
    "net_sent_bytes": (100, 300),
}
"""Of one vCPU, one disk, one card."""
NETWORK = {"network": "Pool-wide network associated with eth0"}


@pytest.fixture
def connector(simulator: XenSimulator) -> Iterator[Connector]:
    endpoint = simulator.endpoint(timeout_s=10, options=NETWORK)
    with registry.connect(endpoint, simulator.password) as opened:
        yield opened


def made(connector: Connector) -> UUID:
    identity = uuid4()
    resources = Resources(vcpu=2, memory_mib=512, disk_gib=1)
    connector.create_vm(VmSpec(name="web", provider="xen-pool", resources=resources), identity)
    connector.power(identity, PowerAction.ON)
    return identity


def looked(connector: Connector, identity: UUID, since: datetime) -> tuple[dict[str, int], int]:
    """The counters of one look, and until when they are counted."""
    found = [one for one in connector.usage(since) if one.identity == identity and one.counter]
    (at,) = {one.at for one in found}
    return {one.metric: one.value for one in found}, int(at.timestamp())


def by_hand(begin_s: int, end_s: int) -> dict[str, int]:
    """What a machine with two vCPUs, a disk and a card did, second by second."""
    seconds = [[], []]  # type: list[list[int]]
    for second in range(begin_s, end_s):
        seconds[second // 60 % 2].append(second)
    even, odd = map(len, seconds)
    factor = {"cpu_ms": 2}
    return {name: factor.get(name, 1) * (a * even + b * odd) for name, (a, b) in LOAD.items()}


@pytest.mark.counterpart("xen-sim")
def test_a_machine_that_was_read_before_counts_from_where_it_was_left(
    simulator: XenSimulator, connector: Connector
) -> None:
    identity, other = made(connector), made(connector)
    forward(simulator, connector, 3000)
    left = int(time.time()) // 60 * 60 + 2400
    connector.count_from({identity: datetime.fromtimestamp(left, UTC)})
    since = datetime.fromtimestamp(left - 900, UTC)
    for one, begin_s in ((identity, left), (other, left - 900)):
        found, end_s = looked(connector, one, since)
        assert found == by_hand(begin_s, end_s)


@pytest.mark.counterpart("xen-sim")
@pytest.mark.parametrize("xml", [False, True], ids=["json", "xml"])
def test_counters_between_looks_are_what_a_calculation_by_hand_gives(start: Start, xml: bool) -> None:
    """Looks ten minutes, an hour, a day and a week apart read another archive each; two at once read nothing."""
    simulator = start(Estate(rrd_in_xml=xml))
    endpoint = simulator.endpoint(timeout_s=10, options=NETWORK)
    with registry.connect(endpoint, simulator.password) as connector:
        identity = made(connector)
        forward(simulator, connector, 700)
        since = datetime.now(UTC) - timedelta(hours=1)
        before, from_s = looked(connector, identity, since)
        for ahead_s, grain_s in ((0, 1), (20, 5), (500, 5), (3600, 60), (7000, 60), (86_400, 3600)):
            forward(simulator, connector, ahead_s)
            after, until_s = looked(connector, identity, since)
            if grain_s == 1:
                # The look before ended with the last whole minute, as its archive holds minutes.
                assert until_s - from_s < 60 + 30
            told = {metric: after[metric] - before[metric] for metric in after}
            for metric, value in by_hand(from_s, until_s).items():
                # Part of a minute or an hour is counted with the average of the whole.
                slack = 2 * max(LOAD[metric]) * grain_s * (grain_s > 5) + 1
                assert abs(told[metric] - value) <= slack, (ahead_s, metric)
            before, from_s = after, until_s


def forward(simulator: XenSimulator, connector: Connector, seconds: int) -> None:
    """Let time pass at the hosts, and for the driver, which asks for what is so old."""
    simulator.forward(seconds)
    now = connector._clock  # type: ignore[attr-defined]  # a clock that can be put forward
    connector._clock = lambda: now() + timedelta(seconds=seconds)  # type: ignore[attr-defined]  # as above


@pytest.mark.counterpart("xen-sim")
def test_a_machine_that_just_started_has_counters_at_zero(connector: Connector) -> None:
    identity = made(connector)
    counters, _ = looked(connector, identity, datetime.now(UTC) - timedelta(hours=1))
    assert set(counters) == set(LOAD)
    assert counters["cpu_ms"] < 20_000


@pytest.mark.counterpart("xen-sim")
def test_a_machine_that_moves_goes_on_counting_at_its_new_host(start: Start) -> None:
    simulator = start(host="127.0.0.2", slaves=["127.0.0.3"])
    endpoint = simulator.endpoint(timeout_s=10, options=NETWORK)
    with registry.connect(endpoint, simulator.password) as connector:
        identity = made(connector)
        forward(simulator, connector, 600)
        since = datetime.now(UTC)
        before, from_s = looked(connector, identity, since)
        here = connector.get_vm(identity).host
        connector.migrate(identity, "xen-1" if here == "xen-2" else "xen-2")
        forward(simulator, connector, 300)
        after, until_s = looked(connector, identity, since)
        assert until_s - from_s >= 300
        told = {metric: after[metric] - before[metric] for metric in after}
        assert told == by_hand(from_s, until_s)


@pytest.mark.counterpart("xen-sim")
def test_a_machine_that_was_off_for_long_makes_no_other_coarse(
    simulator: XenSimulator, connector: Connector
) -> None:
    rests, works = made(connector), made(connector)
    forward(simulator, connector, 600)
    since = datetime.now(UTC)
    looked(connector, rests, since)
    connector.power(rests, PowerAction.OFF)
    for _ in range(3):
        forward(simulator, connector, 7000)
        before, from_s = looked(connector, works, since)
    connector.power(rests, PowerAction.ON)
    forward(simulator, connector, 120)
    after, until_s = looked(connector, works, since)
    assert until_s - from_s < 300
    assert {metric: after[metric] - before[metric] for metric in after} == by_hand(from_s, until_s)
    earlier, later = (looked(connector, rests, since)[0]["cpu_ms"] for _ in range(2))
    assert 0 < earlier <= later


@pytest.mark.counterpart("xen-sim")
def test_each_host_is_asked_once_and_a_pool_where_nothing_runs_not_at_all(
    simulator: XenSimulator, connector: Connector
) -> None:
    assert list(connector.usage(datetime.now(UTC) - timedelta(hours=1))) == []
    assert RRD not in simulator.calls()
    identities = {made(connector) for _ in range(3)}
    found = list(connector.usage(datetime.now(UTC) - timedelta(hours=1)))
    assert {one.identity for one in found} == identities
    assert simulator.calls()[RRD] == 1, "both simulated hosts answer at one address"


@pytest.mark.counterpart("xen-sim")
def test_a_user_who_may_only_read_may_read_what_was_measured(
    simulator: XenSimulator, connector: Connector
) -> None:
    made(connector)
    endpoint = simulator.endpoint().model_copy(update={"username": READER})
    with registry.connect(endpoint, simulator.password) as reader:
        assert list(reader.usage(datetime.now(UTC) - timedelta(hours=1)))


@pytest.mark.counterpart("xen-sim")
@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ({"action": "reset"}, Unreachable),
        ({"action": "reset", "after": True}, Unreachable),
        ({"action": "garbage"}, Unreachable),
        ({"action": "http", "status": 500}, Unreachable),
        ({"action": "delay", "delay_ms": 4000}, DeadlineExceeded),
    ],
    ids=["reset", "cut off", "garbage", "500", "late"],
)
def test_measurements_that_do_not_come_are_told_and_counted_later(
    rule: dict[str, Any], kind: type[Exception], start: Start
) -> None:
    simulator = start()
    with registry.connect(
        simulator.endpoint(timeout_s=2, options=NETWORK), simulator.password
    ) as connector:
        identity = made(connector)
        forward(simulator, connector, 600)
        since = datetime.now(UTC)
        before, from_s = looked(connector, identity, since)
        forward(simulator, connector, 300)
        simulator.rules(Rule(method=RRD, times=1, **rule))
        with pytest.raises(kind) as caught:
            list(connector.usage(since))
        assert "session_id" not in str(caught.value)
        after, until_s = looked(connector, identity, since)
        assert until_s > from_s
        assert {metric: after[metric] - before[metric] for metric in after} == by_hand(from_s, until_s)


@pytest.mark.counterpart("xen-sim")
def test_a_session_that_ended_is_opened_anew_for_measurements(
    simulator: XenSimulator, connector: Connector
) -> None:
    made(connector)
    simulator.rules(Rule(method=RRD, action="http", status=401, times=1))
    assert list(connector.usage(datetime.now(UTC) - timedelta(hours=1)))
    simulator.rules(Rule(method=RRD, action="http", status=403, times=1))
    with pytest.raises((Refused, Unreachable)):
        list(connector.usage(datetime.now(UTC)))


def test_the_clock_of_each_host_that_is_up_is_told_also_where_two_have_one_name(
    connector: Connector, raw: Any
) -> None:
    for host in raw.host.get_all():
        raw.host.set_name_label(host, "same")
    told = connector.clocks()
    assert sorted(told) == sorted(f"same {raw.host.get_uuid(host)}" for host in raw.host.get_all())
    assert len(told) > 1
