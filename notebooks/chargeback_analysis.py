"""Who pays for what, and where does it go? Opens with `make notebooks`; the cents are those of `tierwise charge statement`."""
# ruff: noqa: ANN001, ANN202, B018, INP001 - cells are marimo's: functions of names, that show their last value

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Chargeback analysis")

with app.setup:
    import os
    from datetime import UTC, datetime, timedelta

    import marimo as mo
    import pandas as pd

    from chargeback import frames
    from chargeback.money import format_minor
    from tierwise.app import wire
    from tierwise.settings import Settings
    from tierwise.usecases import reports
    from tierwise.usecases.billing import bill
    from tierwise.usecases.reports import Asked


@app.cell
def _():
    mo.md("""
    # Chargeback analysis

    The statements of a month as a frame that is exact: amounts are decimals and whole cents, quantities fractions.
    `TIERWISE_DATA_DIR` names the estate, and `TIERWISE_MONTH` the month; without it that is the last one.
    """)


@app.cell
def _():
    month = (
        os.environ.get("TIERWISE_MONTH") or f"{datetime.now(UTC).replace(day=1) - timedelta(days=1):%Y-%m}"
    )
    return (month,)


@app.cell
def _(month):
    settings = Settings()
    mo.stop(
        not settings.catalog_dir.exists(),
        mo.md(
            f"There is no estate in `{settings.data_dir}`. `tierwise demo` makes one; then set `TIERWISE_DATA_DIR`."
        ),
    )
    _app = wire(settings)
    try:
        found = bill(_app, month)
        charges = frames.charges(found.rows)
        by_tier = reports.run(_app, "tier", Asked(month)) if found.rows else None
    finally:
        _app.close()
    charges[["tenant", "machine", "tier", "metric", "quantity", "unit", "rate", "amount"]]
    return by_tier, charges, found


@app.cell
def _(charges, found, month):
    digits = found.card.minor_digits
    total_minor = int(charges["amount_minor"].sum())
    mo.md(
        f"**{month}: {found.card.currency} {format_minor(total_minor, digits)}** on {len(charges)} lines. {found.note}"
    )
    return digits, total_minor


@app.cell
def _(charges):
    tenants = charges.pivot_table(
        index="tenant", columns="tier", values="amount_minor", aggfunc="sum", fill_value=0
    )
    tenants
    return (tenants,)


@app.cell
def _(digits, tenants):
    mo.stop(tenants.empty, mo.md("Nothing was charged."))
    # For the eye only: sums were made of whole cents.
    _axes = (tenants.astype("int64") / 10**digits).plot.barh(stacked=True, title="By tenant and tier")
    _axes.figure


@app.cell
def _(by_tier):
    mo.stop(by_tier is None, mo.md("No report without charges."))
    tier_report = frames.report(by_tier)
    tier_report
    return (tier_report,)


@app.cell
def _(charges):
    dearest = (
        charges.groupby(["machine", "tenant", "tier"])["amount_minor"]
        .sum()
        .sort_values(ascending=False)
        .head(20)
    )
    pd.DataFrame(dearest)
    return (dearest,)


if __name__ == "__main__":
    app.run()
