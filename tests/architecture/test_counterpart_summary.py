"""What a run says of its counterparts, and when a missing one makes it fail; shown on small runs of their own."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TABLE = """
[mill]
what = "the mill"
packages = []
[well]
what = "the well"
packages = []
"""

MIXED = """
import pytest

@pytest.mark.counterpart("mill")
def test_grinds(): pass

@pytest.mark.counterpart("mill")
def test_gap(): pytest.skip("grind_fine: not_yet")
"""

MISSING = """
import pytest

@pytest.fixture
def well(): pytest.skip("the well is not installed")

@pytest.mark.counterpart("well")
def test_draws(well): pass
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, repository: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty project with our conftest.py and a table of two counterparts."""
    monkeypatch.delenv("TIERWISE_REQUIRE_COUNTERPARTS", raising=False)
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        monkeypatch.delenv(name)
    pytester.makeini(
        "[pytest]\ntestpaths = tests\nmarkers = counterpart(name): x\naddopts = -p no:cacheprovider"
    )
    tests = pytester.mkdir("tests")
    (tests / "conftest.py").write_text((repository / "tests/conftest.py").read_text())
    (tests / "counterparts.toml").write_text(TABLE)
    return pytester


def add(inner: pytest.Pytester, **files: str) -> None:
    for name, source in files.items():
        (inner.path / "tests" / f"test_{name}.py").write_text(source)


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_the_summary_counts_by_counterpart_and_says_why_one_was_not_met(
    inner: pytest.Pytester, arguments: list[str]
) -> None:
    add(inner, mixed=MIXED, missing=MISSING)
    result = inner.runpytest_subprocess(*arguments)
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "*= counterparts =*",
            "mill (the mill; *): 1 passed, 1 skipped",
            "well (the well; *): 1 skipped",
            "    skipped: the well is not installed",
            "*1 passed, 2 skipped*",
        ]
    )
    assert result.ret == 0


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_a_missing_counterpart_fails_a_run_that_requires_it(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("TIERWISE_REQUIRE_COUNTERPARTS", "1")
    add(inner, mixed=MIXED, missing=MISSING)
    result = inner.runpytest_subprocess(*arguments)
    result.assert_outcomes(passed=1, skipped=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*must not skip with TIERWISE_REQUIRE_COUNTERPARTS set: the well is not installed*"]
    )
    assert result.ret == 1


def test_declared_gaps_alone_do_not_fail_a_run_that_requires_its_counterparts(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERWISE_REQUIRE_COUNTERPARTS", "1")
    add(inner, mixed=MIXED)
    assert inner.runpytest_subprocess("tests/test_mixed.py").ret == 0


def test_a_file_none_of_whose_tests_passed_against_its_counterpart_fails_the_run(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERWISE_REQUIRE_COUNTERPARTS", "1")
    add(inner, mixed=MIXED, missing=MISSING.replace("not installed", "dry"))
    result = inner.runpytest_subprocess("tests/test_mixed.py", "tests/test_missing.py")
    result.stdout.fnmatch_lines(["FAILED: no test of tests/test_missing.py passed against well, and*"])
    assert result.ret == 1


def test_a_counterpart_that_no_test_used_fails_a_whole_run_only(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERWISE_REQUIRE_COUNTERPARTS", "1")
    add(inner, mixed=MIXED)
    result = inner.runpytest_subprocess()
    result.stdout.fnmatch_lines(["FAILED: no test used well, and TIERWISE_REQUIRE_COUNTERPARTS is set"])
    assert result.ret == 1


def test_a_file_that_skips_as_a_whole_fails_a_run_that_requires_its_counterpart(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERWISE_REQUIRE_COUNTERPARTS", "1")
    add(
        inner,
        mixed=MIXED,
        whole="import pytest\npytest.importorskip('no_such_well')\n# counterpart(\"well\")\n",
    )
    result = inner.runpytest_subprocess()
    result.stdout.fnmatch_lines(
        ["*test_whole.py must not skip with TIERWISE_REQUIRE_COUNTERPARTS set: could not import*"]
    )
    assert result.ret != 0


def test_a_misspelt_counterpart_stops_the_run_with_the_known_names(inner: pytest.Pytester) -> None:
    add(inner, mixed=MIXED.replace('"mill"', '"mil"'))
    result = inner.runpytest_subprocess()
    result.stderr.fnmatch_lines(["*no counterpart 'mil' in counterparts.toml; known: mill, well"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
