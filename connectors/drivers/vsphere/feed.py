"""The change feed: an inventory that vCenter keeps up to date, by WaitForUpdatesEx on a collector of its own.

What vCenter reports are properties; what the contract tells are machines as an inventory would show them. So
the feed keeps the rows of all objects that a machine's view is made of, and compares views: a cluster that
got another name changes its machines, a machine that became a template is gone.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

from connectors.contract import Changes, VmView
from connectors.drivers.vsphere import estate, inventory
from connectors.drivers.vsphere.estate import DiskSizes, RowsOfKinds
from connectors.drivers.vsphere.session import (
    Op,
    filter_spec,
    open_view,
    plain,
    raise_missing,
    ref_id,
    through_view,
)


class Feed:
    """One feed of one login. Its cursor is the answer that was given last, and no other."""

    def __init__(self, op: Op, disk_sizes: DiskSizes) -> None:
        self._session = op.session
        self._login = op.session.content
        self._name = uuid4().hex
        self._answers = 0
        self._version = ""
        self._disk_sizes = disk_sizes
        self._told: dict[str, VmView] = {}
        self._top = estate.root(op)
        kinds = _kinds(op.session.vim)
        self._rows: RowsOfKinds = {kind: {} for kind in kinds}
        self._opened: list[Any] = []
        try:
            view = open_view(op.session, kinds, self._top)
            self._opened.append(view.Destroy)
            self._collector = op.session.content.propertyCollector.CreatePropertyCollector()
            self._opened.append(self._collector.DestroyPropertyCollector)
            spec = filter_spec(op.session, kinds, [through_view(op.session, view)])
            self._collector.CreateFilter(spec, partialUpdates=False)
        except BaseException:
            self.close()
            raise

    @property
    def cursor(self) -> str:
        """What the next call has to give to hear only of changes."""
        return f"{self._name}:{self._answers}"

    def goes_on_from(self, op: Op, cursor: str | None) -> bool:
        """Whether the feed can say what changed since this cursor; a feed does not outlive its login."""
        return cursor == self.cursor and self._answers > 0 and self._login is op.session.content

    def pull(self, op: Op) -> Changes:
        """All that changed since the answer before."""
        full = self._answers == 0
        news = [self._apply(update) for update in self._updates(op)]
        if full or any(news):
            # From all rows: one change may alter many machines, and which of two keeps an identity.
            found = estate.assembled(op, self._rows, self._top)
            now = {view.native_id: view for view in estate.machine_views(op, found, self._disk_sizes)}
        else:
            now = self._told
        changed = tuple(view for ref, view in now.items() if self._told.get(ref) != view)
        gone = tuple(sorted(self._told.keys() - now.keys()))
        self._told = now
        self._answers += 1
        return Changes(cursor=self.cursor, vms=changed, gone=gone, full=full)

    def close(self) -> None:
        """Give back the collector and the view, where the login still lives."""
        opened, self._opened = self._opened, []
        if self._login is not self._session.content:
            return
        for end in reversed(opened):
            with suppress(*self._session.failures), self._session.deadline.cleanup():
                end()

    def _updates(self, op: Op) -> Iterator[Any]:
        """What vCenter has to report now; in several parts where it is much."""
        options = op.session.vim.PropertyCollector.WaitOptions(maxWaitSeconds=0)
        while True:
            found = self._collector.WaitForUpdatesEx(self._version, options)
            if found is None:
                return
            self._version = found.version
            yield found
            if not found.truncated:
                return

    def _apply(self, found: Any) -> bool:
        """Bring the rows up to date; False where nothing was in it."""
        updates = [update for part in found.filterSet for update in part.objectSet]
        for update in updates:
            rows = estate.rows_of(self._rows, update.obj)
            ref = ref_id(update.obj)
            if update.kind == "leave":
                rows.pop(ref, None)
                continue
            raise_missing(self._session, update.missingSet)
            row = rows[ref] = {} if update.kind == "enter" else rows.get(ref, {})
            _change(row, update.changeSet)
        return bool(updates)


def _kinds(vim: Any) -> dict[Any, tuple[str, ...]]:
    """Machines, and what else a view of them is made of: the names of their hosts and providers."""
    places = (vim.Datacenter, vim.Folder, vim.ComputeResource, vim.ClusterComputeResource, vim.HostSystem)
    return {vim.VirtualMachine: inventory.MACHINE_PATHS, **dict.fromkeys(places, inventory.FOLDER_PATHS)}


def _change(row: dict[str, Any], changes: Any) -> None:
    for change in changes:
        if change.val is None or change.op in {"remove", "indirectRemove"}:
            row.pop(change.name, None)
        else:
            row[change.name] = plain(change.name, change.val)
