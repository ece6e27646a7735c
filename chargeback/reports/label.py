"""What each value of a label costs, by tier; --by names the label."""

from chargeback.books import LABEL, Books
from chargeback.labels import labels_of
from chargeback.report import InvalidReport, Report
from chargeback.report_sums import by_dimension


def make(books: Books) -> Report:
    """One row a value, largest first; what lacks the label stands under ``(none)``."""
    key = books.by.removeprefix(LABEL)
    if not key:
        texts = {str(row["labels"]) for row in books.rows}
        known = sorted({key for text in texts for key in labels_of(text)})
        msg = f"say by which label, as in --by os; the bill has {', '.join(known) or 'no labels'}"
        raise InvalidReport(msg)
    return by_dimension(books, LABEL + key, f"Cost per label {key}", key_title=key)
