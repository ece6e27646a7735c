"""The capabilities that a pool lacks because the endpoint's user may not do what they need."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from catalog.capabilities import Capability, Gap, GapReason
from connectors.drivers.vsphere import inventory, placing, privileges
from connectors.drivers.vsphere.faults import is_fault
from connectors.drivers.vsphere.inventory import Provider, Rows
from connectors.drivers.vsphere.privileges import On
from connectors.drivers.vsphere.session import CUT_OFF, Op, read_objects, ref_id
from connectors.errors import ConnectorError

_ASKED = {privilege for needs in privileges.NEEDED.values() for privilege, _ in needs}
_MOST = 300
"""Characters of a gap's detail."""


class Permitted(NamedTuple):
    """What each provider lacks, by managed object id; `problem` is why some is not known."""

    gaps: Mapping[str, Mapping[Capability, Gap]]
    problem: str = ""


def of_providers(op: Op, providers: Iterable[Provider], datastores: Rows) -> Permitted:
    """Ask vCenter, in one call, about where each provider's new machines go. What it does not tell is no gap.

    A host that is spoken to without a vCenter knows no such call, which is no problem.
    """
    search = _Search(op, datastores)
    try:
        # With the other half of the time the rest of the call goes on where vCenter is slow.
        with op.session.deadline.share(2):
            places = search.places(list(providers))
            objects = {obj for place in places.values() for found in place.values() for obj in found}
            granted = privileges.granted(op, objects, _ASKED)
    except CUT_OFF:
        raise
    except op.session.failures as error:
        if is_fault(error, "NotSupported", "NotImplemented", "MethodNotFound"):
            return Permitted({})
        why = op.session.why_half(op.endpoint, op.name, error)
        return Permitted({}, f"the user's privileges cannot be read: {why}")
    from_template = op.session.settings.options.template is not None
    found = {ref: _gaps(place, granted, from_template=from_template) for ref, place in places.items()}
    return Permitted(found, "; ".join(dict.fromkeys(search.problems)))


_Places = Mapping[On, Sequence[Any]]
"""Where a provider's new machines go; nothing of what the endpoint does not use, or was not found."""


class _Search:
    """Finds what the privileges are asked on; `problems` are why some of it was not found."""

    def __init__(self, op: Op, datastores: Rows) -> None:
        self.op = op
        self.datastores = datastores
        self.problems: list[str] = []

    def places(self, providers: Sequence[Provider]) -> dict[str, _Places]:
        """Those of each provider, by its managed object id."""
        options, folders = self.op.session.settings.options, self._folders(providers)
        found: dict[str, _Places] = {}
        for one in providers:
            folder = folders.get(one.datacenter or "", ())
            found[one.ref] = {
                On.FOLDER: folder,
                On.ATTRIBUTES: folder if options.custom_attributes else (),
                On.POOL: self._tried(partial(placing.resource_pool, self.op, one)),
                On.STORE: self._stores(one),
                On.NETWORK: self._tried(partial(placing.network, self.op, one)),
            }
        return found

    def _folders(self, providers: Iterable[Provider]) -> dict[str, Sequence[Any]]:
        """The machine folder of each datacenter, all read at once."""
        kind = self.op.session.vim.Datacenter
        homes = sorted({one.datacenter for one in providers if one.datacenter is not None})
        objects = [self.op.session.object(kind, home) for home in homes]
        return {
            ref_id(home): self._tried(partial(placing.folder, self.op, row["vmFolder"]))
            for home, row in read_objects(self.op.session, kind, objects, ["vmFolder"])
            if "vmFolder" in row
        }

    def _stores(self, provider: Provider) -> Sequence[Any]:
        wanted, kind = self.op.session.settings.options.datastore, self.op.session.vim.Datastore
        rows = ((ref, self.datastores.get(ref, {})) for ref in provider.row.get("datastore", ()))
        return [
            self.op.session.object(kind, ref)
            for ref, row in rows
            if inventory.datastore_usable(row) and wanted in {None, inventory.shown_name(row["name"])}
        ]

    def _tried(self, find: Callable[[], Any]) -> Sequence[Any]:
        try:
            found = find()
        except ConnectorError as error:
            self.problems.append(error.why)
            return ()
        return () if found is None else (found,)


def _gaps(
    places: _Places, granted: Mapping[str, frozenset[str]], *, from_template: bool
) -> dict[Capability, Gap]:
    found = {}
    # An order's machine is then a template's.
    needed = {Capability.CREATE: privileges.NEEDED[Capability.TEMPLATE]} if from_template else {}
    for capability, needs in {**privileges.NEEDED, **needed}.items():
        wanted = {on: [privilege for privilege, place in needs if place is on] for _, on in needs}
        lacking = {on: _lacking(names, places[on], granted) for on, names in wanted.items()}
        if any(lacking.values()):
            found[capability] = Gap(reason=GapReason.NOT_CONFIGURED, detail=_detail(lacking))
    return found


def _lacking(
    names: Iterable[str], objects: Iterable[Any], granted: Mapping[str, frozenset[str]]
) -> list[str]:
    """What the best of the objects lacks; nothing where there is none of which vCenter told."""
    each = [
        [name for name in names if name not in granted[ref]]
        for ref in map(ref_id, objects)
        if ref in granted
    ]
    return min(each, key=len, default=[])


def _detail(lacking: Mapping[On, list[str]]) -> str:
    told = "; ".join(f"{', '.join(names)} on the {on.value}" for on, names in lacking.items() if names)
    text = f"the endpoint's user lacks {told}: add that to its role in vCenter"
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."
