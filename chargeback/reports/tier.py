"""What each tier costs, by what is charged for."""

from chargeback.books import Books
from chargeback.report import Report
from chargeback.report_sums import by_dimension


def make(books: Books) -> Report:
    """One row a tier, largest first."""
    return by_dimension(books, "tier", "Cost per tier", key_title="Tier", stack="metric")
