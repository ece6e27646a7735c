"""What an endpoint's address and options mean to the Hyper-V driver."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from catalog.base import Value
from catalog.frozen import FrozenMapping
from catalog.pools import Endpoint
from connectors.contract import Firmware
from connectors.errors import Refused
from connectors.options import options_of
from connectors.templates import Templates

HTTPS_PORT = 5986
HTTP_PORT = 5985


class Auth(StrEnum):
    """How the user proves who it is; the values are those of the clients' libraries."""

    NTLM = "ntlm"
    KERBEROS = "kerberos"
    BASIC = "basic"


class Library(StrEnum):
    """Which library speaks WS-Management."""

    PYWINRM = "pywinrm"
    PYPSRP = "pypsrp"


class SecureBoot(StrEnum):
    """Which guests a machine of generation 2 starts: by what their boot loaders are signed with, or all."""

    WINDOWS = "windows"
    LINUX = "linux"
    OFF = "off"


class Options(Value):
    """The endpoint's `options`; each one left out is chosen by the driver."""

    folder: str | None = Field(
        default=None,
        description="Folder of new machines and their disks on the host; else the host's default one.",
    )
    switch: str | None = Field(
        default=None, description="Virtual switch of new machines; else they have no network card."
    )
    generation: Literal[1, 2] = Field(
        default=2, description="Of new machines: 1 starts by BIOS from IDE, 2 by UEFI from SCSI."
    )
    templates: Templates = Field(
        default={},
        description="Templates that orders can choose, by the names of their traits: paths of VHDX or VHD files on the host.",
    )
    template_firmware: FrozenMapping[str, Firmware] = Field(
        default={},
        description="By what templates start: bios or uefi; else a VHD by bios, and a VHDX as generation says.",
    )
    secure_boot: SecureBoot = Field(
        default=SecureBoot.WINDOWS,
        description="Of new machines of generation 2: windows or linux, whose guests they start, or off for all.",
    )
    template_secure_boot: FrozenMapping[str, SecureBoot] = Field(
        default={},
        description="The same of machines of a template of that name; else as secure_boot says.",
    )
    storages: str | None = Field(
        default=None,
        description="Folders that machines' disks can be moved between: NAME=folder, with commas between.",
    )
    client: Library = Field(
        default=Library.PYWINRM, description="Which library speaks WinRM: pywinrm or pypsrp."
    )
    auth: Auth = Field(default=Auth.NTLM, description="How the user logs in.")
    cluster: bool = Field(
        default=False, description="Whether the endpoint is the whole failover cluster of the host."
    )
    nodes: str | None = Field(
        default=None,
        description="Where nodes of the cluster are: NAME=host or NAME=host:port, with commas between.",
    )
    spn_host: str | None = Field(
        default=None, description="Host of the Kerberos service HTTP/<host>; else the address's host."
    )

    @model_validator(mode="after")
    def _templates_are_named(self) -> Self:
        for option in ("template_firmware", "template_secure_boot"):
            if unknown := getattr(self, option).keys() - self.templates.keys():
                msg = f"{option} has {', '.join(sorted(unknown))}, which templates does not name"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _secure_boot_by_uefi(self) -> Self:
        """A BIOS has no secure boot. Off is taken, for machines that move here have the firmware that they had."""
        if self.generation == 1 and "secure_boot" in self.model_fields_set:
            self._refuse_with_bios("secure_boot", self.secure_boot, "generation 2, or secure_boot 'off'")
        for name, wanted in self.template_secure_boot.items():
            if self.template_generation(name) == 1:
                other = f"'uefi' for it in template_firmware, or leave {name} out"
                self._refuse_with_bios(f"template_secure_boot.{name}", wanted, other)
        return self

    def _refuse_with_bios(self, option: str, wanted: SecureBoot, other: str) -> None:
        if wanted is not SecureBoot.OFF:
            msg = (
                f"{option} is '{wanted}', and these machines are of generation 1, which starts by BIOS "
                f"and has no secure boot; write {other}"
            )
            raise ValueError(msg)

    def template_generation(self, name: str) -> int:
        """Of the machines of a template. Those of the second have no VHD, so what is one was installed on the first."""
        if name in self.template_firmware:
            return 1 if self.template_firmware[name] is Firmware.BIOS else 2
        return 1 if self.templates[name].lower().endswith(".vhd") else self.generation


def named(endpoint: Endpoint, option: str, text: str, form: str) -> list[tuple[str, str]]:
    """The names and values of an option that lists them with commas. Raises Refused with its `form`."""
    found = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if bad := [
        name for name, equals, value in found if not equals or not value.strip() or not name.strip()
    ]:
        why = f"option '{option}' has nothing for '{bad[0]}'"
        raise Refused(endpoint.name, "open", why, hint=f"write {form}")
    return [(name.strip(), value.strip()) for name, _, value in found]


class Settings(Value):
    """Where the endpoint is, and how it is spoken to."""

    host: str
    port: int
    encrypted: bool
    options: Options
    storages: Mapping[str, str] = Field(
        default_factory=dict, description="The folder of each storage, without a backslash at its end."
    )

    @property
    def url(self) -> str:
        """Where WinRM listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.encrypted else 'http'}://{host}:{self.port}/wsman"

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """Read the address ``host``, ``host:port`` or a URL. Raises Refused with what to change."""
        text = endpoint.address if "://" in endpoint.address else f"https://{endpoint.address}"
        try:
            url = urlsplit(text)
            host, port = url.hostname, url.port
        except ValueError as error:
            raise _refused(endpoint, f"the address cannot be read: {error}") from error
        if url.username is not None:
            raise _refused(endpoint, "the address holds a user name; use 'username' and 'secret'")
        if not host or url.scheme not in {"https", "http"} or url.path not in {"", "/", "/wsman"}:
            raise _refused(endpoint, "the address must be a host, host:port or https:// URL")
        if url.scheme == "http" and endpoint.tls.unverified_because is None:
            # NTLM seals the messages, but nothing proves that the host is the right one.
            raise _refused(endpoint, "plain http needs a written reason in tls.unverified_because")
        encrypted = url.scheme == "https"
        options = options_of(Options, endpoint)
        if options.auth is Auth.BASIC and endpoint.tls.unverified_because is not None:
            # Basic hands the password to whoever answers.
            raise _refused(endpoint, "auth 'basic' needs https with a certificate that is verified")
        return cls(
            host=host,
            port=port or (HTTPS_PORT if encrypted else HTTP_PORT),
            encrypted=encrypted,
            options=options,
            storages={
                name: folder.rstrip("\\")
                for name, folder in named(endpoint, "storages", options.storages or "", "NAME=folder")
            },
        )


def _refused(endpoint: Endpoint, why: str, hint: str = "") -> Refused:
    return Refused(endpoint.name, "open", why, hint=hint)
