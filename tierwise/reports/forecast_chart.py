"""A forecast as a picture: demand through time with its band, the room there is, and how likely N+1 holds.

The same forecast gives the same bytes. Only pictures are drawn with binary fractions.
"""

from datetime import timedelta
from io import BytesIO
from typing import Any

from catalog.resources import ResourceClass
from catalog.wording import counted
from placement.forecast.result import Forecast, PoolForecast
from tierwise.reports.charts import COLOURS, FAINT, INK, LINE

SUFFIXES = (".png", ".svg")
"""How the names of files end that can be drawn."""
POOLS_MAX = 12
"""So many pools are drawn: those that are full first."""

_NAMES = {
    ResourceClass.VCPU: "vCPU",
    ResourceClass.MEMORY_MIB: "memory, TiB",
    ResourceClass.DISK_GIB: "disk, TiB",
}
_UNITS = {ResourceClass.VCPU: 1.0, ResourceClass.MEMORY_MIB: 2.0**20, ResourceClass.DISK_GIB: 2.0**10}


def render(found: Forecast, suffix: str) -> bytes:
    """The picture as the content of such a file."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only this needs
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    pools = sorted(found.pools, key=lambda pool: (pool.full.not_full, pool.full.p50_months or 0.0))[
        :POOLS_MAX
    ]
    shown = [rc for rc in ResourceClass if any(any(pool.demand[rc].p90) for pool in pools)] or [
        ResourceClass.VCPU
    ]
    settings: Any = {"svg.hashsalt": "tierwise", "svg.fonttype": "none", "font.size": 8}
    with mpl.rc_context(settings):
        size = (3.4 * (len(shown) + 1), 2.4 * len(pools) + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(pools), len(shown) + 1, squeeze=False)
        for row, pool in zip(grid, pools, strict=True):
            for axes, rc in zip(row, shown, strict=False):
                _demand(axes, found, pool, rc)
            _n_plus_1(row[-1], found, pool)
        figure.suptitle(_title(found, len(pools)), x=0.01, ha="left", color=INK)
        content = BytesIO()
        figure.savefig(content, format=suffix[1:], dpi=110, metadata=_nothing_of_the_day(suffix))
    return content.getvalue()


def _nothing_of_the_day(suffix: str) -> dict[str, None]:
    return {"Date": None} if suffix == ".svg" else {"Software": None}


def _title(found: Forecast, drawn: int) -> str:
    rest = len(found.pools) - drawn
    more = f"; {rest} pools that are full later are not drawn" if rest else ""
    return f"{counted(found.months, 'month')} from {found.start}, {found.runs:,} runs: median, and 8 of 10 runs between{more}"


def _days(found: Forecast) -> list[Any]:
    return [found.start + timedelta(days=days) for days in found.days]


def _demand(axes: Any, found: Forecast, pool: PoolForecast, rc: ResourceClass) -> None:
    band, unit, days = pool.demand[rc], _UNITS[rc], _days(found)
    axes.fill_between(
        days, [v / unit for v in band.p10], [v / unit for v in band.p90], color=COLOURS[0], alpha=0.2, lw=0
    )
    axes.plot(days, [v / unit for v in band.p50], color=COLOURS[0], lw=1.4)
    axes.axhline(pool.limit[rc] / unit, color=COLOURS[4], lw=1, ls="--")
    axes.set_title(f"{pool.pool}: {_NAMES[rc]}", loc="left", color=INK)
    axes.set_ylim(bottom=0)
    _plain(axes)


def _n_plus_1(axes: Any, found: Forecast, pool: PoolForecast) -> None:
    axes.plot(_days(found), [100 * p for p in pool.n_plus_1], color=COLOURS[2], lw=1.4)
    axes.set_title(f"{pool.pool}: N+1 holds, %", loc="left", color=INK)
    axes.set_ylim(0, 104)
    _plain(axes)


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=FAINT, labelsize=7)
    axes.tick_params(axis="x", rotation=30)
