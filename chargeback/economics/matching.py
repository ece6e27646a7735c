"""Which hosts and pools a part of an economics document is about; what they are told to be."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pydantic import Field

from catalog.base import Value
from catalog.pools import Hypervisor
from chargeback.economics.figures import Patterns


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host is; names are those of the estate, and may be empty where it does not say."""

    hypervisor: str
    pool: str = ""
    site: str = ""
    model: str = ""
    sockets: int = 0
    cores: int = 0
    """Physical cores of all sockets."""
    memory_mib: int = 0
    region: str = ""
    """Of its pool; empty: that of the site."""


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """What a pool is. An empty region is that of the site."""

    name: str
    hypervisor: str
    site: str = ""
    tier: str = ""
    region: str = ""


def fits(patterns: Iterable[str], name: str) -> bool:
    """Whether a name is one of the patterns; no pattern fits all."""
    known = tuple(patterns)
    return not known or any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in known)


class HostMatch(Value):
    """Hosts; each field that is given must fit."""

    hypervisor: tuple[Hypervisor, ...] = ()
    pool: Patterns = ()
    site: Patterns = ()
    model: Patterns = ()

    def has(self, host: HostFacts) -> bool:
        """Whether it is about this host."""
        return (
            (not self.hypervisor or host.hypervisor in set(self.hypervisor))
            and fits(self.pool, host.pool)
            and fits(self.site, host.site)
            and fits(self.model, host.model)
        )

    @property
    def everything(self) -> bool:
        """Whether it is about all hosts."""
        return self == HostMatch()


class PoolMatch(Value):
    """Pools; each field that is given must fit."""

    hypervisor: tuple[Hypervisor, ...] = ()
    name: Patterns = Field(default=(), description="The pools' names.")
    site: Patterns = ()
    tier: Patterns = ()

    def has(self, pool: PoolFacts) -> bool:
        """Whether it is about this pool."""
        return (
            (not self.hypervisor or pool.hypervisor in set(self.hypervisor))
            and fits(self.name, pool.name)
            and fits(self.site, pool.site)
            and fits(self.tier, pool.tier)
        )

    @property
    def everything(self) -> bool:
        """Whether it is about all pools."""
        return self == PoolMatch()
