"""The page on economics: its documents load, its sums are what comes out, its defaults are the document's, and no word is missing."""

import re
from dataclasses import asdict
from datetime import date
from pathlib import Path

from chargeback.economics import licences, sections
from chargeback.economics.costing import HostFacts, host_costs, products
from chargeback.economics.document import Economics, load_economics
from chargeback.economics.figures import Evidence, Figure
from chargeback.money import exact_text, format_minor
from placement.licensing.products import ExactAlternative
from tierwise.testing.licensed import estate, paid_on_first

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs/reference/economics.md").read_text()
DOCUMENTS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def part(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", PAGE, re.DOTALL)
    assert found
    return found[1]


def loaded(n: int) -> Economics:
    return load_economics(DOCUMENTS[n], "economics.md")


def test_the_pages_host_costs_what_its_formulas_say() -> None:
    found = host_costs(loaded(0), HostFacts("xen", "p", "fra", "m", 2, 32, 65536), date(2026, 12, 1), 1)
    watts = 200 + (500 - 200) * 50 // 100
    assert found.kept == {
        "maintenance": 100_000_000,
        "power": watts * 730 * 15 * 24,  # micro-units: W / 1000 * 730 * 1.5 * 0.24 * 10**6
        "labour": 60 * 140 * 10**6 // 70,
    }
    assert found.sunk == {"hardware": 250_000_000}


def test_the_pages_renewal_is_what_comes_out_piece_by_piece() -> None:
    lines = part("renewal").splitlines()[:2]
    for piece in products(loaded(1), date(2026, 12, 1), 12):
        (way,) = piece.alternatives
        cost = paid_on_first(estate([(1, 1)] * 60, [1], ExactAlternative.model_validate(asdict(way))))
        cells = [piece.start, piece.months, 960, way.owned_packs]
        money = [format_minor(n // 10**4, 2) for n in (way.pack_cost_micros, cost, piece.sunk_micros)]
        lines.append(f"| {' | '.join(map(str, [*cells, *money]))} |")
    assert part("renewal").splitlines() == lines


def test_the_pages_defaults_are_those_of_the_document() -> None:
    document = load_economics((ROOT / "examples/economics/defaults.yaml").read_text(), "defaults.yaml")
    rows = []
    for path, one in document.figures():
        assert one.evidence is not None, path
        when = f" ({one.as_of})" if one.as_of else ""
        rows.append(
            f"| `{path}` | {exact_text(one.value)} | {one.evidence.value} | {one.source or ''}{when} |"
        )
    assert part("defaults").splitlines()[2:] == rows


def test_every_section_field_and_word_is_on_the_page() -> None:
    models = (
        sections.HostType, sections.Site, sections.Labour, sections.Network, sections.Facilities, sections.Storage,
        sections.Opening, sections.Migration, licences.Licence, licences.Price, licences.Owned, licences.LicenceMatch,
    )  # fmt: skip
    words = {field.alias or name for model in models for name, field in model.model_fields.items()}
    words |= {name for name in Economics.model_fields if name not in {"format", "title", "currency"}}
    words |= {field.alias or name for name, field in Figure.model_fields.items()} | set(Evidence)
    words -= {"name", "origin", "target"}
    assert sorted(word for word in words if not re.search(rf"\b{word}\b", PAGE)) == []
