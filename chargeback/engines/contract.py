"""What rating asks of an engine: take usage and a few small tables, and answer the queries by name."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Values = tuple[Any, ...]


SEGMENTS: Mapping[str, str] = {
    "segment": "int64",
    "tier": "string",
    "metric": "string",
    "when_off": "boolean",
    "t_from": "int64",
    "t_to": "int64",
    "known_at": "int64",
}
"""The columns of ``rate_segment``: the stretches of time over which one rate is in force."""


class Session(Protocol):
    """One run over one usage history."""

    def expect(self, segments: Sequence[Values]) -> None:
        """That sums by tenant will be asked for, of rates that begin and end where these do.

        An engine may add up ahead by it, and then tells the tiers and metrics of what was known alone;
        answers of sums are the same without it.
        """

    def store(self, name: str, columns: Mapping[str, str], rows: Sequence[Values]) -> None:
        """Keep a small table for the queries, in place of one of that name; `columns` are Ibis's types."""

    def rows(self, query: str) -> list[Values]:
        """The rows of a query of `chargeback.rating_expressions.queries`, in no order; decimals are `int`."""


class Engine(Protocol):
    """Where queries run. Every engine gives the same integers."""

    def session(self, usage: Any) -> AbstractContextManager[Session]:
        """A session on a `pyarrow.Table` of `chargeback.usage.SCHEMA`, or on what this engine reads itself.

        Raises InvalidUsage for a table that is no usage history.
        """


_PLAIN = frozenset({int, str, bool})


def exact(row: Sequence[Any]) -> Values:
    """A result's row with decimals as `int`; raises ValueError for one with a fraction."""
    return tuple([value if type(value) in _PLAIN else _exact(value) for value in row])


def _exact(value: Any) -> Any:
    return _whole(value) if hasattr(value, "as_tuple") else value


def _whole(value: Any) -> int:
    whole = int(value)
    if whole != value:
        msg = f"the engine answered {value} where a whole number is due"
        raise ValueError(msg)
    return whole
