"""Last month, and machines that lived in it, whose statements tests calculate by hand."""

from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from tierwise.app import wire
from tierwise.clock import SteppedClock
from tierwise.jobs.runtime import running
from tierwise.settings import Settings
from tierwise.usecases.order import new_order, submit

BERLIN = ZoneInfo("Europe/Berlin")
"""Where the acme example's months begin and end."""
THIS_MONTH = datetime.now(BERLIN).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
MONTH_BEGIN = (THIS_MONTH - timedelta(days=1)).replace(day=1)
MONTH = MONTH_BEGIN.strftime("%Y-%m")


def live(settings: Settings, *machines: tuple[datetime, str, str, str]) -> None:
    """Order machines, each given by the moment of its order, its name, offering and tenant; earlier ones first."""
    clock = SteppedClock(machines[0][0].astimezone(UTC))
    app = wire(settings, clock)
    with running(app):
        for moment, name, offering, tenant in machines:
            clock.set(moment.astimezone(UTC))
            order = new_order(
                app, order_id=uuid5(NAMESPACE_URL, name), offering=offering, tenant=tenant, machine_name=name,
                parameters={}, tier=None, ordered_by="a test",
            )  # fmt: skip
            submit(app, uuid5(NAMESPACE_URL, f"batch {name}"), [order])
    app.close()


def live_one_long_and_one_from_the_eleventh(settings: Settings) -> None:
    """One machine through the whole of last month, and one from its 11th on."""
    live(
        settings,
        (MONTH_BEGIN - timedelta(days=2), "pay-01", "db-medium", "payroll"),
        (MONTH_BEGIN + timedelta(days=10), "web-01", "web-small", "web-shop"),
    )
