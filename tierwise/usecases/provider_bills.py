"""Bills of providers that were taken in, as they are kept in the data directory: read and never changed."""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from chargeback.passed_on import PassedOn
from chargeback.periods import BillingPeriod
from chargeback.rates import RateCard
from chargeback.statements import Row
from tierwise.errors import TierwiseError
from tierwise.usecases.metering import epoch

BILLS = "provider-bills"
"""The folder of the data directory with a folder for each bill, named MONTH-FINGERPRINT."""
ROWS, MANIFEST = "rows.json", "manifest.json"


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


def _bills(data_dir: Path, month: str) -> Iterator[tuple[str, int, list[Row]]]:
    for folder in sorted((data_dir / BILLS).glob(f"{month}-*")):
        text = (folder / ROWS).read_bytes()
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if hashlib.sha256(text).hexdigest() != manifest["rows_sha256"]:
            msg = f"{folder / ROWS} is not what was imported; restore it from a backup, or remove the folder and import anew"
            raise TierwiseError(msg)
        mark = folder.name.removeprefix(f"{month}-")
        yield mark, epoch(datetime.fromisoformat(manifest["imported_at"])), json.loads(text)
