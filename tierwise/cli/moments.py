"""Moments as people type them, for options such as ``--since`` and ``--known-at``."""

import re
from datetime import UTC, datetime

import typer

_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
METAVAR = "YYYY-MM-DD[THH:MM[:SS]]"


def moment(text: str | datetime) -> datetime:
    """A day or a moment, in UTC where it has no offset. Raises typer.BadParameter, saying how to write it."""
    if isinstance(text, datetime):
        return text
    if not _WRITTEN.fullmatch(text):
        msg = f"'{text}' is no moment; write it like 2026-10-20, 2026-10-20T04:30 (UTC) or 2026-10-20T06:30+02:00"
        raise typer.BadParameter(msg)
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        msg = f"'{text}' is a day or a time that no calendar or clock has; correct it"
        raise typer.BadParameter(msg) from None
    if found < EARLIEST:
        msg = f"'{text}' is before 1970, when no machine was known; correct it"
        raise typer.BadParameter(msg)
    return found
