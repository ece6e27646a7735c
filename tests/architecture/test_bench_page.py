"""The page of benchmarks keeps what was not measured again, and shows figures as people read them."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PAGE = "# Benchmarks\n\nprose\n\n<!-- benchmarks end here -->\n"


@pytest.fixture(scope="session")
def bench(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_run", repository / "tests/bench/run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_section_is_added_in_order_and_replaced_alone(bench: ModuleType) -> None:
    b = bench.section("bench_b", "B.", {"rows_per_s": 42_000_000})
    page = bench.with_section(PAGE, "bench_b", b)
    a = bench.section("bench_a", "A.", {"x_s": 1.5})
    page = bench.with_section(page, "bench_a", a)
    assert page.index(a) < page.index(b) < page.index("<!-- benchmarks end here -->")
    newer = bench.section("bench_b", "B.", {"rows_per_s": 43_000_000})
    replaced = bench.with_section(page, "bench_b", newer)
    assert a in replaced
    assert newer in replaced
    assert "42,000,000" not in replaced
    assert bench.with_section(replaced, "bench_b", newer) == replaced


def test_figures_are_shown_without_false_digits(bench: ModuleType) -> None:
    assert [bench.shown(value) for value in (1234567, 0.0046123, 12345.67, 1.5, "byte-equal")] == [
        "1,234,567",
        "0.004612",
        "12,346",
        "1.5",
        "byte-equal",
    ]


def test_a_benchmark_runs_in_its_own_process_and_gives_its_sentence(
    repository: Path, tmp_path: Path
) -> None:
    planted = tmp_path / "bench_planted.py"
    planted.write_text(
        '"""Two lines\nof one sentence.\n\nMore."""\nimport os\ndef main(): return {"answer": 42}\n'
    )
    command = [sys.executable, str(repository / "tests/bench/run.py"), "--measure", str(planted)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed == '{"what": "Two lines\\nof one sentence.", "figures": {"answer": 42}}\n'


def test_the_page_has_a_section_for_every_benchmark_and_for_nothing_else(
    bench: ModuleType, repository: Path
) -> None:
    page = (repository / "docs/benchmarks.md").read_text()
    assert {found["name"] for found in bench.SECTION.finditer(page)} == {
        path.stem for path in bench.benchmarks()
    }


def test_prose_after_the_figures_stays(bench: ModuleType) -> None:
    page = f"{PAGE}\n## What is missed\n\nprose\n"
    found = bench.with_section(page, "bench_a", bench.section("bench_a", "A.", {"x_s": 1.5}))
    assert found.endswith("<!-- benchmarks end here -->\n\n## What is missed\n\nprose\n")
