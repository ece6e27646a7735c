"""A login at vCenter, and the ways every operation uses it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic import SecretStr

from catalog.pools import Endpoint
from connectors.deadlines import Deadline
from connectors.drivers.vsphere.faults import TRANSPORT_ERRORS, is_fault
from connectors.drivers.vsphere.settings import Settings, tls_context
from connectors.errors import ConnectorError, Refused

Properties = dict[str, Any]


class Session:
    """One login; `transport` is the module that holds the vendor's library, imported late."""

    def __init__(self, endpoint: Endpoint, password: SecretStr | None, transport: Any) -> None:
        if endpoint.username is None or password is None:
            why = "vCenter needs a user name and password"
            raise Refused(endpoint.name, "open", why, hint="set the endpoint's 'username' and 'secret'")
        self.settings = Settings.of(endpoint)
        self.deadline = Deadline(endpoint.timeout_s)
        self.vim = transport.vim
        self.fault: type[Exception] = transport.vmodl.MethodFault
        self.content: Any = None
        self._username = endpoint.username
        self._password = password
        self._context = tls_context(endpoint)
        self._transport = transport
        self._stub: Any = None

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What a request can raise: the vendor's faults, and the network's errors."""
        return (self.fault, *TRANSPORT_ERRORS)

    def login(self) -> None:
        """Connect and log in, and end the session that was there before."""
        self.logout()
        self._stub = self._transport.connect(self.settings, self._context, self.deadline)
        try:
            self.content = self.vim.ServiceInstance("ServiceInstance", self._stub).RetrieveContent()
            self.content.sessionManager.Login(
                userName=self._username, password=self._password.get_secret_value()
            )
        except BaseException:
            self._disconnect()
            raise

    def object(self, kind: Any, ref: str) -> Any:
        """The managed object of a managed object id."""
        return kind(ref, self._stub)

    def logout(self) -> None:
        """End the session; whatever goes wrong, the connection is closed."""
        if self._stub is None:
            return
        with suppress(*self.failures):
            self.content.sessionManager.Logout()
        self._disconnect()

    def _disconnect(self) -> None:
        self._stub.DropConnections()
        self._stub = None
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


def _plain(name: str, value: Any) -> Any:
    """A property's value, with managed object ids for references."""
    if name in _REFERENCES:
        return ref_id(value)
    return [ref_id(one) for one in value] if name in _REFERENCE_LISTS else value


def read_view(
    session: Session, wanted: Mapping[Any, Sequence[str]], root: Any = None
) -> Iterator[tuple[Any, Properties]]:
    """The properties of all objects of these types below `root`, by one property collection."""
    manager = session.content.viewManager
    view = manager.CreateContainerView(root or session.content.rootFolder, list(wanted), recursive=True)
    traversal = session.vim.PropertyCollector.TraversalSpec(
        name="view", type=session.vim.view.ContainerView, path="view", skip=False
    )
    start = session.vim.PropertyCollector.ObjectSpec(obj=view, skip=True, selectSet=[traversal])
    try:
        yield from _retrieve(session, wanted, [start])
    finally:
        with suppress(*session.failures), session.deadline.cleanup():
            view.Destroy()


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
    types = session.vim.PropertyCollector
    specs = [types.PropertySpec(type=kind, pathSet=list(paths)) for kind, paths in wanted.items()]
    page = collector.RetrievePropertiesEx(
        [types.FilterSpec(propSet=specs, objectSet=starts)], types.RetrieveOptions()
    )
    while page is not None:
        token, objects = page.token, list(reversed(page.objects))
        del page
        while objects:
            # Taken out one by one: a large page kept whole makes every garbage collection slow.
            found = objects.pop()
            if found.missingSet:
                _raise_missing(session, found.missingSet)
            yield found.obj, {item.name: _plain(item.name, item.val) for item in found.propSet}
        page = collector.ContinueRetrievePropertiesEx(token) if token else None


def _raise_missing(session: Session, missing: Iterable[Any]) -> None:
    """Without a session, or without the privilege, a collection answers, but with nothing in it."""
    for item in missing:
        if is_fault(item.fault, "NoPermission") and isinstance(item.fault, session.fault):
            raise item.fault
