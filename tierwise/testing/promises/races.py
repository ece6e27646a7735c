# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""What holds when several workers ask at the same moment."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from catalog.capabilities import Capability
from catalog.pools import Endpoint
from connectors.contract import Connector, PowerAction, PowerState, VmView
from tierwise.testing.promises.base import (
    Connect,
    Counterpart,
    Machines,
    Needs,
    identities,
    identity_of,
)

WORKERS = 4
ORDERS = 50


class RacePromises(Counterpart):
    """Workers with sessions of their own do not harm each other."""

    def test_four_workers_creating_one_identity_make_one_machine(
        self, needs: Needs, connector: Connector, connect: Connect, machines: Machines
    ) -> None:
        needs(Capability.CREATE)
        identity = machines.identity()
        spec = machines.spec(identity)
        views = at_once([connect() for _ in range(WORKERS)], lambda c, _: c.create_vm(spec, identity))
        assert identities(connector).count(identity) == 1
        assert {v.native_id for v in views} == {connector.get_vm(identity).native_id}

    def test_four_workers_creating_four_identities_make_four_machines(
        self, needs: Needs, connector: Connector, connect: Connect, machines: Machines
    ) -> None:
        needs(Capability.CREATE)
        wanted = [machines.identity() for _ in range(WORKERS)]
        views = at_once(
            [connect() for _ in range(WORKERS)],
            lambda c, i: c.create_vm(machines.spec(wanted[i]), wanted[i]),
        )
        assert [view.identity for view in views] == wanted
        assert set(wanted) <= set(identities(connector))
        assert len({view.native_id for view in views}) == WORKERS

    def test_fifty_orders_at_once_make_each_machine_once(
        self, needs: Needs, endpoint: Endpoint, connector: Connector, connect: Connect, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.DELETE)
        patient = endpoint.model_copy(update={"timeout_s": max(endpoint.timeout_s, self.patience_s)})
        wanted = [machines.identity() for _ in range(ORDERS)]
        workers = [connect(patient) for _ in range(self.workers_at_once)]
        views = at_once(workers, lambda c, i: c.create_vm(machines.spec(wanted[i]), wanted[i]), ORDERS)
        there = Counter(view.identity for view in connector.list_vms())
        assert {identity: there[identity] for identity in wanted} == dict.fromkeys(wanted, 1)
        assert [(view.identity, view.power) for view in views] == [(one, PowerState.OFF) for one in wanted]
        listed = {view.native_id for view in connector.list_vms() if view.identity in set(wanted)}
        assert {view.native_id for view in views} == listed

    def test_four_workers_switching_one_machine_on_agree(
        self, needs: Needs, connector: Connector, connect: Connect, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.POWER_ON)
        identity = identity_of(machines.make())
        views = at_once([connect() for _ in range(WORKERS)], lambda c, _: c.power(identity, PowerAction.ON))
        assert {view.power for view in views} == {PowerState.ON}

    def test_four_workers_deleting_one_machine_agree(
        self, needs: Needs, connector: Connector, connect: Connect, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.DELETE)
        view = machines.make()
        identity = identity_of(view)

        def delete(worker: Connector, _index: int) -> VmView:
            worker.delete_vm(identity)
            return view

        at_once([connect() for _ in range(WORKERS)], delete)
        assert identity not in identities(connector)


def at_once(
    workers: Sequence[Connector], call: Callable[[Connector, int], VmView], count: int | None = None
) -> list[VmView]:
    """Run the call `count` times, once a worker unless given, as nearly together as threads can; the results in order.

    A worker has one call after the other.
    """
    start = Barrier(len(workers))

    def run(first: int) -> list[VmView]:
        start.wait()
        mine = range(first, len(workers) if count is None else count, len(workers))
        return [call(workers[first], index) for index in mine]

    with ThreadPoolExecutor(len(workers)) as threads:
        found = list(threads.map(run, range(len(workers))))
    return [found[i % len(workers)][i // len(workers)] for i in range(sum(map(len, found)))]
