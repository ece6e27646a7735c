"""Is everything as it should be, and if not, what to do."""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa

from catalog.capabilities import Capability
from catalog.pools import Pool
from catalog.resources import ResourceClass
from catalog.wording import counted, first_few
from connectors.errors import ConnectorError
from connectors.registry import driver_names
from tierwise.app import App, wire
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.settings import Settings
from tierwise.store.engine import revision

OUR_PACKAGES = ("catalog", "policies", "placement", "connectors", "chargeback", "tierwise")


class Verdict(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found and, where it is not right, what to do."""

    subject: str
    verdict: Verdict
    text: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at the installation, the data directory, the documents and every endpoint."""
    yield _python()
    yield from _shadowed()
    yield Finding("drivers", Verdict.OK, f"installed: {', '.join(driver_names())}")
    try:
        app = wire(settings)
    except TierwiseError as error:
        yield Finding("data directory", Verdict.BAD, "; ".join([str(error), *error.details]))
        return
    try:
        for look in (_documents, _database, _endpoints, _left_over):
            yield from look(app)
    finally:
        app.close()


def _python() -> Finding:
    version = sys.version.split()[0]
    verdict = Verdict.OK if sys.version_info >= (3, 11) else Verdict.BAD
    return Finding("python", verdict, version)


def _shadowed() -> Iterator[Finding]:
    """Our packages have short names: another distribution may bring one of the same name."""
    owners = importlib.metadata.packages_distributions()
    home = Path(__file__).resolve().parents[2]
    for package in OUR_PACKAGES:
        others = sorted(set(owners.get(package, ())) - {"tierwise"})
        spec = importlib.util.find_spec(package)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if others or origin is None or home not in origin.parents:
            text = f"package '{package}' comes from {', '.join(others) or origin}; install tierwise in an environment of its own"
            yield Finding("packages", Verdict.BAD, text)


def _documents(app: App) -> Iterator[Finding]:
    catalog = app.documents.catalog
    card = app.documents.rate_card
    yield Finding(
        "catalog",
        Verdict.OK,
        f"{counted(len(catalog.offerings), 'offering')}, {counted(len(catalog.pools), 'pool')}, "
        f"{counted(len(app.documents.rules), 'rule')}, "
        f"rate card {card.label} in {card.currency}",
    )


def _database(app: App) -> Iterator[Finding]:
    present, newest = revision(app.engine)
    with app.engine.connect() as connection:
        verdict = connection.execute(sa.text("PRAGMA quick_check")).scalar()
    state = Verdict.OK if verdict == "ok" and present == newest else Verdict.BAD
    yield Finding("database", state, f"{app.settings.database}: {verdict}, schema {present} of {newest}")
    pending = sa.text("SELECT count(*) FROM workflow_status WHERE status IN ('PENDING', 'ENQUEUED')")
    if sa.inspect(app.engine).has_table("workflow_status"):
        with app.engine.connect() as connection:
            count = int(connection.execute(pending).scalar_one())
        if count:
            are = "is" if count == 1 else "are"
            text = f"{counted(count, 'change')} {are} unfinished; `tierwise order resume` finishes them"
            yield Finding("work", Verdict.NOTE, text)


def _endpoints(app: App) -> Iterator[Finding]:
    from tierwise.usecases.observe import join, observe  # noqa: PLC0415 - shares the drivers' imports

    seen = observe(app)
    for name in app.endpoints.names:
        view = seen[name]
        if view.error is not None:
            yield Finding(f"endpoint {name}", Verdict.BAD, view.error)
            continue
        assert view.snapshot is not None
        snapshot = view.snapshot
        parts = [
            snapshot.product,
            f"{counted(len(snapshot.pools), 'provider')}, {counted(len(view.vms), 'machine')}",
        ]
        parts.append(
            "secure connection"
            if snapshot.secure
            else "the connection is NOT encrypted, or its peer not verified"
        )
        if snapshot.note:
            parts.append(snapshot.note)
        verdict = Verdict.OK if snapshot.secure else Verdict.NOTE
        yield Finding(f"endpoint {name}", verdict, "; ".join(parts))
        yield from _clocks(app, name)
    joined = join(app.documents.catalog, seen, app.clock.now())
    for pool, why in joined.unusable.items():
        yield Finding(f"pool {pool}", Verdict.BAD, why)
    for one in joined.pools:
        if one.name not in joined.unusable:
            yield from _resting(one)
            gap = one.capabilities.gap(Capability.CREATE)
            if gap is not None:
                yield Finding(f"pool {one.name}", Verdict.BAD, f"no machine can be made there: {gap}")


def _clocks(app: App, name: str) -> Iterator[Finding]:
    from tierwise.usecases.clocks import wrong_clocks  # noqa: PLC0415 - as above

    try:
        with app.endpoints.lease(name) as connector:
            wrong = wrong_clocks(app.clock, connector)
    except (ConnectorError, InvalidInput) as error:
        yield Finding(f"endpoint {name}", Verdict.NOTE, f"its clock cannot be read: {error}")
        return
    for text in wrong:
        yield Finding(f"endpoint {name}", Verdict.BAD, f"{text}: use and snapshots are told by it")


def _resting(pool: Pool) -> Iterator[Finding]:
    """Hosts that its hypervisor keeps from taking machines, whose room is missing in every plan."""
    names = [host.name for host in pool.hosts if not host.usable]
    if not names:
        return
    take = "takes" if len(names) == 1 else "take"
    text = (
        f"{len(names)} of {counted(len(pool.hosts), 'host')} {take} no machines (in maintenance, disabled or not "
        f"connected): {first_few(names)}; end that at the hypervisor, and the room counts again"
    )
    yield Finding(f"pool {pool.name}", Verdict.BAD if len(names) == len(pool.hosts) else Verdict.NOTE, text)


def _left_over(app: App) -> Iterator[Finding]:
    from tierwise.usecases.inventory import Drift, inventory  # noqa: PLC0415 - as above

    remedies = {
        Drift.LEFT_OVER: "nobody is charged for it; remove it there if nobody needs it",
        Drift.GONE: "it is charged until `tierwise vm delete {0}` takes it out of the books; bring it back there if it is needed",
        Drift.CHANGED: "it is charged as in the books",
        Drift.STUCK: "`tierwise vm move {0} --undo` removes it",
    }
    for machine in inventory(app).machines:
        if machine.drift in remedies:
            how = f": {'; '.join(machine.differs)}" if machine.differs else ""
            where = f"(endpoint {machine.endpoint}, {machine.identity})"
            parts = [remedies[machine.drift], *_ways_back(machine.changed)]
            text = f"{machine.drift.value}{how} {where}; {'; '.join(parts).format(machine.name)}"
            yield Finding(f"machine {machine.name}", Verdict.NOTE, text)


def _ways_back(changed: frozenset[str]) -> Iterator[str]:
    """How each thing that was changed becomes again what it shall be."""
    if "power" in changed:
        yield "`tierwise vm power {0}` sets its power to what it shall be"
    if changed & {rc.value for rc in ResourceClass}:
        yield "`tierwise vm resize {0}`, with its whole size, sets that to what it shall be"
    if "name" in changed:
        yield "give it back its name at its hypervisor, for tierwise renames no machine"
    if "provider" in changed:
        yield "bring it back at its hypervisor, for it holds room and is charged where it was"
    if "annotations" in changed:
        yield (
            "`tierwise vm tag {0}` shows its tags; with NAME=VALUE or NAME= it sets one or takes it away, and all "
            "that stands there then is taken as right"
        )
