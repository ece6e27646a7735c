"""Pools: what machines are placed on. A pool is a resource provider in OpenStack Placement's sense."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from catalog.base import CountryCode, Name, SecretReference, Trait, Value
from catalog.capabilities import CapabilityReport
from catalog.frozen import FrozenMapping
from catalog.resources import Inventory, ResourceClass, Resources


def _number(value: object) -> object:
    if isinstance(value, bool):
        msg = "must be a number"
        raise ValueError(msg)  # noqa: TRY004 - pydantic reports ValueErrors only
    return value


Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False), BeforeValidator(_number)]
"""A span of time; pydantic alone would take true for 1.0."""


def _form(option: object) -> str:
    return "texts" if isinstance(option, Mapping) else "value"


Option = Annotated[
    Annotated[str | int | bool, Tag("value")] | Annotated[FrozenMapping[str, str], Tag("texts")],
    Discriminator(_form),
]
"""What an endpoint's option may be: one value, or texts by name."""


class Hypervisor(StrEnum):
    """The kinds of hypervisor that a pool can run."""

    VSPHERE = "vsphere"
    HYPERV = "hyperv"
    XEN = "xen"
    LIBVIRT = "libvirt"

    @property
    def label(self) -> str:
        """The vendor's own name, for people."""
        return {"vsphere": "vSphere", "hyperv": "Hyper-V", "xen": "Xen", "libvirt": "libvirt"}[self]


class Firmware(StrEnum):
    """What a machine starts by; a guest that was installed under one does not start under the other."""

    BIOS = "bios"
    UEFI = "uefi"


class Site(Value):
    """A place where pools stand; residency rules read its country."""

    name: Name
    title: str
    country: CountryCode


Fingerprint = Annotated[
    str, StringConstraints(to_upper=True, pattern=r"^([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$")
]
"""A certificate's SHA-256 fingerprint as openssl prints it: 32 pairs of hexadecimal digits with colons."""


class TlsPolicy(Value):
    """How an endpoint's certificate is checked. The default verifies against the system's roots."""

    ca_file: str | None = Field(default=None, description="PEM file of the authority that signed it.")
    fingerprints: tuple[Fingerprint, ...] = Field(
        default=(),
        description="SHA-256 fingerprints of which the certificate must have one; authority and name count for nothing then.",
    )
    unverified_because: Annotated[str, Field(min_length=10)] | None = Field(
        default=None,
        description="A person's written reason for not verifying this one endpoint; never a default.",
    )

    @model_validator(mode="after")
    def _checks_in_one_way(self) -> "TlsPolicy":
        if self.fingerprints and (self.ca_file or self.unverified_because):
            msg = "give either fingerprints or one of ca_file and unverified_because"
            raise ValueError(msg)
        return self


class Endpoint(Value):
    """One management address of one hypervisor."""

    # What was typed in place of a secret's reference may be the secret.
    model_config = ConfigDict(hide_input_in_errors=True)

    name: Name
    driver: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    address: str = Field(
        min_length=1,
        description="Host, host:port or vendor URL, as the driver's documentation says; no password.",
    )
    username: str | None = None
    secret: SecretReference | None = Field(
        default=None, description="Where the password is: env:NAME or file:PATH. Never the password."
    )
    tls: TlsPolicy = TlsPolicy()
    timeout_s: Seconds = Field(default=30.0, description="The deadline of one call, in seconds.")
    options: FrozenMapping[str, Option] = Field(
        default_factory=dict, description="Settings of this driver only; its documentation lists them."
    )

    def __hash__(self) -> int:
        return hash((self.name, self.driver, self.address))

    @field_validator("address", mode="after")
    @classmethod
    def _no_password(cls, address: str) -> str:
        try:
            password = urlsplit(address).password if "://" in address else None
        except ValueError as error:
            msg = f"cannot be read as a URL: {error}"
            raise ValueError(msg) from None
        if password is not None:
            msg = "must not hold a password; use 'username' and 'secret'"
            raise ValueError(msg)
        return address


class PoolEntry(Value):
    """What an administrator writes about a pool; its capacity comes from the hypervisor's probe."""

    name: Name
    title: str = ""
    tier: Name
    site: Name
    endpoint: Name
    provider: str = Field(
        description="The cluster's or host group's own name at the endpoint, as its probe reports it."
    )
    traits: frozenset[Trait] = frozenset()
    allocation_ratio: FrozenMapping[ResourceClass, Annotated[Decimal, Field(gt=0, le=1000)]] = Field(
        default_factory=dict, description="Overcommit per resource class; 1 where not given."
    )
    reserved: Resources = Resources()

    def __hash__(self) -> int:
        return hash(self.name)


class Host(Value):
    """One machine of iron in a pool, as its hypervisor reports it."""

    name: str
    resources: Resources
    usable: bool = Field(default=True, description="False when in maintenance or disconnected.")
    sockets: int = Field(default=0, ge=0, description="0 where the hypervisor does not say, as the next.")
    cores: int = Field(default=0, ge=0, description="Physical, of all sockets; vCPUs are threads.")


class Template(Value):
    """What a pool makes the machines of that require its `trait`; None is what its hypervisor does not tell."""

    trait: Trait
    size_bytes: int | None = Field(default=None, ge=0, description="Of its disks, as a guest sees them.")
    minimum_disk_gib: int | None = Field(
        default=None, ge=0, description="The least disk that a machine of it can be ordered with."
    )
    firmware: Firmware | None = Field(default=None, description="What its machines start by.")


class Pool(Value):
    """A resource provider: one cluster or host group of one hypervisor at one site.

    Joined from a `PoolEntry`, its `Site` and the endpoint's probe. `generation` is the probe's; a
    plan made for one generation is checked again before it is carried out on another.
    """

    name: Name
    tier: Name
    hypervisor: Hypervisor
    endpoint: Name
    provider: str
    site: Name
    country: CountryCode
    inventories: FrozenMapping[ResourceClass, Inventory]
    hosts: tuple[Host, ...] = ()
    traits: frozenset[Trait] = frozenset()
    templates: tuple[Template, ...] = ()
    capabilities: CapabilityReport = CapabilityReport()
    generation: int = 0

    def __hash__(self) -> int:
        return hash((self.name, self.generation))

    def capacity(self, resource_class: ResourceClass) -> int:
        """What may be allocated in all, overcommit included; zero for a class it does not have."""
        inventory = self.inventories.get(resource_class)
        return 0 if inventory is None else inventory.capacity
