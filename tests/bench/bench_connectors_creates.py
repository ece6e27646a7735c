"""Fifty machines made at the same moment, at each of four endpoints, each by a worker with a connector of its own.

`*_create_s` is from the first order to the last answer; every machine is there once, which is counted with a connector
that made none. `*_one_s` is one create alone. Hyper-V gets twenty workers that share the orders: Windows lets one user have
thirty shells, and a connector keeps one. libvirt is a private libvirtd and its test driver: 50 domains there have
disks in a pool that exists in memory.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from uuid import UUID, uuid4

import connector_estates as estates
from connector_estates import Clock, Figures, Side

from catalog.resources import Resources
from connectors.contract import Connector, VmSpec
from connectors.registry import connect

ORDERS = 50
MACHINES = 200
WORKERS = {"hyperv": 20}
"""Where fifty are too many for one user."""


def main(machines: int = MACHINES) -> Figures:
    """Measure, and give seconds."""
    figures: Figures = {"orders": ORDERS, "machines_before": machines}
    for name, side in sides().items():
        with side(machines) as opened:
            figures |= made(name, opened, WORKERS.get(name, ORDERS))
    return figures


def sides() -> dict[str, Callable[[int], AbstractContextManager[Side]]]:
    """As for the other benchmarks; but the test driver inside of this process is another one in each connection."""
    return estates.SIDES | {"libvirt": libvirtd_side}


@contextmanager
def libvirtd_side(_machines: int) -> Iterator[Side]:
    """A libvirtd whose test driver all connections share."""
    from connectors.simulators.libvirtd import PrivateLibvirtd, missing

    if reason := missing(qemu=False):
        raise SystemExit(reason)
    with PrivateLibvirtd() as daemon:
        endpoint = daemon.test_endpoint().model_copy(update={"timeout_s": estates.TIME_LIMIT_S})
        yield Side(endpoint, None, 0)


def made(name: str, side: Side, workers: int) -> Figures:
    """One create alone, then all at once."""
    alone, together = Clock(side.process), Clock(side.process)
    with ExitStack() as stack:
        opened = [stack.enter_context(connect(side.endpoint, side.password)) for _ in range(workers + 1)]
        observer, *others = opened
        provider = observer.probe().pools[0].provider
        alone.run(lambda: create(others[0], provider, uuid4()))
        wanted = [uuid4() for _ in range(ORDERS)]
        together.run(lambda: create_all(others, provider, wanted))
        there = Counter(vm.identity for vm in observer.list_vms())
        assert [there[one] for one in wanted] == [1] * ORDERS
    return {
        f"{name}_workers": workers,
        **alone.figures(f"{name}_one"),
        **together.figures(f"{name}_create"),
    }


def create_all(workers: list[Connector], provider: str, wanted: list[UUID]) -> None:
    def some(first: int) -> None:
        for identity in wanted[first :: len(workers)]:
            create(workers[first], provider, identity)

    with ThreadPoolExecutor(len(workers)) as threads:
        list(threads.map(some, range(len(workers))))


def create(connector: Connector, provider: str, identity: UUID) -> None:
    resources = Resources(vcpu=1, memory_mib=128, disk_gib=1)
    spec = VmSpec(name=f"tw-{identity.hex[:12]}", provider=provider, resources=resources)
    assert connector.create_vm(spec, identity).identity == identity


if __name__ == "__main__":
    print(json.dumps(main(estates.size(MACHINES, "machines that are there before")), indent=2))
