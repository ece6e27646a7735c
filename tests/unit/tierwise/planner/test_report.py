"""The report of a what-if says what its result says: parts add up, and every file can be made of it."""

import io
from collections.abc import Callable
from decimal import Decimal

import pytest

from chargeback.report import Report
from placement.plan import Limits
from tierwise.planner.analysis import BreakEven as Found
from tierwise.planner.analysis import Pareto, Point, Step, break_even, licence_of, pareto, sensitivity
from tierwise.planner.checking import TERMS
from tierwise.planner.prepare import Prepared
from tierwise.planner.report import crossings, report, report_of
from tierwise.planner.run import run
from tierwise.reports import SUFFIXES, render
from tierwise.reports.charts import COLOURS

Asked = Callable[..., Prepared]
SCENARIOS = """\
scenarios:
  leave: {changes: [{kind: hypervisor_retired, hypervisor: vsphere}]}
  crowded:
    changes:
      - {kind: growth, percent: 200}
      - {kind: hypervisor_retired, hypervisor: vsphere}
"""


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest) -> Report:
    from chargeback.economics.document import load_economics
    from tierwise.planner.inputs import Inputs
    from tierwise.planner.prepare import prepare
    from tierwise.planner.reading import load
    from tierwise.testing.two_pools import DOCUMENT, ECONOMICS, two_pools

    inputs = Inputs(two_pools(), load_economics(ECONOMICS, "economics.yaml"))
    prepared = prepare(load(DOCUMENT + SCENARIOS, "whatif.yaml"), inputs)
    leave = prepared.scenario("leave")
    limits = Limits()
    suite = ("licence suite", licence_of("suite"))
    return report(
        run(prepared, limits=limits),
        [
            sensitivity(prepared, leave, limits),
            pareto(prepared, leave, limits),
            break_even(prepared, leave, None, suite, (Decimal(-100), Decimal(0)), limits, steps=2),
        ],
    )


def test_terms_add_up_to_the_cost_of_each_scenario(made: Report) -> None:
    overview, terms = made.tables[0], made.tables[1]
    for name, column in zip(("today", "leave", "crowded"), range(1, 4), strict=True):
        (cost,) = [row[1] for row in overview.rows if row[0] == name]
        assert terms.totals[column] == cost  # The horizon is a year.
    assert terms.total("today") == 16_968


def test_each_term_of_cost_has_a_colour_of_its_own() -> None:
    assert len(TERMS) <= len(set(COLOURS)) == len(COLOURS)


def test_the_headline_is_what_the_first_scenario_saves(made: Report) -> None:
    assert (made.total_title, made.total_minor) == ("Saved per year by leave", 8_809)
    (saved,) = [row[-1] for row in made.tables[0].rows if row[0] == "leave"]
    assert saved == made.total_minor


def test_what_is_impossible_stands_with_its_reason(made: Report) -> None:
    (table,) = [one for one in made.tables if one.title == "What becomes impossible"]
    assert {row[0] for row in table.rows} == {"crowded"}
    (unplaced,) = [row[8] for row in made.tables[0].rows if row[0] == "crowded"]
    assert table.total("machines") == unplaced > 0
    assert all(row[3] for row in table.rows)


def test_few_moves_that_leave_machines_out_are_no_saving(made: Report) -> None:
    (chart,) = [one for one in made.charts if one.title == "Saved by the first moves of leave"]
    assert chart.labels == ("8",)
    (table,) = [one for one in made.tables if one.title == "The first moves of leave"]
    *few, whole = [row[2:] for row in table.rows]
    assert whole == (8_809, 0)
    # Beta takes whoever may move; the others of the eight have no place, and what they cost is not saved.
    assert few == [(None, 8 - moves) for moves in range(8)]
    assert any("have no place: what they cost is missing" in text for text in made.notes)


def test_machines_without_a_place_whatever_moves_are_told_beside_the_savings(asked: Asked) -> None:
    steps = (Step(limit=1, moves=1, saving_micros=7, unplaced=2),)
    found = report_of(Pareto(scenario="crowded", steps=steps), "EUR", asked().document)
    assert found.notes == (
        "with all its moves, 2 machines have no place: what they would cost is in no row",
    )


def test_the_fewest_moves_stand_beside_the_moves_and_are_explained(made: Report) -> None:
    overview = made.tables[0]
    columns = [one.name for one in overview.columns]
    (leave,) = [dict(zip(columns, row, strict=True)) for row in overview.rows if row[0] == "leave"]
    assert (leave["moves"], leave["moves_bound"]) == (8, 8)
    assert columns.index("moves_bound") == columns.index("moves") + 1
    assert sum("at least: no plan that costs no more" in text for text in made.notes) == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_file_can_be_made(made: Report, suffix: str) -> None:
    content = render(made, suffix)
    assert content == render(made, suffix)
    if suffix == ".xlsx":
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.load_workbook(io.BytesIO(content))
        cells = [cell.value for sheet in book for row in sheet.iter_rows() for cell in row]
        assert {10_368, 8_809, "vm-00", "leave"} <= set(cells)
        first, *_, about = book
        assert (first.title, first["A2"].value) == ("Overview", made.subtitle)
        assert "Status" not in [row[0].value for row in about]  # A what-if is not issued.
    elif suffix == ".html":
        text = content.decode()
        assert "Saved per year by leave" in text
        assert "<script" not in text


