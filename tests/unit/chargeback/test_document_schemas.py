"""The published JSON Schemas of finance's documents take what the readers take, and refuse what they refuse.

Schemas are read by the package jsonschema, documents by the product's readers; neither knows the other.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.documents import DocumentError, parse
from chargeback.adjustment_documents import References, load_terms
from chargeback.adjustments import kinds
from chargeback.budgets import load_budgets
from chargeback.document_schemas import SCHEMAS
from chargeback.rate_cards import load_rate_cards
from chargeback.shared_costs.documents import Known, load_shared_costs

jsonschema = pytest.importorskip(
    "jsonschema", reason="jsonschema is not installed; nbclient brings it along"
)

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"

CARDS = load_rate_cards(
    {"cards.yaml": """
rate_cards:
  base:
    {version: 1, currency: EUR, minor_digits: 2, time_zone: Europe/Berlin, recorded_at: 2025-12-01, rates: [
      {id: m, tier: tier-1, metric: machine, unit: machine-hour, price: 0.5, valid_from: 2026-01-01}]}
  special:
    {version: 1, currency: EUR, minor_digits: 2, time_zone: Europe/Berlin, recorded_at: 2025-12-01, rates: [
      {id: s, tier: tier-1, metric: machine, unit: machine-hour, price: 0.4, valid_from: 2026-01-01}]}
"""},
    ("tier-1",),
)  # fmt: skip
NAMES = References(("shop", "bank"), ("cc-1", "retail"), ("tier-1",), CARDS)
PLACES = Known(["p", "fra-1"], ["tier-1"], ["fra"], ["shop", "bank"])
OF_BUDGETS = {"tenant": ["shop"], "cost_centre": ["cc-1"], "tier": ["tier-1"], "pool": ["p"]}

READERS: dict[str, Callable[[str], object]] = {
    "adjustments.schema.json": lambda text: load_terms({"x.yaml": text}, NAMES),
    "budgets.schema.json": lambda text: load_budgets({"x.yaml": text}, OF_BUDGETS, {"EUR": 2}),
    "pool-costs.schema.json": lambda text: load_shared_costs({"x.yaml": text}, PLACES),
}

TERM = "adjustments:\n  x: {{{}, valid_from: 2026-01, recorded_at: 2025-12-20T12:00:00}}\n"
WHOLE: dict[str, tuple[str, ...]] = {
    "adjustments.schema.json": (
        """
adjustments:
  frame-2026:
    kind: percentage_discount
    currency: EUR
    steps: [{from_amount: 0, percent: 2.5}, {from_amount: 10000, percent: 5}]
    applies_to: {tenants: [shop], tiers: [tier-1], metrics: [machine], rates: [m], labels: {os: windows}}
    valid_from: 2026-01
    valid_to: 2027-01
    recorded_at: 2025-12-20T12:00:00
    order: 3
    show: tenant
fx:
  dollars:
    from_currency: EUR
    to_currency: USD
    minor_digits: 2
    tenants: [bank]
    max_age_days: 3
    recorded_at: 2026-09-01T00:00:00Z
    rates:
      - {day: 2026-10-01, rate: 1.0842, source: ECB}
      - {day: 2026-11-02, rate: 1.09, source: ECB, recorded_at: 2026-11-02T16:00:00}
stack:
  base: base
  tenants: {shop: {card: special, mode: override}}
""",
        TERM.format("kind: tag_factor, percent: -12.5, applies_to: {labels: {os: windows}}"),
        TERM.format("kind: allowance, quantity: 20, unit: machine-hour, applies_to: {metrics: [machine]}"),
        TERM.format("kind: allowance, amount: 20, currency: EUR"),
        TERM.format("kind: commitment, amount: 75.50, currency: EUR, overage_factor: 0.8, "
                    "applies_to: {tenants: [shop]}, cost_centre: retail"),
        TERM.format("kind: minimum, amount: 75, currency: EUR, applies_to: {tenants: [shop]}, cost_centre: cc-1"),
        TERM.format("kind: maximum, amount: 1000000000000, currency: EUR"),
        TERM.format("kind: fixed_discount, amount: 0.01, currency: EUR"),
        TERM.format("kind: credit, amount: 150, currency: EUR"),
        TERM.format("kind: percentage_discount, percent: 100"),
        "adjustments:\nfx:\nstack:\ntiers: {}\n",
    ),
    "budgets.schema.json": (
        """
budgets:
  shop-2026:
    {title: Shop, tenant: shop, tier: tier-1, labels: {os: linux}, amount: 1200.50, currency: EUR,
     thresholds: [50, 90, 100], first_month: 2026-01, last_month: 2026-12}
  all: {amount: 90000, currency: EUR, first_month: 2026-07}
""",
        "budgets:\n",
    ),
    "pool-costs.schema.json": (
        """
pool_costs:
  lease:
    {pool: p, currency: EUR, per_month: 1180.50, split: {vcpu: 0.5, memory_mib: 35}, share: custom, idle: use,
     custom: {shop: 3, bank: 1}, charge: idle, time_zone: Europe/Berlin, valid_from: 2026-01-01,
     recorded_at: 2025-11-28T10:00:00, source: lease 4711}
