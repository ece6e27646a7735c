"""The online kernel's language: what constraints tell it, in a few primitives that it keeps up to date as requests come and go.

`placement.online` speaks it. All arrays are by class [G] and by provider [V], as in the model; a class is
one of `classes`. A domain array [V] gives each provider's domain, -1 where the primitive does not concern it.
"""

from typing import Protocol

from placement.arrays import Bool, Int64
from placement.classes import Classes
from placement.problem import PlacementProblem


class Kernel(Protocol):
    """What `Constraint.admit` is handed."""

    problem: PlacementProblem
    classes: Classes

    def forbid(self, cells: Bool) -> None:
        """[G, V]: no request of the class may go to the provider."""

    def price(self, term: str, cells: Int64) -> None:
        """[G, V]: a request of the class on the provider adds this to a term of the objective."""

    def at_most(self, weight: Int64, domain_of: Int64, limit: Int64) -> None:
        """In each domain [D], the `weight` [G] of what is there adds up to no more than `limit` [D]."""

    def together(self, members: Bool, domain_of: Int64) -> None:
        """All placed requests of the classes `members` [G] are in one domain."""

    def apart(self, kind: Int64, domain_of: Int64) -> None:
        """In each domain, placed requests are of one `kind` [G] only; -1 for classes that may be beside any."""

    def even(
        self, members: Bool, domain_of: Int64, eligible: Bool, max_skew: int, min_domains: int
    ) -> None:
        """The members' counts in the `eligible` [D] domains differ by at most `max_skew`.

        With fewer than `min_domains` eligible domains, the least of the counts is taken as 0 (as in Kubernetes'
        topologySpreadConstraints). Whoever places one after another keeps it at every step.
        """

    def per_excess(
        self, term: str, weight: Int64, domain_of: Int64, free_of_charge: Int64, cost: Int64
    ) -> None:
        """In each domain [D], every unit of `weight` above `free_of_charge` [D] adds `cost` [D] to a term."""

    def opening(self, term: str, members: Bool, domain_of: Int64, cost: Int64) -> None:
        """A domain [D] with any member in it adds its `cost` [D] to a term, once."""

    def packs(
        self, term: str, weight: Int64, domain_of: Int64, size: Int64, cost: Int64, most: Int64
    ) -> None:
        """In each domain [D], ``min(most, ceil(weight there / size) * cost)`` is added to a term."""

    def numa(self, need: Int64, nodes: Int64, free: Int64) -> None:
        """Requests sit on NUMA nodes: on `nodes` [G] of them (0: on none in particular), each giving `need` [G, K].

        `free` [V, N, K] is what each node has; a node that a provider does not have, has 0. The kernel
        remembers the chosen nodes as a bit mask, the choice ``numa``.
        """

    def storage(
        self, name: str, need: Int64, reach: Bool, allowed: Bool, free: Int64, choice_of: Int64
    ) -> None:
        """Requests also sit on a store that their provider reaches (`reach` [V, S]): a datastore, a host's devices of a model.

        `need` [G, Q] of `free` [S, Q] (capacity, IOPS); a class that needs nothing sits on none. A store stands for one
        of C choices (`choice_of` [S]) of the constraint `name`, and no provider reaches two of the same; `allowed`
        [G, C] are the choices that suit. Each name is told once: a request sits on one store of each that it needs.
        """

    def failover(self, pool: int, losses: int, weight: Int64) -> None:
        """Whichever `losses` hosts of a pool fail at once, their machines fit on what the others have left.

        `weight` [G] is 1 for classes that must be restarted, 0 for those that need not. Kept by a plan of where
        each machine would restart, for each set of hosts that may fail. If one may, its host is the choice ``ha_reserve``.
        """
