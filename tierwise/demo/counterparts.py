"""What the demo talks to: the most real counterpart that this machine offers, for each endpoint."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from catalog.catalog import Catalog
from catalog.pools import Endpoint, Hypervisor

VCENTER_SECRET = "TIERWISE_DEMO_VCENTER_PASSWORD"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class Counterpart:
    """An endpoint of the demo, and what stands behind it."""

    endpoint: Endpoint
    what: str
    why: str


@contextmanager
def started(catalog: Catalog, *, simulated: bool) -> Iterator[dict[str, Counterpart]]:
    """A counterpart for each endpoint of the catalog, stopped at the end."""
    starters = {"vsphere": _vsphere, "libvirt": _libvirt}
    with ExitStack() as stack:
        found: dict[str, Counterpart] = {}
        for name, endpoint in catalog.endpoints.items():
            start = starters.get(endpoint.driver)
            providers = [pool.provider for pool in catalog.pools.values() if pool.endpoint == name]
            if start is None or simulated:
                why = "this was asked for" if start else "there is no driver for the real one yet"
                found[name] = embedded(endpoint, providers, why)
                continue
            live = start(stack, endpoint, providers)
            if isinstance(live, str):
                live = embedded(endpoint, providers, live)
            found[name] = live
        yield found


def _vsphere(stack: ExitStack, endpoint: Endpoint, _providers: Sequence[str]) -> Counterpart | str:
    from connectors.simulators import vsphere  # noqa: PLC0415 - only where it is used

    absent = vsphere.missing()
    if absent:
        return absent
    binary = vsphere.build(_cache_dir())
    estate = vsphere.Estate(clusters=2, hosts=3, host_threads=32, host_memory_mib=256 * 1024)
    simulator = stack.enter_context(vsphere.VsphereSimulator(binary, estate, task_delay_s=0.02))
    os.environ[VCENTER_SECRET] = simulator.password.get_secret_value()
    stack.callback(os.environ.pop, VCENTER_SECRET, None)
    live = simulator.endpoint(endpoint.name)
    return Counterpart(
        live.model_copy(update={"secret": f"env:{VCENTER_SECRET}"}),
        "VMware's own vCenter simulator (govmomi), over the real SOAP API with pyvmomi",
        "Go and govmomi are installed",
    )


def _libvirt(stack: ExitStack, endpoint: Endpoint, providers: Sequence[str]) -> Counterpart | str:
    from connectors.simulators import libvirtd  # noqa: PLC0415 - only where it is used

    absent = libvirtd.missing()
    if absent:
        return absent
    daemon = stack.enter_context(libvirtd.PrivateLibvirtd())
    live = daemon.qemu_endpoint(endpoint.name)
    return Counterpart(
        live.model_copy(update={"options": {**live.options, "provider": providers[0]}}),
        "a real libvirtd with QEMU machines under software emulation, over libvirt's own protocol",
        "libvirt and QEMU are installed, and this is root",
    )


def embedded(endpoint: Endpoint, providers: Sequence[str], why: str) -> Counterpart:
    """The embedded simulation in the endpoint's place, with the providers that the catalog's pools name.

    Its estate is a file of the endpoint's name in the data directory.
    """
    options = dict(endpoint.options)
    if endpoint.driver != "simulated":
        options = {"hypervisor": endpoint.driver, "providers": ",".join(providers)}
    estate = Endpoint(
        name=endpoint.name,
        driver="simulated",
        address=f"{endpoint.name}.sqlite",
        options=options,
        timeout_s=endpoint.timeout_s,
    )
    played = Hypervisor(str(options["hypervisor"])).label
    return Counterpart(estate, f"tierwise's embedded simulation of {played}: no hypervisor protocol", why)


def _cache_dir() -> Path:
    """Where the simulator's program is kept between runs."""
    import platformdirs  # noqa: PLC0415 - only where it is used

    return platformdirs.user_cache_path("tierwise") / "simulators"
