"""Which real counterparts the run talked to, and a red run where one should have been used and was not.

A test that talks to a real counterpart is marked `@pytest.mark.counterpart("vcsim")` with a name from
`counterparts.toml`. Where the counterpart is missing it skips, and its reason says "not installed". The
run's summary counts them. With TIERWISE_REQUIRE_COUNTERPARTS=1, as in CI, these make the run fail:
a skip with such a reason, a test file none of whose tests passed against its counterpart, and, when all
tests are run, a counterpart that no test used. Other skips (a declared gap, say) are shown and allowed.
"""

import os
import re
import shutil
import subprocess
import tomllib
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.simulators import libvirt_xen

TABLE = Path(__file__).with_name("counterparts.toml")
REQUIRED = "TIERWISE_REQUIRE_COUNTERPARTS"
MISSING = re.compile(r"not installed|apt-get|could not import", re.IGNORECASE)

Known = dict[str, dict[str, Any]]


# Commands that run in this process keep nothing in the cache of whoever runs the tests.
os.environ.setdefault("TIERWISE_KEPT_ESTATES_MIB", "0")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # under xdist the controller alone counts and tells
        config.pluginmanager.register(Summary(known_counterparts()), "counterparts")


@pytest.fixture(scope="module")
def xen(pytestconfig: pytest.Config) -> Iterator[libvirt_xen.XenHost]:
    """A host with a real Xen for the tests of one file."""
    problem = libvirt_xen.missing()
    if problem is not None:
        pytest.skip(problem)
    with libvirt_xen.XenHost(pytestconfig.rootpath / ".build" / "libvirt-xen") as running:
        yield running


def known_counterparts() -> Known:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def required() -> bool:
    return os.environ.get(REQUIRED, "") not in {"", "0"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known = known_counterparts()
    for item in items:
        for mark in item.iter_markers("counterpart"):
            (name,) = mark.args
            if name not in known:
                message = (
                    f"{item.nodeid}: no counterpart '{name}' in {TABLE.name}; known: {', '.join(known)}"
                )
                raise pytest.UsageError(message)
            if ("counterpart", name) not in item.user_properties:
                item.user_properties.append(("counterpart", name))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if counterparts_of(report) and report.skipped and MISSING.search(reason_of(report)) and required():
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} must not skip with {REQUIRED} set: {reason_of(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A file that skips as a whole never shows its tests, so what it says of counterparts is read from its text."""
    report = yield
    if report.skipped and required() and "counterpart(" in collector.path.read_text(encoding="utf-8"):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} must not skip with {REQUIRED} set: {reason_of(report)}"
    return report


def counterparts_of(report: pytest.TestReport) -> list[str]:
    return [str(value) for key, value in report.user_properties if key == "counterpart"]


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


class Summary:
    """Counts outcomes by counterpart and prints them before the closing line."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.outcomes: dict[str, Counter[str]] = {name: Counter() for name in known}
        self.reasons: dict[str, dict[str, None]] = {name: {} for name in known}
        self.passed_in: Counter[tuple[str, str]] = Counter()
        """How many tests of a file passed against a counterpart; 0 is kept, as none did."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.passed and report.when != "call":
            return
        for name in counterparts_of(report):
            self.outcomes[name]["xfailed" if hasattr(report, "wasxfail") else report.outcome] += 1
            self.passed_in[report.nodeid.partition("::")[0], name] += report.passed
            if report.skipped and not hasattr(report, "wasxfail"):
                self.reasons[name][reason_of(report)] = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK and self.unused(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def unused(self, config: pytest.Config) -> list[str]:
        """What a run that requires its counterparts did not use, in words."""
        if not required() or config.option.collectonly:
            return []
        found = [
            f"no test of {path} passed against {name}"
            for (path, name), n in self.passed_in.items()
            if n == 0
        ]
        all_run = not config.option.keyword and not config.getoption("lf", default=False)
        if config.args_source is pytest.Config.ArgsSource.TESTPATHS and all_run:
            found += [f"no test used {name}" for name, outcomes in self.outcomes.items() if not outcomes]
        return found

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        used = [name for name, outcomes in self.outcomes.items() if outcomes]
        unused = self.unused(config)
        if used or unused:
            terminalreporter.section("counterparts")
        for name in used:
            terminalreporter.line(self.line(name))
        for breach in unused:
            terminalreporter.line(f"FAILED: {breach}, and {REQUIRED} is set", red=True)

    def line(self, name: str) -> str:
        counts = ", ".join(
            f"{count} {outcome}" for outcome, count in sorted(self.outcomes[name].items()) if count
        )
        entry = self.known[name]
        met = (
            self.outcomes[name]["passed"] > 0
        )  # then only what was missing is told here, and the rest by -r
        told = [reason for reason in self.reasons[name] if not met or MISSING.search(reason)]
        reasons = "".join(f"\n    skipped: {reason}" for reason in told)
        return f"{name} ({entry['what']}; {version_of(entry['packages'])}): {counts}{reasons}"


def version_of(packages: list[str]) -> str:
    """The installed version of an entry's first Debian package, in words for the summary."""
    if not packages or not shutil.which("dpkg-query"):
        return "version unknown"
    query = ["dpkg-query", "--show", "--showformat=${Package} ${Version}", packages[0]]
    answer = subprocess.run(query, check=False, capture_output=True, text=True).stdout.strip()
    return answer or "not installed"