shared_tenants:
  bank: {by: custom, custom: {shop: 1}}
cost_fx:
  dollars:
    {from_currency: USD, to_currency: EUR, use_rate_of: period-start, max_age_days: 3, time_zone: UTC,
     recorded_at: 2026-09-01, rates: [{day: 2026-10-01, rate: 0.92, source: ECB},
       {day: 2026-11-01, rate: 1, source: ECB, recorded_at: 2026-11-02T10:00:00}]}
""",
        "pool_costs:\nshared_tenants:\n",
    ),
}  # fmt: skip

PLANTED: dict[str, tuple[tuple[str, str], ...]] = {
    "adjustments.schema.json": (
        ("kind: percentage_discount", "kind: discount"), ("kind: percentage_discount\n", "order: 1\n"),
        ("percent: 2.5", "percent: 200"), ("percent: 2.5", "percent: 2.12345678901"), ("percent: 2.5", "percent: lots"),
        ("from_amount: 0", "from_amount: -1"), ("    currency: EUR\n    steps", "    steps"),
        ("order: 3", "order: 1001"), ("order: 3", "order: 3.5"), ("show: tenant", "show: pool"),
        ("metrics: [machine]", "metrics: [cpu]"), ("labels: {os: windows}", "labels: {OS: windows}"),
        ("labels: {os: windows}", "labels: {os: 'a,b'}"), ("valid_from: 2026-01\n", "valid_from: 2026-01-01\n"),
        ("valid_to: 2027-01", "valid_to: 2027-13"), ("recorded_at: 2025-12-20T12:00:00\n", "recorded_at: soon\n"),
        ("    recorded_at: 2025-12-20T12:00:00\n", ""), ("order: 3", "colour: red"),
        ("tenants: [shop]", "tenants: [Shop]"), ("tenants: [bank]", "tenants: []"), ("minor_digits: 2", "minor_digits: 5"),
        ("minor_digits: 2", "minor_digits: '2'"), ("max_age_days: 3", "max_age_days: 32"), ("to_currency: USD", "to_currency: Dollar"),
        ("day: 2026-10-01", "day: yesterday"), ("rate: 1.0842", "rate: 1e3"), ("source: ECB}", "source: ''}"),
        ("    recorded_at: 2026-09-01T00:00:00Z\n", ""), ("mode: override", "mode: under"), ("base: base\n", "cards: base\n"),
        ("{shop: {card: special, mode: override}}", "{}"), ("percent: -12.5", "percent: -101"),
        ("applies_to: {labels: {os: windows}}, ", "applies_to: {labels: {}}, "), ("quantity: 20, unit: machine-hour", "quantity: 20"),
        ("quantity: 20, unit: machine-hour", "quantity: 20, unit: machine-hour, amount: 3"), ("quantity: 20", "quantity: 0"),
        ("applies_to: {metrics: [machine]}, ", ""), ("amount: 20, currency: EUR", "amount: 20"),
        ("overage_factor: 0.8", "overage_factor: 101"), ("amount: 75.50", "amount: 0"), ("cost_centre: retail, ", ""),
        ("applies_to: {tenants: [shop]}, cost_centre: cc-1", "cost_centre: cc-1"), ("amount: 1000000000000,", "amount: 1000000000001,"),
        ("percent: 100,", "percent: 100.5,"), ("percent: 100,", ""),
        ("adjustments:\nfx", "adjustments: []\nfx"), ("amount: 0.01", "amount: +-1"), ("amount: 150", "amount: yes"),
    ),
    "budgets.schema.json": (
        ("amount: 1200.50", "amount: -3"), ("amount: 1200.50", "amount: 1e3"), ("amount: 1200.50", "amount: 0.00"),
        ("amount: 1200.50, ", ""), ("thresholds: [50, 90, 100]", "thresholds: [0]"),
        ("thresholds: [50, 90, 100]", "thresholds: [80, 80]"), ("thresholds: [50, 90, 100]", "thresholds: [80.5]"),
        ("first_month: 2026-01", "first_month: Jan"), ("first_month: 2026-01", "first_month: 2026-13"),
        ("labels: {os: linux}", "labels: {OS: linux}"), ("title: Shop", "colour: red"), ("currency: EUR,\n", "currency: euro,\n"),
        ("tenant: shop", "tenant: Shop"), ("first_month: 2026-07", "last_month: 2026-07"), ("budgets:\n  shop", "budgets: [1]\nx:\n  shop"),
    ),
    "pool-costs.schema.json": (
        ("pool: p, ", ""), ("pool: p, ", "pool: p, site: fra, "), ("per_month: 1180.50", "per_month: -3"),
        ("per_month: 1180.50", "per_month: 1000000000000.01"), ("per_month: 1180.50", "per_month: free"), ("vcpu: 0.5", "vcpu: 0"),
        ("vcpu: 0.5", "cpus: 0.5"), ("split: {vcpu: 0.5, memory_mib: 35}", "split: {}"), ("share: custom", "share: best"),
        ("share: custom", "share: use"), ("custom: {shop: 3, bank: 1}, ", ""), ("shop: 3", "shop: -3"), ("idle: use", "idle: away"),
        ("charge: idle", "charge: some"), ("valid_from: 2026-01-01", "valid_from: 1st of May"), ("valid_from: 2026-01-01,", ""),
        ("source: lease 4711", "source: ''"), ("source: lease 4711", "origin: lease 4711"), ("by: custom", "by: weight"),
        ("by: custom, custom: {shop: 1}", "by: even, custom: {shop: 1}"), ("by: custom, custom: {shop: 1}", "by: custom"),
        ("currency: EUR", "currency: E"),
        ("rate: 0.92", "rate: 0"), ("rate: 0.92", "rate: true"), ("day: 2026-10-01", "day: soon"), ("source: ECB}", "source: ''}"),
        ("max_age_days: 3", "max_age_days: 32"), ("use_rate_of: period-start", "use_rate_of: noon"), ("to_currency: EUR, ", ""),
        ("recorded_at: 2026-09-01, ", ""), ("recorded_at: 2026-11-02T10:00:00", "recorded_at: later"),
    ),
}  # fmt: skip

CASES = [
    pytest.param(name, *pair, id=f"{name.split('.')[0]} {pair[0]} -> {pair[1]}"[:80])
    for name in PLANTED
    for pair in PLANTED[name]
]


def published(name: str) -> Any:
    return jsonschema.Draft202012Validator(json.loads((REFERENCE / name).read_text()))


VALIDATORS = {name: published(name) for name in SCHEMAS}


def tree_of(text: str) -> Any:
    document, problems = parse(text, "x.yaml")
    assert document is not None, problems
    return document.tree


def refused_by_reader(name: str, text: str) -> bool:
    try:
        READERS[name](text)
    except DocumentError:
        return True
    return False


def refused_by_schema(name: str, text: str) -> bool:
    return not VALIDATORS[name].is_valid(tree_of(text))


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_published_schema_is_the_one_that_is_made_and_is_a_schema(name: str) -> None:
    made = SCHEMAS[name]()
    assert json.loads((REFERENCE / name).read_text()) == made
    jsonschema.Draft202012Validator.check_schema(made)


@pytest.mark.parametrize("name", SCHEMAS)
def test_right_documents_are_taken_by_both(name: str) -> None:
    for text in WHOLE[name]:
        assert not refused_by_reader(name, text), text
        assert not refused_by_schema(name, text), list(VALIDATORS[name].iter_errors(tree_of(text)))


def test_every_kind_of_adjustment_is_among_the_right_documents() -> None:
    text = "\n".join(WHOLE["adjustments.schema.json"])
    assert set(re.findall(r"kind: (\w+)", text)) == set(kinds())


@pytest.mark.parametrize("page", ["adjustments.md", "shared-costs.md", "reports.md"])
def test_the_documents_on_the_pages_are_taken_by_the_schemas(page: str) -> None:
    blocks = re.findall(r"```yaml[^\n]*\n(.*?)```", (REFERENCE / page).read_text(), re.DOTALL)
    mine = [
        text
        for text in blocks
        if tree_of(text).keys() & {"adjustments", "fx", "stack", "budgets", "pool_costs", "cost_fx"}
    ]
    assert mine
    for text in mine:
        assert [name for name in SCHEMAS if refused_by_schema(name, text)] == [], text


def test_the_examples_are_taken_by_the_schemas() -> None:
    for file in sorted((ROOT / "examples" / "acme").glob("*.yaml")):
        assert [name for name in SCHEMAS if refused_by_schema(name, file.read_text())] == [], file


@pytest.mark.parametrize(("name", "old", "new"), CASES)
def test_each_planted_error_is_refused_by_both(name: str, old: str, new: str) -> None:
    broken = [text.replace(old, new, 1) for text in WHOLE[name] if old in text]
    assert broken, f"nothing says {old}"
    for text in broken:
        assert refused_by_reader(name, text), text
        assert refused_by_schema(name, text), text


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from leaves(value[key], (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, list):
        return [changed(each, path[1:], new) if i == path[0] else each for i, each in enumerate(value)]
    return {key: changed(each, path[1:], new) if key == path[0] else each for key, each in value.items()}


ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    7,
    "",
    "x",
    "Upper",
    "0.5",
    "-0.5",
    "1e3",
    "2026-10",
    "2026-10-01",
    [],
    {},
    ["x"],
    {"x": 1},
]


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_refuses_nothing_that_the_reader_takes(name: str) -> None:
    """Each value of each right document becomes something else; 400 of these mutants of a fixed seed."""
    chance, refused = np.random.default_rng(11), 0
    trees = [tree_of(text) for text in WHOLE[name][:-1]]
    for _ in range(400):
        tree = trees[int(chance.integers(len(trees)))]
        paths = [path for path in leaves(tree) if len(path) > 1]
        path = paths[int(chance.integers(len(paths)))]
        text = json.dumps(changed(tree, path, ODD[int(chance.integers(len(ODD)))]))
        if refused_by_schema(name, text):
            refused += 1
            assert refused_by_reader(name, text), text
    assert refused > 100
