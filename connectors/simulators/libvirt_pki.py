"""Certificates for a private libvirt daemon: an authority, the daemon's, and a client's, by openssl."""

import subprocess
from pathlib import Path

_DAYS = "2"
_QEMU = "qemu"
"""The folder in the folder where QEMU looks."""


def daemon_settings(folder: Path, address: str, port: int) -> dict[str, object]:
    """Make all certificates in `folder` if it is not there; what libvirtd.conf says about the daemon's."""
    if not folder.exists():
        folder.mkdir()
        _authority(folder)
        _signed(folder, "server", f"subjectAltName=IP:{address}\nextendedKeyUsage=serverAuth\n")
        _signed(folder, "client", "extendedKeyUsage=clientAuth\n")
        _name_for_qemu(folder)
    return {
        "tls_port": str(port),
        "auth_tls": "none",
        "ca_file": str(folder / "ca.pem"),
        "cert_file": str(folder / "server.pem"),
        "key_file": str(folder / "server.key"),
    }


def qemu_settings(folder: Path) -> str:
    """What qemu.conf says about the certificates that QEMU encrypts migrations with."""
    return f'migrate_tls_x509_cert_dir = "{folder / _QEMU}"\nmigrate_tls_x509_verify = 1\n'


def client_options(folder: Path) -> dict[str, str]:
    """The driver's options for the client's certificate, which libvirtd asks for."""
    return {"client_cert": str(folder / "client.pem"), "client_key": str(folder / "client.key")}


def _name_for_qemu(folder: Path) -> None:
    """QEMU has names of its own for the files."""
    (folder / _QEMU).mkdir()
    (folder / _QEMU / "ca-cert.pem").symlink_to(folder / "ca.pem")
    for name in ("server", "client"):
        (folder / _QEMU / f"{name}-cert.pem").symlink_to(folder / f"{name}.pem")
        (folder / _QEMU / f"{name}-key.pem").symlink_to(folder / f"{name}.key")


def _authority(folder: Path) -> None:
    name = ["-subj", "/CN=tierwise test authority", "-days", _DAYS]
    files = ["-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem")]
    use = ["-addext", "keyUsage=critical,keyCertSign"]
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", *name, *files, *use)


def _signed(folder: Path, name: str, extensions: str) -> None:
    key, request = folder / f"{name}.key", folder / f"{name}.csr"
    extension_file = folder / f"{name}.ext"
    extension_file.write_text(extensions, encoding="utf-8")
    _openssl(
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        f"/CN={name}",
        "-keyout",
        str(key),
        "-out",
        str(request),
    )
    authority = ["-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial"]
    out = ["-days", _DAYS, "-extfile", str(extension_file), "-out", str(folder / f"{name}.pem")]
    _openssl("x509", "-req", "-in", str(request), *authority, *out)


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
