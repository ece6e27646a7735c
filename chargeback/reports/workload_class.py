"""What each workload class costs, by tier."""

from dataclasses import replace

from chargeback.books import Books
from chargeback.report import Report
from chargeback.report_sums import by_dimension


def make(books: Books) -> Report:
    """One row a class, largest first; what has none stands under ``(none)``."""
    found = by_dimension(books, "class", "Cost per workload class", key_title="Class")
    return replace(found, name="workload-class")
