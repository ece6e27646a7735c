"""What an endpoint's address and options mean to the Xen driver."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field

from catalog.base import Value
from catalog.pools import Endpoint
from connectors.errors import Refused
from connectors.options import options_of
from connectors.templates import Templates

HTTPS_PORT = 443


class Options(Value):
    """The endpoint's `options`; each one left out is chosen by the driver."""

    members: str = Field(
        default="", description="Addresses of further members, by comma; tried where the first is silent."
    )
    sr: str | None = Field(
        default=None, description="Storage repository of new disks; else the pool's default."
    )
    network: str | None = Field(
        default=None, description="Network of new machines; else they have no network card."
    )
    template: str = Field(
        default="Other install media",
        description="Template whose settings, and the content of its disk, new machines get whose order requires none.",
    )
    templates: Templates = Field(
        default={}, description="Templates that orders can choose, by the names of their traits."
    )
    hot_add_factor: int = Field(
        default=1,
        ge=1,
        le=16,
        description="How many times its first size a machine may grow to while it runs; the guest needs tools.",
    )


class Settings(Value):
    """Where the endpoint is, and how it is spoken to."""

    hosts: tuple[str, ...]
    port: int
    encrypted: bool
    options: Options

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """Read the address ``host``, ``host:port`` or a URL. Raises Refused with what to change."""
        text = endpoint.address if "://" in endpoint.address else f"https://{endpoint.address}"
        url = urlsplit(text)
        try:
            host, port = url.hostname, url.port
        except ValueError as error:
            raise _refused(endpoint, f"the address cannot be read: {error}") from error
        if url.username is not None:
            raise _refused(endpoint, "the address holds a user name; use 'username' and 'secret'")
        if not host or url.scheme not in {"https", "http"} or url.path.strip("/") or url.query:
            raise _refused(
                endpoint, "the address must be a host, host:port or https:// URL of the pool's master"
            )
        if url.scheme == "http" and endpoint.tls.unverified_because is None:
            raise _refused(endpoint, "plain http needs a written reason in tls.unverified_because")
        options = options_of(Options, endpoint)
        members = (member.strip() for member in options.members.split(","))
        hosts = dict.fromkeys((host, *(member for member in members if member)))
        encrypted = url.scheme == "https"
        return cls(
            hosts=tuple(hosts),
            port=port or (HTTPS_PORT if encrypted else 80),
            encrypted=encrypted,
            options=options,
        )


def _refused(endpoint: Endpoint, why: str, hint: str = "") -> Refused:
    return Refused(endpoint.name, "open", why, hint=hint)
