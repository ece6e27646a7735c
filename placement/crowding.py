"""How many of some requests there can be in one domain, as a constraint says of itself so that others' models get tighter."""

from dataclasses import dataclass

from placement.arrays import Bool, Int64


@dataclass(frozen=True, eq=False)
class Crowding:
    """No plan that keeps the constraint has more than `limit` members in a domain; D domains."""

    members: Bool
    """[R]."""
    domain_of: Int64
    """[V] -1 for providers that take no member."""
    limit: Int64
    """[D]."""
    limit_beside_empty: Int64
    """[D] the same while any of the domains has no member; at most `limit`."""
