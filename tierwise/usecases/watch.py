"""Following every endpoint: what changes is told as it happens, and the stored inventory kept up to date.

Endpoints with a change feed are asked for what changed; of the others the machines are listed now and then and
compared. Both tell the same, the second later.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from catalog.wording import counted
from connectors.contract import Connector, VmView
from connectors.errors import ConnectorError
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store import orders as order_store
from tierwise.store import views as view_store
from tierwise.usecases.following import Machines, has_feed
from tierwise.usecases.observe import observe


class What(StrEnum):
    """What happened to a machine, or to the connection to an endpoint."""

    MADE = "made"
    CHANGED = "changed"
    GONE = "gone"
    FOLLOWING = "following"
    LOST = "lost"


@dataclass(frozen=True)
class Told:
    """One thing that happened. `text` says it in words; a connection has no machine."""

    endpoint: str
    what: What
    machine: str
    text: str


@dataclass
class Following:
    """One endpoint as it is followed: the machines known, and where its feed stands."""

    endpoint: str
    machines: Machines = field(default_factory=Machines)
    started: bool = False

    def pull(self, connector: Connector, *, feed: bool) -> list[Told]:
        """Ask the endpoint once; what happened since the last time. The first time tells nothing of machines."""
        before = self.machines.known
        if feed:
            self.machines.advance(connector)
        else:
            self.machines = Machines({vm.native_id: vm for vm in connector.list_vms()})
        now = self.machines.known
        if not self.started:
            self.started = True
            how = "by its change feed" if feed else "by listing its machines now and then"
            return [
                Told(self.endpoint, What.FOLLOWING, "", f"{counted(len(now), 'machine')}, followed {how}")
            ]
        return list(_differences(self.endpoint, before, now))


def follow(
    app: App, tell: Callable[[Told], None], stop: threading.Event, *, poll_s: float, list_s: float
) -> None:
    """Follow every endpoint until `stop` is set. `tell` is called by one thread at a time.

    Feeds are asked every `poll_s` seconds, other endpoints every `list_s`; one that does not answer is tried
    again at the latter pace.
    """
    observe(app)
    lock = threading.Lock()

    def tell_one(told: Told) -> None:
        with lock:
            tell(told)

    names = app.endpoints.names
    with ThreadPoolExecutor(max(1, len(names)), thread_name_prefix="watch") as threads:
        try:
            for done in [
                threads.submit(_one, app, name, tell_one, stop, (poll_s, list_s)) for name in names
            ]:
                done.result()
        finally:
            stop.set()


def _one(
    app: App, name: str, tell: Callable[[Told], None], stop: threading.Event, pace_s: tuple[float, float]
) -> None:
    following = Following(name)
    while not stop.is_set():
        try:
            with app.endpoints.lease(name) as connector:
                _until_lost(app, connector, following, tell, stop, pace_s)
        except (ConnectorError, InvalidInput) as error:
            tell(Told(name, What.LOST, "", f"{error}; tried again every {pace_s[1]:g} s"))
            with app.session() as session:
                order_store.lock(session)
                view_store.save_failed(session, name, app.clock.now(), str(error))
                session.commit()
            stop.wait(pace_s[1])


def _until_lost(
    app: App,
    connector: Connector,
    following: Following,
    tell: Callable[[Told], None],
    stop: threading.Event,
    pace_s: tuple[float, float],
) -> None:
    feed = has_feed(connector.probe())
    while not stop.is_set():
        began_at = app.clock.now()
        told = following.pull(connector, feed=feed)
        if told:
            _save(app, following, began_at)
        for one in told:
            tell(one)
        stop.wait(pace_s[0] if feed else pace_s[1])


def _save(app: App, following: Following, began_at: datetime) -> None:
    with app.session() as session:
        order_store.lock(session)
        if not view_store.is_overtaken(session, following.endpoint, began_at, app.clock.now()):
            view_store.save_machines(session, following.endpoint, began_at, following.machines.listed())
        session.commit()


def _differences(endpoint: str, before: Mapping[str, VmView], now: Mapping[str, VmView]) -> Iterable[Told]:
    for native_id, vm in now.items():
        old = before.get(native_id)
        if old is None:
            yield Told(endpoint, What.MADE, vm.name, f"{vm.power.value}, {_size(vm)}")
        elif old != vm:
            yield Told(endpoint, What.CHANGED, vm.name, ", ".join(_changed(old, vm)))
    for native_id, old in before.items():
        if native_id not in now:
            yield Told(endpoint, What.GONE, old.name, f"it was {old.power.value}")


def _changed(old: VmView, new: VmView) -> Iterable[str]:
    """Each field that is another, as ``power off -> on``."""
    for name in VmView.model_fields:
        was, is_ = getattr(old, name), getattr(new, name)
        if was == is_:
            continue
        if name == "resources":
            yield f"size {_size(old)} -> {_size(new)}"
        elif name == "annotations":
            yield "annotations"
        else:
            yield f"{name} {was or 'none'} -> {is_ or 'none'}"


def _size(vm: VmView) -> str:
    size = vm.resources
    return f"{size.vcpu} vCPU, {size.memory_mib} MiB, {size.disk_gib} GiB"
