"""Open connectors, lent to one thread at a time and thrown away when they break."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from catalog.pools import Endpoint
from connectors.contract import Connector
from connectors.errors import DeadlineExceeded, Unreachable
from connectors.registry import BadDriver, UnknownDriver, connect
from tierwise import secrets
from tierwise.errors import InvalidInput


def at_home(endpoints: Mapping[str, Endpoint], data_dir: Path) -> dict[str, Endpoint]:
    """The endpoints, with the files of embedded simulations placed in the data directory."""
    return {
        name: endpoint.model_copy(update={"address": str(data_dir / endpoint.address)})
        if endpoint.driver == "simulated" and not endpoint.address.startswith("memory:")
        else endpoint
        for name, endpoint in endpoints.items()
    }


class Endpoints:
    """The endpoints of the catalog, each with its idle connectors."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = dict(endpoints)
        self._idle: dict[str, list[Connector]] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The endpoints' names, in the catalog's order."""
        return tuple(self._endpoints)

    def get(self, name: str) -> Endpoint:
        """The endpoint of that name. Raises InvalidInput."""
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            msg = f"there is no endpoint '{name}'; known are {', '.join(self._endpoints) or 'none'}"
            raise InvalidInput(msg)
        return endpoint

    @contextmanager
    def lease(self, name: str) -> Iterator[Connector]:
        """An open connector for this thread alone.

        A connector that lost its endpoint, or whose reply is late, is closed and not lent again.
        """
        connector = self._take(name)
        broken = True
        try:
            yield connector
            broken = False
        except (Unreachable, DeadlineExceeded):
            raise
        except Exception:
            broken = False
            raise
        finally:
            if broken:
                connector.close()
            else:
                self._give_back(name, connector)

    @contextmanager
    def fresh(self, name: str) -> Iterator[Connector]:
        """A connector that nobody has used before, and nobody will again: it remembers nothing."""
        connector = self._open(name)
        try:
            yield connector
        finally:
            connector.close()

    def close(self) -> None:
        """Close every idle connector."""
        with self._lock:
            idle = [connector for lent in self._idle.values() for connector in lent]
            self._idle.clear()
        for connector in idle:
            connector.close()

    def _take(self, name: str) -> Connector:
        self.get(name)
        with self._lock:
            idle = self._idle.get(name)
            if idle:
                return idle.pop()
        return self._open(name)

    def _open(self, name: str) -> Connector:
        endpoint = self.get(name)
        password = secrets.resolve(endpoint.secret, wanted_by=f"endpoint '{name}'")
        try:
            connector = connect(endpoint, password)
        except (UnknownDriver, BadDriver) as error:
            msg = f"endpoint '{name}': {error}"
            raise InvalidInput(msg) from None
        try:
            connector.open()
        except BaseException:
            connector.close()
            raise
        return connector

    def _give_back(self, name: str, connector: Connector) -> None:
        with self._lock:
            self._idle.setdefault(name, []).append(connector)
