"""The door behind the simulated hypervisor's back: what tests and demos do to an estate."""

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from pydantic import SecretStr

from connectors.contract import PowerState, VmSpec
from connectors.drivers.simulated import database, faults, machines
from connectors.drivers.simulated.faults import Call, Fault

_PATIENCE_S = 30.0


def script_faults(address: str, plan: Iterable[Fault]) -> None:
    """Add faults to the estate at `address`; every process that opens it meets them."""
    with _estate(address) as db:
        faults.script(db, plan)


def clear_faults(address: str) -> None:
    """Drop every scripted fault."""
    with _estate(address) as db:
        db.execute("DELETE FROM fault")


def calls(address: str) -> list[Call]:
    """Every call that reached the estate, from all processes, in order."""
    with _estate(address) as db:
        return faults.logged(db)


def plant(address: str, spec: VmSpec, *, host: str = "", power: PowerState = PowerState.OFF) -> None:
    """Make a machine as somebody else would, without identity and asking nobody for room.

    It stands on the provider's first host unless `host` names another.
    """
    with _estate(address) as db:
        machine = machines.add(db, spec, None, host or f"{spec.provider}-host-1", half=False)
        machines.save(db, replace(machine, power=power))


def set_password(address: str, password: SecretStr) -> None:
    """From now on `open` needs this password. Only a salted hash of it is kept."""
    salt = secrets.token_hex(16)
    with _estate(address) as db:
        value = f"{salt}:{_hashed(salt, password)}"
        db.execute("INSERT OR REPLACE INTO meta VALUES ('password', ?)", (value,))


def password_fits(db: sqlite3.Connection, password: SecretStr | None) -> bool:
    """Whether `password` opens the estate; any does where none was set."""
    row = db.execute("SELECT value FROM meta WHERE key = 'password'").fetchone()
    if row is None:
        return True
    salt, _, expected = str(row[0]).partition(":")
    return password is not None and hmac.compare_digest(_hashed(salt, password), expected)


def forget(address: str) -> None:
    """Drop an estate in memory with all its machines. An estate in a file goes with its file."""
    database.forget(address)


def _hashed(salt: str, password: SecretStr) -> str:
    clear = password.get_secret_value().encode()
    return hashlib.pbkdf2_hmac("sha256", clear, bytes.fromhex(salt), 100_000).hex()


@contextmanager
def _estate(address: str) -> Iterator[sqlite3.Connection]:
    estate = database.opened(address, _PATIENCE_S)
    try:
        with estate.transaction(_PATIENCE_S) as db:
            yield db
    finally:
        estate.close()
