"""Files that are not what they seem: each ends in a message that says what to do, or in a note, never in more."""

import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from catalog.estates import Estate
from tierwise.errors import InvalidInput
from tierwise.estates import packages, read, sources
from tierwise.estates.importers import BadKind, importers
from tierwise.estates.packages import Budget, Package
from tierwise.estates.streaming import rows, shared_strings

from .conftest import DB, HEADINGS, HOSTS, WEB

Made = Callable[..., Path]
OLE = bytes.fromhex("D0CF11E0A1B11AE1")
ROOT = Path(__file__).parents[4]


@pytest.fixture
def plain(workbook: Made) -> Path:
    return workbook({"vInfo": [HEADINGS, WEB, DB], "vHost": HOSTS})


def rewritten(
    source: Path, part: str, change: Callable[[bytes], bytes], name: str = "changed.xlsx"
) -> Path:
    """A copy of a package with one part changed."""
    target = source.with_name(name)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for one in old.namelist():
            content = old.read(one)
            new.writestr(one, change(content) if one == part else content)
    return target


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty; export it again"),
        (b" \n ", "is empty; export it again"),
        (OLE + bytes(2000), r"is a workbook of the old format \(\.xls\).*save it as \.xlsx"),
        (
            OLE + bytes(900) + "EncryptedPackage".encode("utf-16-le"),
            "is protected with a password.*save it without password",
        ),
        (b"PK\x03\x04" + bytes(500), "is cut off or damaged.*export or copy it again"),
        (bytes(range(256)) * 9, "is no export of a known kind"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is no export of a known kind"),
        (b"%PDF-1.7\nno table", "is no export of a known kind.*known are azure-migrate"),
        (b"name,colour\nweb,red\n", "is no export of a known kind"),
        (
            b'{"machines": []}',
            'is no estate: it must be an object with "format": "tierwise-estate/1", and it has none',
        ),
        (b'[{"a": 1', "is no JSON"),
    ],
)
def test_files_that_are_no_export_are_refused_with_the_way_out(
    tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "export.xlsx"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=said):
        read(file)


def test_what_kept_a_file_from_being_recognised_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InvalidInput) as error:
        read(tmp_path / "a.csv")
    assert "a: is neither text nor a workbook; import an export of a known kind" in error.value.details


def test_paths_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere: cannot be read: No such file"):
        read(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match=r"has no \.csv files"):
        read(tmp_path)
    with pytest.raises(
        InvalidInput, match="no estate importer 'excel'; known are azure-migrate, document, live-optics"
    ):
        read(tmp_path, kind="excel")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (
            {"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<x/>"},
            r"OpenDocument file \(\.ods\)",
        ),
        ({"xl/workbook.bin": "x"}, r"binary workbook \(\.xlsb\); save it as \.xlsx"),
        ({"word/document.xml": "<x/>"}, r"zip file without a workbook or \.csv files"),
    ],
)
def test_other_packages_are_named_for_what_they_are(
    tmp_path: Path, members: dict[str, str], said: str
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as package:
        for name, content in members.items():
            package.writestr(name, content)
    with pytest.raises(InvalidInput, match=said):
        read(tmp_path / "a.zip")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_workbook_that_was_cut_off_is_refused(plain: Path, part: float) -> None:
    content = plain.read_bytes()
    plain.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InvalidInput, match="cut off or damaged"):
        read(plain)


