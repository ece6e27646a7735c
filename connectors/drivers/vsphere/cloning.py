"""Machines made of a template: which one, what a clone's specification says, and clones that others began."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from catalog.pools import Template as Offered
from connectors import templates
from connectors.contract import Firmware, VmSpec
from connectors.drivers.vsphere import devices, tasks
from connectors.drivers.vsphere.details import FIRMWARE
from connectors.drivers.vsphere.estate import KIBI_PER_GIBI, disks, disks_gib
from connectors.drivers.vsphere.inventory import stored_name
from connectors.drivers.vsphere.session import (
    CUT_OFF,
    Op,
    Properties,
    read_object,
    read_objects,
    ref_id,
)
from connectors.errors import ConnectorError, NotFound, Refused

if TYPE_CHECKING:
    from connectors.drivers.vsphere.placing import Target

_PATHS = (
    "config.template",
    "config.firmware",
    "config.hardware.device",
    "config.hardware.numCoresPerSocket",
    "snapshot",
)
CLONING = "VirtualMachine.clone"
"""vCenter's description of the tasks of CloneVM_Task."""


class Template(NamedTuple):
    """A template as read just now; `path` is where it is, below the datacenter's machine folder."""

    object: Any
    path: str
    row: Properties

    @property
    def firmware(self) -> Firmware:
        """What its machines start by."""
        return Firmware(FIRMWARE.get(self.row.get("config.firmware", "bios"), "bios"))


def template(op: Op, spec: VmSpec, machines: Any) -> Template | None:
    """What a new machine is made of: its order's template, or else the option's; None where it begins empty.

    `machines` is the datacenter's machine folder. Raises NotFound, and Refused for what the template rules out.
    """
    if spec.empty:
        return None
    options = op.session.settings.options
    name = templates.wanted(op.endpoint, spec, options.templates)
    path = options.template if name is None else options.templates[name]
    if path is None:
        return None
    found = _read(op, machines, path)
    if isinstance(found, Template):
        check(op, spec, found)
        return found
    if name is not None and found.kind is NotFound:
        raise templates.gone(op.endpoint, name, path, offered(op, machines)[0])
    option = "template" if name is None else f"templates.{name}"
    raise op.error(found.kind, found.why, hint=f"{found.hint}correct the endpoint's option '{option}'")


class _Wrong(NamedTuple):
    """Why there is no template at a path, and what could be done besides correcting the path."""

    kind: type[ConnectorError]
    why: str
    hint: str = ""


def _read(op: Op, machines: Any, path: str) -> Template | _Wrong:
    found = machines
    for name in path.split("/"):
        found = op.session.content.searchIndex.FindChild(found, stored_name(name))
        if found is None:
            break
    if not isinstance(found, op.session.vim.VirtualMachine):
        return _Wrong(NotFound, f"there is no template '{path}'")
    row = read_object(op.session, found, _PATHS)
    if not row.get("config.template"):
        return _Wrong(
            Refused, f"'{path}' is a machine, not a template", "make it a template in vCenter, or "
        )
    return Template(found, path, row)


def offered(op: Op, machines: Any) -> tuple[dict[str, Offered], dict[str, str]]:
    """The option's templates that are below a machine folder, and what is wrong with the others, by name."""
    chosen: dict[str, Offered] = {}
    wrong: dict[str, str] = {}
    for name, path in op.session.settings.options.templates.items():
        found = _read(op, machines, path)
        if isinstance(found, _Wrong):
            wrong[name] = found.why
        else:
            size_bytes = sum(disk.capacityInKB for disk in disks(op, found.row)) * 1024
            chosen[name] = templates.described(name, size_bytes, found.firmware)
    return chosen, wrong


class Models(NamedTuple):
    """The templates of each datacenter, by managed object id; `problem` is why some are not known."""

    offered: Mapping[str, tuple[Offered, ...]]
    problem: str = ""


def of_datacenters(op: Op, datacenters: Iterable[str]) -> Models:
    """The templates of each datacenter. What cannot be read is no failure.

    Only a template that is in none of them is told. Machines go to every cluster of a template's datacenter.
    """
    found: dict[str, tuple[Offered, ...]] = {}
    wrong: dict[str, str] = {}
    if not op.session.settings.options.templates:
        return Models(found)
    try:
        # With the other half of the time the rest of the call goes on where vCenter is slow.
        with op.session.deadline.share(2):
            for ref in datacenters:
                chosen, missing = offered(op, machine_folder(op, ref))
                found[ref] = tuple(chosen.values())
                wrong = missing | wrong
    except CUT_OFF:
        raise
    except op.session.failures as error:
        why = op.session.why_half(op.endpoint, op.name, error)
        return Models(found, f"templates cannot be read: {why}")
    there = templates.traits(chain.from_iterable(found.values()))
    return Models(
        found,
        templates.problems({n: why for n, why in wrong.items() if templates.trait(n) not in there}),
    )


