"""Disks of containers: a copy of an image, a raw volume that holds the root file system."""

from typing import Any
from uuid import UUID

from connectors.drivers.libvirt import documents, faults, storage
from connectors.drivers.libvirt.settings import Options
from connectors.errors import Refused

MOST_PATH_BYTES = 63
"""What libvirt fits into the name that a loop device keeps of its file (LO_NAME_SIZE, with a zero at the end)."""
_NAME_BYTES = len(documents.container_name(UUID(int=0)))
_OPERATION = "create_vm"


def problem(connection: Any, pool_name: str) -> str | None:
    """What keeps containers' disks from being in the pool, in words. Raises libvirtError."""
    root = documents.parse(connection.storagePoolLookupByName(pool_name).XMLDesc(0))
    folder = root.findtext("target/path") or ""
    most = MOST_PATH_BYTES - _NAME_BYTES - 1
    if len(folder.encode()) <= most:
        return None
    return (
        f"the folder '{folder}' of storage pool '{pool_name}' has a longer path than the {most} bytes "
        "that LXC has for it; name another pool in the option storage_pool"
    )


def image(vendor: Any, pool: Any, options: Options, disk_gib: int, endpoint: str) -> Any:
    """The volume that containers begin with. Raises Refused, libvirtError.

    It must be smaller than the disk: a copy that is cut off has its size, and is told from a whole one by that.
    """
    try:
        found = pool.storageVolLookupByName(options.container_image)
    except vendor.libvirtError as error:
        if error.get_error_code() != faults.NO_STORAGE_VOL:
            raise
        why = f"storage pool '{pool.name()}' has no volume '{options.container_image}'"
        hint = "upload it with virsh vol-upload, or correct the option container_image"
        raise Refused(endpoint, _OPERATION, why, hint=hint) from error
    if found.info()[1] >= disk_gib * storage.GIB:
        why = f"a disk of {disk_gib} GiB is not larger than the image '{options.container_image}'"
        raise Refused(
            endpoint, _OPERATION, why, hint="order a larger disk, or shrink the image's file system"
        )
    return found
