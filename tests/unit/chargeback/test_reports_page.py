"""The page of reports says what is there, and its figures are computed."""

import re
from pathlib import Path

from chargeback import frames
from chargeback.books import DIMENSIONS, Books, Directory
from chargeback.budgets import Budget, load_budgets
from chargeback.report_sums import SUM_COLUMNS
from chargeback.reports import every, make
from tierwise.reports import SUFFIXES
from tierwise.reports.xlsx import DIGITS
from tierwise.testing.bill_rows import OCTOBER, row

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "reference" / "reports.md").read_text()


def first_cells(head: str) -> set[str]:
    """The words in code marks of the first cells of the table that has this head."""
    table = PAGE.split(head)[1].split("\n\n")[0]
    return {
        word for line in table.splitlines()[2:] for word in re.findall(r"`([^`]+)`", line.split("|")[1])
    }


def test_the_page_names_every_report_dimension_and_kind_of_file_and_no_others() -> None:
    assert first_cells("| report | shows |") == set(every())
    assert first_cells("| dimension | meaning |") == set(DIMENSIONS)
    assert first_cells("| file | what is in it |") == set(SUFFIXES)
    assert f"holds {DIGITS} digits" in PAGE
    for column in SUM_COLUMNS:
        assert f"`{column.name}`" in PAGE


def test_the_budgets_of_the_page_can_be_read_and_every_field_is_described() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    known = {"tenant": ["payroll"], "tier": ["tier-1"]}
    assert len(load_budgets({"page": text}, known, {"EUR": 2})) == 2
    assert first_cells("| field | meaning |") == set(Budget.model_fields) - {"name"}


def test_the_worked_forecast_of_the_page_is_what_the_report_says() -> None:
    budget = Budget.model_validate(
        {"name": "b", "amount": "200", "currency": "EUR", "first_month": "2026-10"}
    )
    rows = [row("use", 3001), row("fee", 500, charge_category="Purchase", charge_frequency="One-Time")]
    books = Books(
        OCTOBER, "EUR", 2, rows, OCTOBER.t_from + 149 * 3600, directory=Directory(budgets=(budget,))
    )
    table = make("budgets", books).main
    assert table.rows[0][table.names.index("forecast")] == 15505
    assert "35.01 + 30.01 x 596/149 = EUR 155.05" in PAGE


def test_the_functions_for_notebooks_are_those_of_the_page() -> None:
    for name in re.findall(r"\| `(\w+)\(", PAGE):
        assert callable(getattr(frames, name))


def test_the_example_has_budgets_that_can_be_read() -> None:
    file = DOCS.parent / "examples" / "acme" / "budgets.yaml"
    known = {"tenant": ["web-shop"], "cost_centre": ["administration"]}
    assert len(load_budgets({"budgets.yaml": file.read_text()}, known, {"EUR": 2})) == 2
