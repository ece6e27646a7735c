"""Import of RVTools workbooks of 10,000 and 50,000 generated machines, every cell of vInfo filled; openpyxl's plain read beside it.

Each import is a process of its own, from the start of Python to the estate; the peak is what the kernel saw of it.
The workbooks have vInfo, vCPU, vMemory, vDisk (two rows a machine), vNetwork, vTools, vHost, vCluster, vDatastore and
vMetaData. openpyxl reads the five sheets about machines that the import reads, row by row, of the smaller workbook.

    python tests/bench/bench_planner_import.py
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
READ_SHEETS = ("vInfo", "vCPU", "vMemory", "vDisk", "vNetwork")
DISKS = (
    "VM",
    "Powerstate",
    "Disk",
    "Capacity MiB",
    "Thin",
    "Controller",
    "Path",
    "Datacenter",
    "Cluster",
    "Host",
    "VM UUID",
)


def main() -> dict[str, int | float | str]:
    """Measure and return figures."""
    figures: dict[str, int | float | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for machines in (10_000, 50_000):
            book = Path(folder) / f"{machines}.xlsx"
            write_full(machines, book)
            found = _child("import", book)
            assert found["machines"] == machines, found
            figures[f"workbook_{machines}_mib"] = round(book.stat().st_size / 2**20)
            figures |= {
                f"import_{machines}_{name}": found[name] for name in ("wall_s", "cpu_s", "peak_mib")
            }
            if machines == 10_000:
                theirs = _child("openpyxl", book)
                assert theirs["vcpus"] == found["vcpus"], (theirs, found)
                figures |= {
                    f"openpyxl_{machines}_{name}": theirs[name] for name in ("wall_s", "cpu_s", "peak_mib")
                }
            book.unlink()
    return figures


def write_full(machines: int, target: Path) -> None:
    """A workbook as the product exports it, with vDisk, and with something in every cell of vInfo."""
    import xlsxwriter

    from catalog.estates.generator import generate
    from tierwise.estates.rvtools.out import _sheets, _write

    estate = generate(machines, seed=1)
    book = xlsxwriter.Workbook(str(target), {"constant_memory": True})
    for name, (headings, rows) in _sheets(estate).items():
        sheet = book.add_worksheet(name)
        sheet.write_row(0, 0, headings)
        filler = dict.fromkeys(headings, "False") if name == "vInfo" else {}
        for number, row in enumerate(rows, start=1):
            said = {heading: value for heading, value in row.items() if value is not None}
            _write(sheet, number, headings, {**filler, **said})
    sheet = book.add_worksheet("vDisk")
    sheet.write_row(0, 0, DISKS)
    for number, row in enumerate(_disks(estate.machines), start=1):
        _write(sheet, number, DISKS, row)
    book.close()


def _disks(machines: object) -> Iterator[Mapping[str, object]]:
    for one in machines:
        for disk in (1, 2):
            said = (
                one.name, "poweredOn", f"Hard disk {disk}", one.provisioned_mib // 2, "True", "SCSI controller 0",
                f"[{one.datastores[0]}] {one.name}/{one.name}_{disk}.vmdk", one.site, one.pool, one.host, one.id,
            )  # fmt: skip
            yield dict(zip(DISKS, said, strict=True))


def _child(what: str, book: Path) -> dict[str, float]:
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, what, book], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return {"wall_s": round(time.perf_counter() - begin, 1), **json.loads(done.stdout)}


def _import(book: Path) -> dict[str, float]:
    from tierwise.estates import read

    totals = read(book).totals
    return {"machines": totals.machines, "vcpus": totals.vcpus}


def _openpyxl(path: Path) -> dict[str, float]:
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True)
    vcpus = 0
    for name in READ_SHEETS:
        rows = book[name].iter_rows(values_only=True)
        headings = next(rows)
        place = headings.index("CPUs") if name == "vInfo" else None
        for row in rows:
            vcpus += row[place] if place is not None else 0
    book.close()
    return {"vcpus": vcpus}


def _peak_mib() -> int:
    """Not getrusage: its peak may be that of the parent, from before the program began."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measured = {"import": _import, "openpyxl": _openpyxl}[sys.argv[1]](Path(sys.argv[2]))
        print(json.dumps({**measured, "cpu_s": round(time.process_time(), 1), "peak_mib": _peak_mib()}))
    else:
        print(json.dumps(main(), indent=1))
