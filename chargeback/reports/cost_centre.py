"""What each cost centre costs, with all below it."""

from chargeback.books import Books
from chargeback.report import Report
from chargeback.report_trees import tree_report


def make(books: Books) -> Report:
    """The tree of cost centres, each with its own cost and that of its subtree."""
    known = books.directory
    return tree_report(
        books, "cost-centre", "Cost per cost centre", "Cost centre",
        parents=known.cost_centre_parents, titles=known.cost_centre_titles,
    )  # fmt: skip
