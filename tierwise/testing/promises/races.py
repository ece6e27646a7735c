# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""What holds when several workers ask at the same moment."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from catalog.capabilities import Capability
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


def at_once(workers: Sequence[Connector], call: Callable[[Connector, int], VmView]) -> list[VmView]:
    """Run the call on all workers as nearly together as threads can, and give the results in order."""
    start = Barrier(len(workers))

    def run(index: int) -> VmView:
        start.wait()
        return call(workers[index], index)

    with ThreadPoolExecutor(len(workers)) as threads:
        return list(threads.map(run, range(len(workers))))
