"""The mapping that people edit: what comes back, and what spreadsheets do to it."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from catalog.catalog import load_catalog
from catalog.documents import DocumentError
from catalog.estates import Estate, EstateMachine
from catalog.estates.class_documents import load_class_rules
from catalog.estates.classifying import classify
from catalog.estates.mapping import COLUMNS, Decisions, read_mapping, write_mapping

CATALOG = """\
tiers: {tier-1: {rank: 1, title: One, purpose: for all}}
classes:
  db: {title: D, summary: d, sizes: {small: {vcpu: 4, memory_mib: 8192, disk_gib: 1}, big: {vcpu: 8, memory_mib: 16384, disk_gib: 1}}, allowed_tiers: [tier-1], default_tier: tier-1}
  web: {title: W, summary: w, sizes: {small: {vcpu: 2, memory_mib: 4096, disk_gib: 1}}, allowed_tiers: [tier-1], default_tier: tier-1}
"""
RULES = """\
format: tierwise-classes/1
weighing: {needs_eye_below: 0.5}
class_rules:
  db: {when: {name: "db*"}, workload_class: db}
  app: {when: {name: "fw*"}, label: appliance}
  rest: {when: {name: "x*"}, workload_class: web, confidence: 0.3}
"""
CAT = load_catalog({"c.yaml": CATALOG})
ESTATE = Estate(
    name="e",
    source="by hand",
    machines=(
        EstateMachine(id="1001", name="db-1", vcpus=4, memory_mib=8192, guest_os='Größe; "quoted", 64-bit'),
        EstateMachine(id="=cmd|' /C calc'!A0", name="-fw", vcpus=1, memory_mib=512),
        EstateMachine(id="'quoted", name="fw-2", vcpus=1, memory_mib=512, provisioned_mib=2048),
        EstateMachine(id="vm-4", name="x\nnew line", vcpus=2, memory_mib=4096),
        EstateMachine(id="vm-5", name="unheard of", vcpus=2, memory_mib=4096),
        EstateMachine(id="vm-6", name="twin", vcpus=2, memory_mib=4096),
        EstateMachine(id="vm-7", name="twin", vcpus=2, memory_mib=4096),
    ),
)  # fmt: skip
RULES_READ = load_class_rules(RULES, "r.yaml", CAT)
Row = dict[str, str]


def written() -> str:
    return write_mapping(ESTATE, classify(ESTATE, RULES_READ, CAT.classes))


def rows_of(text: str) -> list[Row]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def as_text(rows: list[Row], separator: str = ",", columns: tuple[str, ...] = COLUMNS) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=separator, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def edited(change: Callable[[Row], None], machine: str, **how: Any) -> str:
    rows = rows_of(written())
    (row,) = [row for row in rows if row["id"].lstrip("'") == machine.lstrip("'")]
    change(row)
    return as_text(rows, **how)


def read(text: str) -> Decisions:
    return read_mapping(text, "m.csv", ESTATE, CAT.classes)


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_what_nobody_edited_decides_nothing_in_whatever_form_a_spreadsheet_saved_it() -> None:
    for text in (
        written(), "\ufeff" + written(), as_text(rows_of(written()), ";"), as_text(rows_of(written()), "\t"),
        "sep=;\n" + as_text(rows_of(written()), ";"), written().replace("\n", "\r\n"), written() + ",,,\n\n,,\n",
    ):  # fmt: skip
        assert read(text) == Decisions({}, 7, ())


def test_rows_that_need_an_eye_come_first_and_nothing_is_a_formula() -> None:
    rows = rows_of(written())
    assert [row["id"] for row in rows] == [
        "'=cmd|' /C calc'!A0",
        "vm-4",
        "vm-5",
        "vm-6",
        "vm-7",
        "1001",
        "''quoted",
    ]
    assert not [
        cell for row in rows for cell in row.values() if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}
    ]


def test_an_edited_class_or_size_a_confirmation_and_a_label_are_decisions() -> None:
    cases: list[tuple[str, Row, tuple[str, str]]] = [
        ("1001", {"size": "big"}, ("db", "big")),
        ("1001", {"size": "as-is"}, ("db", "as-is")),
        ("1001", {"size": ""}, ("db", "")),
        ("1001", {"class": "web", "size": "small"}, ("web", "small")),
        ("1001", {"class": "label:gone", "size": ""}, ("label:gone", "")),
        ("1001", {"confirmed": "Yes"}, ("db", "small")),
        ("vm-4", {"confirmed": "x"}, ("web", "small")),
        ("vm-5", {"class": " db "}, ("db", "")),
        ("=cmd|' /C calc'!A0", {"class": "Label: firewall"}, ("label:firewall", "")),
        ("'quoted", {"class": "web"}, ("web", "")),
    ]
    for machine, cells, (target, size) in cases:
        found = read(edited(lambda row, cells=cells: row.update(cells, note="because"), machine))
        assert (list(found.by_machine), found.unedited) == ([machine], 6)
        decision = found.by_machine[machine]
        assert (str(decision.target), decision.size, decision.note) == (target, size, "because")


def test_without_the_column_suggested_every_row_with_a_class_decides() -> None:
    rows = [{"id": "vm-5", "class": "db"}, {"id": "vm-6", "class": ""}, {"id": "1001", "class": "db"}]
    found = read(as_text(rows, columns=("id", "class")))
    assert (sorted(found.by_machine), found.unedited) == (["1001", "vm-5"], 1)


def test_decisions_survive_being_written_and_read_again() -> None:
    first = read(edited(lambda row: row.update({"class": "db", "size": "big", "note": "=Ann"}), "vm-4"))
    again = classify(ESTATE, RULES_READ, CAT.classes, first.by_machine)
    text = write_mapping(ESTATE, again)
    assert read(text).by_machine == first.by_machine
    stricter = load_class_rules(RULES.replace('"x*"', '"y*"'), "r.yaml", CAT)
    later = classify(ESTATE, stricter, CAT.classes, read(text).by_machine)
    assert [(one.workload_class, one.confidence) for one in later if one.machine == "vm-4"] == [("db", 1)]


def test_every_mistake_is_told_at_once_at_its_row() -> None:
    head = "id,name,class,size,confirmed\n"
    body = """\
