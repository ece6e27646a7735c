"""A Kerberos realm with a real KDC, MIT's from Debian, on a port of loopback."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

REALM = "TIERWISE.TEST"
USER = f"operator@{REALM}"
PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local")
FROM_DEBIAN = Path("/usr/lib/python3/dist-packages")
"""Where Debian's packages of its own Python are, which an environment does not look into."""
GSSAPI = ("gssapi", "decorator.py")
"""What of it is python-gssapi: compiled, so for one version of Python, and what it imports."""
START_LIMIT_S = 30.0

_CLIENT = """[libdefaults]
default_realm = {realm}
dns_lookup_realm = false
dns_lookup_kdc = false
rdns = false
dns_canonicalize_hostname = false
[realms]
{realm} = {{
  kdc = 127.0.0.1:{port}
}}
"""
_SERVER = """[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
}}
"""


def missing() -> str | None:
    """What to install where there can be no realm; None where there can."""
    if programs := [name for name in PROGRAMS if _program(name) is None]:
        return f"{', '.join(programs)} not installed; apt-get install krb5-kdc krb5-admin-server"
    if importlib.util.find_spec("kerberos") is None:
        return "pykerberos not installed; apt-get install gcc libkrb5-dev python3-dev, then make test"
    if importlib.util.find_spec("gssapi") is None and not _debian_has_gssapi():
        version = ".".join(map(str, sys.version_info[:2]))
        return f"gssapi not installed for Python {version}; apt-get install python3-gssapi where that is Debian's"
    return None


def link_gssapi(folder: Path) -> None:
    """Make Debian's python-gssapi, and nothing else of Debian's, importable from a folder."""
    for name in GSSAPI:
        (folder / name).symlink_to(FROM_DEBIAN / name)


def _debian_has_gssapi() -> bool:
    fitting = FROM_DEBIAN.glob(f"gssapi/raw/misc.{sys.implementation.cache_tag}-*.so")
    return any(fitting) and all((FROM_DEBIAN / name).exists() for name in GSSAPI)


class Realm:
    """A realm whose users and hosts have keytabs in its folder; a context manager that ends its KDC."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kdc: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What lets libkrb5 use this realm: its files, and the keytabs of the client and of the host."""
        return {
            "KRB5_CONFIG": str(self.folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{self.folder / 'cache'}",
            "KRB5_KTNAME": f"FILE:{self.folder / 'host'}",
            "KRB5_CLIENT_KTNAME": f"FILE:{self.folder / 'client'}",
            "KRB5RCACHENAME": "none:",
        }

    def __enter__(self) -> Self:
        port = _free_port()
        fields = {"realm": REALM, "port": port, "folder": self.folder}
        (self.folder / "krb5.conf").write_text(_CLIENT.format(**fields))
        (self.folder / "kdc.conf").write_text(_SERVER.format(**fields))
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", "no-secret")
        for principal, keytab in ((USER, "client"), (f"HTTP/localhost@{REALM}", "host")):
            self._run("kadmin.local", "-q", f"addprinc -randkey {principal}")
            self._run("kadmin.local", "-q", f"ktadd -k {self.folder / keytab} {principal}")
        with (self.folder / "kdc.log").open("wb") as log:
            command = [str(_program("krb5kdc")), "-n", "-r", REALM]
            self._kdc = subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log)
        _wait_for(port)
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._kdc is not None:
            self._kdc.kill()
            self._kdc.wait()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(_program(program)), *arguments]
        subprocess.run(command, env=self._environment(), check=True, capture_output=True)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment}


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_for(port: int) -> None:
    end_s = time.monotonic() + START_LIMIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.05)
        else:
            return
