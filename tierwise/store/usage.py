"""Usage in Parquet by month: files that are written whole, never changed, and read together.

Rows stand in the month in which they begin, by machine and time, so that a reader of one month or one
machine passes over the rest. Files are written beside each other and made visible at once by
the manifest (`tierwise.store.manifest`): a full disk or a kill leaves either all of a change or none.
Many small files of a month are merged into one by the same way. One writer at a time, by a lock file.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tierwise.errors import TierwiseError
from tierwise.store import usage_files as files_of
from tierwise.store.locks import alone
from tierwise.store.manifest import Manifest, UsageFile, load, save
from tierwise.store.usage_files import Layout

_SUFFIX = ".parquet"
_PATH = re.compile(r"(\d{4}-\d{2}/)?(\d{8,})\.parquet", re.ASCII)
_TRIES = 5


class UsageStore:
    """The files of one kind of usage, e.g. intervals or samples."""

    def __init__(
        self,
        folder: Path,
        schema: Any,
        layout: Layout,
        *,
        defaults: Mapping[str, str | int] = MappingProxyType({}),
        patience_s: float = 10,
    ) -> None:
        """`defaults` is what columns that older files lack are filled with."""
        self.folder = folder
        self.schema = schema
        self.layout = layout
        self._defaults = defaults
        self._patience_s = patience_s

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer. Raises StoreBusy when another has not ended within `patience_s`."""
        busy = f"another tierwise process writes usage in {self.folder}; try again when it has ended"
        with alone(self.folder / "writer.lock", busy, patience_s=self._patience_s):
            yield

    def read(
        self,
        *,
        t_from: int | None = None,
        t_to: int | None = None,
        machines: Collection[str] | None = None,
        recorded_after: int | None = None,
    ) -> Any:
        """The rows that overlap ``[t_from, t_to)``, of these machines, recorded later; without limits, all.

        A `pyarrow.Table`, each file's rows by machine and time. Raises TierwiseError naming the file
        that cannot be read, that is missing, or that is none of ours.
        """
        span = files_of.Span(t_from, t_to, recorded_after)
        wanted = None if machines is None else pa.array(sorted(machines), pa.string())
        tables = self._each(span, lambda path: self._part(path, span, wanted))
        return pa.concat_tables(tables) if tables else self.schema.empty_table()

    def distinct(
        self,
        names: Sequence[str],
        *,
        t_from: int | None = None,
        t_to: int | None = None,
        recorded_after: int | None = None,
    ) -> Any:
        """The different values that these columns have together in the rows that `read` gives, in no order.

        Reads one file after another, and of each only these columns. Raises as `read` does.
        """
        span = files_of.Span(t_from, t_to, recorded_after)
        schema = pa.schema([self.schema.field(name) for name in names])

        def values(path: str) -> Any:
            return self._part(path, span, columns=names).group_by(list(names)).aggregate([]).cast(schema)

        tables = self._each(span, values)
        found = pa.concat_tables(tables) if tables else schema.empty_table()
        return found.group_by(list(names)).aggregate([])

    def _each(self, span: files_of.Span, read: Callable[[str], Any]) -> list[Any]:
        """What `read` gives for each file that counts and may have such rows."""
        for _ in range(_TRIES):
            manifest = self._manifest()
            try:
                return [read(file.path) for file in manifest.files if span.touches(file)]
            except FileNotFoundError as error:
                missing = error.filename
                if self._manifest().number == manifest.number:
                    break
                # Merged into another file since the manifest was read; that one has its rows.
        msg = f"the usage file {missing} is missing; restore it from a backup, nothing was charged from the others"
        raise TierwiseError(msg)

    def _part(
        self,
        name: str,
        span: files_of.Span = files_of.Span(),  # noqa: B008 - an immutable value
        machines: Any = None,
        columns: Sequence[str] | None = None,
    ) -> Any:
        path = self.folder / name
        try:
            return files_of.read(path, self.schema, self.layout, self._defaults, span, machines, columns)
        except FileNotFoundError as error:
            raise FileNotFoundError(error.errno, error.strerror, str(path)) from None
        except (OSError, pa.ArrowException) as error:
            msg = (
                f"the usage file {path} cannot be read: {' '.join(str(error).split())}; "
                "restore it from a backup, "
                "nothing was charged from the others"
            )
            raise TierwiseError(msg) from None

    def files(self) -> list[Path]:
        """The files that count, in the order of the manifest. Raises TierwiseError as `read`."""
        return [self.folder / file.path for file in self._manifest().files]

    def newest(self) -> int:
        """When the newest row was recorded; -1 where there is none."""
        return max((file.newest for file in self._manifest().files), default=-1)

    def begins(self) -> int | None:
        """When the first row begins, whatever became of it since; None where there is none."""
        return min((file.t_from for file in self._manifest().files if file.rows), default=None)

    def state(self) -> Any:
        """The writer's notes that the last `append` left, as a `pyarrow.Table`; None where there are none.

        They are made from rows and can be made again, so a damaged or missing file is no error.
        """
        manifest = self._manifest()
        if not manifest.state:
            return None
        try:
            return pq.ParquetFile(self.folder / manifest.state, page_checksum_verification=True).read()
        except (OSError, pa.ArrowException):
            return None

    def append(self, table: Any, *, state: Any = None) -> list[Path]:
        """Add the rows, inside `writing`; all of them are visible at once or, after an error, none.

        `state` are notes for the next writer, which replace earlier ones; without it there are none
        then. Nothing is written for an empty table without notes. Merges files where a month has many.
        """
        before = self._manifest()
        if not table.num_rows and state is None and not before.state:
            return []
        number = before.number + 1
        made: list[Path] = []
        try:
            before = self._settled(before)
            added = [
                self._write(f"{month}/{number:08d}{_SUFFIX}", rows, made)
                for month, rows in files_of.by_month(table.cast(self.schema), self.layout)
            ]
            notes = "" if state is None else self._write_state(f"{number:08d}.state", state, made)
            save(self.folder, before.plus(added, notes))
        except OSError as error:
            self._undo(made, number)
            msg = f"usage could not be written to {self.folder}: {error}; nothing was added, free some space and repeat"
            raise TierwiseError(msg) from None
        self.compact()
        return [self.folder / file.path for file in added]

    def compact(self) -> int:
        """Merge small files of a month, inside `writing`; gives the number of files that are fewer.

        Where it cannot (a full disk, a damaged file) nothing changes: the next one tries again, and
        who reads is told of the damage.
        """
        fewer = 0
        for group in files_of.to_merge(self._manifest().files):
            before = self._manifest()
            number = before.number + 1
            made: list[Path] = []
            try:
                table = pa.concat_tables([self._whole(file) for file in group])
                merged = [
                    self._write(f"{month}/{number:08d}{_SUFFIX}", rows, made)
                    for month, rows in files_of.by_month(table, self.layout)
                ]
                save(self.folder, before.merged(group, merged))
            except (OSError, TierwiseError):
                self._undo(made, number)
                return fewer
            fewer += len(group) - len(merged)
        self._sweep(self._manifest())
        return fewer

    def _whole(self, file: UsageFile) -> Any:
        table = self._part(file.path)
        if table.num_rows != file.rows:
            msg = f"{file.path} has {table.num_rows} rows, the manifest says {file.rows}; restore it from a backup"
            raise TierwiseError(msg)
        return table

    def _write(self, path: str, table: Any, made: list[Path]) -> UsageFile:
        target = self.folder / path
        target.parent.mkdir(exist_ok=True)
        made.append(target)
        files_of.write(table, target, self.layout)
        return files_of.described(table, path, self.layout)

    def _write_state(self, name: str, state: Any, made: list[Path]) -> str:
        made.append(self.folder / name)
        files_of.write(state, self.folder / name)
        return name

    def _manifest(self) -> Manifest:
        """What counts. Raises TierwiseError for a file that is none of ours: a copy would be charged twice."""
        found = load(self.folder)
        paths = _parquet_files(self.folder)
        manifest = self._of_older_version(paths) if found is None else found
        known = {file.path for file in manifest.files} | set(manifest.retired)
        for path in paths:
            if path not in known and not _may_be_unfinished(path, manifest):
                msg = f"{self.folder / path} is no usage file of ours; move it out of the folder"
                raise TierwiseError(msg)
        return manifest

    def _of_older_version(self, paths: list[str]) -> Manifest:
        """Files that stand beside each other, as versions without a manifest wrote them."""
        months = [path for path in paths if "/" in path]
        if months:
            msg = (
                f"{self.folder} has usage files like {months[0]}, but no manifest.json that lists them; "
                "restore it from a backup, nothing was charged"
            )
            raise TierwiseError(msg)
        flat = [path for path in paths if _PATH.fullmatch(path)]
        files = [files_of.described(self._part(path), path, self.layout) for path in flat]
        return Manifest(int(Path(flat[-1]).stem) if flat else 0, tuple(files))

    def _settled(self, manifest: Manifest) -> Manifest:
        """Without what earlier writers left; the first manifest is written before any file that it could list."""
        if load(self.folder) is None:
            save(self.folder, manifest)
        self._sweep(manifest)
        there = [path for path in manifest.retired if (self.folder / path).exists()]
        return replace(manifest, retired=tuple(there))

    def _sweep(self, manifest: Manifest) -> None:
        """Remove what does not count any more, and what a killed writer left; ours, by its name."""
        states = [file for file in self.folder.glob("*.state") if file.name != manifest.state]
        parts = [*self.folder.glob("*.part"), *self.folder.glob("*/*.part")]
        retired = [self.folder / path for path in manifest.retired]
        unfinished = [
            self.folder / path for path in _parquet_files(self.folder) if _may_be_unfinished(path, manifest)
        ]
        for file in [*states, *parts, *retired, *unfinished]:
            _remove(file)

    def _undo(self, made: list[Path], number: int) -> None:
        """Remove the files of a change that failed, unless it counts: then only its last step did."""
        now = load(self.folder)
        if now is None or now.number < number:
            for file in made:
                _remove(file.with_name(file.name + ".part"))
                _remove(file)


def _may_be_unfinished(path: str, manifest: Manifest) -> bool:
    """Whether a writer may be writing this file now, or was killed before it was made to count."""
    match = _PATH.fullmatch(path)
    return match is not None and bool(match[1]) and int(match[2]) > manifest.number


def _parquet_files(folder: Path) -> list[str]:
    """The paths below the folder and the folders in it; by `scandir`, as every reader pays for it."""
    found: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    found += [f"{entry.name}/{name}" for name in os.listdir(entry.path)]  # noqa: PTH208 - names alone, in a third of the time
                else:
                    found.append(entry.name)
    except FileNotFoundError:
        return []
    return sorted(path for path in found if path.endswith(_SUFFIX))


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError:
        # It does not count, and the next writer tries again.
        return
