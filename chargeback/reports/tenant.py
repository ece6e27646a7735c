"""What each tenant costs, by tier."""

from chargeback.books import Books
from chargeback.report import Report
from chargeback.report_sums import by_dimension


def make(books: Books) -> Report:
    """One row a tenant, with its title, largest first."""
    titles = books.directory.tenant_titles
    return by_dimension(books, "tenant", "Cost per tenant", key_title="Tenant", titles=titles)
