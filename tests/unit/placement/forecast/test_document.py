"""Forecast documents: what is read, what is assumed, and every mistake with its place."""

import re
from datetime import date
from pathlib import Path

import pytest

from catalog.documents import DocumentError
from placement.forecast.document import read_forecast

SMALL = """\
format: tierwise-forecast/1
start: 2026-12-01
months: 6
classes:
  web: {vcpu: 2, memory_mib: 4096}
pools:
  a:
    hosts: [{count: 3, vcpu: 100, memory_mib: 100000}]
    machines: [{workload_class: web, count: 10}]
"""
EXAMPLE = Path(__file__).parents[4] / "examples" / "forecast" / "when-full.yaml"


def mistakes(text: str) -> list[str]:
    with pytest.raises(DocumentError) as refused:
        read_forecast(text, "f.yaml")
    return [str(problem) for problem in refused.value.problems]


def test_a_small_document_is_what_it_says() -> None:
    found = read_forecast(SMALL, "f.yaml")
    problem = found.problem
    assert (problem.start, problem.months, found.runs, found.seed) == (date(2026, 12, 1), 6, 1000, 0)
    assert problem.pools[0].limits().tolist() == [300.0, 300000.0, 0.0]
    assert problem.machines["a"][0].count == 10
    assert problem.models.classes["web"].arrivals is None


def test_everything_that_a_document_leaves_open_is_named() -> None:
    assumed = {one.path: one.value for one in read_forecast(SMALL, "f.yaml").assumed}
    assert assumed == {
        "runs": "1000",
        "seed": "0",
        "step_days": "7",
        "growth": "none",
        "failures": "none",
        "classes.web.arrivals": "none",
        "classes.web.lifetimes": "stay",
        "pools.a.shared": "none",
        "pools.a.arrivals": "none",
        "pools.a.usable_percent": "100",
        "pools.a.keeps_hosts": "0",
        "pools.a.machines.0.age_hours": "balance",
    }


def test_a_section_without_anything_is_as_if_it_were_not_there() -> None:
    found = read_forecast(SMALL + "lifetimes:\ngrowth:\nfailures: null\n", "f.yaml")
    assert found == read_forecast(SMALL, "f.yaml")


def test_the_example_is_a_forecast_document() -> None:
    found = read_forecast(EXAMPLE.read_text(), str(EXAMPLE))
    assert [pool.name for pool in found.problem.pools] == ["fra-prod", "fra-test"]
    assert found.problem.models.failures is not None


def test_the_reference_shows_a_document_that_can_be_read() -> None:
    page = (EXAMPLE.parents[2] / "docs" / "reference" / "forecast.md").read_text()
    (written,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert list(read_forecast(written, "forecast.md").problem.models.classes) == ["web"]


BAD = """\
format: tierwise-forecast/1
start: December
months: 0
growht: {}
classes:
  web: {vcpu: 2, lifetimes: shrot, arrivals: {batches_per_day: -1}}
  db: {vcpu: 1, lifetimes: broken}
  nothing: {}
  two: {vcpu: 1, arrivals: {batches_per_day: 1, hour_weights: [1, 2]}}
lifetimes:
  short: {parts: [{kind: exponential, share: 1, mean_hours: 5}]}
  broken: {parts: [{kind: exponental, share: 1, mean_hours: 5}]}
pools:
  a: {hosts: [], machines: 7}
"""


def test_all_mistakes_are_reported_at_once_each_with_its_place() -> None:
    found = mistakes(BAD)
    starts = {text.partition(" ")[0] for text in found}
    assert {"f.yaml:2:8:", "f.yaml:3:9:", "f.yaml:4:1:", "f.yaml:8:3:"} <= starts
    text = "\n".join(found)
    for message in (
        "start: must be a day such as 2026-12-01: 'December'",
        "months: must be at least 1",
        "unknown section; did you mean 'growth'?",
        "batches_per_day: must be at least 0",
        "nothing: needs nothing; give vcpu, memory_mib or disk_gib of one machine",
        "hour_weights: must be 1, 24 (a day's) or 168",
        "hosts: must be a list or mapping of at least 1",
        "machines: must be a list",
        "lifetimes.broken.parts.0",
    ):
        assert message in text, (message, text)


SECOND = (
    SMALL
    + """\
    keeps_hosts: 3
    arrivals: {wbe: 1, web: 0.6}
  b:
    hosts: [{count: 1, vcpu: 5, memory_mib: 5}]
    arrivals: {web: 0.6}
    machines: [{workload_class: db, count: 1}]
"""
)


def test_what_does_not_go_together_is_at_its_place_too() -> None:
    assert mistakes(SECOND) == [
        "f.yaml:10:18: pools.a.keeps_hosts: pool 'a' keeps 3 of its 3 hosts free; it must keep fewer",
        "f.yaml:11:21: pools.a.arrivals.wbe: class 'wbe' arrives in pool 'a' but is not there; did you mean 'web'? known are web",
        "f.yaml:14:21: pools.b.arrivals.web: the pools' shares of class 'web' sum to 1.2; they must sum to 1 at most",
        "f.yaml:15:33: pools.b.machines.0.workload_class: machines of class 'db' stand in pool 'b'; known are web",
    ]


def test_a_pool_of_which_nobody_says_how_much_disk_it_has_is_refused() -> None:
    text = SMALL.replace("memory_mib: 4096}", "memory_mib: 4096, disk_gib: 20}")
    assert mistakes(text) == [
        (
            "f.yaml:7:3: pools.a: machines of web need disk_gib, and neither 'hosts' nor 'shared' has any; "
            "say how much, or leave disk_gib out of the classes"
        )
    ]
    assert (
        read_forecast(f"{text}    shared: {{disk_gib: 1}}\n", "f.yaml").problem.pools[0].shared.disk_gib
        == 1
    )


def test_a_machine_older_than_its_lifetimes_is_at_its_age() -> None:
    text = SMALL.replace("memory_mib: 4096}", "memory_mib: 4096, lifetimes: week}").replace(
        "count: 10}", "count: 10, age_hours: 200}"
    )
    text += "lifetimes:\n  week: {parts: [{kind: between, share: 1, from_hours: 0, to_hours: 168}]}\n"
    (found,) = mistakes(text)
    assert found.startswith(
        "f.yaml:9:60: pools.a.machines.0.age_hours: class 'web': a machine of age 200 hours is older"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "format: is required and missing"),
        ("format: tierwise-forecast/2\n", "must be one of tierwise-forecast/1"),
        ("[1]", "must be a mapping of sections"),
        (SMALL.replace("months: 6", "months: 6.5"), "months: must be a whole number"),
        (SMALL.replace("count: 3", "count: 1000001"), "count: must be at most 1000000"),
        (SMALL.replace("vcpu: 100", "vcpu: NO"), "vcpu"),
        (SMALL.replace("start: 2026-12-01", "start: 9999-12-01"), "start must be before"),
        (SMALL + "failures: {mtbf_hours: 0, repair_hours: 1}\n", "mtbf_hours: must be above 0"),
        (SMALL + "growth: {vcpu: {percent_per_month: .inf}}\n", "percent_per_month"),
        (SMALL + "pools: {}\n", "this key stands already in line 6"),
        (SMALL.replace("classes:", "classes: []\nclases:"), "must be a mapping from name to entry"),
    ],
)
def test_hostile_documents_give_a_message_and_no_traceback(text: str, message: str) -> None:
    assert message in "\n".join(mistakes(text))
