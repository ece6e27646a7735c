"""The catalog's values: frozen through and through, picklable, and refused when they make no sense."""

import copy
import pickle
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from catalog.base import SAFE_INTEGER
from catalog.capabilities import Capability, CapabilityReport, Gap, GapReason
from catalog.catalog import Catalog
from catalog.frozen import FrozenDict
from catalog.offerings import Offering, Parameter, ParameterKind
from catalog.pools import Endpoint, PoolEntry, TlsPolicy
from catalog.resources import ResourceClass
from catalog.tiers import Tier


def test_a_catalog_survives_pickling_and_json_and_is_hashable(acme: Catalog) -> None:
    for same in (
        pickle.loads(pickle.dumps(acme)),
        Catalog.model_validate_json(acme.model_dump_json()),
        copy.deepcopy(acme),
        acme.model_copy(deep=True),
    ):
        assert same == acme
        assert hash(same) == hash(acme)
        assert list(same.offerings) == list(acme.offerings)


def test_nothing_inside_a_catalog_can_be_changed(small_catalog: Catalog) -> None:
    tier = small_catalog.tiers["tier-1"]
    inner: list[Any] = [
        small_catalog.tiers,
        small_catalog.classes["db"].sizes,
        small_catalog.offerings["db-small"].parameters,
        small_catalog.endpoints["vc"].options,
    ]
    for mapping in inner:
        for change in (
            lambda m: m.update(x=1),
            lambda m: m.__setitem__("x", 1),
            lambda m: m.pop("tier-1", None),
            lambda m: m.clear(),
            lambda m: m.setdefault("x", 1),
            lambda m: m.popitem(),
            lambda m: m.__delitem__("x"),
            lambda m: m.__ior__({"x": 1}),
        ):
            with pytest.raises(TypeError, match="frozen"):
                change(mapping)
    with pytest.raises(ValidationError, match="frozen"):
        tier.rank = 3  # type: ignore[misc] # the very point


def test_a_frozen_mapping_equals_a_dict_whatever_the_order() -> None:
    frozen = FrozenDict({"a": 1, "b": 2})
    assert frozen == {"b": 2, "a": 1}
    assert hash(frozen) == hash(FrozenDict({"b": 2, "a": 1}))
    assert frozen | {"c": 3} == {"a": 1, "b": 2, "c": 3}


def test_a_catalog_refuses_an_entry_under_another_name() -> None:
    tier = Tier(name="tier-1", rank=1, title="T", purpose="p")
    with pytest.raises(ValidationError, match="stands under 'tier-2' but is named 'tier-1'"):
        Catalog(tiers={"tier-2": tier})


def test_a_capability_report_survives_pickling_and_json() -> None:
    gap = Gap(reason=GapReason.NEVER, detail="containers have no snapshots")
    report = CapabilityReport(gaps={Capability.SNAPSHOT: gap})
    assert pickle.loads(pickle.dumps(report)) == report
    assert CapabilityReport.model_validate_json(report.model_dump_json()) == report


def test_a_rejected_endpoint_does_not_repeat_its_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        Endpoint(name="e", driver="x", address="https://u:hunter2@h", secret="hunter2")
    assert "hunter2" not in str(caught.value)
    assert caught.value.error_count() == 2


@pytest.mark.parametrize("address", ["vc:443", "qemu+ssh://root@h/system", "https://[::1]:443/x", "x@y"])
def test_an_address_may_name_a_user_but_holds_no_password(address: str) -> None:
    assert Endpoint(name="e", driver="x", address=address).address == address


def test_an_address_that_is_no_url_is_refused() -> None:
    with pytest.raises(ValidationError, match="cannot be read as a URL"):
        Endpoint(name="e", driver="x", address="https://[::1")


def test_an_overcommit_keeps_its_decimals_exactly() -> None:
    ratio = {ResourceClass.MEMORY_MIB: "1.10"}
    pool = PoolEntry.model_validate(
        {"name": "p", "tier": "t", "site": "s", "endpoint": "e", "provider": "c", "allocation_ratio": ratio}
    )
    assert pool.allocation_ratio["memory_mib"] == Decimal("1.10")  # type: ignore[index] # a StrEnum's text


