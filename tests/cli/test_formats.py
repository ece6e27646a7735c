"""Every command's happy path in every format: the same figures, readable by people and by programs."""

import csv
import io
import json
from typing import Any

import pytest
import yaml

from tierwise.cli.fields import LISTS
from tierwise.store.tables import OrderStatus

LISTED = {
    "doctor": (), "quote": ("db-medium", "--tenant", "payroll"), "catalog list": (), "catalog rates": (), "pool list": ("--no-refresh",),
    "pool capabilities": ("fra-kvm-b", "--no-refresh"), "order list": (), "vm list": ("--no-refresh",),
    "vm disks": ("web-01",), "vm snapshots": ("web-01",),
}  # fmt: skip

DOCUMENTS = {
    "vm show": ("web-01", "--no-refresh"), "order show": ("web-01",), "catalog schema": ("db-medium",),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def machines(tierwise: Any) -> None:
    tierwise("order", "create", "web-small", "--tenant", "web-shop", "--name", "web-01")
    tierwise("vm", "snapshot", "web-01", "before")
    ended = tierwise(
        "order", "create", "db-medium", "--tenant", "payroll", "--name", "pay-01", "-o", "json"
    )
    (row,) = json.loads(ended.out)
    assert row.keys() == LISTS["order list"].meanings.keys()
    assert (row["machine"], row["status"], row["pool"]) == ("pay-01", "delivered", "fra-prod-1")


@pytest.mark.parametrize("command", LISTED)
def test_a_list_says_the_same_in_json_yaml_csv_and_as_a_table(tierwise: Any, command: str) -> None:
    def run(form: str) -> str:
        return tierwise(*command.split(), *LISTED[command], "-o", form).out

    rows = json.loads(run("json"))
    assert rows
    assert all(list(row) == list(LISTS[command].meanings) for row in rows), (
        "the documented fields, in their order"
    )
    assert yaml.safe_load(run("yaml")) == rows
    as_text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
    assert list(csv.DictReader(io.StringIO(run("csv")))) == as_text
    table = run("table")
    for row in rows:
        assert str(row[LISTS[command].table[0]]) in table


@pytest.mark.parametrize("command", DOCUMENTS)
def test_a_document_says_the_same_in_json_yaml_csv_and_as_a_table(tierwise: Any, command: str) -> None:
    def run(form: str) -> str:
        return tierwise(*command.split(), *DOCUMENTS[command], "-o", form).out

    document = json.loads(run("json"))
    assert yaml.safe_load(run("yaml")) == document
    fields = {row["field"]: row["value"] for row in csv.DictReader(io.StringIO(run("csv")))}
    assert {path.split(".")[0] for path in fields} == set(document)
    assert all(path in run("table") for path in list(fields)[:3])


@pytest.mark.parametrize("command", [("whatif", "now"), ("whatif",)])
def test_whatif_says_the_same_in_json_yaml_csv_and_as_a_table(
    tierwise: Any, command: tuple[str, ...]
) -> None:
    def run(form: str) -> str:
        change = ("--change", "price:tier-1=+50%", "--change", "pool:hosted-nl=lost")
        return tierwise(*command, "--no-refresh", *change, "-o", form).out

    answer = json.loads(run("json"))
    assert yaml.safe_load(run("yaml")) == answer
    (move,) = answer["moves"]
    # 8 vCPU, 64 GiB, 500 GiB on tier 1 and 2 vCPU, 4 GiB, 40 GiB on tier 3, by hand from acme's rates.
    tier_1, tier_3 = 423_936_000, 16_704_000
    assert answer["before_micros"] == tier_1 + tier_3
    assert answer["after_micros"] == tier_1 * 3 // 2 + move["after_micros"]
    (row,) = csv.DictReader(io.StringIO(run("csv")))
    assert row == {
        "machine": "web-01", "from": "hosted-nl", "to": move["to_pool"], "cost_before": "EUR 16.70",
        "cost_after": f"EUR {move['after_micros'] / 1e6:.2f}",
    }  # fmt: skip
    table = run("table")
    assert "EUR 635.90" in table
    assert "1 machine would move" in table


def test_an_empty_list_is_empty_in_every_format_and_keeps_its_csv_header(tierwise: Any) -> None:
    command = ("order", "list", "--tenant", "marketing", "-o")
    assert (
        json.loads(tierwise(*command, "json").out) == yaml.safe_load(tierwise(*command, "yaml").out) == []
    )
    assert tierwise(*command, "csv").out == ",".join(LISTS["order list"].meanings) + "\n"
    ended = tierwise(*command, "table")
    assert (ended.out, ended.err) == ("", "nothing to show\n0 orders\n")


def test_columns_and_sort_choose_and_order_what_every_format_shows(tierwise: Any) -> None:
    command = (
        "vm",
        "list",
        "--no-refresh",
        "--columns",
        "machine,memory_mib",
        "--sort",
        "-memory_mib",
        "-o",
    )
    assert tierwise(*command, "csv").out == "machine,memory_mib\npay-01,65536\nweb-01,4096\n"
    assert json.loads(tierwise(*command, "json").out)[1] == {"machine": "web-01", "memory_mib": 4096}
    table = tierwise(*command, "table").out.splitlines()
    assert table == ["machine  memory MiB", "pay-01        65536", "web-01         4096"]
    by_price = tierwise(
        "order", "list", "--sort", "price_per_month", "--columns", "machine", "-o", "csv"
    ).out
    assert by_price == "machine\nweb-01\npay-01\n"
    ended = tierwise("vm", "list", "--no-refresh", "--columns", "ram", "--sort", "size", code=3)
    assert ended.out == ""
    assert ended.err.startswith("error: there is no field 'ram', 'size'; known are machine, tenant,")


def test_tables_fit_a_terminal_of_100_columns(tierwise: Any) -> None:
    for command, arguments in LISTED.items():
        if command not in {"doctor", "pool capabilities"}:  # sentences, which a terminal folds at words
            ended = tierwise(*command.split(), *arguments)
            assert max(map(len, (ended.out + ended.err).splitlines())) <= 100, command
    matrix = tierwise("pool", "capabilities", "--no-refresh").out
    assert max(map(len, matrix.splitlines())) <= 100


def test_data_goes_to_stdout_and_notes_to_stderr_without_colour_codes(tierwise: Any) -> None:
    for environment in ({}, {"NO_COLOR": "1"}):
        ended = tierwise("vm", "list", "--no-refresh", **environment)
        assert "2 machines over 4 endpoints" in ended.err
        assert "endpoints" not in ended.out
        assert "\x1b" not in ended.out + ended.err


def test_the_statuses_to_choose_from_are_those_that_orders_have() -> None:
    from tierwise.cli.orders import Status

    assert {status.value for status in Status} == {status.value for status in OrderStatus}


def test_a_cell_that_a_spreadsheet_would_run_is_only_text(tierwise: Any) -> None:
    from tierwise.cli.output import Format, emit

    del tierwise
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", out)
        for name in ("=1+1", "-1+cmd", " =1", "\n=1", "\uff1d1"):
            emit([{"name": name, "amount": "-412.09", "in_euro": "EUR -412.09"}], Format.CSV)
    rows = list(csv.reader(io.StringIO(out.getvalue(), newline="")))
    assert [row[0] for row in rows[1::2]] == ["'=1+1", "'-1+cmd", "' =1", "'\n=1", "'\uff1d1"]
    assert {tuple(row[1:]) for row in rows[1::2]} == {("-412.09", "EUR -412.09")}


@pytest.mark.parametrize(
    "name",
    [
        "esc\x1b[2Japed",
        "two\nlines",
        "tab\tbed",
        "csi\x9b2J",
        "\u202egnp.exe",
        "\u2066x\u2069",
        "\x7f",
        "\r",
    ],
)
def test_a_name_cannot_steer_the_terminal_or_make_a_row_of_its_own(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from tierwise.cli.output import Format, emit, note

    shown = name.encode("unicode_escape").decode()
    emit([{"machine": name, "pool": "é[1]"}], Format.TABLE)
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == [shown, "é[1]"]
    emit([{"machine": name}], Format.JSON)
    out = capsys.readouterr().out
    assert all(char.isprintable() or char == "\n" for char in out)
    assert json.loads(out) == [{"machine": name}]
    note(f"no machine {name.replace(chr(10), '')}")
    assert capsys.readouterr().err.rstrip("\n").isprintable()
