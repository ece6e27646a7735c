"""What a pool must have: capabilities and traits, asked by workload classes and by rules alike."""

from collections.abc import Collection, Iterable, Iterator

from catalog.capabilities import Capability, Gap, GapReason
from policies.facts import PoolFacts
from policies.rule import Finding

_FIRST_STEP = {
    GapReason.NEVER: "",
    GapReason.NOT_YET: "",
    GapReason.NOT_LICENSED: "license {capability} on {pool}, or ",
    GapReason.NOT_CONFIGURED: "have {capability} set up on {pool}, or ",
}


def missing_capabilities(
    asks: str, capabilities: Iterable[Capability], pool: PoolFacts
) -> Iterator[Finding]:
    """A finding for each capability that the pool lacks, with the reason its connector gives.

    `asks` starts the sentence and is who asks: "class db needs".
    """
    for capability in sorted(set(capabilities)):
        gap = pool.gap(capability)
        if gap is not None:
            yield _missing_capability(asks, capability, gap, pool)


def _missing_capability(asks: str, capability: Capability, gap: Gap, pool: PoolFacts) -> Finding:
    first = _FIRST_STEP[gap.reason].format(capability=capability, pool=pool.name)
    return Finding(
        dimension=capability.value,
        limit=f"missing ({gap.reason})",
        need=capability.value,
        claim=f"{asks} {capability}",
        fact=f"{pool.name} has none: {gap}",
        remedy=f"{first}choose a pool that has {capability}",
    )


def missing_traits(asks: str, traits: Iterable[str], pool: PoolFacts) -> Iterator[Finding]:
    """A finding for each trait that the pool does not have."""
    for trait in sorted(set(traits) - set(pool.traits)):
        yield Finding(
            dimension=trait,
            limit=", ".join(pool.traits) or "no traits",
            need=trait,
            claim=f"{asks} {trait}",
            fact=f"{pool.name} has {', '.join(pool.traits) or 'no traits'}",
            remedy=f"choose a pool with {trait}, or add it to the traits of {pool.name} if it is true of it",
        )


def too_little_disk(disk_gib: int, traits: Collection[str], pool: PoolFacts) -> Iterator[Finding]:
    """A finding for each of the required traits whose template has more disk, where the pool tells how much."""
    for template in pool.templates:
        least = template.minimum_disk_gib
        if template.trait in traits and least is not None and disk_gib < least:
            size = "" if template.size_bytes is None else f" ({_size(template.size_bytes)})"
            yield Finding(
                dimension="disk_gib",
                limit=f"at least {least}",
                need=str(disk_gib),
                claim=f"{template.trait} of {pool.name}{size} needs a disk of at least {least} GiB",
                fact=f"the order has {disk_gib} GiB",
                remedy=f"order at least {least} GiB of disk, or choose another template or pool",
            )


def _size(size_bytes: int) -> str:
    """In GiB where that is exact, else in MiB, rounded up."""
    gib, rest = divmod(size_bytes, 2**30)
    return f"{-(-size_bytes // 2**20)} MiB" if rest else f"{gib} GiB"


def unwanted_traits(asks: str, traits: Iterable[str], pool: PoolFacts) -> Iterator[Finding]:
    """A finding for each trait that the pool has and must not have."""
    for trait in sorted(set(traits) & set(pool.traits)):
        yield Finding(
            dimension=trait,
            limit=trait,
            need=f"no {trait}",
            claim=f"{asks} {trait}",
            fact=f"{pool.name} has {trait}",
            remedy=f"choose a pool without {trait}",
        )
