"""A login at a pool's master, found from any member, and the ways every operation uses it."""

import http.client
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pydantic import SecretStr

from catalog.pools import Endpoint
from connectors import tls
from connectors.deadlines import Deadline, connection
from connectors.drivers.xen.faults import TRANSPORT_ERRORS, code_of
from connectors.drivers.xen.settings import Settings
from connectors.errors import ConnectorError, Refused, Unreachable

NULL = "OpaqueRef:NULL"
API_VERSION = "1.0"
ORIGINATOR = "tierwise"
"""xapi keeps 500 sessions of each originator and drops the oldest; with a name of our own, only ours."""
MOST_REDIRECTS = 2
READS = frozenset({"vm.get_all_records"})
"""What every role may do: a list of permissions without it is none."""

Record = Mapping[str, Any]
Records = Mapping[str, Record]


class Session:
    """One login; `transport` is the module that holds the vendor's library, imported late."""

    def __init__(self, endpoint: Endpoint, password: SecretStr | None, transport: Any) -> None:
        if endpoint.username is None or password is None:
            why = "a XenServer pool needs a user name and password"
            raise Refused(endpoint.name, "open", why, hint="set the endpoint's 'username' and 'secret'")
        self.settings = Settings.of(endpoint)
        self.deadline = Deadline(endpoint.timeout_s)
        self.failure: type[Exception] = transport.Failure
        self.refs: dict[Any, str] = {}
        """Where machines were found last, by identity; checked before use."""
        self._endpoint = endpoint.name
        self._username = endpoint.username
        self._password = password
        self._context = tls.context(endpoint) if self.settings.encrypted else None
        self._transport = transport
        self._proxy: Any = None
        self._handle = NULL
        self._lost = False
        self._left: list[str] = []
        """Logins that were given up and that the pool may still have."""
        self.master = ""
        """The address of the member that is logged in at."""
        self._members = list(self.settings.hosts)
        self._speaks_json = True
        self._pool_uuid = ""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What a call can raise: the vendor's failures, and the network's errors."""
        return (self.failure, *TRANSPORT_ERRORS)

    @property
    def open(self) -> bool:
        """Whether there is a login that has not failed."""
        return self._proxy is not None and not self._lost

    def call(self, method: str, *params: Any) -> Any:
        """One call with this login. After a network error only `tidy` uses it; all else needs another one."""
        try:
            return self._transport.call(self._proxy, method, self._handle, *params)
        except TRANSPORT_ERRORS:
            self._lost = True
            raise

    def tidy(self, method: str, *params: Any) -> None:
        """A call that takes something away, also after a network error, and over a new connection where it meets one.

        Nothing where that fails too, or takes longer than cleaning up may.
        """
        if self._proxy is None:
            return
        for _ in range(2):
            with suppress(*TRANSPORT_ERRORS):
                with suppress(self.failure), self.deadline.cleanup():
                    self.call(method, *params)
                return

    def call_long(self, method: str, *params: Any) -> Any:
        """A call that changes nothing and whose answer may be long; integers may come as numbers."""
        if not self._speaks_json:
            return self.call(method, *params)
        try:
            return self._transport.call_json(self._proxy, method, self._handle, *params)
        except self._transport.NoJsonError:
            self._speaks_json = False
            return self.call(method, *params)
        except TRANSPORT_ERRORS:
            self._lost = True
            raise

    def permissions(self) -> frozenset[str]:
        """What the login may do, as xapi lists it in small letters; empty where it may do all, or nobody tells."""
        try:
            told = self.call("session.get_rbac_permissions", self._handle)
        except self.failure:
            return frozenset()
        found = frozenset(str(one).lower() for one in told)
        return found if found >= READS else frozenset()

    def dial(self, member: str) -> http.client.HTTPConnection:
        """A connection to a member for what is not XML-RPC, not dialled yet; TLS as for the calls."""
        return connection(member, self.settings.port, self.deadline, self._context)

    def path(self, path: str, query: Mapping[str, str]) -> str:
        """A request's target with this login in it, which must stand in no message."""
        return f"{path}?{urlencode({'session_id': self._handle, **query}, safe=':')}"

    def fail(self, details: list[str]) -> Exception:
        """The vendor's failure of these details, as for a task that failed."""
        return self.failure(details)

    def login(self) -> None:
        """Log in at the master; each known member has a part of the time that is left."""
        self._leave()
        members = list(dict.fromkeys(self._members))
        for number, member in enumerate(members):
            try:
                with self.deadline.share(len(members) - number):
                    self._login_from(member)
            except TRANSPORT_ERRORS as error:
                self._leave()
                untrusted = isinstance(error, ssl.SSLError) and not isinstance(error, tls.HUNG_UP)
                if untrusted or number == len(members) - 1:
                    raise
            else:
                self._end_left()
                return

    def _login_from(self, member: str) -> None:
        """Log in at a member, or at the master that it names. Any member knows the way."""
        for _ in range(MOST_REDIRECTS + 1):
            try:
                self._login_at(member)
            except self.failure as failure:
                self._leave()
                details = getattr(failure, "details", [])
                if code_of(failure) != "HOST_IS_SLAVE" or len(details) < 2:
                    raise
                member = details[1]
                last = failure
            else:
                return
        raise last

    def _login_at(self, host: str) -> None:
        self._proxy = self._transport.connect(host, self.settings.port, self._context, self.deadline)
        self.master = host
        secret = self._password.get_secret_value()
        self._handle = self._transport.call(
            self._proxy, "session.login_with_password", self._username, secret, API_VERSION, ORIGINATOR
        )
        self._check_pool(host)

    def _check_pool(self, host: str) -> None:
        """After a failover it must still be the same pool."""
        (found,) = self.call("pool.get_all_records").values()
        if self._pool_uuid not in {"", found["uuid"]}:
            self._end()
            why = f"member '{host}' belongs to another pool than before"
            raise Unreachable(self._endpoint, "open", why, hint="correct the option 'members'")
        self._pool_uuid = found["uuid"]

    def learn(self, members: list[str]) -> None:
        """Remember where else the pool can be reached."""
        self._members = list(dict.fromkeys((*self.settings.hosts, *members)))

    def logout(self) -> None:
        """End the session, over a new connection if need be; whatever goes wrong, the connection is closed."""
        if self._proxy is None and self._left:
            port, context = self.settings.port, self._context
            self._proxy = self._transport.connect(self.master, port, context, self.deadline)
        self._end_left()
        self._end()

    def _end(self) -> None:
        if self._handle != NULL:
            self._log_out(self._handle)
        self._drop()

    def _leave(self) -> None:
        if self._handle != NULL:
            self._left.append(self._handle)
        self._drop()

    def _end_left(self) -> None:
        left, self._left = self._left, []
        for handle in left:
            self._log_out(handle)

    def _log_out(self, handle: str) -> None:
        """Over a new connection where the one that was kept turns out to be closed."""
        for _ in range(2):
            with suppress(*TRANSPORT_ERRORS):
                with suppress(self.failure):
                    self._transport.call(self._proxy, "session.logout", handle)
                return

    def _drop(self) -> None:
        proxy, self._proxy, self._handle, self._lost = self._proxy, None, NULL, False
        if proxy is not None:
            proxy("close")()


class Op(NamedTuple):
    """One operation of the contract under way."""

    session: Session
    endpoint: str
    name: str

    def call(self, method: str, *params: Any) -> Any:
        """One call to the pool; integers go as strings, as XenAPI wants them."""
        ready = [str(p) if isinstance(p, int) and not isinstance(p, bool) else p for p in params]
        return self.session.call(method, *ready)

    def call_long(self, method: str, *params: Any) -> Any:
        """The same, for a call that changes nothing and whose answer may be long."""
        return self.session.call_long(method, *params)

    def error(
        self, kind: type[ConnectorError], why: str, *, hint: str = "", code: str = ""
    ) -> ConnectorError:
        """An error of this operation."""
        return kind(self.endpoint, self.name, why, hint=hint, vendor_code=code)

    def gone(self, failure: Exception) -> bool:
        """Whether a failure says that the object is not there any more."""
        return code_of(failure) == "HANDLE_INVALID"

    def sleep_out(self) -> None:
        """Wait for the deadline, which raises TimeoutError."""
        time.sleep(self.session.deadline.left_s())
        self.session.deadline.left_s()