def parameter(**fields: Any) -> Parameter:
    return Parameter(title="T", **fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "integer", "default": "4"}, "must be a whole number"),
        ({"kind": "integer", "default": True}, "must be a whole number"),
        ({"kind": "integer", "default": 9, "maximum": 8}, "of at most|from"),
        ({"kind": "integer", "default": 1, "minimum": 2}, "of at least 2"),
        ({"kind": "integer", "default": 3, "multiple_of": 2}, "a multiple of 2"),
        ({"kind": "integer", "default": 2**53}, "a whole number"),
        ({"kind": "integer", "default": 2, "minimum": 3, "maximum": 1}, "maximum 1 must not be below"),
        ({"kind": "integer", "default": 2, "choices": ["2"]}, "choices are for parameters of kind string"),
        ({"kind": "string", "default": "x", "minimum": 1}, "minimum is for parameters of kind integer"),
        ({"kind": "boolean", "default": 1}, "must be true or false"),
        ({"kind": "boolean", "default": True, "multiple_of": 2}, "multiple_of is for"),
        ({"kind": "string", "default": "c", "choices": ["a", "b"]}, "must be one of a, b"),
        ({"kind": "string", "default": "a", "choices": ["a", "a"]}, "stands twice"),
        ({"kind": "string", "default": "a", "choices": ["a", "b\x00"]}, "control character"),
        ({"kind": "string", "default": "a", "choices": ["a", ""]}, "at least 1 char"),
        ({"kind": "string", "default": 5}, "must be text of at most 255"),
        ({"kind": "string", "default": "x" * 256}, "must be text of at most 255"),
        ({"kind": "string", "default": "a\nb"}, "without control characters"),
        ({"kind": "integer", "default": 1, "multiple_of": 0}, "greater than or equal to 1"),
        ({"kind": "integer", "default": 1, "minimum": "1"}, "valid integer"),
        ({"kind": "integer", "default": 1, "minimum": -(2**60)}, "greater than or equal"),
    ],
)
def test_a_parameter_that_contradicts_itself_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        parameter(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "integer", "default": SAFE_INTEGER},
        {"kind": "integer", "default": 0, "minimum": 0, "maximum": 0},
        {"kind": "string", "default": ""},
        {"kind": "string", "default": "x" * 255},
        {"kind": "boolean", "default": False},
    ],
)
def test_a_parameter_at_its_limits_is_taken(fields: dict[str, Any]) -> None:
    made = parameter(**fields)
    assert made.wanted(made.default) == ""


@pytest.mark.parametrize(
    ("name", "made", "words"),
    [
        ("vcpu", parameter(kind=ParameterKind.STRING, default="x"), "must be integer"),
        ("memory_mib", parameter(kind=ParameterKind.INTEGER, default=1, minimum=1), "needs a maximum"),
        ("disk_gib", parameter(kind=ParameterKind.INTEGER, default=1, maximum=1), "needs a minimum"),
        ("disk_gib", parameter(kind=ParameterKind.INTEGER, default=1, minimum=0, maximum=1), "a minimum"),
        ("data", parameter(kind=ParameterKind.STRING, default="public"), "needs choices"),
        ("data", parameter(kind=ParameterKind.BOOLEAN, default=True), "needs choices"),
        ("guest-os", parameter(kind=ParameterKind.BOOLEAN, default=True), "should match pattern"),
    ],
)
def test_a_parameter_that_cannot_do_what_its_name_says_is_refused(
    name: str, made: Parameter, words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        Offering(
            name="o", title="O", description="d", workload_class="c", size="s", parameters={name: made}
        )


@pytest.mark.parametrize(
    "policy",
    [
        {"fingerprints": ["ab" * 32]},
        {"fingerprints": [":".join(["AB"] * 20)]},
        {"fingerprints": [":".join(["AB"] * 32)], "ca_file": "ca.pem"},
        {"fingerprints": [":".join(["AB"] * 32)], "unverified_because": "nobody looked yet"},
    ],
    ids=["no colons", "sha-1", "and an authority", "and not verified"],
)
def test_a_certificate_is_checked_in_one_way(policy: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TlsPolicy.model_validate(policy)
    assert TlsPolicy(fingerprints=(":".join(["ab"] * 32),)).fingerprints == (":".join(["AB"] * 32),)
