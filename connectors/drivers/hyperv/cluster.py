"""A failover cluster as one endpoint: its nodes, a login at each, and moving machines between them.

WinRM does not pass a login on to a second host unless Kerberos delegation or CredSSP is set up. So no node
is asked by way of another: the driver logs in at each, by whatever `auth` the endpoint has. The cluster
itself is asked at the endpoint's address, and answers from its own service on that node.
"""

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple

from catalog.capabilities import Capability
from catalog.pools import Endpoint, Host, Hypervisor
from catalog.resources import Resources
from connectors.contract import EndpointSnapshot, PoolSnapshot, PowerState
from connectors.drivers.hyperv import gaps, machines
from connectors.drivers.hyperv.dispatcher import Command, Scalar
from connectors.drivers.hyperv.host import HostFacts, on_shared_volume, used
from connectors.drivers.hyperv.machines import Machine
from connectors.drivers.hyperv.session import Op
from connectors.drivers.hyperv.settings import Settings, named
from connectors.errors import NotFound, Refused

UP = "Up"
ASKED = frozenset({UP, "Paused"})
"""States of nodes that have machines and answer; a paused one takes no new ones."""

_NODES = Command("FailoverClusters\\Get-ClusterNode", select=("Name", "State"))


class Members(NamedTuple):
    """The nodes, each with its state, and the roles, each with its owner."""

    states: Mapping[str, str]
    owners: Mapping[str, str]

    @property
    def asked(self) -> list[str]:
        """The nodes that can be asked, in order."""
        return sorted(name for name, state in self.states.items() if state in ASKED)


def members(op: Op) -> Members:
    """What the cluster says now."""
    nodes, roles = op.run(_NODES, machines.ROLES)
    return Members({row["Name"]: row["State"] for row in nodes}, machines.owners_of(roles))


def node_endpoint(endpoint: Endpoint, node: str) -> Endpoint:
    """Where a node is: by the option `nodes`, else in the domain and at the port of the endpoint's address."""
    settings = Settings.of(endpoint)
    form = "NAME=host or NAME=host:port"
    known = {
        name.lower(): host for name, host in named(endpoint, "nodes", settings.options.nodes or "", form)
    }
    host = known.get(node.lower()) or f"{node}.{_domain(endpoint, settings.host, node)}".rstrip(".")
    scheme = "https" if settings.encrypted else "http"
    where = host if ":" in host else f"{host}:{settings.port}"
    left_out = {"nodes", "spn_host"}
    options = {name: value for name, value in endpoint.options.items() if name not in left_out}
    return endpoint.model_copy(update={"address": f"{scheme}://{where}", "options": options})


def _domain(endpoint: Endpoint, host: str, node: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.partition(".")[2]
    why = f"the address '{host}' does not tell where node '{node}' is"
    raise Refused(endpoint.name, "open", why, hint="set the option 'nodes' to NAME=host, ...")


def chosen(op: Op, states: Mapping[str, str], facts: Mapping[str, HostFacts], wanted: Resources) -> str:
    """The node for a new machine: of those that could hold it, the one with the most memory not promised.

    Where none could, the largest, whose refusal says what is too much. Raises Refused where no node is up.
    """
    up = [name for name in facts if states[name] == UP]
    if not up:
        raise op.error(Refused, "no node of the cluster is up", hint="start a node, or resume one")
    promised = dict.fromkeys(up, 0)
    for one in machines.every(op):
        if one.node in promised:
            promised[one.node] += one.resources.memory_mib
    fitting = [name for name in up if wanted.memory_mib <= facts[name].memory_mib]
    fitting = [name for name in fitting if wanted.vcpu <= facts[name].vcpu]
    return max(fitting or up, key=lambda name: (facts[name].memory_mib - promised[name], name))


def migrate(op: Op, states: Mapping[str, str], machine: Machine, host: str) -> None:
    """Move a machine's role to a node; the cluster's service does it, as itself, so no login is passed on.

    One that is no role is moved by its host, which has to prove itself to the other.
    """
    if host not in states:
        why = f"the cluster has no node '{host}'"
        raise op.error(NotFound, why, hint=f"its nodes are {', '.join(sorted(states))}")
    if machine.node == host:
        return
    if states[host] != UP:
        why = f"node '{host}' takes no machines; it is {states[host].lower()}"
        raise op.error(Refused, why, hint="resume or start the node", code=states[host])
    if not machine.clustered:
        _migrate_alone(op, machine, host)
        return
    kind = "Live" if machine.power is PowerState.ON else "Quick"
    role = {"VMId": machine.id, "Node": host, "MigrationType": kind}
    op.run(Command("FailoverClusters\\Move-ClusterVirtualMachineRole", role))


def _migrate_alone(op: Op, machine: Machine, host: str) -> None:
    """Move a machine that is no role; its files stay on the volume that both nodes see."""
    elsewhere = [path for path in (machine.path, *dict(machine.disks)) if not on_shared_volume(path)]
    if elsewhere:
        why = f"'{elsewhere[0]}' of the machine '{machine.name}' is on one node only"
        raise op.error(Refused, why, hint="move its files under C:\\ClusterStorage first")
    # The switch that is off tells the parameter set, which PowerShell could not choose else.
    where: dict[str, Scalar] = {"DestinationHost": host, "IncludeStorage": False}
    op.run(Command("Hyper-V\\Get-VM", {"Id": machine.id}), Command("Hyper-V\\Move-VM", where, {"VM": "0"}))


def snapshot(
    op: Op,
    found: EndpointSnapshot,
    facts: Mapping[str, HostFacts],
    states: Mapping[str, str],
    listed: list[Machine],
) -> EndpointSnapshot:
    """The probe's answer: one pool of all nodes; `found` is that of one node alone.

    The volume is shared, so it counts once. Nodes that are not up are named, and count nothing.
    """
    hosts = [
        Host(name=name, resources=facts[name].total, usable=state == UP)
        if name in facts
        else Host(name=name, resources=Resources(), usable=False)
        for name, state in sorted(states.items())
    ]
    usable = [one.resources for one in hosts if one.usable]
    member = found.pools[0]
    gap = gaps.live_migrate(member.provider, nodes=len(states))
    pool = PoolSnapshot(
        provider=member.provider,
        hypervisor=Hypervisor.HYPERV,
        total=Resources(
            vcpu=sum(one.vcpu for one in usable),
            memory_mib=sum(one.memory_mib for one in usable),
            disk_gib=max((one.disk_gib for one in usable), default=0),
        ),
        used=used(listed),
        hosts=tuple(hosts),
        capabilities=member.capabilities.narrowed({} if gap is None else {Capability.LIVE_MIGRATE: gap}),
        traits=member.traits,
        templates=member.templates,
    )
    note = "; ".join(filter(None, [found.note, *_absent(op, states)]))
    return found.model_copy(update={"pools": (pool,), "note": note})


def _absent(op: Op, states: Mapping[str, str]) -> list[str]:
    """Each node that cannot be asked, with the machines that still belong to it."""
    hidden = machines.hidden(op)
    said = []
    for name, state in sorted(states.items()):
        if name not in op.nodes:
            roles = ", ".join(sorted(role for role, node in hidden.items() if node == name)) or "none"
            said.append(f"node '{name}' is {state.lower()}; roles that are not listed: {roles}")
    return said
