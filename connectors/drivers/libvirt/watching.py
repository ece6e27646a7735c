"""The change feed of one connection: libvirt's events, and one look at all machines where there are none.

libvirt tells that a machine was made, changed or undefined, but not that vCPUs were set, a disk has
grown or saved memory was thrown away. So each answer also compares the statistics of all machines with
those of the last one: two calls, however many machines there are. Only machines that changed are read whole.
Of containers and machines of Xen libvirt has no statistics: each is read whole, and compared.
"""

import functools
import itertools
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from connectors.contract import Changes, VmView
from connectors.drivers.libvirt import views
from connectors.drivers.libvirt.host import HostFacts

MOST_HEARD = 100_000
"""Events that may wait for a reader; with more of them the feed begins anew."""
MOST_GONE = 10_000
"""Machines no longer there that an old cursor is still told of."""

_EVENTS = (
    "LIFECYCLE",
    "REBOOT",
    "METADATA_CHANGE",
    "DEVICE_ADDED",
    "DEVICE_REMOVED",
    "BALLOON_CHANGE",
)
_COUNTED = ("state.state", "vcpu.current", "balloon.maximum")


class _ByStatistics:
    """One look at all machines: native id -> libvirt's object and statistics, what of them tells a change, and views."""

    def __init__(self, vendor: Any, connection: Any, host: HostFacts) -> None:
        self._vendor, self._connection, self._host = vendor, connection, host

    def rows(self) -> dict[str, Any]:
        flags = (
            self._vendor.VIR_DOMAIN_STATS_STATE
            | self._vendor.VIR_DOMAIN_STATS_VCPU
            | self._vendor.VIR_DOMAIN_STATS_BALLOON
            | self._vendor.VIR_DOMAIN_STATS_BLOCK
        )
        found = self._connection.getAllDomainStats(flags)
        return {domain.UUIDString(): (domain, stats) for domain, stats in found}

    def prints(self, rows: dict[str, Any]) -> dict[str, object]:
        saved = self._connection.listAllDomains(self._vendor.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
        kept = {domain.UUIDString() for domain in saved}
        return {key: (key in kept, *_print(stats)) for key, (_, stats) in rows.items()}

    def views(self, rows: dict[str, Any]) -> tuple[VmView, ...]:
        return tuple(views.of_rows(self._vendor, self._connection, rows.values(), self._host))


class _ByView:
    """The same where each machine is read whole."""

    def __init__(self, vendor: Any, connection: Any, host: HostFacts) -> None:
        self._every = functools.partial(views.every, vendor, connection, host)

    def rows(self) -> dict[str, Any]:
        return {view.native_id: view for view in self._every()}

    def prints(self, rows: dict[str, Any]) -> dict[str, object]:
        return dict(rows)

    def views(self, rows: dict[str, Any]) -> tuple[VmView, ...]:
        return tuple(rows.values())


class Feed:
    """The changes seen on one connection since it was opened; numbered, so that a cursor can be asked twice."""

    def __init__(self, vendor: Any, connection: Any, host: HostFacts) -> None:
        self.connection = connection
        self._vendor = vendor
        self._looks = (_ByStatistics if host.has_statistics else _ByView)(vendor, connection, host)
        self._heard: deque[str] = deque(maxlen=MOST_HEARD)
        self._name = uuid4().hex
        self._number = 0
        self._oldest = 0
        self._changed: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._seen: dict[str, object] = {}
        self._callbacks: list[int] = []

    def start(self) -> None:
        """Listen. Raises libvirtError."""
        for name in _EVENTS:
            event = getattr(self._vendor, f"VIR_DOMAIN_EVENT_ID_{name}")
            number = self.connection.domainEventRegisterAny(None, event, self._hear, None)
            self._callbacks.append(number)
        self._seen = self._looks.prints(self._looks.rows())

    def stop(self) -> None:
        """Let go of the connection, which listeners keep alive; never raises."""
        while self._callbacks:
            with suppress(self._vendor.libvirtError):  # the connection may be lost
                self.connection.domainEventDeregisterAny(self._callbacks.pop())

    def since(self, cursor: str | None) -> Changes:
        """What changed since a cursor of this feed; all that is there for any other. Raises libvirtError."""
        rows = self._look()
        number = self._number_of(cursor)
        if number is None:
            return Changes(cursor=self._cursor(), vms=self._looks.views(rows), full=True)
        wanted = {key: row for key, row in rows.items() if self._changed.get(key, 0) > number}
        gone = tuple(key for key, at in self._gone.items() if at > number)
        return Changes(cursor=self._cursor(), vms=self._looks.views(wanted), gone=gone)

    def _hear(self, _connection: Any, domain: Any, *_details: Any) -> None:
        """Called in the event loop's thread, where nothing but this may be done."""
        self._heard.append(domain.UUIDString())

    def _look(self) -> dict[str, Any]:
        """Take in what was heard and what is to be seen."""
        heard = self._taken()
        rows = self._looks.rows()
        prints = self._looks.prints(rows)
        changed = {key for key, value in prints.items() if self._seen.get(key) != value}
        changed |= heard & prints.keys()
        gone = self._seen.keys() - prints.keys()
        self._seen = prints
        if changed or gone:
            self._note(changed, gone)
        return rows

    def _taken(self) -> set[str]:
        if len(self._heard) == MOST_HEARD:  # some were lost
            self._name = uuid4().hex
        found = set()
        with suppress(IndexError):
            while True:
                found.add(self._heard.popleft())
        return found

    def _note(self, changed: set[str], gone: set[str]) -> None:
        self._number += 1
        for key in gone:
            self._changed.pop(key, None)
            self._gone[key] = self._number
        for key in changed:
            self._gone.pop(key, None)
            self._changed[key] = self._number
        for key in list(itertools.islice(self._gone, max(0, len(self._gone) - MOST_GONE))):
            self._oldest = self._gone.pop(key)

    def _cursor(self) -> str:
        return f"{self._name}:{self._number}"

    def _number_of(self, cursor: str | None) -> int | None:
        name, _, number = (cursor or "").partition(":")
        if name != self._name or not number.isdecimal():
            return None
        return int(number) if self._oldest <= int(number) <= self._number else None


def _print(stats: Mapping[str, Any]) -> tuple[object, ...]:
    """What of a machine's statistics shows in its view."""
    disks = range(stats.get("block.count", 0))
    capacities = (stats.get(f"block.{number}.capacity") for number in disks)
    return (*(stats.get(name) for name in _COUNTED), *capacities)
