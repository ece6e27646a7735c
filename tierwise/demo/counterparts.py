"""What the demo talks to: the most real counterpart that this machine offers, for each endpoint."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from catalog.catalog import Catalog
from catalog.pools import Endpoint, Hypervisor


@dataclass(frozen=True)
class Counterpart:
    """An endpoint of the demo, and what stands behind it."""

    endpoint: Endpoint
    what: str
    why: str


@contextmanager
def started(catalog: Catalog, *, simulated: bool) -> Iterator[dict[str, Counterpart]]:
    """A counterpart for each endpoint of the catalog, stopped at the end."""
    with ExitStack() as stack:
        found: dict[str, Counterpart] = {}
        for name, endpoint in catalog.endpoints.items():
            providers = [pool.provider for pool in catalog.pools.values() if pool.endpoint == name]
            # An endpoint of the example that plays a hypervisor gets that hypervisor's counterpart too.
            start = _STARTERS[Hypervisor(str(endpoint.options.get("hypervisor", endpoint.driver)))]
            live = "this was asked for" if simulated else start(stack, endpoint, providers)
            if isinstance(live, str):
                live = embedded(endpoint, providers, live)
            found[name] = live
        yield found


def _lent(stack: ExitStack, endpoint: Endpoint, password: SecretStr) -> Endpoint:
    """The endpoint with its password in a variable of this process, as long as the stack lives."""
    variable = f"TIERWISE_DEMO_{endpoint.name.upper().replace('-', '_')}_PASSWORD"
    os.environ[variable] = password.get_secret_value()
    stack.callback(os.environ.pop, variable, None)
    return endpoint.model_copy(update={"secret": f"env:{variable}"})


def _vsphere(stack: ExitStack, endpoint: Endpoint, _providers: Sequence[str]) -> Counterpart | str:
    from connectors.simulators import vsphere  # noqa: PLC0415 - only where it is used

    absent = vsphere.missing()
    if absent:
        return absent
    binary = vsphere.build(_cache_dir())
    estate = vsphere.Estate(clusters=2, hosts=3, host_threads=32, host_memory_mib=256 * 1024)
    simulator = stack.enter_context(vsphere.VsphereSimulator(binary, estate, task_delay_s=0.02))
    return Counterpart(
        _lent(stack, simulator.endpoint(endpoint.name), simulator.password),
        "VMware's own vCenter simulator (govmomi), over the real SOAP API with pyvmomi",
        "Go and govmomi are installed",
    )


def _hyperv(stack: ExitStack, endpoint: Endpoint, providers: Sequence[str]) -> Counterpart | str:
    from connectors.simulators import hyperv  # noqa: PLC0415 - only where it is used

    absent = hyperv.missing()
    if absent:
        return absent
    estate = hyperv.Estate(
        host=providers[0], logical_processors=256, memory_mib=1536 * 1024, volume_gib=24_000
    )
    simulator = stack.enter_context(hyperv.HypervSimulator(estate))
    return Counterpart(
        _lent(stack, simulator.endpoint(endpoint.name), simulator.password),
        "tierwise's Hyper-V simulator, over real WinRM with NTLM sealing, by pywinrm",
        "there is no Windows here; no PowerShell runs behind it",
    )


def _xen(stack: ExitStack, endpoint: Endpoint, providers: Sequence[str]) -> Counterpart | str:
    from connectors.simulators import xen  # noqa: PLC0415 - only where it is used

    if importlib.util.find_spec("XenAPI") is None:
        return "the binding XenAPI is not installed; pip install 'tierwise[xen]'"
    estate = xen.Estate(pool=providers[0], hosts=3, host_cpus=48, host_memory_mib=256 * 1024, sr_gib=12_000)
    simulator = stack.enter_context(xen.XenSimulator(estate, task_delay_s=0.02))
    return Counterpart(
        _lent(stack, simulator.endpoint(endpoint.name), simulator.password),
        "tierwise's XenServer simulator, over the real XenAPI (XML-RPC) with Citrix's own binding",
        "there is no XenServer here",
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


_STARTERS = {
    Hypervisor.VSPHERE: _vsphere,
    Hypervisor.HYPERV: _hyperv,
    Hypervisor.XEN: _xen,
    Hypervisor.LIBVIRT: _libvirt,
}


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
