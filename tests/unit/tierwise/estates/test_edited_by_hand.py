"""Workbooks that people and scripts changed after the export: other languages, lines of totals, formulas, file names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from catalog.estates import Estate
from tierwise.errors import InvalidInput
from tierwise.estates import read, sources

from .conftest import DB, HEADINGS, HOSTS, WEB, changed

Made = Callable[..., Any]
SUMS = {"vcpus": 6, "memory_mib": 6144, "provisioned_mib": 4000, "in_use_mib": 2000, "powered_on": 1}


def figures(estate: Estate) -> dict[str, int]:
    found = estate.totals.model_dump()
    return {name: found[name] for name in SUMS}


@pytest.mark.parametrize(
    ("headings", "states"),
    [
        (
            (
                "VM",
                "Energiestatus",
                "Vorlage",
                "CPUs",
                "Arbeitsspeicher",
                "Bereitgestellt MiB",
                "Belegt MiB",
            ),
            ("Eingeschaltet", "Ausgeschaltet"),
        ),
        (
            ("VM", "État", "Modèle", "CPUs", "Mémoire", "Provisionné MiB", "Utilisé MiB"),
            ("Sous tension", "Hors tension"),
        ),
    ],
)
def test_headings_and_states_in_other_languages_give_the_same_figures(
    imported: Made, headings: tuple[str, ...], states: tuple[str, str]
) -> None:
    rows = [(row[0], state, "Falsch", *row[3:7]) for row, state in zip((WEB, DB), states, strict=True)]
    assert figures(imported({"vInfo": [headings, *rows]})) == SUMS


def test_a_power_state_that_nobody_knows_is_told_with_its_row(of_rows: Made) -> None:
    estate = of_rows(changed(WEB, Powerstate="humming"), DB)
    assert estate.totals.powered_on == 0
    assert any(
        "power states that are not known" in note and "'humming' in row 2" in note for note in estate.notes
    )


def test_a_line_that_adds_the_others_up_is_no_machine(of_rows: Made) -> None:
    sums = ("Summe", None, None, 6, 6144, 4000, 2000, *[None] * 6)
    estate = of_rows(WEB, DB, sums)
    assert figures(estate) == SUMS
    assert [(row.where, row.reason) for row in estate.dropped] == [("vInfo row 4", "line of totals")]


def test_a_machine_that_is_called_total_stays_one(of_rows: Made) -> None:
    assert of_rows(changed(WEB, VM="Total"), DB).totals.machines == 2


def test_formulas_without_a_saved_value_are_told_with_what_to_do(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "vInfo"
    for row in (HEADINGS, WEB, DB):
        sheet.append(row)
    sheet.cell(2, HEADINGS.index("Memory") + 1, "=2*1024")  # openpyxl does not calculate.
    book.save(tmp_path / "formulas.xlsx")
    estate = read(tmp_path / "formulas.xlsx")
    assert estate.totals.memory_mib == DB[4]
    assert any(
        "sheet 'vInfo': formulas of which the file keeps no value, and which count as empty: 1; open it"
        in note
        for note in estate.notes
    )


def test_formulas_with_a_saved_value_are_read_without_a_word(workbook: Made) -> None:
    rows = [HEADINGS, WEB, DB]
    path = workbook({"vInfo": rows, "Sums": [("=1+1",)]})
    assert not any("formulas" in note for note in read(path).notes)


@pytest.mark.parametrize("fast_reader_mib", [sources.FAST_READER_MIB, -1])
def test_errors_in_place_of_values_count_as_empty_and_are_told_with_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_reader_mib: int
) -> None:
    monkeypatch.setattr(sources, "FAST_READER_MIB", fast_reader_mib)
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "vInfo"
    for row in (HEADINGS, changed(WEB, In_Use_MiB="#REF!"), changed(DB, Powerstate="#N/A")):
        sheet.append(row)  # openpyxl writes these texts as errors.
    book.save(tmp_path / "errors.xlsx")
    estate = read(tmp_path / "errors.xlsx")
    assert (estate.totals.in_use_mib, estate.totals.powered_on) == (DB[6], 1)
    assert any(
        "sheet 'vInfo': cells with an error in place of a value (#REF!, #N/A), which count as empty: 2, such as G2; mend"
        in note
        for note in estate.notes
    )


def test_a_workbook_that_is_named_like_an_old_one_is_read_by_its_content(workbook: Made) -> None:
    path = workbook({"vInfo": [HEADINGS, WEB, DB], "vHost": HOSTS}, name="export.xls")
    assert figures(read(path)) == SUMS


def test_hosts_without_a_sheet_of_machines_name_the_sheet_that_is_missing(workbook: Made) -> None:
    with pytest.raises(
        InvalidInput, match=r"has no sheet vInfo.*its sheets are 'vHost'; export all sheets"
    ):
        read(workbook({"vHost": HOSTS}))