def machine_folder(op: Op, datacenter: str) -> Any:
    """The folder below which all machines and templates of a datacenter are."""
    found = op.session.object(op.session.vim.Datacenter, datacenter)
    return read_object(op.session, found, ["vmFolder"])["vmFolder"]


def check(op: Op, spec: VmSpec, model: Template) -> None:
    """What the template rules out. Raises Refused."""
    if spec.firmware not in {None, model.firmware}:
        why = f"template '{model.path}' starts by {model.firmware}, not by {spec.firmware}"
        raise op.error(Refused, why, hint="choose another template; a guest starts by one of them only")
    has_gib = disks_gib(disks(op, model.row))
    if spec.resources.disk_gib < has_gib:
        why = f"the disks of template '{model.path}' have {has_gib} GiB, not {spec.resources.disk_gib} GiB"
        raise op.error(Refused, why, hint=f"order at least {has_gib} GiB, or choose another template")
    if spec.resources.disk_gib > has_gib:
        _check_growth(op, model, has_gib)


def _check_growth(op: Op, model: Template, has_gib: int) -> None:
    if has_gib == 0:
        why = f"template '{model.path}' has no disk that could grow"
        raise op.error(Refused, why, hint="order a machine without a disk, or choose another template")
    if model.row.get("snapshot") is not None:
        why = f"a disk of template '{model.path}' cannot grow while it has snapshots"
        raise op.error(Refused, why, hint=f"remove them in vCenter, or order {has_gib} GiB")


def start(op: Op, spec: VmSpec, place: "Target", model: Template, config: Any) -> Any:
    """The task that makes a machine of the template, off, with all marks, and as large as ordered.

    `config` is what every new machine of ours has; here it gets what differs from the template.
    """
    vim = op.session.vim
    if spec.resources.vcpu % (model.row.get("config.hardware.numCoresPerSocket") or 1):
        # vCenter refuses a number of processors that is no multiple of it.
        config.numCoresPerSocket = 1
    config.deviceChange = [*_larger(op, spec, model), *_connected(op, model, place.network)]
    location = vim.vm.RelocateSpec(datastore=place.store, pool=place.pool, host=place.host)
    if place.profile:
        location.profile, location.disk = place.profile, _located(op, place, model)
    asked = vim.vm.CloneSpec(location=location, template=False, powerOn=False, config=config)
    return model.object.CloneVM_Task(folder=place.folder, name=stored_name(spec.name), spec=asked)


def _located(op: Op, place: "Target", model: Template) -> list[Any]:
    """The template's disks with the storage policy, which each has for itself."""
    locator = op.session.vim.vm.RelocateSpec.DiskLocator
    return [
        locator(diskId=disk.key, datastore=place.store, profile=place.profile)
        for disk in disks(op, model.row)
    ]


def _larger(op: Op, spec: VmSpec, model: Template) -> list[Any]:
    """More disk goes to the first one, as when a machine is resized."""
    found = disks(op, model.row)
    more_gib = spec.resources.disk_gib - disks_gib(found)
    if not more_gib:
        return []
    first = found[0]
    return [devices.grown_disk(op.session.vim, first, first.capacityInKB + more_gib * KIBI_PER_GIBI)]


def _connected(op: Op, model: Template, network: Any) -> list[Any]:
    """The template's first card goes to the network of the option, or a new one; without that, cards stay."""
    if network is None:
        return []
    kind = op.session.vim.vm.device.VirtualEthernetCard
    cards = [one for one in model.row.get("config.hardware.device", ()) if isinstance(one, kind)]
    if not cards:
        return [devices.network_card(op, network)]
    return [devices.reconnected_card(op, min(cards, key=lambda card: card.key), network)]


def await_others(op: Op, model: Template) -> None:
    """Wait until the clones of the template that are under way have ended. Raises TimeoutError.

    vCenter shows a clone by its name from the beginning, and its marks at the end: what has the name of an order
    may be the order's own machine, whose first call ran out of time.
    """
    recent = read_object(op.session, op.session.content.taskManager, ["recentTask"]).get("recentTask", ())
    paths = ["info.state", "info.descriptionId"]
    clones = [
        task
        for task, row in read_objects(op.session, op.session.vim.Task, recent, paths)
        if row.get("info.descriptionId") == CLONING and row.get("info.state") not in tasks.ENDED
    ]
    ours = [task for task in clones if _source(op, task) == ref_id(model.object)]
    if ours:
        tasks.await_all(op, ours)


def _source(op: Op, task: Any) -> str:
    """Of what a task makes a clone. Read by itself: the simulator gives other tasks' entities a wrong type."""
    entity = read_object(op.session, task, ["info.entity"]).get("info.entity")
    return "" if entity is None else ref_id(entity)
