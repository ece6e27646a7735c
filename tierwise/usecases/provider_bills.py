"""Bills that are passed on, of providers and of our own pools' cost: kept in the data directory, never changed."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chargeback.passed_on import PassedOn
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.statements import Row
from tierwise.app import App
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.store.ledger_files import LedgerFiles
from tierwise.usecases.metering import epoch
from tierwise.usecases.samples import recordable

BILLS = "provider-bills"
"""The folder of the data directory with a folder for each bill, named MONTH-FINGERPRINT."""
ROWS, MANIFEST = "rows.json", "manifest.json"


def keep(app: App, name: str, rows: Sequence[Row], facts: Mapping[str, Any], what: str) -> Path:
    """Keep rows as a bill of that name, whole or not at all; `facts` are written beside them.

    Raises InvalidInput where there is a bill of that name, and TierwiseError where it cannot be written.
    """
    target = app.settings.data_dir / BILLS / name
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    text = json.dumps(list(rows), ensure_ascii=False, indent=1)
    # No month is being closed meanwhile: what comes after a close is learnt after it.
    with LedgerFiles(app.settings.ledger_dir).closing():
        manifest = {
            **facts,
            "imported_at": datetime.fromtimestamp(recordable(app), UTC).isoformat(),
            "rows_sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
        try:
            part.mkdir(parents=True)
            _write(part / ROWS, text)
            _write(part / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")
            part.rename(target)
        except OSError as error:
            if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
                msg = f"{what}: the same charges were taken in before, into {target}; they are charged once"
                raise InvalidInput(msg) from None
            msg = f"the bill could not be kept in {target}: {error.strerror}; nothing was imported, free some space and repeat"
            raise TierwiseError(msg) from None
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return target


def _write(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def provider_rows(data_dir: Path, month: str) -> list[Row]:
    """The rows of all bills that were taken in for a month, in the order of their folders' names.

    Raises TierwiseError for a kept bill that somebody changed.
    """
    return [row for _, _, rows in _bills(data_dir, month) for row in rows]


def passed_on(data_dir: Path, period: BillingPeriod, card: RateCard, at: int) -> tuple[PassedOn, ...]:
    """The same as items of statements, of the bills that were taken in until `at`."""
    return tuple(
        PassedOn(row, period, card, mark)
        for mark, known_at, rows in _bills(data_dir, period.name)
        if known_at <= at
        for row in rows
    )


def taken_in(data_dir: Path, month: str) -> list[tuple[str, int]]:
    """Each bill of a month that was taken in: what tells it from others, and when."""
    return [(mark, known_at) for mark, known_at, _ in _bills(data_dir, month)]


def _bills(data_dir: Path, month: str) -> Iterator[tuple[str, int, list[Row]]]:
    for folder in sorted((data_dir / BILLS).glob(f"{month}-*")):
        text = (folder / ROWS).read_bytes()
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if hashlib.sha256(text).hexdigest() != manifest["rows_sha256"]:
            msg = f"{folder / ROWS} is not what was imported; restore it from a backup, or remove the folder and import anew"
            raise TierwiseError(msg)
        mark = folder.name.removeprefix(f"{month}-")
        yield mark, epoch(datetime.fromisoformat(manifest["imported_at"])), json.loads(text)
