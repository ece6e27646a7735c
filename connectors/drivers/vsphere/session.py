"""A login at vCenter, and the ways every operation uses it."""

import http.client
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr

from catalog.pools import Endpoint
from connectors import deadlines, tls
from connectors.deadlines import Deadline
from connectors.drivers.vsphere.faults import TRANSPORT_ERRORS, is_fault, of_fault, of_transport
from connectors.drivers.vsphere.settings import HTTPS_PORT, Settings
from connectors.errors import ConnectorError, Refused

Properties = dict[str, Any]

CUT_OFF = (ConnectionResetError, BrokenPipeError, *tls.HUNG_UP)
"""A server closes idle connections at any time; the whole operation is then begun anew."""


class Satisfied(NamedTuple):
    """The traits of each object, by managed object id; `problem` is why some are not known."""

    traits: Mapping[str, frozenset[str]]
    problem: str = ""


class Session:
    """One login; `transport` is the module that holds the vendor's library, imported late."""

    def __init__(self, endpoint: Endpoint, password: SecretStr | None, transport: Any) -> None:
        if endpoint.username is None or password is None:
            why = "vCenter needs a user name and password"
            raise Refused(endpoint.name, "open", why, hint="set the endpoint's 'username' and 'secret'")
        self.settings = Settings.of(endpoint)
        self.deadline = Deadline(endpoint.timeout_s)
        self.vim = transport.vim
        self.pbm = transport.pbm
        self.fault: type[Exception] = transport.vmodl.MethodFault
        self.content: Any = None
        self.key = ""
        """What vCenter knows this login by (UserSession.key); it stands in no message."""
        self._username = endpoint.username
        self._password = password
        self._context = tls.context(endpoint)
        self._transport = transport
        self._stub: Any = None
        self._joined: Any = None
        self._policies: Any = None
        self._left: list[Any] = []
        """Session managers of logins that could not be ended yet."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What a request can raise: the vendor's faults, and the network's errors."""
        return (self.fault, *TRANSPORT_ERRORS)

    def meaning(self, endpoint: str, operation: str, error: Exception) -> ConnectorError:
        """What one of the `failures` means."""
        if isinstance(error, self.fault):
            return of_fault(endpoint, operation, error)
        return of_transport(endpoint, operation, error, self.deadline)

    def why_half(self, endpoint: str, operation: str, error: Exception) -> str:
        """The reason why what has half of a call's time failed, and the call goes on without it."""
        if isinstance(error, TimeoutError):
            return "no answer in half of the call's time"
        return self.meaning(endpoint, operation, error).why

    def login(self) -> None:
        """Connect and log in, and end the session that was there before."""
        self.logout()
        self._stub = self._transport.connect(self.settings, self._context, self.deadline)
        try:
            self.content = self.vim.ServiceInstance("ServiceInstance", self._stub).RetrieveContent()
            login = self.content.sessionManager.Login(
                userName=self._username, password=self._password.get_secret_value()
            )
            self.key = login.key
        except BaseException:
            with self.deadline.cleanup():
                self.logout()  # vCenter may have taken a login whose answer did not arrive whole
            raise

    def policies(self) -> Any:
        """The managers of vCenter's storage policy service (PBM), in the same session; asked for when needed first."""
        if self._joined is None:
            self._joined = self._transport.join_policies(
                self._stub, self.settings, self._context, self.deadline
            )
        if self._policies is None:
            self._policies = self.pbm.ServiceInstance("ServiceInstance", self._joined).RetrieveContent()
        return self._policies

    def object(self, kind: Any, ref: str) -> Any:
        """The managed object of a managed object id."""
        return kind(ref, self._stub)

    def now(self) -> datetime:
        """The present time by vCenter's clock, in UTC."""
        told: datetime = self.object(self.vim.ServiceInstance, "ServiceInstance").CurrentTime()
        return told.astimezone(UTC)

    def login_of(self) -> tuple[str, str]:
        """The user's name and password, for what has a login of its own at the same vCenter."""
        return self._username, self._password.get_secret_value()

    def own_connection(self) -> http.client.HTTPConnection:
        """A connection to vCenter itself, not dialled yet, within the deadline and checked as all are."""
        context = self._context if self.settings.encrypted else None
        return deadlines.connection(self.settings.host, self.settings.port, self.deadline, context)

    def connection(self, url: str) -> tuple[http.client.HTTPConnection, str]:
        """A connection, within the deadline, to an address that vCenter gave out, and the path to ask for.

        The host is one of vCenter's; its certificate is checked as the endpoint's is. An ESXi host that is
        spoken to directly writes ``*`` for itself.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if host == "*":
            host, port = self.settings.host, self.settings.port
        if self.settings.encrypted and parts.scheme != "https":
            msg = f"with an address that is not encrypted: {url}"
            raise http.client.HTTPException(msg)
        port = port or (HTTPS_PORT if parts.scheme == "https" else 80)
        context = self._context if parts.scheme == "https" else None
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return deadlines.connection(host, port, self.deadline, context), path

    def logout(self) -> None:
        """End the session, over a new connection if need be; whatever goes wrong, the connection is closed.

        A session that cannot be ended now, because vCenter does not answer, is ended by the next call of this.
        """
        if self.content is not None:
            self._left.append(self.content.sessionManager)
        self._left = [manager for manager in self._left if not self._ended(manager)]
        self._disconnect()

    def _ended(self, manager: Any) -> bool:
        try:
            for _ in range(2):
                with suppress(*TRANSPORT_ERRORS):
                    with suppress(self.fault):
                        manager.Logout()
                    return True
            return False
        finally:
            manager._stub.DropConnections()  # noqa: SLF001 -- pyvmomi has no public name for it

    def _disconnect(self) -> None:
        for stub in filter(None, (self._joined, self._stub)):
            stub.DropConnections()
        self._stub = self._joined = self._policies = None
        self.content = None


class Op(NamedTuple):
    """One operation of the contract under way."""

    session: Session
    endpoint: str
    name: str

    def error(
        self, kind: type[ConnectorError], why: str, *, hint: str = "", code: str = ""
    ) -> ConnectorError:
        """An error of this operation."""
        return kind(self.endpoint, self.name, why, hint=hint, vendor_code=code)


def ref_id(managed_object: Any) -> str:
    """The managed object id, as ``vm-42``; unique within a vCenter."""
    return str(managed_object._moId)  # noqa: SLF001 -- pyvmomi has no public name for it


_REFERENCES = frozenset({"parent", "runtime.host", "resourcePool"})
_REFERENCE_LISTS = frozenset({"datastore", "host"})


def plain(name: str, value: Any) -> Any:
    """A property's value, with managed object ids for references."""
    if name in _REFERENCES:
        return ref_id(value)
    return [ref_id(one) for one in value] if name in _REFERENCE_LISTS else value


