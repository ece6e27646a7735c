"""Templates that orders choose: volumes of the host's storage pools, copied to a new machine's disk and grown."""

from collections.abc import Mapping
from typing import Any

from catalog.pools import Template
from connectors import templates
from connectors.contract import VmSpec
from connectors.drivers.libvirt import faults, storage
from connectors.drivers.libvirt.settings import Options
from connectors.errors import Refused


def offered(
    vendor: Any, connection: Any, options: Options
) -> tuple[Mapping[str, Template], Mapping[str, str]]:
    """The option's templates that are there, and what is wrong with the others, by name.

    A volume does not tell by what its guest starts.
    """
    found, wrong = {}, {}
    for name, own in options.templates.items():
        try:
            size_bytes = int(_volume(connection, options, own).info()[1])
        except vendor.libvirtError as error:
            if faults.lost(error):
                raise
            wrong[name] = _why(error, options, own)
        else:
            found[name] = templates.described(
                name, size_bytes, None, minimum_disk_gib=_minimum_gib(size_bytes)
            )
    return found, wrong


def chosen(vendor: Any, connection: Any, options: Options, spec: VmSpec, endpoint: str) -> Any:
    """The volume that a new machine's disk is to begin with; None where it begins empty.

    It must be smaller than the disk: a copy that is cut off has its size, and is told from a whole one by that.
    Raises NotFound, Refused, Unsupported, libvirtError.
    """
    name = None if spec.empty else templates.wanted(endpoint, spec, options.templates)
    if name is None:
        return None
    own = options.templates[name]
    try:
        found = _volume(connection, options, own)
    except vendor.libvirtError as error:
        if error.get_error_code() not in {faults.NO_STORAGE_VOL, faults.NO_STORAGE_POOL}:
            raise
        there = offered(vendor, connection, options)[0]
        raise templates.gone(endpoint, name, own, there) from error
    has, wanted = int(found.info()[1]), spec.resources.disk_gib
    if has >= wanted * storage.GIB:
        why = f"template '{own}' has {-(-has // storage.MIB)} MiB, and the disk has to be larger than {wanted} GiB for it"
        hint = f"order at least {_minimum_gib(has)} GiB, or choose another template"
        raise Refused(endpoint, templates.OPERATION, why, hint=hint)
    return found


def _minimum_gib(size_bytes: int) -> int:
    return size_bytes // storage.GIB + 1


def _volume(connection: Any, options: Options, own: str) -> Any:
    pool, _, name = own.rpartition("/")
    return connection.storagePoolLookupByName(pool or options.storage_pool).storageVolLookupByName(name)


def _why(error: Any, options: Options, own: str) -> str:
    pool, _, name = own.rpartition("/")
    if error.get_error_code() == faults.NO_STORAGE_VOL:
        return f"storage pool '{pool or options.storage_pool}' has no volume '{name}'"
    return f"its volume '{own}' cannot be looked at: {error.get_error_message()}"
