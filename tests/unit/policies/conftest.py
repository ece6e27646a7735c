"""A small company, and makers of requests, pools and rules in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from catalog.catalog import Catalog, load_catalog
from catalog.orders import Request
from catalog.pools import Pool
from catalog.resources import Resources
from policies.documents import load_rules
from policies.rule import Rule

COMPANY = Path(__file__).with_name("company.yaml")


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog({"company.yaml": COMPANY.read_text(encoding="utf-8")})


@pytest.fixture
def request_of() -> Callable[..., Request]:
    def make(**given: Any) -> Request:
        amounts = {k: given.pop(k) for k in ("vcpu", "memory_mib", "disk_gib") if k in given}
        defaults = {
            "order_id": UUID(int=1),
            "machine_name": "m",
            "tenant": "payroll",
            "offering": "web-small",
            "workload_class": "web",
            "data_classification": "internal",
        }
        size = {"vcpu": 1, "memory_mib": 2048, "disk_gib": 20} | amounts
        return Request(**(defaults | given), resources=Resources(**size))

    return make


@pytest.fixture
def pool_of() -> Callable[..., Pool]:
    def make(**given: Any) -> Pool:
        gaps = given.pop("gaps", {})
        defaults = {
            "name": "fra-prod-1",
            "tier": "tier-1",
            "hypervisor": "vsphere",
            "endpoint": "vc",
            "provider": "prod",
            "site": "fra",
            "country": "DE",
            "inventories": {},
        }
        reasons = {c: {"reason": reason, "detail": detail} for c, (reason, detail) in gaps.items()}
        return Pool(**(defaults | given), capabilities={"gaps": reasons})

    return make


@pytest.fixture
def rules(catalog: Catalog) -> Callable[..., tuple[Rule, ...]]:
    """Load rule documents that are given as a text under ``rules:``."""

    def load(body: str) -> tuple[Rule, ...]:
        return load_rules({"rules.yaml": "rules:\n" + body}, catalog)

    return load


@pytest.fixture
def mistakes(catalog: Catalog) -> Callable[[str], list[str]]:
    """The problems of a rule document, each as the text a person reads."""
    from catalog.documents import DocumentError

    def load(body: str) -> list[str]:
        with pytest.raises(DocumentError) as caught:
            load_rules({"rules.yaml": body}, catalog)
        return [str(p) for p in caught.value.problems]

    return load
