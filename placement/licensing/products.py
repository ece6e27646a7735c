"""Licence products as data: who needs one, how far its machines can reach, and how it may be counted."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from catalog.base import Value
from catalog.frozen import FrozenMapping
from placement.amounts import Count, Micros, Size

Text = Annotated[str, Field(min_length=1)]
OF_HOSTS = ("per_core", "per_host", "per_socket")
"""Metrics that count the hosts of a scope, whether or not anything sits on each of them."""


class Processors(Value):
    """What a host has, for metrics that count it; of a pool without hosts, `hosts` equal ones."""

    sockets: Size
    """Sockets of one host."""
    cores_per_socket: Size
    """Cores of each socket."""
    hosts: Size = 1
    """How many hosts a pool has; 1 for a host."""


class Alternative(Value):
    """One legal way to license a product: an edition with its metric.

    Units of a host: cores are at least `per_socket_minimum` for each socket, and at least `per_host_minimum`
    for the host. Units of a machine: its vCPU, at least `per_machine_minimum`; `per_machine` counts machines.
    Units are bought in packs.
    """

    name: Text
    """What it is called, once in a product."""
    metric: Literal["per_core", "per_host", "per_socket", "per_vcpu", "per_machine"]
    """What is counted: of the scope's hosts (the first three), or of its machines."""
    per_socket_minimum: Count = 0
    """Cores; of `per_core` only, as the next."""
    per_host_minimum: Count = 0
    """Cores."""
    per_machine_minimum: Count = 0
    """vCPU; of `per_vcpu` only."""
    covers: Size | None = None
    """How many machines the scope may have for each time that all of its hosts are covered; None: any number.

    Windows Server Standard covers two, and a scope with five machines is covered three times. Of metrics
    that count hosts only.
    """
    pack_size: Size = 1
    """Units in a pack."""
    pack_cost_micros: Micros
    """What a pack costs over the horizon."""
    pack_scope: Literal["scope", "order"] = "scope"
    """Whether packs are rounded up in each scope, or once over all scopes that choose this alternative."""

    @model_validator(mode="after")
    def _of_its_metric(self) -> Self:
        cores = self.per_socket_minimum or self.per_host_minimum
        wrong = {
            "per_socket_minimum and per_host_minimum": bool(cores) and self.metric != "per_core",
            "per_machine_minimum": bool(self.per_machine_minimum) and self.metric != "per_vcpu",
            "covers": self.covers is not None and self.metric not in OF_HOSTS,
        }
        for what, is_wrong in wrong.items():
            if is_wrong:
                msg = f"{what}: says nothing of the metric {self.metric}; leave it out"
                raise ValueError(msg)
        return self

    @property
    def of_hosts(self) -> bool:
        """Whether it counts hosts, not machines."""
        return self.metric in OF_HOSTS

    @property
    def flat(self) -> bool:
        """Whether a scope costs the same, however many machines it has."""
        return self.of_hosts and self.covers is None


class Product(Value):
    """What some machines need a licence for. A scope is a set of hosts among which they may move."""

    name: Text
    """What it is called, once in a problem."""
    requests: tuple[str, ...]
    """Requests or groups."""
    scopes: FrozenMapping[str, tuple[str, ...]]
    """Scope -> hosts or pools: a cluster, or what a must rule leaves of it. A host is in at most one of them.

    All hosts of a scope count once any of these machines sits on one of them; outside of all scopes none may sit.
    """
    alternatives: Annotated[tuple[Alternative, ...], Field(min_length=1)]
    """The cheapest is taken, in each scope one."""
