"""Costs rolled up along a tree: of cost centres, or of tenants."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

from chargeback.books import Books, dimension
from chargeback.report import Column, InvalidReport, Kind, Report, Table
from chargeback.report_sums import grouped, largest_first, report, shown, stacked, sums


def ancestors(name: str, parents: Mapping[str, str]) -> Iterator[str]:
    """`name`, its parent, and so on up to the root. Raises InvalidReport for a circle."""
    met: list[str] = []
    at: str | None = name
    while at is not None:
        if at in met:
            msg = f"{' -> '.join([*met, at])} is a circle; take one 'parent' of them away"
            raise InvalidReport(msg)
        met.append(at)
        yield at
        at = parents.get(at)


def rolled_up(own: Mapping[str, int], parents: Mapping[str, str]) -> dict[str, int]:
    """Per name and all above it: its own amount and all below it."""
    found: dict[str, int] = {}
    for name, amount in own.items():
        for above in ancestors(name, parents):
            found[above] = found.get(above, 0) + amount
    return found


def walk(below: Mapping[str, int], parents: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Each name with its depth, parents before children, the largest subtree first."""
    children: dict[str | None, dict[str, int]] = {}
    for name, amount in below.items():
        children.setdefault(parents.get(name), {})[name] = amount
    todo = [(name, 0) for name in reversed(largest_first(children.get(None, {})))]
    while todo:
        name, depth = todo.pop()
        yield name, depth
        todo += [(child, depth + 1) for child in reversed(largest_first(children.get(name, {})))]


def tree_report(
    books: Books,
    name: str,
    title: str,
    key_title: str,
    *,
    parents: Mapping[str, str],
    titles: Mapping[str, str],
) -> Report:
    """What each node costs by itself (this adds up to the bill) and with all below it (this does not)."""
    groups = grouped(books.rows, dimension(name, books.directory))
    own = {node: sums(rows) for node, rows in groups.items()}
    below = rolled_up({node: part.amount for node, part in own.items()}, parents)
    nodes = list(walk(below, parents))
    total = books.total_minor
    rows = tuple(
        (
            shown(node), titles.get(node, ""), parents.get(node, ""),
            own[node].amount if node in own else 0, below[node],
            Fraction(below[node], total) if total else None,
        )
        for node, _ in nodes
    )  # fmt: skip
    columns = (
        Column(name.replace("-", "_"), key_title),
        Column("title", "Title"),
        Column("parent", "Part of"),
        Column("amount", "Own", Kind.MONEY, adds=True),
        Column("subtree", "With all below", Kind.MONEY),
        Column("share", "Share", Kind.SHARE),
    )
    levels = tuple(depth for _, depth in nodes)
    table = Table(title, columns, rows, levels=levels if any(levels) else ())
    tier = dimension("tier", books.directory)
    inside = {
        node: [row for other, rows in groups.items() if node in ancestors(other, parents) for row in rows]
        for node, depth in nodes
        if depth == 0
    }
    chart = stacked(f"{title} by tier", [(shown(node, titles), inside[node]) for node in inside], tier)
    return report(books, name, title, table, charts=(chart,))
