"""One connection to a libvirt daemon on which no call outlasts the endpoint's timeout.

libvirt has no time limit for a call. Each call therefore runs in a thread of its own: when the
deadline passes, its caller goes on and the connection is given up. The keepalive, which needs
libvirt's event loop running in this process, later ends the thread that still waits.
"""

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from pydantic import SecretStr

from catalog.pools import Endpoint
from connectors.deadlines import GRACE
from connectors.drivers.libvirt import faults, tls
from connectors.drivers.libvirt.settings import Options, transport_of
from connectors.errors import ConnectorError, DeadlineExceeded, Unreachable
from connectors.registry import vendor_module

T = TypeVar("T")

MOST_STUCK_OPENS = 8
"""Threads that may wait for one address's answer to a login; libvirt cannot call them back."""

_OPEN = "open"
_LOOKS = 10
"""How often in the time of one timeout a long call's progress is looked at."""
_TIDY_LEAST_S = 0.2
_lock = threading.Lock()
_event_loop: threading.Thread | None = None
_stuck_opens: Counter[str] = Counter()


class Session:
    """A connection that is opened again, once, when it was lost under an idempotent call."""

    def __init__(self, endpoint: Endpoint, password: SecretStr | None) -> None:
        self.endpoint = endpoint
        self._password = password
        self._connection: Any = None
        self._wanted = False
        self._options = Options()
        self.vendor: Any = None
        self._before_close: dict[int, Callable[[], object]] = {}

    def prepare(self, options: Options) -> None:
        """Make ready to connect, which the first `run` does. Raises Refused for what cannot be dialled."""
        self.vendor = vendor_module("libvirt", self.endpoint, extra="libvirt")
        self._options = options
        transport_of(self.endpoint)
        _start_event_loop(self.vendor)
        self._wanted = True

    def close(self) -> None:
        """Give the connection up; waits no longer than the endpoint's timeout."""
        self._wanted = False
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(TimeoutError, self.vendor.libvirtError):
                patience = _Patience(self.endpoint.timeout_s)
                _bounded(lambda: self._shut(connection), patience, late=lambda _: None)

    def run(self, operation: str, call: Callable[[Any], T]) -> T:
        """The result of `call(connection)`, which must be idempotent, within the endpoint's timeout.

        A libvirtError becomes an error of ours. A lost connection is opened once more. Connecting is
        part of the time.
        """
        if not self._wanted:
            raise Unreachable(
                self.endpoint.name, operation, "the connection is not open", hint="open it first"
            )
        end_s = time.monotonic() + self.endpoint.timeout_s
        try:
            return self._attempt(operation, call, end_s)
        except Unreachable:
            if self._connection is None:  # not lost, but not to be had
                raise
            self._give_up()
            return self._attempt(operation, call, end_s)

    @contextmanager
    def lent(self, options: Options, name: str, operation: str, end_s: float) -> Iterator[Any]:
        """A connection to the host of this name, for calls of one thread; closed without waiting."""
        self.prepare(options)
        try:
            connection = self._ensure(end_s)
        except ConnectorError as error:
            why = f"host '{name}': {error.why}"
            code, hint = error.vendor_code, error.hint
            raise type(error)(error.endpoint, operation, why, vendor_code=code, hint=hint) from error
        try:
            yield connection
        finally:
            self._give_up()

    def once(self, operation: str, call: Callable[[Any], T], end_s: float) -> T:
        """The result of a call that must not be made again, by `end_s` of the monotonic clock. Raises as `run`."""
        try:
            return self._attempt(operation, call, end_s)
        except Unreachable:
            self._give_up()
            raise

    def part(self, operation: str, call: Callable[[Any], T]) -> T:
        """One step of a longer call: it has the timeout for itself, and goes by the connection there is.

        For what lives as long as its connection only, such as a stream. Raises as `run` does.
        """
        return self._present(operation, call, None)

    def long(self, operation: str, call: Callable[[Any], T], progress: Callable[[Any], object]) -> T:
        """A `part` that may go on as long as what `progress(connection)` answers changes within the timeout."""
        return self._present(operation, call, progress)

    def _present(
        self, operation: str, call: Callable[[Any], T], progress: Callable[[Any], object] | None
    ) -> T:
        connection = self._connection
        if connection is None:
            why = "the connection was lost"
            raise Unreachable(self.endpoint.name, operation, why, hint="try again")
        look = None if progress is None else functools.partial(progress, connection)
        patience = _Patience(self.endpoint.timeout_s, look)
        try:
            return self._watched(operation, connection, call, patience)
        except Unreachable:
            self._give_up(patience)
            raise

    def before_close(self, connection: Any, let_go: Callable[[], object]) -> None:
        """Have something let go of before this connection is closed: listeners would keep it alive."""
        self._before_close[id(connection)] = let_go

    def tidy(self, call: Callable[[Any], object]) -> None:
        """Take back what a failed call made, within a short share of the timeout; never raises."""
        end_s = time.monotonic() + max(_TIDY_LEAST_S, self.endpoint.timeout_s * GRACE)
        with suppress(ConnectorError):
            self._attempt("tidy up", call, end_s)

    def _attempt(self, operation: str, call: Callable[[Any], T], end_s: float) -> T:
        connection = self._ensure(end_s)
        patience = _Patience(end_s - time.monotonic())
        return self._watched(operation, connection, call, patience)

    def _watched(
        self, operation: str, connection: Any, call: Callable[[Any], T], patience: "_Patience"
    ) -> T:
        try:
            return _bounded(
                lambda: call(connection), patience, late=lambda _: self._shut(connection, patience)
            )
        except TimeoutError:
            self._connection = None
            raise self._late(operation) from None
        except self.vendor.libvirtError as error:
            raise faults.translate(error, self.endpoint.name, operation, self.vendor) from error
        except UnicodeDecodeError as error:  # libvirt's binding takes the daemon's text as it comes
            why = "the daemon's answer cannot be read"
            raise Unreachable(self.endpoint.name, operation, why, hint="repeat the call") from error

    def _ensure(self, end_s: float) -> Any:
        if self._connection is None:
            self._connection = self._connect(end_s)
        return self._connection

    def _connect(self, end_s: float) -> Any:
        address = self.endpoint.address
        if _stuck_opens[address] >= MOST_STUCK_OPENS:
            why = f"{MOST_STUCK_OPENS} earlier logins are still without an answer"
            raise Unreachable(self.endpoint.name, "open", why, hint="check that libvirtd is not frozen")
        try:
            patience = _Patience(end_s - time.monotonic())
            return _bounded(self._dial, patience, late=_closed_at_last, stuck=address)
        except TimeoutError:
            raise self._late(_OPEN) from None
        except self.vendor.libvirtError as error:
            raise faults.opening(error, self.endpoint.name, self.vendor) from error

    def _dial(self) -> Any:
        with tls.uri(self.endpoint, self._options) as uri:
            connection = self.vendor.openAuth(uri, self._login(), 0)
        interval_s, count = keepalive(self.endpoint.timeout_s)
        with suppress(self.vendor.libvirtError):  # drivers inside this process have no peer to ask
            connection.setKeepAlive(interval_s, count)
        return connection

    def _login(self) -> list[Any]:
        vendor = self.vendor
        names = {vendor.VIR_CRED_AUTHNAME, vendor.VIR_CRED_USERNAME}
        secrets = {vendor.VIR_CRED_PASSPHRASE, vendor.VIR_CRED_NOECHOPROMPT}

        def answer(credentials: list[list[Any]], _: object) -> int:
            if self.endpoint.username is None or self._password is None:
                return -1
            for credential in credentials:
                if credential[0] in names:
                    credential[4] = self.endpoint.username
                elif credential[0] in secrets:
                    credential[4] = self._password.get_secret_value()
            return 0

        return [[*names, *secrets], answer, None]

    def _give_up(self, patience: "_Patience | None" = None) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            close = functools.partial(self._shut, connection, patience)
            threading.Thread(target=_quietly, args=(close,), daemon=True).start()

    def _shut(self, connection: Any, patience: "_Patience | None" = None) -> None:
        """Close it, but not under a look that is still waiting for its answer: that would crash the process."""
        if patience is not None:
            patience.settle()
        let_go = self._before_close.pop(id(connection), None)
        if let_go is not None:
            _quietly(let_go)
        connection.close()

    def _late(self, operation: str) -> DeadlineExceeded:
        why = f"no answer within {self.endpoint.timeout_s:g} s"
        return DeadlineExceeded(
            self.endpoint.name, operation, why, hint="check that libvirtd is not frozen"
        )


