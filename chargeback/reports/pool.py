"""What the machines in each pool cost, by tier."""

from chargeback.books import Books
from chargeback.report import Report
from chargeback.report_sums import by_dimension


def make(books: Books) -> Report:
    """One row a pool, largest first."""
    return by_dimension(books, "pool", "Cost per pool", key_title="Pool")
