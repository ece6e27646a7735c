"""A kind of rule is one file: in the folder, or in another distribution."""

import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.catalog import Catalog
from policies import rules
from policies.documents import load_rules
from policies.kinds import BadKind, kind_of, rule_kinds

FOLDER = Path(rules.__file__).parent

OUTSIDE = '''
"""Only pools of one hypervisor."""

from collections.abc import Iterator
from typing import Literal

from catalog.catalog import Catalog
from policies.facts import PoolFacts
from policies.rule import Finding, PoolRule


class OnHypervisor(PoolRule):
    """The pool must run this hypervisor."""

    kind: Literal["on_hypervisor"]
    hypervisor: str

    def findings(self, pool: PoolFacts, catalog: Catalog) -> Iterator[Finding]:
        if pool.hypervisor != self.hypervisor:
            yield Finding(
                dimension="hypervisor",
                limit=self.hypervisor,
                need=pool.hypervisor,
                claim=f"only {self.hypervisor} will do",
                fact=f"{pool.name} runs {pool.hypervisor}",
                remedy=f"choose a pool of {self.hypervisor}",
            )
'''


def test_every_file_of_the_folder_is_a_kind_and_says_what_it_is() -> None:
    kinds = rule_kinds()
    assert set(kinds) == {f.stem for f in FOLDER.glob("*.py") if f.stem != "__init__"}
    assert all(document.__doc__ for document in kinds.values())
    assert list(kinds) == sorted(kinds)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A distribution of somebody else, installed as pip leaves it: a module and its metadata."""
    (tmp_path / "acme_rule_on_hypervisor.py").write_text(OUTSIDE)
    info = tmp_path / "acme_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tierwise.rules]\non_hypervisor = acme_rule_on_hypervisor\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("acme_rule_on_hypervisor", None)


def test_an_entry_point_adds_a_kind_that_documents_can_use(outside: Path, catalog: Catalog) -> None:
    text = """
rules:
  only-kvm:
    kind: on_hypervisor
    summary: a rule that somebody else wrote
    hypervisor: libvirt
    examples:
      - {pool: {hypervisor: libvirt}, expect: allowed}
      - {pool: {hypervisor: xen}, expect: refused}
"""
    (rule,) = load_rules({"rules.yaml": text}, catalog)
    assert rule.document.kind == "on_hypervisor"


def test_an_entry_point_cannot_take_the_name_of_a_kind_that_exists(outside: Path) -> None:
    points = outside / "acme_rules-1.0.dist-info" / "entry_points.txt"
    points.write_text("[tierwise.rules]\nquota = acme_rule_on_hypervisor\n")
    with pytest.raises(BadKind, match="two modules define the rule kind 'quota'"):
        rule_kinds()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "class A(RuleDocument):\n    kind: Literal['it']\n",
        "class A(PoolRule):\n    kind: Literal['other']\n",
        "class A(PoolRule):\n    kind: Literal['it']\n",
    ],
    ids=["empty", "of no family", "another kind's name", "without findings"],
)
def test_a_module_that_is_no_kind_is_named(body: str) -> None:
    module = types.ModuleType("policies_test_kind")
    head = "from typing import Literal\nfrom policies.rule import PoolRule, RuleDocument\n"
    exec(textwrap.dedent(head + body), module.__dict__)
    with pytest.raises(BadKind, match=r"policies_test_kind must define one rule class with the field kind"):
        kind_of("it", module)
