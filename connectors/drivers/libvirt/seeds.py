"""Seed disks: what cloud-init's data source NoCloud reads at a machine's first start, as an ISO 9660 file.

The format is cloud-init's: a file system labelled ``cidata`` with ``meta-data`` and ``user-data``, and
``network-config`` where there is one.
"""

import importlib
import importlib.util
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

from connectors.contract import Seed
from connectors.drivers.libvirt import documents, faults, storage

LABEL = "cidata"
LONGEST_HOST_NAME = 63
_LIBRARY = "pycdlib"
_MESSAGE_BYTES = 256 * 1024


def can_write() -> bool:
    """Whether the library that writes them is installed."""
    return importlib.util.find_spec(_LIBRARY) is not None


def image(seed: Seed, name: str, identity: UUID) -> bytes:
    """The seed disk of a machine. The files have their names twice over, as Unix and as Windows look for them."""
    disk = importlib.import_module(_LIBRARY).PyCdlib()
    disk.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    try:
        for number, (file_name, text) in enumerate(_files(seed, name, identity)):
            data = text.encode()
            plain = f"/FILE{number}.;1"
            where = {"rr_name": file_name, "joliet_path": f"/{file_name}"}
            disk.add_fp(io.BytesIO(data), len(data), plain, **where)
        written = io.BytesIO()
        disk.write_fp(written)
    finally:
        disk.close()
    return written.getvalue()


def put(vendor: Any, connection: Any, pool: Any, identity: UUID, data: bytes) -> str:
    """Make the machine's seed disk of these bytes, whatever an earlier try left; its path. Raises libvirtError.

    Two workers that make the same machine write bytes that differ in their times only, one over the other.
    """
    name = documents.seed_name(identity)
    volume = storage.lookup(vendor, pool, identity, name)
    if volume is not None and volume.info()[1] != len(data):
        volume.delete()
        volume = None
    if volume is None:
        volume = _made(vendor, pool, identity, len(data))
    stream = connection.newStream(0)
    volume.upload(stream, 0, len(data), 0)
    try:
        for start in range(0, len(data), _MESSAGE_BYTES):
            _send(stream, data[start : start + _MESSAGE_BYTES])
        stream.finish()
    except BaseException:
        with suppress(vendor.libvirtError):  # what failed first is what is told
            stream.abort()
        raise
    return str(volume.path())


def read(connection: Any, path: str) -> bytes:
    """The bytes of a seed disk. Raises libvirtError."""
    volume = connection.storageVolLookupByPath(path)
    stream = connection.newStream(0)
    volume.download(stream, 0, 0, 0)
    parts = []
    while part := stream.recv(_MESSAGE_BYTES):
        parts.append(part)
    stream.finish()
    return b"".join(parts)


def _files(seed: Seed, name: str, identity: UUID) -> Iterator[tuple[str, str]]:
    """Names and texts. JSON is YAML too, and quotes what a name may hold."""
    about = {"instance-id": str(identity), "local-hostname": host_name(name)}
    yield "meta-data", json.dumps({key: value for key, value in about.items() if value}) + "\n"
    yield "user-data", seed.user_data
    if seed.network_config:
        yield "network-config", seed.network_config


def host_name(name: str) -> str:
    """A machine's name as a host may be called (RFC 1123): other characters become hyphens; may be empty."""
    allowed = (c if c.isascii() and c.isalnum() else "-" for c in name.lower())
    return "".join(allowed)[:LONGEST_HOST_NAME].strip("-")


def _made(vendor: Any, pool: Any, identity: UUID, size: int) -> Any:
    name = documents.seed_name(identity)
    try:
        return pool.createXML(documents.volume(name, size, thin=False, form="raw"))
    except vendor.libvirtError as error:
        if not faults.exists(error):
            raise
        pool.refresh()  # another worker's, or a file that the daemon did not live to see finished
        found = storage.lookup(vendor, pool, identity, name)
        if found is None or found.info()[1] != size:
            raise
        return found


def _send(stream: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.send(bytes(view)) :]
