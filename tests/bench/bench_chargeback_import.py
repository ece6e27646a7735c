"""Import of the raw Bitbrains trace, 34 machines' 5-minute CSV files, to checked samples; per sample and for the 12.5 million rows of the whole quarter.

Files are held in memory, so that this is the reader and not the disk. Rows of a file are read once; a
row gives a sample for each metric that has one.

    python tests/bench/bench_chargeback_import.py
"""

import json
import sys
import tarfile
from pathlib import Path

import chargeback_usage as bench

RAW = Path(__file__).parents[2] / ".." / "shared" / "data" / "bitbrains" / "raw-csv-sample-2013-7.tar.xz"
QUARTER_ROWS = 12_500_000


def main() -> dict[str, int | float | str]:
    """Measure and return figures; only a note where there is nothing to measure."""
    if not RAW.exists():
        return {"note": "not measured: the raw Bitbrains files are not in ../shared/data"}
    found = bench.child(__file__, "read")
    return {
        "files": found["files"],
        "csv_rows": found["rows"],
        "samples": found["samples"],
        "samples_per_cpu_s": round(found["samples"] / found["cpu_s"]),
        "rows_per_cpu_s": round(found["rows"] / found["cpu_s"]),
        "quarter_cpu_s": round(QUARTER_ROWS / found["rows"] * found["cpu_s"], 1),
        "wall_s": round(found["wall_s"], 3),
        "peak_mb": round(found["peak_mb"]),
    }


def _read() -> dict[str, float]:
    from chargeback.importers import ImportOptions, import_samples

    with tarfile.open(RAW) as archive:
        members = [member for member in archive.getmembers() if member.name.endswith(".csv")]
        contents = {}
        for member in members:
            content = archive.extractfile(member)
            assert content
            contents[Path(member.name).stem] = content.read()
    options = [ImportOptions(machine=name, expected_interval_s=300) for name in contents]

    def all_files() -> int:
        found = [import_samples(contents[o.machine], f"{o.machine}.csv", o) for o in options]
        refused = [problem for each in found for problem in each.problems]
        assert not refused, refused[:3]
        return sum(each.table.num_rows for each in found)

    samples = all_files()
    rows = sum(content.count(b"\n") - 1 for content in contents.values())
    return {**bench.measured(all_files), "samples": samples, "rows": rows, "files": len(contents)}


if __name__ == "__main__":
    print(json.dumps(_read() if len(sys.argv) > 1 else main(), indent=None if len(sys.argv) > 1 else 1))