def test_many_scenarios_of_long_names_have_room_in_every_file(asked: Asked) -> None:
    """30 scenarios: sheets of which the names begin alike, bars for two pages, terms in tables that can be read."""
    pypdf = pytest.importorskip("pypdf")
    openpyxl = pytest.importorskip("openpyxl")
    names = [f"a-rather-long-name-of-a-scenario-{n}" for n in range(1, 31)]
    prepared = asked("scenarios:\n" + "".join(f"  {name}: {{changes: []}}\n" for name in names))
    result = run(prepared, names[:1], Limits())
    (one,) = result.scenarios
    every = tuple(one.model_copy(update={"name": name}) for name in names)
    many = report(result.model_copy(update={"scenarios": every}))
    terms = [table for table in many.tables if table.title.startswith("What it is made of")]
    assert [name for table in terms for name in table.names[2:]] == names
    seven = report(result.model_copy(update={"scenarios": every[:7]}))
    assert [table.title for table in seven.tables if table.title.startswith("What it is made of")] == [
        "What it is made of", f"What it is made of ({names[6]})",
    ]  # fmt: skip
    assert all(len(table.columns) <= 8 and table.total("today") == 16_968 for table in terms)
    book = openpyxl.load_workbook(io.BytesIO(render(many, ".xlsx")))
    assert len(book.sheetnames) == len(many.tables) + 2
    assert all(len(name) <= 31 for name in book.sheetnames)
    pages = pypdf.PdfReader(io.BytesIO(render(many, ".pdf"))).pages
    beyond: list[str] = []

    def seen(text: str, outer: list[float], inner: list[float], font: object, size: float) -> None:
        del font
        end = outer[4] + inner[4] + len(text.strip()) * 0.3 * size
        if text.strip() and (end > float(pages[0].mediabox.width) or outer[5] + inner[5] < 25):
            beyond.append(text)

    for page in pages:
        page.extract_text(visitor_text=seen)
    assert beyond == []


def test_an_analysis_alone_is_a_report_too(asked: Asked) -> None:
    prepared = asked(SCENARIOS)
    found = sensitivity(prepared, prepared.scenario("leave"), Limits(), percent=Decimal(10))
    alone = report_of(found, "EUR", prepared.document)
    assert (alone.total_title, alone.total_minor) == ("Saved by leave as assumed", 8_809)
    assert alone.main.rows[0][0] == "licence suite"


def test_what_costs_more_is_lost_and_not_saved_below_zero(asked: Asked) -> None:
    point = Point(percent=Decimal(0), machines=1, vcpus=1, first_micros=7_000_000, second_micros=4_000_000)
    found = Found(first="leave", second="stay", knob="machines", points=(point,), crossings=())
    alone = report_of(found, "EUR", asked(SCENARIOS).document)
    assert (alone.total_title, alone.total_minor) == ("Lost by leave where the range begins", 3)


def test_crossings_are_told_as_sentences() -> None:
    def point(percent: int, first: int, second: int) -> Point:
        return Point(
            percent=Decimal(percent),
            machines=10 + percent,
            vcpus=40,
            first_micros=first,
            second_micros=second,
        )

    points = (point(0, 5, 4), point(1, 4, 5))
    found = Found(
        first="leave", second="stay", knob="machines", points=points, crossings=((points[0], points[1]),)
    )
    assert list(crossings(found)) == [
        "leave is cheaper from between 0 % and 1 % of machines on (11 machines, 40 vCPU)"
    ]
    never = found.model_copy(update={"crossings": (), "points": (points[0],)})
    assert list(crossings(never)) == ["stay is cheaper over the whole range of machines"]
    same = never.model_copy(update={"points": (point(0, 4, 4),)})
    assert list(crossings(same)) == ["leave and stay cost the same over the whole range of machines"]
    pair = (point(0, 4, 5), point(1, 5, 5))
    level = found.model_copy(update={"points": pair, "crossings": (pair,)})
    assert list(crossings(level)) == [
        "leave and stay cost the same from between 0 % and 1 % of machines on (11 machines, 40 vCPU)"
    ]


def test_a_saving_that_is_lost_to_the_cent_is_drawn_as_lost(asked: Asked) -> None:
    prepared = asked("scenarios: {rearranged: {changes: []}}\n")
    found = sensitivity(prepared, prepared.scenario("rearranged"), Limits(), percent=Decimal(100))
    (suite,) = [one for one in found.swings if one.knob == "licence suite"]
    assert (found.saving_micros, suite.less_micros) == (8_808_937_496, 0)  # Free licences: all stays.
    (chart,) = report_of(found, "EUR", prepared.document).charts
    assert chart.labels[0] == "licence suite"
    assert [amounts[0] for _, amounts in chart.series] == [-8_809, 10_368]


def test_what_a_swing_leaves_out_is_told(asked: Asked) -> None:
    stuck = (
        "scenarios: {stuck: {changes: [{kind: fixed}, {kind: hypervisor_retired, hypervisor: vsphere}]}}\n"
    )
    prepared = asked(stuck)
    found = sensitivity(prepared, prepared.scenario("stuck"), Limits())
    assert report_of(found, "EUR", prepared.document).notes == (
        "8 machines have no place: what they would cost is in no row",
    )
