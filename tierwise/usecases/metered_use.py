"""What was metered in a month, by tier: what rates would have recovered."""

from collections import defaultdict

from chargeback.shared_costs.consumption import consumption
from tierwise.app import App
from tierwise.usecases.books import month_of
from tierwise.usecases.metering import epoch, interval_store, meter


def metered_use(app: App, month: str) -> dict[str, dict[str, int]]:
    """Tier -> resource -> quantity x seconds, as allocated and as known now. Raises InvalidInput for what is no month."""
    period = month_of(month, app.documents.rate_card)
    meter(app)
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in consumption(interval_store(app).read(), period, epoch(app.clock.now())):
        found[one.tier][one.metric.value] += one.allocated
    return {tier: dict(amounts) for tier, amounts in found.items()}
