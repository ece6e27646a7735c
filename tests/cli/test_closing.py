"""Finance closes last month on the command line, and asks about a line of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.last_month import MONTH, MONTH_BEGIN, THIS_MONTH, live
from tierwise.cli.fields import PERIODS
from tierwise.settings import Settings

LEDGER_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "ledger.md"


@pytest.fixture(scope="module", autouse=True)
def lives(settings: Settings) -> None:
    """Two machines of two tenants through the whole of last month, the first that there is usage of."""
    live(
        settings,
        (MONTH_BEGIN, "pay-01", "app-medium", "payroll"),
        (MONTH_BEGIN, "web-01", "web-small", "web-shop"),
    )


def test_a_month_is_previewed_reviewed_closed_explained_and_verified(tierwise: Any) -> None:
    preview = tierwise("charge", "close", MONTH, "--preview")
    assert "2 machines   2 tenants" in preview.out
    assert "lines = statements = ledger, difference 0" in preview.out
    assert preview.err.startswith("a preview, as known at ")
    tierwise("charge", "review", MONTH)
    tierwise("charge", "reopen", MONTH)
    closed = tierwise("charge", "close", MONTH)
    assert closed.out == preview.out
    assert f"statements ST-{MONTH}-0001 to ST-{MONTH}-0002" in closed.err
    assert "was closed already" in tierwise("charge", "close", MONTH).err
    assert f"{MONTH} is closed since" in tierwise("charge", "reopen", MONTH, code=3).err
    (row, _) = json.loads(tierwise("charge", "periods", "-o", "json").out)
    assert list(row) == list(PERIODS.meanings)
    newest = tierwise(
        "charge", "periods", "--columns", "period,state", "--sort", "-period", "-o", "csv"
    ).out
    assert newest.splitlines()[::2] == ["period,state", f"{MONTH},closed"]
    assert (row["period"], row["state"], row["statements"], row["lines"]) == (MONTH, "closed", 2, 8)
    verified = tierwise("charge", "verify", MONTH, "-o", "json")
    assert [found["verdict"] for found in json.loads(verified.out)] == ["the same"]
    for text in (preview.out, tierwise("charge", "statement", MONTH).out):
        assert max(map(len, text.splitlines())) <= 100
    assert f"ST-{MONTH}-0001, payroll: EUR" in tierwise("charge", "statement", MONTH).out


def test_a_line_is_explained_to_people_and_to_programs_alike(tierwise: Any) -> None:
    tierwise("charge", "close", MONTH)
    number = f"ST-{MONTH}-0002"
    text = tierwise("charge", "explain", number, "--line", "2").out
    printed = tierwise("charge", "explain", number, "--line", "2", "-o", "json").out
    told = json.loads(printed)
    example = re.search(r"```python\n(.*?)```", LEDGER_PAGE.read_text(), re.DOTALL)
    scope: dict[str, Any] = {}
    exec(example[1] if example else "", scope)
    assert scope["amount_minor"](printed) == told["row"]["amount_minor"]
    why = told["explanation"]
    assert text.startswith(f"web-01, memory on {why['tier']}, {MONTH}: EUR {why['amount']}\n")
    assert "created: 2 vCPU, 4 GiB" in text
    assert told["row"]["amount_minor"] == why["amount_minor"]
    (side,) = why["sides"]
    assert f"= {side['exact']} -> {why['amount']} EUR (half-up, per line)" in text
    assert (
        "has no line 9; its lines are 1 to 4"
        in tierwise("charge", "explain", number, "--line", "9", code=3).err
    )


def test_a_month_that_is_not_closed_cannot_be_verified_or_closed_before_it_is_over(tierwise: Any) -> None:
    this_month = THIS_MONTH.strftime("%Y-%m")
    assert "is not closed" in tierwise("charge", "verify", this_month, code=3).err
    assert "is not over in Europe/Berlin" in tierwise("charge", "close", this_month, code=3).err
    assert "is open; only a period under review" in tierwise("charge", "reopen", this_month, code=3).err
