"""A password for a private libvirt daemon: SASL with SCRAM-SHA-256, its users in a database of its own."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

MECHANISM = "SCRAM-SHA-256"

_TOOLS = {"saslpasswd2": "sasl2-bin", "sasldblistusers2": "sasl2-bin"}
_FOLDER = "sasl"
_LIMIT_S = 20.0


@dataclass(frozen=True)
class Login:
    """The one user that a daemon knows, and the mechanism that it offers."""

    username: str
    password: str = field(repr=False)
    mechanism: str = MECHANISM


def missing() -> str | None:
    """Why a daemon cannot ask for passwords here and what to install; None where it can."""
    packages = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    if packages:
        return f"not installed; as root: apt-get install {' '.join(packages)} libsasl2-modules"
    return None


def daemon_settings(folder: Path, login: Login, host: str) -> dict[str, object]:
    """Make the database in a daemon's folder; what libvirtd.conf says so that TLS clients log in.

    They show a password instead of a certificate. The realm is the daemon's host name, as SASL has it
    where none is set.
    """
    if problem := missing():
        raise RuntimeError(problem)
    own = folder / _FOLDER
    own.mkdir()
    database = own / "users.db"
    command = ["saslpasswd2", "-p", "-c", "-f", str(database), "-a", "libvirt", "-u", host, login.username]
    subprocess.run(
        command, input=login.password, text=True, check=True, capture_output=True, timeout=_LIMIT_S
    )
    lines = [f"mech_list: {login.mechanism}", "auxprop_plugin: sasldb", f"sasldb_path: {database}"]
    (own / "libvirt.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"auth_tls": "sasl", "tls_no_verify_certificate": 1}


def environment(folder: Path) -> dict[str, str]:
    """What tells the SASL library of a daemon where its settings are."""
    return {"SASL_CONF_PATH": str(folder / _FOLDER)}
