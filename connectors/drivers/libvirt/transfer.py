"""Disks given and taken through the daemon, by libvirt's streams: no other way to the host is needed.

A disk is exchanged whole. What comes in goes into a second volume beside the machine's own; when all of
it is there the machine is defined with it and the first is deleted. So a transfer that fails leaves the
disk as it was.
"""

import functools
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar
from uuid import UUID

from connectors.contract import DiskFormat, PowerState, Tell
from connectors.drivers.libvirt import documents, hardware, qcow2, snapshots, storage, views
from connectors.drivers.libvirt.session import Session
from connectors.errors import Conflict, ConnectorError, NotFound, Refused

T = TypeVar("T")

PART_BYTES = 1024 * 1024
"""What is carried between two looks at the deadline."""
_MESSAGE_BYTES = 256 * 1024
"""What one message of libvirt's protocol holds, about."""
_SILENT_BYTES = 64 * PART_BYTES
"""How much of nothing but zeros may be read before it is told."""
_AT_A_HOLE = -3

Chunks = Iterator[tuple[int, bytes]]
"""Bytes to send, each with how many bytes of the source are read by then."""


@dataclass(frozen=True)
class Found:
    """A disk of a machine that is off, and the volume it is."""

    domain: Any
    root: Any
    disk: hardware.Attached
    volume: Any

    @property
    def size_bytes(self) -> int:
        """What the guest sees. Raises libvirtError."""
        return int(self.volume.info()[1])


@dataclass(frozen=True)
class Room:
    """The volume that a disk's new content goes into. `file_bytes` is what its file has while it is empty."""

    volume: Any
    path: str
    file_bytes: int


