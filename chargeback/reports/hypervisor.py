"""What the pools of each kind of hypervisor cost, by tier."""

from chargeback.books import Books
from chargeback.report import Report
from chargeback.report_sums import by_dimension


def make(books: Books) -> Report:
    """One row a hypervisor; rows of no pool, or of one that is gone, stand under ``(none)``."""
    return by_dimension(books, "hypervisor", "Cost per hypervisor", key_title="Hypervisor")
