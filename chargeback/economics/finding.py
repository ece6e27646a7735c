"""Which entries of an economics document are about a host or a pool: the first that fits."""

from chargeback.economics.document import Economics
from chargeback.economics.matching import HostFacts, PoolFacts, fits
from chargeback.economics.sections import HostType, Migration, Site, Storage
from chargeback.economics.trace import MissingFigure


def region_of(economics: Economics, pool: PoolFacts) -> str | None:
    """The region of a pool, or of its site."""
    if pool.region:
        return pool.region
    site = site_of(economics, pool.site)
    return site.region if site else None


def site_of(economics: Economics, name: str) -> Site | None:
    """The first entry for a site."""
    return next((site for site in economics.sites if fits((site.name,), name)), None)


def host_type_of(economics: Economics, host: HostFacts) -> HostType:
    """The first type that fits a host. Raises MissingFigure."""
    found = next((one for one in economics.host_types if one.match.has(host)), None)
    if found is None:
        msg = (
            f"host_types: none fits the hypervisor '{host.hypervisor}', pool '{host.pool}', site '{host.site}' and "
            f"model '{host.model}'; add one, or one without 'match' as the last"
        )
        raise MissingFigure(msg)
    return found


def storage_of(economics: Economics, pool: PoolFacts) -> Storage | None:
    """The first entry for the disks of a pool."""
    return next((one for one in economics.storage if one.match.has(pool)), None)


def migration_of(economics: Economics, origin: PoolFacts, target: PoolFacts) -> Migration | None:
    """The first entry for moves between two pools."""
    for one in economics.migration:
        comes = not one.origin or origin.hypervisor in set(one.origin)
        if comes and (not one.target or target.hypervisor in set(one.target)):
            return one
    return None
