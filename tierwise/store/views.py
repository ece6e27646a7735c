"""What endpoints looked like when they were last seen."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field
from sqlmodel import Session, select

from catalog.base import Value
from catalog.resources import ResourceClass, Resources
from connectors.contract import EndpointSnapshot, VmView
from tierwise.store.tables import EndpointViewRow


class EndpointView(Value):
    """One endpoint's last snapshot and machines, and the error of the last try if it failed.

    `tried_at` and `seen_at` are the moments in which the last look began, and the last one that succeeded.
    `foreign` is what machines hold that tierwise did not make, per provider. `generation` grows
    whenever what a probe sees of capacity, capabilities or foreign machines changes.
    """

    endpoint: str
    tried_at: datetime
    error: str | None = None
    seen_at: datetime | None = None
    snapshot: EndpointSnapshot | None = None
    vms: tuple[VmView, ...] = ()
    foreign: Mapping[str, Resources] = Field(default_factory=dict)
    generation: int = 0

    def __hash__(self) -> int:
        return hash((self.endpoint, self.tried_at))


class _Seen(Value):
    snapshot: EndpointSnapshot
    vms: tuple[VmView, ...]


_CLASSES = tuple(rc.value for rc in ResourceClass)


def foreign_use(vms: tuple[VmView, ...], ours: frozenset[str]) -> dict[str, Resources]:
    """What machines that are not ours hold, per provider."""
    totals: dict[str, list[int]] = {}
    for vm in vms:
        if vm.identity is None or str(vm.identity) not in ours:
            held = totals.setdefault(vm.provider, [0] * len(_CLASSES))
            for index, name in enumerate(_CLASSES):
                held[index] += getattr(vm.resources, name)
    return {
        provider: Resources(**dict(zip(_CLASSES, held, strict=True))) for provider, held in totals.items()
    }


def save_seen(
    session: Session, endpoint: str, at: datetime, snapshot: EndpointSnapshot, vms: tuple[VmView, ...]
) -> None:
    """Remember a probe that succeeded."""
    row = session.get(EndpointViewRow, endpoint) or EndpointViewRow(endpoint=endpoint, tried_at=at)
    seen = _Seen(snapshot=snapshot, vms=vms)
    text = seen.model_dump_json()
    # Mostly nothing changed at all, and reading what was seen before takes longer than all else here.
    if row.snapshot != text:
        before = _Seen.model_validate_json(row.snapshot) if row.snapshot else None
        if before is None or _shape(before) != _shape(seen):
            row.generation += 1
        row.snapshot = text
    row.tried_at, row.seen_at, row.error = at, at, None
    session.add(row)


def is_overtaken(session: Session, endpoint: str, began_at: datetime, now: datetime) -> bool:
    """Whether a look that began later is remembered already; what a clock that was set back left is none."""
    row = session.get(EndpointViewRow, endpoint)
    return row is not None and row.seen_at is not None and began_at < row.seen_at <= now


def save_machines(session: Session, endpoint: str, at: datetime, vms: tuple[VmView, ...]) -> None:
    """Remember the machines that a change feed told of; capacity and capabilities stay those of the last probe.

    Nothing where the endpoint was never probed.
    """
    row = session.get(EndpointViewRow, endpoint)
    if row is None or row.snapshot is None:
        return
    save_seen(session, endpoint, at, _Seen.model_validate_json(row.snapshot).snapshot, vms)


def save_failed(session: Session, endpoint: str, at: datetime, error: str) -> None:
    """Remember that a probe failed; the last good view is kept."""
    row = session.get(EndpointViewRow, endpoint) or EndpointViewRow(endpoint=endpoint, tried_at=at)
    row.tried_at, row.error = at, error
    session.add(row)


def load_views(session: Session, ours: frozenset[str]) -> dict[str, EndpointView]:
    """The last view of every endpoint ever tried, by name."""
    return {row.endpoint: _view(row, ours) for row in session.exec(select(EndpointViewRow))}


def _view(row: EndpointViewRow, ours: frozenset[str]) -> EndpointView:
    seen = _Seen.model_validate_json(row.snapshot) if row.snapshot else None
    vms = seen.vms if seen else ()
    return EndpointView(
        endpoint=row.endpoint,
        tried_at=row.tried_at,
        error=row.error,
        seen_at=row.seen_at,
        snapshot=seen.snapshot if seen else None,
        vms=vms,
        foreign=foreign_use(vms, ours),
        generation=row.generation,
    )


def _shape(seen: _Seen) -> object:
    pools = [
        (p.provider, p.total, p.hosts, p.traits, p.templates, p.capabilities) for p in seen.snapshot.pools
    ]
    return pools, [(vm.native_id, vm.provider, vm.resources) for vm in seen.vms]
