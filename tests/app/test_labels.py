"""Tags reach the bill, from the moment that they are given or from one in the past."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tierwise.errors import InvalidInput
from tierwise.usecases.billing import bill
from tierwise.usecases.label import change_labels

DAY = timedelta(days=1)
ORDERED = "class=web,offering=web-small"


def billed(acme: Any) -> dict[str, int]:
    """Labels -> days of the machine on its bill."""
    found: dict[str, int] = {}
    for row in bill(acme.app, "2026-10").rows:
        if row["metric"] == "machine":
            found[row["labels"]] = found.get(row["labels"], 0) + round(float(row["hours"]) / 24)
    return found


def test_a_label_is_on_the_bill_from_the_moment_that_it_is_given(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.clock.advance(10 * DAY)
    found = change_labels(acme.app, UUID(int=1), "shop-01", {"env": "prod", "team": "a b"})
    assert found == {"class": "web", "offering": "web-small", "env": "prod", "team": "a b"}
    acme.clock.advance(5 * DAY)
    change_labels(acme.app, UUID(int=2), "shop-01", {"team": ""})
    acme.clock.advance(2 * DAY)
    assert billed(acme) == {
        ORDERED: 10, "class=web,env=prod,offering=web-small,team=a b": 5, "class=web,env=prod,offering=web-small": 2,
    }  # fmt: skip


def test_a_label_in_the_past_counts_until_a_later_one_and_the_same_change_twice_is_one(acme: Any) -> None:
    start = acme.clock.now()
    acme.deliver("shop-01")
    acme.clock.advance(10 * DAY)
    change_labels(acme.app, UUID(int=1), "shop-01", {"env": "prod"})
    acme.clock.advance(2 * DAY)
    for _ in range(2):
        change_labels(acme.app, UUID(int=2), "shop-01", {"env": "test"}, start + 3 * DAY)
    assert billed(acme) == {
        ORDERED: 3, "class=web,env=test,offering=web-small": 7, "class=web,env=prod,offering=web-small": 2,
    }  # fmt: skip
    assert acme.kinds("shop-01") == ["created", "powered_on", "relabelled", "relabelled"]


@pytest.mark.parametrize(
    ("changes", "since", "what"),
    [
        ({}, timedelta(0), "say which label, like env=prod"),
        ({"Env": "prod"}, timedelta(0), "'Env' cannot be a label's key: small letters"),
        ({"env": "a,b"}, timedelta(0), "label env cannot be 'a,b'"),
        ({"class": "db"}, timedelta(0), "label class says what was ordered and stays"),
        ({"env": "prod"}, timedelta(seconds=1), "is in the future"),
        ({"env": "prod"}, -3 * DAY, "shop-01 cannot change its labels"),
    ],
)
def test_labels_that_cannot_be_are_refused_and_nothing_is_written(
    acme: Any, changes: dict[str, str], since: timedelta, what: str
) -> None:
    acme.deliver("shop-01")
    acme.clock.advance(DAY)
    with pytest.raises(InvalidInput, match=what):
        change_labels(acme.app, UUID(int=1), "shop-01", changes, acme.clock.now() + since)
    assert acme.kinds("shop-01") == ["created", "powered_on"]


def test_a_moment_without_a_time_zone_is_refused(acme: Any) -> None:
    acme.deliver("shop-01")
    with pytest.raises(InvalidInput, match="2026-10-01T00:00:00 has no time zone"):
        change_labels(acme.app, UUID(int=1), "shop-01", {"env": "x"}, datetime(2026, 10, 1))  # noqa: DTZ001 - that is the mistake
