"""A machine changes hands, now or from a moment in the past."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tierwise.errors import InvalidInput
from tierwise.usecases.billing import bill
from tierwise.usecases.owner import change_owner
from tierwise.usecases.place import estate as as_planned

DAY = timedelta(days=1)


def paid(acme: Any, month: str = "2026-10") -> dict[str, int]:
    """Tenant -> seconds of the machine on its bill."""
    found: dict[str, int] = {}
    for row in bill(acme.app, month).rows:
        if row["metric"] == "machine":
            assert "/" not in str(row["hours"])
            found[row["tenant"]] = found.get(row["tenant"], 0) + round(float(row["hours"]) * 3600)
    return found


def test_the_new_owner_pays_from_the_moment_of_the_change(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.clock.advance(10 * DAY)
    change_owner(acme.app, UUID(int=1), "shop-01", "marketing")
    acme.clock.advance(5 * DAY)
    assert paid(acme) == {"web-shop": 10 * 86400, "marketing": 5 * 86400}
    assert (
        acme.rows("SELECT tenant FROM machine")
        == acme.rows("SELECT tenant FROM order_")
        == [("marketing",)]
    )
    used = as_planned(acme.app).used_by_tenant
    assert (set(used), used["marketing"].vcpu) == ({"marketing"}, 2)


def test_a_change_in_the_past_moves_the_charges_since_then(acme: Any) -> None:
    start = acme.clock.now()
    acme.deliver("shop-01")
    acme.clock.advance(15 * DAY)
    change_owner(acme.app, UUID(int=1), "shop-01", "marketing", start + 3 * DAY)
    assert paid(acme) == {"web-shop": 3 * 86400, "marketing": 12 * 86400}


def test_the_same_change_given_twice_is_one(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.clock.advance(DAY)
    for _ in range(2):
        change_owner(acme.app, UUID(int=1), "shop-01", "marketing")
    assert acme.kinds("shop-01") == ["created", "powered_on", "owner_changed"]


def test_a_late_change_that_a_later_one_overtook_does_not_decide_who_owns_it_today(acme: Any) -> None:
    start = acme.clock.now()
    acme.deliver("shop-01")
    acme.clock.advance(12 * DAY)
    change_owner(acme.app, UUID(int=1), "shop-01", "marketing")
    acme.clock.advance(2 * DAY)
    change_owner(acme.app, UUID(int=2), "shop-01", "research", start + 10 * DAY)
    assert paid(acme) == {"web-shop": 10 * 86400, "research": 2 * 86400, "marketing": 2 * 86400}
    assert acme.rows("SELECT tenant FROM machine") == [("marketing",)]
    assert set(as_planned(acme.app).used_by_tenant) == {"marketing"}


@pytest.mark.parametrize(
    ("tenant", "since", "what"),
    [
        ("nobody", timedelta(0), "there is no tenant 'nobody'; known are payroll"),
        ("marketing", timedelta(seconds=1), "is in the future"),
        ("marketing", -3 * DAY, "shop-01 cannot change its owner"),
    ],
)
def test_a_change_that_cannot_be_is_refused_and_nothing_is_written(
    acme: Any, tenant: str, since: timedelta, what: str
) -> None:
    acme.deliver("shop-01")
    acme.clock.advance(DAY)
    with pytest.raises(InvalidInput, match=what):
        change_owner(acme.app, UUID(int=1), "shop-01", tenant, acme.clock.now() + since)
    assert acme.kinds("shop-01") == ["created", "powered_on"]
    assert acme.rows("SELECT tenant FROM machine") == [("web-shop",)]


def test_a_moment_without_a_time_zone_is_refused(acme: Any) -> None:
    acme.deliver("shop-01")
    with pytest.raises(InvalidInput, match="2026-10-01T00:00:00 has no time zone"):
        change_owner(acme.app, UUID(int=1), "shop-01", "marketing", datetime(2026, 10, 1))  # noqa: DTZ001 - that is the mistake
