"""What an endpoint's address and options mean to the vSphere driver."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from catalog.base import Value
from catalog.pools import Endpoint
from connectors.errors import Refused
from connectors.options import options_of
from connectors.templates import Templates

HTTPS_PORT = 443


class Options(Value):
    """The endpoint's `options`; each one left out is chosen by the driver."""

    datacenter: str | None = Field(default=None, description="Only this datacenter is seen.")
    folder: str | None = Field(
        default=None, description="Folder of new machines, below the datacenter's machine folder: 'a/b'."
    )
    datastore: str | None = Field(
        default=None, description="Datastore of new machines; else the shared one with most space free."
    )
    storage_policy: str | None = Field(
        default=None,
        description="Storage policy of new machines whose order requires none; they go to a datastore that satisfies it.",
    )
    resource_pool: str | None = Field(
        default=None,
        description="Resource pool of new machines whose order requires none, below the cluster's root pool: 'a/b'; "
        "else the root pool.",
    )
    template: str | None = Field(
        default=None,
        description="Template of new machines whose order requires none, below the datacenter's machine folder: 'a/b'; "
        "else they are made empty.",
    )
    templates: Templates = Field(
        default={},
        description="Templates that orders can choose, by the names of their traits: where they are, as in 'template'.",
    )
    network: str | None = Field(
        default=None,
        description="Network or port group of new machines; else they have no network card, or the template's.",
    )
    guest_id: str = Field(default="otherGuest64", description="vSphere's guest id of new machines.")
    custom_attributes: bool = Field(
        default=False,
        description="Whether what an order says of its machine stands there as custom attributes too.",
    )
    tags: bool = Field(
        default=False,
        description="Whether what an order says of its machine stands there as tags too, by vCenter's REST API; not both.",
    )
    managed_by: bool = Field(
        default=True, description="Whether new machines show in vCenter as managed by tierwise."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.custom_attributes and self.tags:
            msg = "must have one of 'custom_attributes' and 'tags', which are two places for the same"
            raise ValueError(msg)
        return self


class Settings(Value):
    """Where the endpoint is, and how it is spoken to."""

    host: str
    port: int
    encrypted: bool
    options: Options

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """Read the address ``host``, ``host:port`` or a URL. Raises Refused with what to change."""
        text = endpoint.address if "://" in endpoint.address else f"https://{endpoint.address}"
        try:
            url = urlsplit(text)
            host, port = url.hostname, url.port
        except ValueError as error:
            raise _refused(endpoint, f"the address cannot be read: {error}") from error
        if url.username is not None or url.password is not None:
            raise _refused(
                endpoint, "the address holds a user name or password; use 'username' and 'secret'"
            )
        if not host or url.scheme not in {"https", "http"}:
            raise _refused(endpoint, "the address must be a host, host:port or https:// URL")
        if url.scheme == "http" and endpoint.tls.unverified_because is None:
            raise _refused(endpoint, "plain http needs a written reason in tls.unverified_because")
        encrypted = url.scheme == "https"
        return cls(
            host=host,
            port=port or (HTTPS_PORT if encrypted else 80),
            encrypted=encrypted,
            options=options_of(Options, endpoint),
        )


def _refused(endpoint: Endpoint, why: str, hint: str = "") -> Refused:
    return Refused(endpoint.name, "open", why, hint=hint)