def keepalive(timeout_s: float) -> tuple[int, int]:
    """Seconds between libvirt's keepalive questions, and how many may stay unanswered.

    A silent daemon is given up after interval x (count + 1) seconds: near `timeout_s`, 2 at least.
    """
    interval_s = max(1, int(timeout_s / 4))
    return interval_s, min(3, max(1, int(timeout_s / interval_s) - 1))


class _Patience:
    """How long a call is waited for: `limit_s`, anew with each change of what `progress` answers."""

    def __init__(self, limit_s: float, progress: Callable[[], object] | None = None) -> None:
        self._limit_s = limit_s
        self._end_s = time.monotonic() + limit_s
        self._progress = progress
        self._seen: object = None
        self._asked: Future[object] | None = None

    def lasts(self, finished: threading.Event) -> bool:
        """Wait until the call has finished; whether it has, before patience ran out."""
        while (left_s := self._end_s - time.monotonic()) > 0:
            if finished.wait(left_s if self._progress is None else min(left_s, self._limit_s / _LOOKS)):
                return True
            self._look()
        return finished.is_set()

    def settle(self) -> None:
        """Wait until the last look at the progress has its answer, which keepalive sees to."""
        if self._asked is not None:
            wait([self._asked])

    def _look(self) -> None:
        if self._progress is None:
            return
        asked = self._asked = Future()
        call = self._progress
        threading.Thread(target=_work, args=(call, asked), daemon=True, name="libvirt-call").start()
        with suppress(Exception):  # no answer is no progress
            seen = asked.result(max(0.0, self._end_s - time.monotonic()))
            if seen != self._seen:
                self._seen, self._end_s = seen, time.monotonic() + self._limit_s


