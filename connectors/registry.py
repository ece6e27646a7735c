"""Finds drivers by name: the files in `connectors/drivers`, and what other packages install.

A package offers a driver by an entry point of the group ``tierwise.drivers``; its name is the
driver's name and its value the module, or ``module:Class``.
"""

import importlib
import inspect
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from pydantic import SecretStr

from catalog.pools import Endpoint
from connectors import drivers
from connectors.contract import Connector
from connectors.errors import Refused

GROUP = "tierwise.drivers"


class UnknownDriver(LookupError):
    """No installed driver has that name; the message lists those that are."""


class BadDriver(TypeError):
    """A driver's module does not offer exactly one connector of its own name."""


def driver_names() -> tuple[str, ...]:
    """The names of all installed drivers, in alphabetical order; imports none of them."""
    return tuple(sorted({*_built_in(), *_installed()}))


def driver_class(name: str) -> type[Connector]:
    """The connector class of a driver; one of ours is never replaced by a package's of equal name.

    Imports no vendor library. Raises UnknownDriver, or BadDriver where the driver itself is wrong.
    """
    if name in _built_in():
        return _one_connector(importlib.import_module(f"{drivers.__name__}.{name}"), name)
    if entry := _installed().get(name):
        found = entry.load()
        return _checked(found, name) if inspect.isclass(found) else _one_connector(found, name)
    msg = f"no driver '{name}' is installed; there are: {', '.join(driver_names())}"
    raise UnknownDriver(msg)


def connect(endpoint: Endpoint, password: SecretStr | None = None) -> Connector:
    """A connector for the endpoint, not opened yet. Raises UnknownDriver."""
    return driver_class(endpoint.driver)(endpoint, password)


def vendor_module(module: str, endpoint: Endpoint, *, extra: str) -> ModuleType:
    """Import a vendor's library when a driver is opened; Refused, with how to get it, where missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        why = f"the library '{module}' cannot be imported: {error}"
        hint = f"pip install 'tierwise[{extra}]'"
        raise Refused(endpoint.name, "open", why, hint=hint) from error


def _built_in() -> frozenset[str]:
    found = pkgutil.iter_modules(drivers.__path__)
    return frozenset(module.name for module in found if not module.name.startswith("_"))


def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _one_connector(module: ModuleType, name: str) -> type[Connector]:
    found = [
        member
        for member in vars(module).values()
        if inspect.isclass(member)
        and issubclass(member, Connector)
        and member.__dict__.get("driver") == name
    ]
    if len(found) != 1:
        msg = f"module '{module.__name__}' must hold one Connector with driver = '{name}', not {len(found)}"
        raise BadDriver(msg)
    return _checked(found[0], name)


def _checked(found: type, name: str) -> type[Connector]:
    if not issubclass(found, Connector) or getattr(found, "driver", None) != name:
        msg = f"'{found.__qualname__}' must be a Connector with driver = '{name}'"
        raise BadDriver(msg)
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        msg = f"driver '{name}' lacks methods of the contract: {missing}"
        raise BadDriver(msg)
    return found
