"""Volumes: a qcow2 file a machine, and one for each disk that is added, named by its identity, in the endpoint's storage pool."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from connectors.drivers.libvirt import documents, faults

MIB = 1024**2
GIB = 1024**3

MAKING_LIMIT_S = 2.0
"""How long another worker may take to make an empty volume; measured: 0.05 s."""
_POLL_S = 0.05

_FILE_POOLS = frozenset({"dir", "fs", "netfs"})


def capacity_gib(vendor: Any, connection: Any, name: str) -> tuple[int, str | None]:
    """The storage pool's size, and what keeps it from being used, in words, or None."""
    try:
        pool = connection.storagePoolLookupByName(name)
    except vendor.libvirtError as error:
        if error.get_error_code() != faults.NO_STORAGE_POOL:
            raise
        how = "virsh pool-define-as and pool-start"
        return (
            0,
            f"there is no storage pool '{name}'; make one ({how}) or set the endpoint's option 'storage_pool'",
        )
    if not pool.isActive():
        return 0, f"the storage pool '{name}' is not active; start it with virsh pool-start"
    kind = documents.parse(pool.XMLDesc(0)).get("type")
    if kind not in _FILE_POOLS:
        return 0, f"the storage pool '{name}' is of type {kind}; disks need one of dir, fs or netfs"
    return pool.info()[1] // GIB, None


def ensure(
    vendor: Any,
    pool: Any,
    identity: UUID,
    disk_gib: int,
    *,
    name: str,
    make: Callable[[], Any],
    absent: Callable[[], bool],
) -> tuple[Any, bool]:
    """The machine's volume of this name, and whether this call made it. Raises libvirtError.

    A volume without a machine stems from a create that was cut off, or from one that is under way in
    another worker: of the right size it is used as it is; of another it is made anew once nothing is being
    copied to it, unless by then the machine is no longer `absent`.
    """
    size = disk_gib * GIB
    found = lookup(vendor, pool, identity, name)
    if found is not None:
        while True:
            # Looked at first: whoever copied to it has the time after that to give it its size.
            copying = _is_being_filled(vendor, found)
            if _gets_size(vendor, found, size, MAKING_LIMIT_S) or not absent():
                return found, False
            if not copying:
                break
        delete(vendor, found)
    try:
        return make(), True
    except vendor.libvirtError as error:
        if not faults.exists(error):
            raise
        found = lookup(vendor, pool, identity, name)
        if found is None:
            pool.refresh()  # the daemon learns of a file that it did not live to see finished
            found = lookup(vendor, pool, identity, name)
        if found is None or not _gets_size(vendor, found, size, MAKING_LIMIT_S):
            raise
        return found, False


def remove(vendor: Any, connection: Any, pool_name: str, identity: UUID, path: str) -> None:
    """Delete a machine's volume and all others that it has, in whatever pool, which must be one with the named.

    Nothing where there is none. Raises libvirtError.
    """
    found = _removed_at(vendor, connection, path, identity)
    for pool in active_pools(vendor, connection):
        clear(vendor, pool, identity)
    if not found:
        # Then it may be in a pool that cannot be looked into: the machine stays until it can.
        clear(vendor, connection.storagePoolLookupByName(pool_name), identity)
        for pool in connection.listAllStoragePools(vendor.VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE):
            if documents.parse(pool.XMLDesc(0)).findtext("target/path") == str(PurePosixPath(path).parent):
                clear(vendor, pool, identity)


def active_pools(vendor: Any, connection: Any) -> list[Any]:
    """Every storage pool of the host that can be used. Raises libvirtError."""
    return list(connection.listAllStoragePools(vendor.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE))


def has_second(vendor: Any, connection: Any) -> bool:
    """Whether two pools of the host can have disks. Raises libvirtError."""
    kinds = []
    for pool in active_pools(vendor, connection):
        with suppress(vendor.libvirtError):  # it went meanwhile, or is not the user's to read
            kinds.append(documents.parse(pool.XMLDesc(0)).get("type"))
    return sum(kind in _FILE_POOLS for kind in kinds) > 1


