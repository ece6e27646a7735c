"""Leases: a machine's disks over HTTP, straight from or to the host that has them (HttpNfcLease).

While a lease is open vCenter lets nothing else be done with the machine, so a lease that was got is always
ended: completed, or aborted with whatever went wrong.
"""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NoReturn

from connectors.contract import Tell
from connectors.drivers.vsphere import tasks, vmdk
from connectors.drivers.vsphere.session import Op, read_object
from connectors.errors import Refused

PART_BYTES = 1 << 20
"""Each part of a transfer has the endpoint's `timeout_s`."""
CONTENT_TYPE = "application/x-vnd.vmware-streamVmdk"
TELLING_S = 10.0
"""A lease ends by itself, as a rule after five minutes, unless it is told of progress."""


class Lease:
    """A lease that is ready."""

    def __init__(self, op: Op, managed_object: Any, info: Any) -> None:
        self.info = info
        self._op = op
        self._object = managed_object
        self._every_s = min(TELLING_S, (info.leaseTimeout or TELLING_S) / 3)
        self._told_s = time.monotonic()

    def address(self, place: str) -> str:
        """Where the disk at ``ParaVirtualSCSIController0:0`` is. Raises Refused where it is not offered."""
        # Besides disks newer vCenters offer the machine's NVRAM.
        disks = [one for one in self.info.deviceUrl if one.disk]
        offered = {str(one.key).rpartition("/")[2]: str(one.url) for one in disks}
        if place not in offered:
            there = ", ".join(sorted(offered)) or "nothing"
            why = f"vCenter does not offer the disk at {place}; it offers: {there}"
            hint = "some kinds, as raw device mappings, cannot be carried; copy it in vCenter"
            raise self._op.error(Refused, why, hint=hint)
        return offered[place]

    def part_done(self, percent: int) -> None:
        """Give the next part its time, and keep the lease alive."""
        session = self._op.session
        session.deadline.begin()
        if time.monotonic() - self._told_s >= self._every_s:
            self._object.HttpNfcLeaseProgress(percent)
            self._told_s = time.monotonic()
            session.deadline.begin()

    def complete(self) -> None:
        """End it with success; an import's machine stays."""
        self._op.session.deadline.begin()
        self._object.HttpNfcLeaseComplete()

    def abort(self) -> None:
        """End it without; vCenter removes an import's machine."""
        session = self._op.session
        with suppress(*session.failures), session.deadline.cleanup():
            self._object.HttpNfcLeaseAbort()

    def raise_reason(self) -> None:
        """Raise what vCenter says went wrong with the lease, if it does: a full datastore, its timeout."""
        session = self._op.session
        reason = None
        with suppress(*session.failures), session.deadline.cleanup():
            reason = read_object(session, self._object, ["error"]).get("error")
        if reason is not None:
            raise reason


def ready(op: Op, ask: Callable[[], Any]) -> Lease:
    """The lease that a call gives, once it is ready. Raises the lease's fault; leaves none open then."""
    managed_object = ask()
    try:
        seen = tasks.until(
            op,
            [(managed_object, ("state", "error"))],
            lambda now: now.get("state") in {"ready", "error"},
        )
        if seen.get("state") == "error":
            _fail(seen["error"])
        return Lease(op, managed_object, read_object(op.session, managed_object, ["info"])["info"])
    except BaseException:
        with suppress(*op.session.failures), op.session.deadline.cleanup():
            managed_object.HttpNfcLeaseAbort()
        raise


def _fail(fault: Exception) -> NoReturn:
    raise fault


@contextmanager
def ending(lease: Lease) -> Iterator[None]:
    """Complete the lease after what is inside, or abort it."""
    try:
        yield
        lease.complete()
    except BaseException as error:
        try:
            if _is_broken(error):
                lease.raise_reason()
        finally:
            lease.abort()
        raise


def _is_broken(error: BaseException) -> bool:
    """Whether the host ended the transfer; then vCenter may know why."""
    return isinstance(error, (OSError, http.client.HTTPException)) and not isinstance(error, TimeoutError)


def download(op: Op, lease: Lease, place: str, capacity_bytes: int, to: BinaryIO, tell: Tell) -> None:
    """Write the disk into the file, as vCenter gives it: a stream-optimised VMDK."""
    connection, path = op.session.connection(lease.address(place))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        _check(answer)
        _receive(op, lease, answer, capacity_bytes, to, tell)
    finally:
        connection.close()


def _receive(
    op: Op, lease: Lease, answer: http.client.HTTPResponse, capacity_bytes: int, to: BinaryIO, tell: Tell
) -> None:
    done, first, last = 0, b"", b""
    while part := answer.read(PART_BYTES):
        first = first or part
        last = (last + part)[-vmdk.SECTOR :]
        _write(op, to, part)
        done += len(part)
        tell(done)
        lease.part_done(min(99, done * 100 // (capacity_bytes or 1)))
    _check_whole(first, last, capacity_bytes)


def _write(op: Op, to: BinaryIO, part: bytes) -> None:
    try:
        to.write(part)
    except OSError as error:
        why = f"the file for the disk cannot be written: {error}"
        raise op.error(Refused, why, hint="free space there, or choose another place") from error


def _check_whole(first: bytes, last: bytes, capacity_bytes: int) -> None:
    """A host that ends a transfer early does not always say so."""
    try:
        header = vmdk.Header.read(first)
    except vmdk.NotStreamOptimised as error:
        msg = f"with something else than the disk: {error}"
        raise http.client.HTTPException(msg) from error
    if header.capacity_bytes != capacity_bytes:
        msg = f"with a disk of {header.capacity_bytes} bytes, not {capacity_bytes}"
        raise http.client.HTTPException(msg)
    if not vmdk.is_end(last):
        msg = "with a disk that ends before its end"
        raise http.client.HTTPException(msg)


def upload(op: Op, lease: Lease, place: str, source: BinaryIO, size_bytes: int, tell: Tell) -> None:
    """Send the file, a stream-optimised VMDK, as the content of the disk."""
    connection, path = op.session.connection(lease.address(place))
    try:
        connection.putrequest("POST", path)
        connection.putheader("Content-Type", CONTENT_TYPE)
        connection.putheader("Content-Length", str(size_bytes))
        connection.endheaders()
        done = 0
        while part := _read(op, source):
            connection.send(part)
            done += len(part)
            tell(done)
            lease.part_done(min(99, done * 100 // size_bytes))
        answer = connection.getresponse()
        answer.read(PART_BYTES)
        _check(answer)
    finally:
        connection.close()


def _read(op: Op, source: BinaryIO) -> bytes:
    try:
        return source.read(PART_BYTES)
    except OSError as error:
        why = f"the file of the disk cannot be read: {error}"
        raise op.error(Refused, why, hint="check the file, and repeat") from error


def _check(answer: http.client.HTTPResponse) -> None:
    if answer.status not in {http.client.OK, http.client.CREATED}:
        msg = f"{answer.status} {answer.reason} for the disk"
        raise http.client.HTTPException(msg)