class Transfer:
    """One disk's way in or out. `find` is the machine by its connection; it raises NotFound."""

    def __init__(
        self, session: Session, find: Callable[[Any], Any], *, identity: UUID, key: str, operation: str
    ) -> None:
        self.session = session
        self.vendor = session.vendor
        self.endpoint = session.endpoint.name
        self.find = find
        self.identity = identity
        self.key = key
        self.operation = operation

    def give(self, form: DiskFormat, pool_name: str, to: BinaryIO, tell: Tell) -> None:
        """Write the disk into a file; a volume of another format is converted in the storage pool first."""
        found, as_it_is = self.session.run(self.operation, lambda connection: self._ask(connection, form))
        if as_it_is:
            self._download(found.volume, to, tell)
        else:
            self._give_converted(found, form, pool_name, to, tell)
        self.session.part(self.operation, self._still_off)

    def take(self, form: DiskFormat, source: BinaryIO, tell: Tell) -> None:
        """Make a file's content that of the disk."""
        size = self.session.run(self.operation, self._own_size)
        self._check(source, form, size)
        room = self.session.run(self.operation, lambda connection: self._room(connection, size))
        try:
            if form is DiskFormat.RAW:
                self._encode(room.volume, source, size, tell)
            else:
                self._upload(room.volume, 0, _padded(_pieces(source), room.file_bytes), tell)
            self.session.part(self.operation, lambda connection: self._check_taken(connection, room, size))
            self.session.run(self.operation, lambda connection: self._exchange(connection, room))
        except BaseException:
            self.session.tidy(self._clear)
            raise

    def _found(self, connection: Any) -> Found:
        domain = self.find(connection)
        root = documents.parse(domain.XMLDesc(0))
        disk = next((disk for disk in hardware.attached(root) if disk.key == self.key), None)
        if disk is None:
            why = f"machine '{domain.name()}' has no disk '{self.key}'"
            raise NotFound(self.endpoint, self.operation, why, hint="read its details")
        state = views.power_of(domain)
        if state is not PowerState.OFF:
            why = f"machine '{domain.name()}' is {state.value}"
            raise Conflict(self.endpoint, self.operation, why, hint="power it off first")
        volume = hardware.volume_of(self.vendor, connection, disk)
        if volume is None:
            why = f"disk '{self.key}' of machine '{domain.name()}' is in no storage pool of the host"
            hint = "make a pool of its folder with virsh pool-create-as"
            raise Refused(self.endpoint, self.operation, why, hint=hint)
        return Found(domain, root, disk, volume)

    def _still_off(self, connection: Any) -> None:
        domain = self.find(connection)
        if views.power_of(domain) is not PowerState.OFF:
            why = f"machine '{domain.name()}' was powered on while its disk was being read"
            raise Conflict(self.endpoint, self.operation, why, hint="power it off and repeat")

    def _ask(self, connection: Any, form: DiskFormat) -> tuple[Found, bool]:
        """The disk, and whether its volume is in the format already, with nothing else in it."""
        found = self._found(connection)
        same = found.disk.form == form.value
        if same and (form is DiskFormat.RAW or self._header(connection, found.volume).alone):
            return found, True
        if _format(found.volume) != found.disk.form:
            # The daemon would convert what it sees in the guest's bytes, and read files that they name.
            why = (
                f"disk '{self.key}' is {found.disk.form}, but its storage pool takes it for another format"
            )
            raise Refused(self.endpoint, self.operation, why, hint=f"export it as {found.disk.form}")
        return found, False

    def _header(self, connection: Any, volume: Any) -> qcow2.Header:
        try:
            return qcow2.Header.of(_beginning(connection, volume, qcow2.HEADER_BYTES))
        except ValueError as error:
            why = f"volume '{volume.name()}' cannot be read: {error}"
            hint = "look at it with qemu-img check"
            raise Refused(self.endpoint, self.operation, why, hint=hint) from error

    def _give_converted(
        self, found: Found, form: DiskFormat, pool_name: str, to: BinaryIO, tell: Tell
    ) -> None:
        name = documents.passing_name(self.identity, form.value)

        def convert(connection: Any) -> Any:
            pool = connection.storagePoolLookupByName(pool_name)
            self._drop(pool, name)
            wanted = documents.volume(name, found.size_bytes, form=form.value)
            return pool.createXMLFrom(wanted, found.volume, 0)

        def progress(connection: Any) -> int:
            pool = connection.storagePoolLookupByName(pool_name)
            return int(pool.storageVolLookupByName(name).info()[2])

        def drop(connection: Any) -> None:
            self._drop(connection.storagePoolLookupByName(pool_name), name)

        try:
            self._download(self.session.long(self.operation, convert, progress), to, tell)
            self.session.part(self.operation, drop)
        except BaseException:
            self.session.tidy(drop)
            raise

    def _drop(self, pool: Any, name: str) -> None:
        left = storage.lookup(self.vendor, pool, self.identity, name)
        if left is not None:
            left.delete()

    def _download(self, volume: Any, to: BinaryIO, tell: Tell) -> None:
        sparse = self.vendor.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM
        stream = self._begin(lambda stream: volume.download(stream, 0, 0, sparse))
        done, in_a_hole = 0, False
        with self._aborted(stream):
            while (part := self._part(lambda: self._receive(stream))) is not None:
                data, hole = part
                to.write(data)
                to.seek(hole, io.SEEK_CUR)
                done += len(data) + hole
                in_a_hole = hole > 0
                tell(done)
            self._part(stream.finish)
        if in_a_hole:
            to.seek(-1, io.SEEK_CUR)
            to.write(b"\0")

    def _receive(self, stream: Any) -> tuple[bytes, int] | None:
        """The next bytes and the length of the hole after them; None at the end."""
        parts: list[bytes] = []
        for _ in range(PART_BYTES // _MESSAGE_BYTES):
            data = stream.recvFlags(_MESSAGE_BYTES, self.vendor.VIR_STREAM_RECV_STOP_AT_HOLE)
            if data == _AT_A_HOLE:
                return b"".join(parts), int(stream.recvHole(0))
            if not data:
                break
            parts.append(data)
        return (b"".join(parts), 0) if parts else None

    def _own_size(self, connection: Any) -> int:
        """The size of the disk that is to be replaced: the one tierwise made."""
        found = self._found(connection)
        name = found.domain.name()
        own = documents.own_disk(found.root, self.identity)
        if own is None or own[0] != self.key:
            why = f"disk '{self.key}' of machine '{name}' is not one that tierwise made"
            raise Refused(self.endpoint, self.operation, why, hint="replace it with virsh vol-upload")
        if snapshots.any_of(self.vendor, found.domain):
            why = f"machine '{name}' has snapshots, which are inside its disk"
            raise Conflict(self.endpoint, self.operation, why, hint="delete them first")
        return found.size_bytes

    def _check(self, source: BinaryIO, form: DiskFormat, size: int) -> None:
        """Refuse a file that is not a disk of this size. Raises Conflict, Refused."""
        source.seek(0)
        head = source.read(qcow2.HEADER_BYTES)
        problem, theirs = _look(source, head, form)
        if problem is not None:
            why = f"the file is not a {form.value} disk to take: {problem}"
            hint = f"make it one with qemu-img convert -O {form.value}"
            raise Refused(self.endpoint, self.operation, why, hint=hint)
        if theirs != size:
            why = f"the file holds a disk of {theirs} bytes, and disk '{self.key}' has {size}"
            raise Conflict(self.endpoint, self.operation, why, hint="resize one of them first")
        source.seek(0)

    def _room(self, connection: Any, size: int) -> Room:
        """An empty volume beside the disk's own."""
        found = self._found(connection)
        pool = found.volume.storagePoolLookupByVolume()
        storage.clear(self.vendor, pool, self.identity, but=hardware.paths(found.domain))
        name = documents.other_name(self.identity, found.volume.name())
        volume = pool.createXML(documents.volume(name, size))
        file_bytes = volume.infoFlags(self.vendor.VIR_STORAGE_VOL_GET_PHYSICAL)[2]
        return Room(volume, volume.path(), int(file_bytes))

    def _encode(self, volume: Any, source: BinaryIO, size: int, tell: Tell) -> None:
        encoder = qcow2.Encoder(size)
        try:
            self._upload(volume, encoder.start, encoder.body(source), tell)
        except EOFError as error:
            why = f"the file changed while it was read: {error}"
            raise Conflict(
                self.endpoint, self.operation, why, hint="repeat it with the whole file"
            ) from error
        self._upload(volume, 0, iter([(size, encoder.head())]), lambda _: None)

    def _upload(self, volume: Any, offset: int, chunks: Chunks, tell: Tell) -> None:
        stream = self._begin(lambda stream: volume.upload(stream, offset, 0, 0))
        with self._aborted(stream):
            for read, data in _batches(chunks):
                if data:
                    self._part(functools.partial(_send, stream, data))
                tell(read)
            self._part(stream.finish)

    def _check_taken(self, connection: Any, room: Room, size: int) -> None:
        """Look at what arrived. Raises Refused."""
        if (
            self._header(connection, room.volume).size_bytes != size
            or _format(room.volume) != DiskFormat.QCOW2.value
        ):
            why = f"the daemon does not see a disk of {size} bytes in what it was sent"
            raise Refused(self.endpoint, self.operation, why, hint="check the file with qemu-img check")

    def _exchange(self, connection: Any, room: Room) -> None:
        """Define the machine with the new volume, and delete the old one. Raises Conflict."""
        found = self._found(connection)
        if found.disk.path != room.path:  # else an earlier try came to its end, and its answer was lost
            flags = self.vendor.VIR_DOMAIN_XML_INACTIVE | self.vendor.VIR_DOMAIN_XML_SECURE
            before = found.domain.XMLDesc(flags)
            wanted = documents.with_disk(documents.parse(before), self.key, room.path)
            self._define(connection, found.domain, before, wanted)
        pool = found.volume.storagePoolLookupByVolume()
        storage.clear(self.vendor, pool, self.identity, but=hardware.paths(found.domain))

    def _define(self, connection: Any, domain: Any, before: str, wanted: str) -> None:
        """Define anew; not where the machine was powered on meanwhile, before or in this very moment."""
        if not domain.isActive():
            connection.defineXML(wanted)
            if not domain.isActive():
                return
            connection.defineXML(before)
        why = f"machine '{domain.name()}' was powered on while its disk was being replaced"
        raise Conflict(self.endpoint, self.operation, why, hint="power it off and repeat")

    def _clear(self, connection: Any) -> None:
        """Delete what a failed transfer left."""
        domain = self.find(connection)
        own = documents.own_disk(documents.parse(domain.XMLDesc(0)), self.identity)
        if own is not None:
            pool = connection.storageVolLookupByPath(own[1]).storagePoolLookupByVolume()
            storage.clear(self.vendor, pool, self.identity, but=hardware.paths(domain))

    def _begin(self, start: Callable[[Any], object]) -> Any:
        def begin(connection: Any) -> Any:
            stream = connection.newStream(0)
            start(stream)
            return stream

        return self.session.part(self.operation, begin)

    @contextmanager
    def _aborted(self, stream: Any) -> Iterator[None]:
        """Abort the stream where what is inside fails."""
        try:
            yield
        except BaseException:
            with suppress(ConnectorError):  # what failed first is what is told
                self._part(stream.abort)
            raise

    def _part(self, call: Callable[[], T]) -> T:
        return self.session.part(self.operation, lambda _connection: call())


def _look(source: BinaryIO, head: bytes, form: DiskFormat) -> tuple[str | None, int]:
    """What keeps a file from being taken, and the size of the disk that it holds."""
    if form is DiskFormat.RAW:
        return None, source.seek(0, io.SEEK_END)
    try:
        header = qcow2.Header.of(head)
    except ValueError as error:
        return str(error), 0
    return header.problem(), header.size_bytes


def _beginning(connection: Any, volume: Any, size: int) -> bytes:
    """The first bytes of a volume's file. Raises libvirtError."""
    stream = connection.newStream(0)
    volume.download(stream, 0, size, 0)
    data = b""
    while len(data) < size and (more := stream.recv(size - len(data))):
        data += more
    stream.finish()
    return data


def _format(volume: Any) -> str:
    found = documents.parse(volume.XMLDesc(0)).find("target/format")
    return "" if found is None else found.get("type", "")


def _send(stream: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.send(bytes(view[:_MESSAGE_BYTES])) :]


def _pieces(source: BinaryIO) -> Chunks:
    read = 0
    while data := source.read(PART_BYTES):
        read += len(data)
        yield read, data


def _padded(chunks: Chunks, least: int) -> Chunks:
    """The chunks, and zeros after them where they would not cover what the file holds already."""
    sent = read = 0
    for read, data in chunks:
        sent += len(data)
        yield read, data
    if sent < least:
        yield read, bytes(least - sent)


def _batches(chunks: Chunks) -> Chunks:
    """Chunks joined to parts, which come too when much was read and nothing of it is to be sent."""
    parts: list[bytes] = []
    held = told = read = 0
    for read, data in chunks:
        parts.append(data)
        held += len(data)
        if held >= PART_BYTES or read - told >= _SILENT_BYTES:
            yield read, b"".join(parts)
            parts, held, told = [], 0, read
    yield read, b"".join(parts)
