"""The month's cost as a picture: tenants by tier."""

from collections.abc import Mapping
from pathlib import Path

_COLOURS = ("#1f4e79", "#2e8b57", "#c2662d", "#7a4d9e", "#5f6b76")


def cost_by_tenant(
    amounts_minor: Mapping[str, Mapping[str, int]], minor_digits: int, title: str, target: Path
) -> None:
    """Draw one bar a tenant, stacked by tier, as a PNG. `amounts_minor` is tenant -> tier -> amount."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only this needs

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    tenants = sorted(amounts_minor, key=lambda tenant: sum(amounts_minor[tenant].values()))
    tiers = sorted({tier for per_tier in amounts_minor.values() for tier in per_tier})
    figure, axes = plt.subplots(figsize=(10, 1.6 + 0.5 * len(tenants)), layout="constrained")
    left = [0.0] * len(tenants)
    for tier, colour in zip(tiers, _COLOURS, strict=False):
        # Only the picture is drawn in floats; every figure on the statement is exact.
        widths = [amounts_minor[tenant].get(tier, 0) / 10**minor_digits for tenant in tenants]
        axes.barh(tenants, widths, left=left, label=tier, color=colour)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for y, total in enumerate(left):
        axes.annotate(f"{total:,.2f}", (total, y), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_title(title, loc="left")
    axes.legend(loc="lower right", frameon=False)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=110)
    plt.close(figure)
