"""What if? The scenarios of a document beside each other; opens with `make notebooks`; the figures are those of `tierwise whatif run`."""
# ruff: noqa: ANN001, ANN202, B018, INP001 - cells are marimo's: functions of names, that show their last value

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="What if?")

with app.setup:
    import os
    from pathlib import Path

    import marimo as mo
    import pandas as pd

    from placement.plan import Limits
    from tierwise.planner.asking import Workers, answered
    from tierwise.planner.diff import rows
    from tierwise.planner.report import report
    from tierwise.planner.sources import prepared
    from tierwise.reports import render
    from tierwise.usecases.init import example_dir


@app.cell
def _():
    mo.md("""
    # What if?

    Each scenario is a plan of its own: which hosts to keep or buy, what to license, who moves. A plan carries its bound,
    and what is impossible its reason.

    `TIERWISE_WHATIF` names the document; without it this is acme's question of leaving vSphere.
    """)


@app.cell
def _():
    file = Path(os.environ.get("TIERWISE_WHATIF") or example_dir("acme") / "whatif" / "leave-vsphere.yaml")
    effort = 1.0
    return effort, file


@app.cell
def _(file):
    question = prepared(file)
    return (question,)


@app.cell
def _(question):
    names = list(question.document.scenarios)
    chosen = mo.ui.multiselect(names, value=names[:2], label="scenarios")
    chosen
    return (chosen,)


@app.cell
def _(chosen):
    wanted = chosen.value
    return (wanted,)


@app.cell
def _(effort, question, wanted):
    answers = answered(question, wanted, Limits(deterministic_time=effort), Workers())
    results = pd.DataFrame(rows((answers.today, *answers.scenarios)))
    results
    return answers, results


@app.cell
def _(answers):
    # Exact millionths, term by term: each column adds up to the scenario's cost.
    terms = pd.DataFrame(
        {one.name: dict(one.terms) for one in (answers.today, *answers.scenarios)}, dtype=object
    ).fillna(0)
    assert all(terms[one.name].sum() == one.cost_micros for one in (answers.today, *answers.scenarios)), (
        terms
    )
    terms
    return (terms,)


@app.cell
def _(answers):
    moves = pd.DataFrame(
        [
            {"scenario": one.name, "machine": move.name, "from": move.source, "to": move.target}
            for one in answers.scenarios
            for move in one.moves
        ],
        columns=["scenario", "machine", "from", "to"],
    )
    flows = moves.groupby(["scenario", "from", "to"]).size().rename("machines").reset_index()
    flows
    return flows, moves


@app.cell
def _(answers):
    page = render(report(answers), ".html").decode()
    mo.iframe(page, height="900px")
    return (page,)


if __name__ == "__main__":
    app.run()