def _bounded(
    call: Callable[[], T],
    patience: _Patience,
    *,
    late: Callable[[T], object],
    stuck: str | None = None,
) -> T:
    """The result of `call`, or TimeoutError when patience runs out; a result that comes later goes to `late`."""
    done: Future[T] = Future()
    threading.Thread(target=_work, args=(call, done), daemon=True, name="libvirt-call").start()
    finished = threading.Event()
    done.add_done_callback(lambda _: finished.set())
    if patience.lasts(finished):
        return done.result()
    if stuck is not None:
        _count_stuck(stuck, 1)
    done.add_done_callback(lambda future: _after_all(future, late, stuck))
    raise TimeoutError


def _work(call: Callable[[], T], done: "Future[T]") -> None:
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 -- raised again in the thread that waits for it
        done.set_exception(error)
    else:
        done.set_result(result)


def _after_all(future: "Future[T]", late: Callable[[T], object], stuck: str | None) -> None:
    if stuck is not None:
        _count_stuck(stuck, -1)
    result: Any = None if future.exception() is not None else future.result()
    _quietly(lambda: late(result))


def _closed_at_last(connection: Any) -> None:
    if connection is not None:
        connection.close()


def _quietly(call: Callable[[], object]) -> None:
    with suppress(Exception):  # nobody waits for this any more
        call()


def _count_stuck(address: str, change: int) -> None:
    with _lock:
        _stuck_opens[address] += change


def _start_event_loop(vendor: Any) -> None:
    """Run libvirt's event loop in this process; must precede the first connection."""
    global _event_loop  # noqa: PLW0603 -- libvirt has one event loop a process
    with _lock:
        if _event_loop is not None and _event_loop.is_alive():
            return
        vendor.registerErrorHandler(lambda _context, _error: None, None)
        vendor.virEventRegisterDefaultImpl()
        _event_loop = threading.Thread(
            target=_run_events, args=(vendor,), daemon=True, name="libvirt-events"
        )
        _event_loop.start()


def _run_events(vendor: Any) -> None:
    while True:
        vendor.virEventRunDefaultImpl()
