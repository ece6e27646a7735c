"""An authority and a server certificate for simulators, made with the openssl command."""

import ipaddress
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

DAYS = "7"
KEY = ("-newkey", "rsa:2048", "-nodes")


class Certificate(NamedTuple):
    """Three PEM files: the authority that clients trust, the server's certificate, and its key."""

    authority: Path
    certificate: Path
    key: Path


def missing() -> str | None:
    """What to install where the openssl command is missing; None where it is there."""
    return None if shutil.which("openssl") else "openssl is not installed; as root: apt-get install openssl"


def make_certificate(folder: Path, host: str) -> Certificate:
    """A fresh authority, and a certificate for a host name or IP address, signed by it."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    authority_key, request = folder / "authority.key", folder / "server.csr"
    extensions = folder / "extensions"
    extensions.write_text(f"subjectAltName={_alternative_name(host)}\n")
    subject = ("-subj", f"/CN=authority of {folder.name}", "-days", DAYS)
    _openssl("req", "-x509", *KEY, "-keyout", authority_key, "-out", made.authority, *subject)
    _openssl("req", *KEY, "-keyout", made.key, "-out", request, "-subj", "/CN=simulator")
    signing = ("-CA", made.authority, "-CAkey", authority_key, "-CAcreateserial", "-days", DAYS)
    _openssl("x509", "-req", "-in", request, "-out", made.certificate, "-extfile", extensions, *signing)
    return made


def _alternative_name(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
