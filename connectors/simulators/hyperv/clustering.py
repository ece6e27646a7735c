# ruff: noqa: EM101, D103 -- what goes wrong at a host is told by its id and its words; a function is named after its cmdlet
"""The failover cluster's cmdlets. Any node that is up answers for all; nothing fails over by itself."""

from connectors.simulators.hyperv.calls import Call, Found
from connectors.simulators.hyperv.cmdlets import NetObject, NotImplementedHere
from connectors.simulators.hyperv.estate import MIB, Vm, World


def get_cluster(call: Call) -> Found:
    call.only()
    _check_member(call)
    estate = call.world.estate
    return [NetObject("Cluster", {"Name": estate.cluster, "AutoBalancerMode": estate.auto_balancer})]


def get_nodes(call: Call) -> Found:
    call.only()
    _check_member(call)
    return [_node(world) for world in call.world.nodes.values()]


def get_groups(call: Call) -> Found:
    call.only()
    _check_member(call)
    return [_group(call.world, name) for name in call.world.roles]


def add_role(call: Call) -> Found:
    call.only("Name", "VMId")
    _check_member(call)
    name, vm_id = call.arguments["Name"], call.arguments["VMId"].lower()
    if vm_id not in call.world.vms:
        raise call.error("Add-ClusterVirtualMachineRole", "ObjectNotFound", "no such virtual machine")
    if name in call.world.roles or vm_id in call.world.roles.values():
        words = "the virtual machine, or a group of that name, is in the cluster already"
        raise call.error("Add-ClusterVirtualMachineRole", "ResourceExists", words)
    call.world.roles[name] = vm_id
    return [_group(call.world, name)]


def move_role(call: Call) -> Found:
    call.only("VMId", "Node", "MigrationType")
    _check_member(call)
    name, here = _role(call)
    there = call.world.nodes.get(call.arguments["Node"])
    if there is None or there.estate.host in call.world.down:
        words = f"node '{call.arguments['Node']}' is not available"
        raise call.error("Move-ClusterVirtualMachineRole", "NotSpecified", words)
    vm = here.vms[call.world.roles[name]]
    if (vm.state == "Running") != (call.arguments["MigrationType"] == "Live"):
        raise call.invalid_state(vm)
    _take_in(call, vm, there)
    there.vms[vm.id] = here.vms.pop(vm.id)
    return [_group(call.world, name)]


def _take_in(call: Call, vm: Vm, there: World) -> None:
    """Raise where a node has no room for the machine, or its files are on their way."""
    if any(vm.id in node.moves for node in call.world.nodes.values()):
        raise call.error("ObjectInUse", "ResourceBusy", "the virtual machine is being migrated")
    needed_mib = int(vm.config["MemoryStartupBytes"]) // MIB if vm.state == "Running" else 0
    if there.memory_used_mib() + needed_mib > there.estate.memory_mib:
        words = "not enough memory at the node (0x8007000E)"
        raise call.error("OutOfMemory", "ResourceUnavailable", words)


def move_vm(call: Call) -> Found:
    """From node to node of a cluster, which see the same files; not what is a role, nor to a host without the cluster."""
    call.only("VM", "DestinationHost", "IncludeStorage")
    if call.arguments.get("IncludeStorage"):
        what = "Move-VM with storage"
        raise NotImplementedHere(what)
    (vm,) = call.vms()
    there = call.world.nodes.get(call.arguments["DestinationHost"])
    if there is None or there.estate.host in call.world.down:
        words = f"failed to establish a connection with host '{call.arguments['DestinationHost']}'"
        raise call.error("OperationFailed", "NotSpecified", words)
    if vm.id in call.world.roles.values():
        words = "the virtual machine is clustered; move it by the cluster"
        raise call.error("OperationFailed", "InvalidOperation", words)
    if not all(path.lower().startswith("c:\\clusterstorage\\") for path in [vm.path, *vm.disks]):
        words = f"host '{there.estate.host}' does not find the files of the virtual machine"
        raise call.error("OperationFailed", "NotSpecified", words)
    _take_in(call, vm, there)
    there.vms[vm.id] = call.world.vms.pop(vm.id)
    return []


def remove_group(call: Call) -> Found:
    call.only("VMId", "RemoveResources", "Force")
    _check_member(call)
    name, _ = _role(call)
    del call.world.roles[name]
    return []


def _role(call: Call) -> tuple[str, World]:
    """The role of the argument VMId, and the node that has it."""
    wanted = call.arguments["VMId"].lower()
    for name, vm_id in call.world.roles.items():
        if vm_id == wanted:
            return name, _owner(call.world, vm_id)
    kind = call.cmdlet.name.rpartition("\\")[2]
    raise call.error(kind, "ObjectNotFound", "there is no group of that virtual machine")


def _owner(world: World, vm_id: str) -> World:
    return next(node for node in world.nodes.values() if vm_id in node.vms)


def _node(world: World) -> NetObject:
    state = "Down" if world.estate.host in world.down else "Up"
    return NetObject("ClusterNode", {"Name": world.estate.host, "State": state})


def _group(world: World, name: str) -> NetObject:
    owner = _node(_owner(world, world.roles[name]))
    return NetObject("ClusterGroup", {"Name": name, "GroupType": "VirtualMachine", "OwnerNode": owner})


def _check_member(call: Call) -> None:
    if not call.world.estate.cluster:
        words = "the cluster service is not running on this computer"
        raise call.error(call.cmdlet.name.rpartition("\\")[2], "NotSpecified", words)
