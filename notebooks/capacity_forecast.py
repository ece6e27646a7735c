"""When are we full? Opens with `make notebooks`; the figures are those of `tierwise whatif forecast`."""
# ruff: noqa: ANN001, ANN202, B018, INP001 - cells are marimo's: functions of names, that show their last value

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Capacity forecast")

with app.setup:
    import os
    from pathlib import Path

    import marimo as mo
    import pandas as pd

    from tierwise.reports.forecast_chart import render
    from tierwise.usecases import forecast
    from tierwise.usecases.init import example_dir


@app.cell
def _():
    mo.md("""
    # Capacity forecast

    Batches of machines come by chance, stay for a time and leave; what is there grows; hosts fail. Many runs of that
    tell by when a pool is full (in one run of ten, in half, in nine of ten), of what, and until when a host may fail.

    `TIERWISE_FORECAST` names the document; without it this is the example's.
    """)


@app.cell
def _():
    file = Path(
        os.environ.get("TIERWISE_FORECAST") or example_dir("acme").parent / "forecast" / "when-full.yaml"
    )
    return (file,)


@app.cell
def _():
    runs_wanted = mo.ui.slider(100, 2000, step=100, value=300, label="runs")
    seed_wanted = mo.ui.slider(0, 99, value=1, label="where chance starts")
    mo.hstack([runs_wanted, seed_wanted])
    return runs_wanted, seed_wanted


@app.cell
def _(runs_wanted, seed_wanted):
    runs = runs_wanted.value
    seed = seed_wanted.value
    return runs, seed


@app.cell
def _(file, runs, seed):
    question = forecast.load(file)
    found = forecast.run(question, runs=runs, seed=seed)
    pools = pd.DataFrame(forecast.rows(found))
    pools[["pool", "full_p10", "full_p50", "full_p90", "not_full_percent", "binds", "n_plus_1_until"]]
    return found, pools, question


@app.cell
def _(found):
    chart = render(found, ".png")
    mo.image(chart)
    return (chart,)


@app.cell
def _():
    mo.md("""
    Demand is what is asked for, whether or not it fits: nothing is turned away when a pool is full. The dashed line is
    what the pool has, without the hosts that it keeps and the pieces that are too small for any machine.
    """)


@app.cell
def _(found):
    bands = pd.DataFrame(forecast.band_rows(found))
    first_lost = bands[bands["n_plus_1_percent"] < 95].groupby("pool", sort=False)["day"].first()
    first_lost.rename("N+1 is less likely than 95 % from").to_frame()
    return bands, first_lost


@app.cell
def _(bands):
    # How full the median is, in percent of the limit: which resource to buy.
    _known = bands[bands["limit"] > 0]
    fullness = (
        _known.assign(percent=(100 * _known["p50"] / _known["limit"]).round(1))
        .pivot_table(index="day", columns=["pool", "resource"], values="percent")
        .iloc[:: max(1, len(_known["day"].unique()) // 12)]
    )
    fullness
    return (fullness,)


@app.cell
def _(question):
    # What the document leaves open, and what is taken for it.
    assumed = pd.DataFrame([one.model_dump() for one in question.assumed])
    assumed
    return (assumed,)


if __name__ == "__main__":
    app.run()
