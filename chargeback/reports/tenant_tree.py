"""What each tenant costs, with all tenants below it."""

from dataclasses import replace

from chargeback.books import Books
from chargeback.report import Report
from chargeback.report_trees import tree_report


def make(books: Books) -> Report:
    """The tree of tenants, each with its own cost and that of its subtree."""
    known = books.directory
    found = tree_report(
        books, "tenant", "Cost per tenant and all below", "Tenant",
        parents=known.tenant_parents, titles=known.tenant_titles,
    )  # fmt: skip
    return replace(found, name="tenant-tree")
