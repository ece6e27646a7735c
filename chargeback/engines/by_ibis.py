"""Any engine that Ibis reaches, such as Spark where one machine is outgrown; the expressions are DuckDB's."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.operations as ops
import pyarrow as pa

from chargeback.engines.contract import Values, exact
from chargeback.rating_expressions import queries
from chargeback.usage import checked_table

_ARROW = {"int64": pa.int64(), "string": pa.string(), "boolean": pa.bool_()}


@dataclass(frozen=True, eq=False)
class IbisEngine:
    """Queries on an Ibis backend that the caller has connected, e.g. ``ibis.pyspark.connect(session)``.

    Usage may also be a table of that backend, so that a cluster reads its own files.
    """

    backend: Any

    @contextmanager
    def session(self, usage: Any) -> Iterator["IbisSession"]:
        """A session; the connection stays the caller's."""
        table = usage if isinstance(usage, ibis.Table) else ibis.memtable(checked_table(usage))
        yield IbisSession(self.backend, table)


class IbisSession:
    """A session of named tables."""

    def __init__(self, backend: Any, usage: Any) -> None:
        self._backend = backend
        self._tables = {"usage_interval": usage}

    def expect(self, segments: Sequence[Values]) -> None:
        """As `Session.expect`; nothing is added up ahead."""

    def store(self, name: str, columns: Mapping[str, str], rows: Sequence[Values]) -> None:
        """As `Session.store`."""
        schema = pa.schema([pa.field(column, _ARROW[kind]) for column, kind in columns.items()])
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        self._tables[name] = ibis.memtable(pa.Table.from_pylist(named, schema=schema))

    def rows(self, query: str) -> list[Values]:
        """As `Session.rows`."""
        expression = bound(equi_joins(queries()[query]), self._tables)
        found = self._backend.to_pyarrow(expression)
        return [exact(tuple(row.values())) for row in found.to_pylist()]


def bound(expression: Any, tables: Mapping[str, Any]) -> Any:
    """The expression on tables of a backend, by the names that it has for them."""

    def replaced(node: Any, changed: Any) -> Any:
        if isinstance(node, ops.UnboundTable) and node.name in tables:
            return tables[node.name].op()
        return node.__recreate__(changed) if changed else node

    return expression.op().replace(replaced).to_expr()


def equi_joins(expression: Any) -> Any:
    """The expression with every inner join by equal columns first, and its other conditions as a filter.

    Polars joins by equal columns only; for the others it is the same query, which their optimisers
    put together again. A join without equal columns stays as it is.
    """

    def replaced(node: Any, changed: Any) -> Any:
        node = node.__recreate__(changed) if changed else node
        return _filtered(node) if isinstance(node, ops.JoinChain) else node

    return expression.op().replace(replaced).to_expr()


def _filtered(chain: Any) -> Any:
    if len(chain.rest) != 1 or chain.rest[0].how != "inner":
        return chain
    (link,) = chain.rest
    equal = tuple(condition for condition in link.predicates if isinstance(condition, ops.Equals))
    others = [condition for condition in link.predicates if condition not in equal]
    if not equal or not others:
        return chain
    joined = chain.copy(rest=(link.copy(predicates=equal),))
    names = {field: name for name, field in joined.values.items()}

    def outside(node: Any, changed: Any) -> Any:
        """Columns of the joined tables as columns of the join."""
        if isinstance(node, ops.Field) and node in names:
            return ops.Field(joined, names[node])
        return node.__recreate__(changed) if changed else node

    return ops.Filter(joined, tuple(condition.replace(outside) for condition in others))
