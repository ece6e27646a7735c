"""Which rates recover what the tiers cost? Opens with `make notebooks`; the figures are those of `tierwise economics rates`."""
# ruff: noqa: ANN001, ANN202, B018, INP001 - cells are marimo's: functions of names, that show their last value

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Rate design")

with app.setup:
    import os
    from datetime import UTC, datetime
    from fractions import Fraction
    from pathlib import Path

    import marimo as mo
    import pandas as pd

    from chargeback.economics.rates import rate_of
    from tierwise.usecases import economics
    from tierwise.usecases.init import example_dir


@app.cell
def _():
    mo.md("""
    # Rate design

    A rate is what a tier costs, over what of it may be sold, at the utilisation that it is meant to have:
    **rate = fully loaded cost / (capacity x target utilisation x hours)**. An emptier tier does not get dearer for that;
    what its use does not recover is a line of its own.

    `TIERWISE_ECONOMICS` names the document; without it this is acme's.
    """)


@app.cell
def _():
    file = Path(os.environ.get("TIERWISE_ECONOMICS") or example_dir("acme") / "economics.yaml")
    start = datetime.now(UTC).date().replace(day=1)
    return file, start


@app.cell
def _():
    months_wanted = mo.ui.slider(1, 36, value=12, label="months")
    decimals_wanted = mo.ui.slider(2, 9, value=6, label="decimals of rates")
    mo.hstack([months_wanted, decimals_wanted])
    return decimals_wanted, months_wanted


@app.cell
def _(decimals_wanted, months_wanted):
    months = months_wanted.value
    decimals = decimals_wanted.value
    return decimals, months


@app.cell
def _(decimals, file, months, start):
    document = economics.load(file)
    proposals = economics.proposals(document, start, months, decimals)
    rows = economics.rate_rows(proposals, economics.Money(document.currency, document.minor_digits))
    rates = pd.DataFrame(rows)
    rates[["tier", "resource", "unit", "rate", "cost", "recovered", "target_percent"]]
    return document, proposals, rates


@app.cell
def _(document, proposals, rates):
    by_tier = rates.groupby("tier", sort=False)[["cost_minor", "recovered_minor"]].sum()
    assert (by_tier["cost_minor"] == by_tier["recovered_minor"]).all(), by_tier
    unrecovered = rates[rates["resource"] == "unrecovered"].set_index("tier")["recovered_minor"]
    money = economics.Money(document.currency, document.minor_digits)
    mo.md("\n\n".join(economics.recovery_words(proposals, money)))
    return by_tier, unrecovered


@app.cell
def _(proposals):
    # What the rate of vCPU would be if another utilisation were meant: who doubts the target sees what hangs on it.
    percents = list(range(40, 101, 5))
    sensitivity = pd.DataFrame(
        {
            _rate.tier: [
                rate_of(_rate.cost_micros, _rate.resource, _rate.capacity, Fraction(_percent), _rate.hours)
                for _percent in percents
            ]
            for _proposal in proposals
            for _rate in _proposal.rates
            if _rate.resource == "vcpu"
        },
        index=pd.Index(percents, name="target utilisation in percent"),
    )
    sensitivity.map(lambda nanos: f"{round(nanos / 1000) / 10**6:.6f}")
    return (sensitivity,)


@app.cell
def _(sensitivity):
    _axes = (sensitivity.astype("float64") / 10**9).plot(title="Rate of a vCPU and hour", legend=True)
    _axes.set_ylim(bottom=0)
    _axes.figure


@app.cell
def _(proposals):
    lines = pd.DataFrame([row for proposal in proposals for row in economics.trace_rows(proposal.cost)])
    lines[["tier", "fleet", "term", "part", "what", "quantity", "months", "micros", "figures"]]
    return (lines,)


if __name__ == "__main__":
    app.run()
