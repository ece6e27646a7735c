"""Snapshots inside the machine's own qcow2 disk, with the memory of one that runs."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from connectors.contract import VmSnapshot
from connectors.drivers.libvirt import documents, faults, names
from connectors.errors import Conflict, NotFound
from connectors.removal import only_snapshot

LIVE_VCPU = "vcpus/vcpu[@enabled='yes'][@hotpluggable='yes']"
"""A vCPU that was added while the machine ran."""


class Taken(NamedTuple):
    """One snapshot: its name, and libvirt's own one, those of its parent too, and libvirt's object."""

    taken_s: int
    number: int
    name: str
    native: str
    parent: str | None
    object: Any


def listed(domain: Any) -> list[Taken]:
    """Each snapshot, oldest first. Raises libvirtError."""
    found = []
    for snapshot in domain.listAllSnapshots(0):
        root = documents.parse(snapshot.getXMLDesc(0))
        ours = names.snapshot_of(root.findtext("description"))
        taken_s = int(root.findtext("creationTime") or "0")
        name, number = ours or (snapshot.getName(), 0)
        parent = root.findtext("parent/name")
        found.append(Taken(taken_s, number, name, snapshot.getName(), parent, snapshot))
    return sorted(found, key=lambda one: one[:3])


def views(domain: Any) -> list[VmSnapshot]:
    """The same for a listing; libvirt's times are whole seconds. Raises libvirtError."""
    there = listed(domain)
    known = {one.native: one.name for one in there}
    return [
        VmSnapshot(
            name=one.name,
            taken_at=datetime.fromtimestamp(one.taken_s, UTC),
            parent=known.get(one.parent or "", ""),
            current=bool(one.object.isCurrent(0)),
        )
        for one in there
    ]


def any_of(vendor: Any, domain: Any) -> bool:
    """Whether a machine has snapshots; where libvirt takes none, it has none. Raises libvirtError."""
    try:
        return bool(domain.snapshotNum(0))
    except vendor.libvirtError as error:
        if error.get_error_code() != faults.NO_SUPPORT:
            raise
        return False


def take(domain: Any, name: str, endpoint: str) -> None:
    """Keep the present state; nothing where the name exists. Raises Conflict, libvirtError."""
    if any(one.name == name for one in listed(domain)):
        return
    if domain.isActive() and documents.parse(domain.XMLDesc(0)).find(LIVE_VCPU) is not None:
        # QEMU starts with the vCPUs it was started with then, and refuses the memory of more.
        why = f"machine '{domain.name()}' runs with vCPUs that were added while it ran"
        hint = "power it off and on once, then take the snapshot; QEMU could not revert to this one"
        raise Conflict(endpoint, "snapshot", why, hint=hint)
    domain.snapshotCreateXML(documents.snapshot(name, _next_number(domain)), 0)


def revert(domain: Any, name: str, endpoint: str) -> None:
    """Bring the state back. Raises NotFound, libvirtError."""
    found = next((one.object for one in listed(domain) if one.name == name), None)
    if found is None:
        why = f"machine '{domain.name()}' has no snapshot '{name}'"
        raise NotFound(endpoint, "revert", why, hint="list its snapshots")
    if domain.isActive():
        # A running QEMU keeps hot-plugged hardware, and dies of a memory image without it.
        domain.destroy()
    domain.revertToSnapshot(found, 0)


def delete(domain: Any, name: str, endpoint: str) -> None:
    """Delete one snapshot; those that were taken after it stay. Raises Conflict, libvirtError."""
    named = [one.object for one in listed(domain) if one.name == name]
    found = only_snapshot(endpoint, domain.name(), name, named)
    if found is not None:
        found.delete(0)


def _next_number(domain: Any) -> int:
    """More than any snapshot has, so that snapshots of one second keep their order."""
    texts = (documents.parse(s.getXMLDesc(0)).findtext("description") for s in domain.listAllSnapshots(0))
    return 1 + max((ours[1] for ours in map(names.snapshot_of, texts) if ours), default=0)
