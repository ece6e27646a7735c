"""The URI that libvirt gets, with the certificates to verify the daemon by and the login to insist on."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from catalog.pools import Endpoint
from connectors.drivers.libvirt.settings import Options, Transport, transport_of
from connectors.errors import Refused

UNSEEN = "SCRAM-SHA-256"
"""A mechanism by which the other side gets proof of the password, and not the password."""


@contextmanager
def uri(endpoint: Endpoint, options: Options) -> Iterator[str]:
    """The address as libvirt wants it; the folder of certificates it names lasts as long as the context.

    libvirt verifies the daemon's certificate and host name unless ``no_verify=1`` stands in the URI,
    which is written here only where the endpoint's tls settings give a reason. With neither a
    ca_file nor a client certificate libvirt uses its own folders (``/etc/pki/CA``). Where the endpoint has
    a username, a daemon that asks for none is not logged in to: whoever set a password wants it asked for.
    """
    transport = transport_of(endpoint)
    parameters = _login(endpoint, transport)
    if transport is not Transport.TLS:
        yield _with(endpoint, parameters)
        return
    if endpoint.tls.fingerprints:
        why = "libvirt's library does not check fingerprints"
        hint = "set tls.ca_file to the PEM file of the authority that signed the daemon's certificate"
        raise Refused(endpoint.name, "open", why, hint=hint)
    if endpoint.tls.unverified_because:
        parameters.append("no_verify=1")
    wanted = {
        "cacert.pem": endpoint.tls.ca_file,
        "clientcert.pem": options.client_cert,
        "clientkey.pem": options.client_key,
    }
    files = {name: Path(path) for name, path in wanted.items() if path}
    with tempfile.TemporaryDirectory(prefix="tierwise-pki-") as folder:
        for name, path in files.items():
            _link(endpoint, Path(folder) / name, path)
        if files:
            parameters.append(f"pkipath={quote(folder)}")
        yield _with(endpoint, parameters)


def _login(endpoint: Endpoint, transport: Transport) -> list[str]:
    if not endpoint.username or transport is Transport.LOCAL:
        return []
    if transport is Transport.TLS and endpoint.tls.unverified_because:
        return [f"auth=sasl.{UNSEEN}"]  # the daemon may be anybody, and PLAIN would tell it the password
    return ["auth=sasl"]  # over TCP libvirt itself takes only mechanisms that encrypt


def _with(endpoint: Endpoint, parameters: list[str]) -> str:
    return "?".join([endpoint.address, *(["&".join(parameters)] if parameters else [])])


def _link(endpoint: Endpoint, link: Path, target: Path) -> None:
    if not target.is_file():
        raise Refused(endpoint.name, "open", f"there is no file '{target}'", hint="check the tls settings")
    link.symlink_to(target.absolute())