def test_one_flipped_byte_in_a_sheet_is_found_and_the_rest_is_kept(plain: Path) -> None:
    with zipfile.ZipFile(plain) as package:
        info = package.getinfo("xl/worksheets/sheet2.xml")
    content = bytearray(plain.read_bytes())
    content[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0xFF
    plain.write_bytes(content)
    estate = read(plain)
    assert (estate.totals.machines, estate.totals.hosts) == (2, 0)
    assert any(
        "sheet2.xml is cut off or damaged" in note and "imported without it" in note
        for note in estate.notes
    )


def test_xml_that_ends_early_is_found_and_the_rest_is_kept(plain: Path) -> None:
    estate = read(rewritten(plain, "xl/worksheets/sheet2.xml", lambda xml: xml[: len(xml) // 2]))
    assert any("sheet 'vHost' cannot be read" in note for note in estate.notes)
    with pytest.raises(InvalidInput, match="sheet 'vInfo' cannot be read"):
        read(rewritten(plain, "xl/worksheets/sheet1.xml", lambda xml: xml[: len(xml) // 2]))


def test_a_document_type_in_a_part_is_refused(plain: Path) -> None:
    evil = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><workbook'
    file = rewritten(plain, "xl/workbook.xml", lambda xml: xml.replace(b"<workbook", evil, 1))
    with pytest.raises(InvalidInput, match="a document type declaration stands in it"):
        read(file)


def test_text_that_is_named_like_a_workbook_is_read_as_csv(tmp_path: Path) -> None:
    file = tmp_path / "export.xlsx"
    file.write_text("VM;Powerstate;CPUs;Memory\nweb;poweredOn;2;4.096\n")
    estate = read(file)
    assert estate.totals.memory_mib == 4096
    assert "'export.xlsx' is named like a workbook, but is text: it was read as CSV" in estate.notes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_csv_is_read_in_every_encoding_with_every_mark(tmp_path: Path, encoding: str, mark: str) -> None:
    file = tmp_path / "export.csv"
    said = [("VM", "Powerstate", "CPUs", "Memory"), ("büro", "poweredOn", "2", "4096")]
    file.write_bytes("\r\n".join(mark.join(row) for row in said).encode(encoding))
    (one,) = read(file).machines
    assert (one.name, one.memory_mib) == ("büro", 4096)


def spread(path: Path, cells: dict[str, object]) -> Path:
    """A workbook with values far away from its table."""
    book = openpyxl.load_workbook(path)
    for place, value in cells.items():
        book["vInfo"][place] = value
    book.save(path)
    return path


@pytest.mark.parametrize("place", ["XFD1048576", "A1048576", "XFD1", "ZZ1048576"])
def test_a_value_in_the_last_corner_costs_neither_memory_nor_machines(plain: Path, place: str) -> None:
    """Read as a rectangle, the first of these takes 500 GB."""
    before = read(plain).totals
    limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read(spread(plain, {place: " "})).totals == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - limit < 200 * 1024


def test_the_reader_for_large_sheets_reads_what_calamine_reads(
    workbook: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = ("<&>\"'", "poweredOn", True, 2.5, "  x ", "ümlaut\nline", 1e-3)
    file = workbook({"vInfo": [HEADINGS, WEB, (), odd, (None, None, "gap"), DB], "vHost": HOSTS})
    fast = read(file)
    monkeypatch.setattr(sources, "FAST_READER_MIB", -1)
    assert read(file) == fast


def test_rows_of_large_sheets_come_with_their_numbers_and_shared_texts(workbook: Made) -> None:
    file = workbook({"vInfo": [("a", 1), (), ("b", None, True)]})
    package = Package(file, Budget())
    found = list(rows(package, "xl/worksheets/sheet1.xml", shared_strings(package)))
    assert found == [(1, ["a", 1.0]), (3, ["b", "", True])]
    extent = package.extent("xl/worksheets/sheet1.xml")
    assert (extent.rows, extent.columns, extent.cells, extent.values, extent.odd) == (3, 3, 4, 4, False)


def test_a_sheet_without_references_is_read_all_the_same(plain: Path) -> None:
    """Some writers leave out where a cell stands; the schema allows it."""
    import re

    without = rewritten(plain, "xl/worksheets/sheet1.xml", lambda xml: re.sub(rb' r="[A-Z]+\d+"', b"", xml))
    assert read(without).totals == read(plain).totals


def test_a_zip_bomb_is_refused_by_what_really_comes_out_of_it(plain: Path) -> None:
    """The declared size is a lie of 100 bytes; 8 MiB of blanks come out."""
    bomb = rewritten(plain, "xl/worksheets/sheet1.xml", lambda xml: xml + b" " * (8 * packages.MIB))
    with pytest.raises(InvalidInput, match=r"unpacks to more than 4 MiB.*--max-unpacked-mib"):
        read(bomb, max_unpacked_mib=4)
    assert read(bomb, max_unpacked_mib=64).totals == read(plain).totals


def test_what_is_read_again_is_counted_once(tmp_path: Path) -> None:
    """A file of 3 MiB in a zip is read several times over; a limit of 4 MiB is enough for it."""
    lines = "VM,Powerstate,CPUs,Memory,Annotation\n" + "".join(
        f"m{n},poweredOn,1,1,{'x' * 300}\n" for n in range(9000)
    )
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("RVTools_tabvInfo.csv", lines)
    assert read(tmp_path / "a.zip", max_unpacked_mib=4).totals.machines == 9000
    with pytest.raises(InvalidInput, match="unpacks to more than 2 MiB"):
        read(tmp_path / "a.zip", max_unpacked_mib=2)


def test_texts_may_be_an_eighth_of_what_may_be_unpacked(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(str(tmp_path / "long.xlsx"))
    sheet = book.add_worksheet("vInfo")
    for number, row in enumerate([HEADINGS, WEB, *[(f"{n:030000}",) for n in range(50)]]):
        sheet.write_row(number, 0, row)
    book.close()
    with pytest.raises(InvalidInput, match="its texts unpack to more than 1 MiB"):
        read(tmp_path / "long.xlsx", max_unpacked_mib=8)
    assert read(tmp_path / "long.xlsx").totals.machines == 1


def blank_cells() -> bytes:
    """30 MB of blank cells with a style, as after formatting whole columns."""
    blank = b"".join(b'<c r="%s2" s="1"/>' % bytes([65 + n]) for n in range(20))
    return b"".join(b'<row r="%d">' % n + blank + b"</row>" for n in range(3, 1003)) * 75


def space_between_tags() -> bytes:
    """200 MiB of it, and a row after it."""
    return b" " * (200 * packages.MIB) + b'<row r="3"><c r="A3" s="1"/></row>'


@pytest.mark.parametrize("padding", [blank_cells, space_between_tags])
def test_padding_costs_time_and_no_memory(padding: Callable[[], bytes], tmp_path: Path) -> None:
    """In a process of its own, to see its peak."""
    file = tmp_path / "padded.xlsx"
    book = xlsxwriter.Workbook(str(file), {"constant_memory": True})
    sheet = book.add_worksheet("vInfo")
    sheet.write_row(0, 0, HEADINGS)
    sheet.write_row(1, 0, WEB)
    book.close()
    end = b"</sheetData>"
    padded = rewritten(file, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(end, padding() + end))
    # Not getrusage: what it calls the peak includes the parent's, from before the new program began.
    code = (
        "import sys, pathlib; from tierwise.estates import read; t = read(pathlib.Path(sys.argv[1])).totals; "
        "status = pathlib.Path('/proc/self/status').read_text(); "
        "print(t.machines, t.vcpus, int(status.split('VmHWM:')[1].split()[0]) // 1024)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, padded],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    machines, vcpus, peak_mib = map(int, said.stdout.split())
    assert (machines, vcpus) == (1, 2)
    assert peak_mib < 150


OUTSIDE = '''
"""An importer of somebody else."""
from catalog.estates import Estate
from tierwise.estates.importer import Importer

class Acme(Importer):
    kind = "acme"
    summary = "Acme's list"

    def recognises(self, source):
        return 9 if any(sheet.name == "acme" for sheet in source.sheets) else 0

    def read(self, source):
        return Estate(name="acme", source="acme")
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "acme_lists.py").write_text(OUTSIDE)
    info = tmp_path / "acme_lists-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-lists\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tierwise.estates]\nacme = acme_lists\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importers.cache_clear()
    yield info / "entry_points.txt"
    importers.cache_clear()
    sys.modules.pop("acme_lists", None)


def test_an_entry_point_adds_a_kind_of_export(outside: Path, tmp_path: Path) -> None:
    (tmp_path / "acme.csv").write_text("a,b\n1,2\n")
    assert read(tmp_path / "acme.csv") == Estate(name="acme", source="acme")
    assert read(tmp_path / "acme.csv", kind="acme").name == "acme"


def test_an_entry_point_that_defines_no_importer_or_takes_a_name_is_refused(outside: Path) -> None:
    outside.write_text("[tierwise.estates]\nother = acme_lists\n")
    with pytest.raises(BadKind, match="acme_lists must define one importer with kind = 'other'"):
        importers()
    outside.write_text("[tierwise.estates]\nrvtools = acme_lists\n")
    with pytest.raises(BadKind, match="two modules define the estate importer 'rvtools'"):
        importers()


@given(st.integers(1, 16_384), st.integers(1, 16_384))
def test_a_column_is_wider_than_another_where_its_number_is_larger(one: int, other: int) -> None:
    def letters(number: int) -> bytes:
        said = b""
        while number:
            number, rest = divmod(number - 1, 26)
            said = bytes([65 + rest]) + said
        return said

    assert packages.column_number(letters(one)) == one
    found = packages._wider_than(letters(one)).search(b'<c r="' + letters(other) + b'7">')
    assert (found is not None) == (other > one)
    assert found is None or found[1] == letters(other)
