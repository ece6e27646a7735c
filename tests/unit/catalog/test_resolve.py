"""What an order means, and every reason why one means nothing."""

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from catalog.catalog import Catalog
from catalog.orders import Order, ParameterValue, Request
from catalog.resolve import OrderInvalid, resolve
from catalog.resources import Resources
from catalog.workload_classes import DataClassification

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def order(**fields: Any) -> Order:
    base: dict[str, Any] = {
        "id": UUID(int=1),
        "offering": "db-small",
        "tenant": "payroll",
        "machine_name": "pay-1",
        "ordered_by": "anna",
        "ordered_at": NOON,
    }
    return Order(**{**base, **fields})


def refusals(catalog: Catalog, **fields: Any) -> list[str]:
    with pytest.raises(OrderInvalid) as caught:
        resolve(catalog, order(**fields))
    return [str(p) for p in caught.value.problems]


def test_an_order_that_says_nothing_gets_every_default(small_catalog: Catalog) -> None:
    assert resolve(small_catalog, order()) == Request(
        order_id=UUID(int=1),
        machine_name="pay-1",
        tenant="payroll",
        offering="db-small",
        workload_class="db",
        resources=Resources(vcpu=4, memory_mib=8192, disk_gib=100),
        data_classification=DataClassification.CONFIDENTIAL,
        tier=None,
        parameters={"backup": True, "note": "none"},
        expires_at=datetime(2026, 10, 31, 12, tzinfo=UTC),
    )


def test_what_an_order_says_is_taken(small_catalog: Catalog) -> None:
    said = {"vcpu": 8, "data": "internal", "backup": False, "note": "für Müller"}
    request = resolve(small_catalog, order(parameters=said, tier="tier-2"))
    assert request.resources == Resources(vcpu=8, memory_mib=8192, disk_gib=100)
    assert request.data_classification is DataClassification.INTERNAL
    assert request.parameters == {"backup": False, "note": "für Müller"}
    assert request.tier == "tier-2"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("vcpu", True, "must be a whole number from 2 to 8, a multiple of 2 (found true)"),
        ("vcpu", "4", "must be a whole number from 2 to 8, a multiple of 2 (found '4')"),
        ("vcpu", 3, "must be a whole number from 2 to 8, a multiple of 2 (found 3)"),
        ("vcpu", 0, "must be a whole number from 2 to 8, a multiple of 2 (found 0)"),
        ("vcpu", 10, "must be a whole number from 2 to 8, a multiple of 2 (found 10)"),
        ("vcpu", 10**400, "must be a whole number from 2 to 8, a multiple of 2 (found a number of very many digits)"),
        ("data", "public", "must be one of internal, confidential (found 'public')"),
        ("data", 1, "must be one of internal, confidential (found 1)"),
        ("backup", 1, "must be true or false (found 1)"),
        ("backup", "true", "must be true or false (found 'true')"),
        ("note", "a\nb", "must be text of at most 255 characters, without control characters (found 'a\\nb')"),
        ("note", False, "must be text of at most 255 characters, without control characters (found false)"),
        ("vcpus", 4, "'db-small' has no parameter of that name; did you mean 'vcpu'? known are vcpu, data, backup, note (found 4)"),
        ("root_password", "hunter2", "'db-small' has no parameter of that name; known are vcpu, data, backup, note"),
    ],
)  # fmt: skip
def test_a_parameter_out_of_its_limits_is_refused_with_what_is_allowed(
    small_catalog: Catalog, name: str, value: ParameterValue, reason: str
) -> None:
    assert refusals(small_catalog, parameters={name: value}) == [f"parameters.{name}: {reason}"]


def test_every_reason_is_given_at_once(small_catalog: Catalog) -> None:
    said = {"vcpu": 99, "data": "x", "zzz": 1}
    found = refusals(small_catalog, tenant="payrol", tier="tier-9", parameters=said)
    assert [reason.split(":")[0] for reason in found] == [
        "tenant",
        "tier",
        "parameters.vcpu",
        "parameters.data",
        "parameters.zzz",
    ]
    assert "did you mean 'payroll'? known are payroll (found 'payrol')" in found[0]


def test_an_unknown_offering_is_reported_with_the_other_unknown_names(small_catalog: Catalog) -> None:
    found = refusals(small_catalog, offering="db-smal", tenant="x", parameters={"anything": 1})
    assert found == [
        "offering: there is no offering of that name; did you mean 'db-small'? known are db-small (found 'db-smal')",
        "tenant: there is no tenant of that name; known are payroll (found 'x')",
    ]


def test_a_catalog_without_tenants_says_so() -> None:
    assert "there are none yet" in refusals(Catalog())[1]


def test_a_lease_is_so_many_times_24_hours_also_when_clocks_change(small_catalog: Catalog) -> None:
    # 30 days from here, the clocks of Berlin go back on 25 October 2026.
    at = datetime(2026, 10, 10, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    expires_at = resolve(small_catalog, order(ordered_at=at)).expires_at
    assert expires_at == datetime(2026, 11, 9, 11, tzinfo=ZoneInfo("Europe/Berlin"))
    assert expires_at is not None
    assert expires_at - at.astimezone(UTC) == timedelta(hours=720)


def test_an_offering_that_cannot_choose_takes_the_data_classification_of_its_class(acme: Catalog) -> None:
    request = resolve(acme, order(offering="domain-controller"))
    assert request.data_classification is DataClassification.RESTRICTED
    assert request.expires_at is None


def test_a_refusal_survives_pickling(small_catalog: Catalog) -> None:
    with pytest.raises(OrderInvalid) as caught:
        resolve(small_catalog, order(tenant="x"))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.problems, str(copy)) == (caught.value.problems, str(caught.value))