vm-5,unheard of,dbb,,
vm-4,,db,smalll,
,,db,,
vm-5,,db,,
nobody,twin,db,,
gone,db-1,db,,maybe
1001,,label:,,
vm-6,,label:x,small,
vm-7,,,,yes
"""
    assert problems(head + body) == [
        "m.csv:2:3: row 2, class: there is no workload class of that name; did you mean 'db'? known are db, web (found 'dbb')",
        "m.csv:3:4: row 3, size: class 'db' has no size of that name; did you mean 'small'? known are small, big, as-is (found 'smalll')",
        "m.csv:4:1: row 4, id: is empty; write the machine's id, or remove the row",
        "m.csv:5:1: row 5, id: this machine stands already in row 2; keep one of the two (found 'vm-5')",
        "m.csv:6:1: row 6, id: the estate has no machine of this id; known are 1001, =cmd|' /C calc'!A0, 'quoted, vm-4, vm-5, vm-6, vm-7 (found 'nobody')",
        "m.csv:7:1: row 7, id: the estate has no machine of this id; 'db-1' has the id 1001 (found 'gone')",
        "m.csv:7:5: row 7, confirmed: must be yes, or nothing (found 'maybe')",
        "m.csv:8:3: row 8, class: needs a text after label: (found 'label:')",
        "m.csv:9:4: row 9, size: a label has no sizes; clear this cell (found 'small')",
        "m.csv:10:5: row 10, confirmed: there is no class to confirm; write one, or clear this cell",
    ]


@pytest.mark.parametrize(
    ("cell", "column", "said"),
    [
        ("1E+03", "id", "a spreadsheet has made a rounded number of it; format the column as text"),
        ("5,00E+12", "id", "a spreadsheet has made a rounded number of it"),
        ("#NAME?", "id", "a spreadsheet has put an error in its place"),
        ("########", "class", "a spreadsheet has put an error in its place; write it again"),
        ("02. Jan", "size", "a spreadsheet has made a date of it; write it again"),
        ("Mar-04", "size", "a spreadsheet has made a date of it; write it again"),
    ],
)
def test_a_cell_that_a_spreadsheet_has_changed_is_told_as_that(cell: str, column: str, said: str) -> None:
    (found,) = problems(edited(lambda row: row.update({column: cell}), "1001"))
    assert said in found
    assert f"row 7, {column}:" in found


def test_rows_are_counted_as_a_spreadsheet_does() -> None:
    """The name of vm-4 has a line feed in it, and there is an empty row."""
    rows = rows_of(written())
    rows[-1]["class"] = "nothing"
    text = as_text(rows).replace("\r\nvm-6", "\r\n\r\nvm-6")
    assert [line.split(": ")[1] for line in problems(text)] == ["row 9, class"]


def test_a_cleared_class_is_asked_about() -> None:
    (found,) = problems(edited(lambda row: row.update({"class": "", "size": ""}), "1001"))
    assert found.endswith(
        "class: is empty; write a class, label:TEXT for what is none, or db/small as it was"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty; its first row must be id, name,"),
        ("\n\n", "the file is empty"),
        ("vm-4,db\n", "the first row must name the columns; id, class is missing"),
        ("id,class,id\n", "this column stands twice; keep one"),
        ("id,class,clas\n", "there is no such column; did you mean 'class'?"),
        ('id,class\nvm-4,"db\n', "not readable as CSV: unexpected end of data; save it again"),
        ("id,class\nvm-4,db,,x\n", "has 4 cells, the header 2; put cells with a ',' in quotes"),
        (
            'id,class\n"' + "x" * 40_000 + '",db\n',
            "a cell has 40,000 characters; is a quotation mark missing before it?",
        ),
        ('id,class\n"' + "x" * 140_000 + '",db\n', "not readable as CSV: field larger than field limit"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_with_what_is_wrong(text: str, said: str) -> None:
    assert said in problems(text)[0]


def test_sizes_that_people_wrote_over_are_noted_and_not_taken() -> None:
    found = read(edited(lambda row: row.update(vcpus="16", memory_mib="8,192"), "1001"))
    assert found.by_machine == {}
    (said,) = found.notes
    assert said == (
        "m.csv: in 1 of the rows (7) vcpus, memory_mib, disk_gib are not those of the estate; "
        "they are not read: to change what a machine gets, write another size"
    )
    assert read(edited(lambda row: row.update(memory_mib="8.192"), "1001")).notes == ()


def test_thousands_of_mistakes_are_told_in_part() -> None:
    text = "id,class\n" + "".join(f"stranger-{i},db\n" for i in range(5000))
    found = problems(text)
    assert len(found) == 501
    assert found[-1].endswith("4,500 more problems from this row on")