def remains(vendor: Any, pool: Any, identity: UUID) -> bool:
    """Whether the pool has a volume of this machine. Raises libvirtError."""
    return any(lookup(vendor, pool, identity, name) is not None for name in _names(pool, identity))


def _names(pool: Any, identity: UUID) -> list[str]:
    """Every name that a volume of this machine has, or can have, in a pool. Raises libvirtError."""
    prefix = documents.further_prefix(identity)
    further = [name for name in pool.listVolumes() if name.startswith(prefix)]
    return [*documents.all_names(identity), *further]


def _removed_at(vendor: Any, connection: Any, path: str, identity: UUID) -> bool:
    """Delete the volume at a path and the machine's others beside it; whether it was there."""
    try:
        volume = connection.storageVolLookupByPath(path)
        home = volume.storagePoolLookupByVolume()
        volume.delete()
    except vendor.libvirtError as error:
        _unless_missing(error)
        return False
    clear(vendor, home, identity)
    return True


def clear(vendor: Any, pool: Any, identity: UUID, *, but: Iterable[str] = ()) -> None:
    """Delete the machine's volumes in a pool, except those of paths that are given. Raises libvirtError.

    They are told by name: two pools may be one folder, so that one file has two paths.
    """
    kept = {PurePosixPath(path).name for path in but}
    for name in _names(pool, identity):
        found = None if name in kept else lookup(vendor, pool, identity, name)
        if found is not None:
            delete(vendor, found)


def capacities_gib(vendor: Any, connection: Any, paths: Iterable[str]) -> int:
    """The size of the volumes at these paths in GiB, rounded up; unknown paths count nothing."""
    total = 0
    for path in paths:
        with suppress(vendor.libvirtError):
            total += connection.storageVolLookupByPath(path).info()[1]
    return -(-total // GIB)


def lookup(vendor: Any, pool: Any, identity: UUID, name: str | None = None) -> Any:
    """The machine's volume, or that of another of its names; None where there is none. Raises libvirtError."""
    try:
        return pool.storageVolLookupByName(name or documents.volume_name(identity))
    except vendor.libvirtError as error:
        _unless_missing(error)
        return None


def copied(pool: Any, source: Any, name: str, size_bytes: int, *, form: str = "qcow2") -> Any:
    """A copy of a smaller volume, made whole by its last step: one that was cut off is told by its size. Raises libvirtError."""
    volume = pool.createXMLFrom(documents.volume(name, int(source.info()[1]), form=form), source, 0)
    volume.resize(size_bytes)
    return volume


def _is_being_filled(vendor: Any, volume: Any) -> bool:
    """Whether the daemon is still copying to the volume, also for a client that is gone."""
    try:
        volume.resize(1)  # never done, as it would shrink; of the reasons this one comes first
    except vendor.libvirtError as error:
        return faults.filling(error)
    return False


def _gets_size(vendor: Any, volume: Any, size: int, limit_s: float) -> bool:
    """Whether the volume has the size, at once or when the worker that is making it has."""
    end_s = time.monotonic() + limit_s
    while True:
        try:
            if volume.info()[1] == size:
                return True
        except vendor.libvirtError as error:  # its file is not there yet
            if error.get_error_code() not in {faults.NO_STORAGE_VOL, faults.OPERATION_INVALID}:
                raise
        if time.monotonic() >= end_s:
            return False
        time.sleep(_POLL_S)


def delete(vendor: Any, volume: Any) -> None:
    """Delete a volume; nothing if it is gone. Raises libvirtError."""
    try:
        volume.delete()
    except vendor.libvirtError as error:  # another worker was first
        _unless_missing(error)


def _unless_missing(error: Any) -> None:
    if error.get_error_code() != faults.NO_STORAGE_VOL:
        raise error