def read_view(
    session: Session, wanted: Mapping[Any, Sequence[str]], root: Any = None
) -> Iterator[tuple[Any, Properties]]:
    """The properties of all objects of these types below `root`, by one property collection."""
    view = open_view(session, wanted, root)
    try:
        yield from _retrieve(session, wanted, [through_view(session, view)])
    finally:
        with suppress(*session.failures), session.deadline.cleanup():
            view.Destroy()


def open_view(session: Session, kinds: Iterable[Any], root: Any = None) -> Any:
    """A view of all objects of these types below `root`, to be destroyed by who opens it."""
    manager = session.content.viewManager
    return manager.CreateContainerView(root or session.content.rootFolder, list(kinds), recursive=True)


def through_view(session: Session, view: Any) -> Any:
    """What a filter starts from to reach the objects of a view."""
    types = session.vim.PropertyCollector
    traversal = types.TraversalSpec(
        name="view", type=session.vim.view.ContainerView, path="view", skip=False
    )
    return types.ObjectSpec(obj=view, skip=True, selectSet=[traversal])


def filter_spec(session: Session, wanted: Mapping[Any, Sequence[str]], starts: list[Any]) -> Any:
    """A filter of these properties of the objects reached from `starts`."""
    types = session.vim.PropertyCollector
    specs = [types.PropertySpec(type=kind, pathSet=list(paths)) for kind, paths in wanted.items()]
    return types.FilterSpec(propSet=specs, objectSet=starts)


def read_objects(
    session: Session, kind: Any, objects: Iterable[Any], paths: Sequence[str]
) -> Iterator[tuple[Any, Properties]]:
    """The properties of known objects of one type."""
    starts = [session.vim.PropertyCollector.ObjectSpec(obj=one) for one in objects]
    if starts:
        yield from _retrieve(session, {kind: paths}, starts)


def read_object(session: Session, managed_object: Any, paths: Sequence[str]) -> Properties:
    """The properties of one known object; those it does not have are left out."""
    kind = type(managed_object)
    return next((found for _, found in read_objects(session, kind, [managed_object], paths)), {})


def _retrieve(
    session: Session, wanted: Mapping[Any, Sequence[str]], starts: list[Any]
) -> Iterator[tuple[Any, Properties]]:
    collector = session.content.propertyCollector
    page = collector.RetrievePropertiesEx(
        [filter_spec(session, wanted, starts)], session.vim.PropertyCollector.RetrieveOptions()
    )
    while page is not None:
        token, objects = page.token, list(reversed(page.objects))
        del page
        while objects:
            # Taken out one by one: a large page kept whole makes every garbage collection slow.
            found = objects.pop()
            if found.missingSet:
                raise_missing(session, found.missingSet)
            yield found.obj, {item.name: plain(item.name, item.val) for item in found.propSet}
        page = collector.ContinueRetrievePropertiesEx(token) if token else None


def raise_missing(session: Session, missing: Iterable[Any]) -> None:
    """Without a session, or without the privilege, a collection answers, but with nothing in it."""
    for item in missing:
        if is_fault(item.fault, "NoPermission") and isinstance(item.fault, session.fault):
            raise item.fault
