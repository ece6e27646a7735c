"""Classification: by hand, and against a second implementation that goes machine by machine."""

import importlib.util
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.catalog import Catalog, load_catalog
from catalog.estates import Estate, EstateHost, EstateMachine, PowerState
from catalog.estates.class_documents import load_class_rules
from catalog.estates.class_rules import ClassRules
from catalog.estates.classified import Classified, Decision, Target
from catalog.estates.classifying import classify

ROOT = Path(__file__).parents[3]
ACME = ROOT / "examples" / "acme"
SAMPLES = ROOT / ".." / "shared" / "data" / "rvtools"

_spec = importlib.util.spec_from_file_location(
    "plain_classifier", Path(__file__).with_name("plain_classifier.py")
)
assert _spec is not None
assert _spec.loader is not None
plain: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(plain)


@pytest.fixture(scope="module")
def acme() -> Catalog:
    return load_catalog({path.name: path.read_text(encoding="utf-8") for path in ACME.glob("*.yaml")})


@pytest.fixture(scope="module")
def acme_rules(acme: Catalog) -> ClassRules:
    return load_class_rules((ACME / "classes.yaml").read_text(encoding="utf-8"), "classes.yaml", acme)


def rules(text: str, catalog: Catalog, weighing: str = "{}") -> ClassRules:
    head = f"format: tierwise-classes/1\nweighing: {weighing}\nclass_rules:\n"
    return load_class_rules(head + text, "r.yaml", catalog)


def machine(name: str = "m", vcpus: int = 2, memory_mib: int = 4096, **others: Any) -> EstateMachine:
    return EstateMachine(id=f"id of {name}", name=name, vcpus=vcpus, memory_mib=memory_mib, **others)


def estate(*machines: EstateMachine, hosts: tuple[EstateHost, ...] = ()) -> Estate:
    return Estate(name="e", source="by hand", machines=machines, hosts=hosts)


def one(found: EstateMachine, of: ClassRules, catalog: Catalog, *decisions: Decision) -> Classified:
    mapping = {decision.machine: decision for decision in decisions}
    return classify(estate(found), of, catalog.classes, mapping)[0]


def test_the_example_of_the_reference_page_comes_out_as_by_hand(acme: Catalog) -> None:
    """0.9 x 0.9 / (0.9 + 0.8) = 0.476; medium: (2/4 + 6144/8192) / 2 = 0.625; 0.476 x (1 - 0.2 x 0.375) = 0.44."""
    of = rules(
        '  web: {when: {name: "*web*"}, workload_class: web}\n'
        '  sql: {when: {name: "*sql*"}, workload_class: database, confidence: 0.8}\n',
        acme,
    )
    found = one(machine("sql-web-01", 2, 6144), of, acme)
    assert (found.workload_class, found.size, found.confidence, found.needs_eye) == (
        "web",
        "medium",
        0.44,
        True,
    )
    assert found.reason == "rule web; against it sql (database); size medium, 63 % alike"
    assert found.suggested == "web/medium"


def test_the_first_rule_decides_and_those_that_agree_make_it_surer(acme: Catalog) -> None:
    of = rules(
        "  first: {when: {name: 'a*'}, workload_class: web, confidence: 0.5}\n"
        "  second: {when: {name: '*b'}, workload_class: web, confidence: 0.8}\n"
        "  third: {when: {name: '*c*'}, workload_class: batch, confidence: 0.4}\n",
        acme,
        "{size_weight: 0}",
    )
    assert one(machine("ax"), of, acme).confidence == 0.5
    assert one(machine("ab"), of, acme).confidence == 0.8
    # 0.8 x 0.8 / 1.2, though the deciding rule alone is less sure
    assert one(machine("acb"), of, acme).confidence == 0.53
    assert one(machine("acb"), of, acme).workload_class == "web"


def test_the_nearest_size_that_holds_the_machine_is_taken_and_disk_stays(acme: Catalog) -> None:
    of = rules("  all: {otherwise: true, workload_class: database}\n", acme)
    cases = {
        (1, 1024): "small", (4, 16384): "small", (5, 16384): "medium", (4, 16385): "medium",
        (8, 65536): "medium", (9, 1): "large", (16, 131072): "large", (17, 131072): "as-is",
    }  # fmt: skip
    for (vcpus, memory_mib), size in cases.items():
        found = one(machine(vcpus=vcpus, memory_mib=memory_mib, provisioned_mib=999 * 1024 + 1), of, acme)
        assert (found.size, found.resources.disk_gib) == (size, 1000)
        expected = acme.classes["database"].sizes.get(size)
        wanted = (expected.vcpu, expected.memory_mib) if expected else (vcpus, memory_mib)
        assert (found.resources.vcpu, found.resources.memory_mib) == wanted


def test_a_size_holds_disk_too_where_that_is_asked_for(acme: Catalog) -> None:
    of = rules(
        "  all: {otherwise: true, workload_class: web}\n", acme, "{hold: [vcpu, memory_mib, disk_gib]}"
    )
    assert one(machine(provisioned_mib=40 * 1024), of, acme).size == "small"
    assert one(machine(provisioned_mib=40 * 1024 + 1), of, acme).size == "medium"
    found = one(machine(provisioned_mib=61 * 1024), of, acme)
    assert found.size == "as-is"
    assert "no size of web holds it (small is 21 GiB of disk short), so it keeps its own" in found.reason


def test_a_machine_of_nothing_and_one_of_everything_are_classified(acme: Catalog) -> None:
    of = rules("  all: {otherwise: true, workload_class: web}\n", acme)
    nothing = one(machine(vcpus=0, memory_mib=0), of, acme)
    assert (nothing.size, nothing.confidence) == ("small", 0.72)  # 0.9 x (1 - 0.2)
    assert one(machine(vcpus=2**53, memory_mib=2**53), of, acme).size == "as-is"


def test_size_and_label_are_what_the_deciding_rule_says(acme: Catalog) -> None:
    of = rules(
        "  kept: {when: {name: k}, workload_class: database, size: as-is}\n"
        "  fixed: {when: {name: f}, workload_class: database, size: small}\n"
        "  named: {when: {name: n}, label: appliance}\n",
        acme,
    )
    assert one(machine("k", 99), of, acme).size == "as-is"
    assert one(machine("k", 99), of, acme).confidence == 0.9
    small = one(machine("f", 8, 16384), of, acme)
    assert (small.size, small.resources.vcpu, small.confidence) == (
        "small",
        4,
        0.86,
    )  # 0.9 x (1 - 0.2 x 0.25) = 0.855
    assert small.reason == "rule fixed; size small, 75 % alike, 4 vCPU short"
    label = one(machine("n"), of, acme)
    assert (str(label.target), label.size, label.confidence, label.is_known) == (
        "label:appliance",
        "",
        0.9,
        True,
    )


def test_what_no_rule_knows_needs_an_eye_whatever_the_threshold(acme: Catalog) -> None:
    of = rules("  a: {when: {name: a}, label: x}\n", acme, "{needs_eye_below: 0}")
    found = one(machine("b"), of, acme)
    assert (found.needs_eye, found.confidence, bool(found.target)) == (True, 0, False)
    assert found.reason == "no rule has a class or a label for it"


def test_a_confidence_at_the_threshold_needs_no_eye(acme: Catalog) -> None:
    of = rules("  a: {otherwise: true, label: x, confidence: 0.6}\n", acme, "{needs_eye_below: 0.6}")
    assert not one(machine(), of, acme).needs_eye


def test_facts_are_those_of_agreeing_rules_and_the_strictest_counts(acme: Catalog) -> None:
    of = rules(
        "  win: {when: {guest_os: '*win*'}, facts: {software: [windows], data_classification: internal, labels: {a: '1'}}}\n"
        "  db: {when: {name: '*db*'}, workload_class: database, facts: {software: [sql], tier: tier-1, labels: {a: '2', b: '3'}}}\n"
        "  web: {when: {name: '*web*'}, workload_class: web, facts: {software: [nginx], data_classification: restricted}}\n"
        "  pay: {when: {name: '*pay*'}, facts: {data_classification: confidential, availability: restart, tier: tier-2}}\n"
        "  old: {when: {name: '*pay*'}, facts: {availability: best_effort}}\n",
        acme,
    )
    found = one(machine("pay-db-web", guest_os="Windows"), of, acme)
    assert found.facts.software == ("sql", "windows")
    assert found.facts.data_classification == "confidential"
    assert found.facts.availability == "restart"
    assert found.facts.tier == "tier-1"
    assert dict(found.facts.labels) == {"a": "1", "b": "3"}
    assert found.rules == ("win", "db", "pay", "old")


def test_patterns_are_globs_of_the_whole_text_or_expressions_anywhere(acme: Catalog) -> None:
    cases = [
        ("*", "", True), ("", "", True), ("", "x", False), ("web", "web-1", False), ("WEB*", "web-1", True),
        ("?eb-?", "Web-1", True), ("?eb-?", "web-12", False), ("a[b]c", "a[b]c", True), ("a[b]c", "abc", False),
        ("a.c", "abc", False), ("re:a.c", "xABCx", True), ("re:^a", "ba", False), ("*\n*", "a\nb", True),
        ("größe*", "GRÖSSE", False), ("größe*", "GRÖßE 1", True), ("*(x|y)*", "(x|y)", True), ("re:a|b", "zb", True),
    ]  # fmt: skip
    for pattern, name, expected in cases:
        of = rules(f"  a: {{when: {{folder: {pattern!r}}}, label: x}}\n".replace("'", '"'), acme)
        assert bool(one(machine(folder=name), of, acme).target) is expected, (pattern, name)
        assert plain.is_match(name, pattern) is expected, (pattern, name)


def test_every_condition_looks_at_its_own_field(acme: Catalog) -> None:
    found = machine(
        "n", 4, 8192, guest_os="g", folder="f", application="a", site="s", tenant="t", firmware="efi", host="h1",
        networks=("net-1", "net-2"), labels={"Owner": "o"}, power=PowerState.OFF, provisioned_mib=2049,
    )  # fmt: skip
    whole = estate(found, hosts=(EstateHost(name="h1", pool="p"),))
    right = (
        "name: n", "guest_os: g", "folder: f", "application: a", "site: s", "tenant: t", "firmware: efi", "host: h1",
        "pool: p", "networks: net-2", "labels: {owner: o}", "labels: {OWNER: o, x: ''}", 'power: "off"',
        "vcpus: {at_least: 4, at_most: 4}", "memory_mib: {at_least: 8192}", "disk_gib: {at_most: 3, at_least: 3}",
    )  # fmt: skip
    wrong = (
        "name: g", "guest_os: n", "folder: ''", "application: f", "site: t", "tenant: s", "firmware: bios", "host: p",
        "pool: h1", "networks: net-3", "networks: ''", "labels: {owner: p}", "labels: {x: '?*'}", "power: ['on', unknown]",
        "vcpus: {at_most: 3}", "memory_mib: {at_least: 8193}", "disk_gib: {at_most: 2}", "name: n, site: t",
    )  # fmt: skip
    for conditions, expected in ((right, True), (wrong, False)):
        for text in conditions:
            of = rules(f"  a: {{when: {{{text}}}, label: x}}\n", acme)
            assert bool(classify(whole, of, acme.classes)[0].target) is expected, text
            of = rules(f"  a: {{when: {{name: '*'}}, unless: {{{text}}}, label: x}}\n", acme)
            assert bool(classify(whole, of, acme.classes)[0].target) is not expected, text


def test_a_decision_wins_and_takes_the_facts_of_rules_that_agree_with_it(acme: Catalog) -> None:
    of = rules(
        "  web: {when: {name: '*web*'}, workload_class: web, facts: {software: [nginx]}}\n"
        "  db: {when: {name: '*db*'}, workload_class: database, facts: {software: [sql]}}\n",
        acme,
    )
    found = machine("web-db")
    by_hand = Decision(machine=found.id, target=Target(workload_class="database"), note="asked Ann")
    decided = one(found, of, acme, by_hand)
    assert (decided.workload_class, decided.size, decided.confidence, decided.needs_eye) == (
        "database",
        "small",
        1,
        False,
    )
    assert decided.facts.software == ("sql",)
    assert (decided.suggested, decided.by_hand, decided.note) == ("web/small", True, "asked Ann")
    assert decided.reason == "by hand; asked Ann; size small, 38 % alike"


def test_an_empty_estate_and_no_rules_are_no_mistake(acme: Catalog) -> None:
    assert classify(estate(), ClassRules(), acme.classes) == ()
    assert classify(estate(machine()), ClassRules(), acme.classes)[0].needs_eye


WORDS = ["web", "db", "sql", "app", "dc", "sap", "test", "x", "ci", "batch", "fw", "BW", "mysql", "srv"]
GUESTS = [
    "", "Microsoft Windows Server 2019 (64-bit)", "Debian GNU/Linux 11 (64-bit)", "Microsoft Windows 10 (64-bit)",
    "Red Hat Enterprise Linux 8 (64-bit)", "VMware Photon OS (64-bit)", "Other (64-bit)", "SUSE Linux Enterprise 15",
]  # fmt: skip


def some_estate(seed: int, count: int) -> Estate:
    chance = np.random.default_rng(seed)

    def word() -> str:
        return WORDS[chance.integers(len(WORDS))]

    machines = [
        EstateMachine(
            id=f"id-{i}",
            name=f"{word()}{'-_ '[chance.integers(3)]}{word()}{chance.integers(30)}",
            vcpus=int(chance.integers(0, 40)),
            memory_mib=int(chance.integers(0, 200_000)),
            provisioned_mib=int(chance.integers(0, 2_000_000)),
            guest_os=GUESTS[chance.integers(len(GUESTS))],
            folder=f"/{word()}/{word()}",
            networks=tuple(f"net-{word()}" for _ in range(chance.integers(0, 3))),
            labels={"Owner": word()} if chance.integers(2) else {},
            power=list(PowerState)[chance.integers(4)],
            host=f"h{chance.integers(4)}",
        )
        for i in range(count)
    ]
    hosts = tuple(EstateHost(name=f"h{i}", pool=f"pool-{i % 2}") for i in range(3))
    return estate(*machines, hosts=hosts)


def same_as_plain(whole: Estate, of: ClassRules, catalog: Catalog) -> int:
    """How many of the machines need an eye; both ways must say the same of each."""
    found = classify(whole, of, catalog.classes)
    for seen, one_ in zip(whole.machines, found, strict=True):
        expected = plain.answer(seen, whole, of, catalog.classes)
        confidence = Fraction(str(one_.confidence))
        assert (str(one_.target), one_.size, confidence, one_.needs_eye, one_.facts.software) == expected, (
            seen
        )
    return sum(one_.needs_eye for one_ in found)


def test_acmes_rules_say_the_same_by_columns_and_machine_by_machine(
    acme: Catalog, acme_rules: ClassRules
) -> None:
    assert 0 < same_as_plain(some_estate(1, 1500), acme_rules, acme) < 1500


MANY = """\
  a: {when: {folder: ["*/db*", "re:^/web/"], networks: "net-*"}, workload_class: database, confidence: 0.7}
  b: {when: {networks: "", power: ["on", unknown]}, unless: {vcpus: {at_least: 20}}, workload_class: web, size: small}
  c: {when: {labels: {owner: ["s*", app]}}, label: mine, confidence: 0.35}
  d: {when: {pool: pool-1, disk_gib: {at_most: 900}}, workload_class: batch, size: as-is}
  e: {when: {host: "h3"}, facts: {software: [edge]}}
  f: {otherwise: true, unless: {memory_mib: {at_most: 9000}}, workload_class: sap, confidence: 0.31}
  g: {otherwise: true, when: {pool: "h*"}, label: alone}
"""


@pytest.mark.parametrize("hold", ["vcpu", "memory_mib, disk_gib", "vcpu, memory_mib, disk_gib"])
def test_rules_of_every_kind_say_the_same_by_columns_and_machine_by_machine(
    hold: str, acme: Catalog
) -> None:
    of = rules(MANY, acme, f"{{hold: [{hold}], size_weight: 0.37, needs_eye_below: 0.33}}")
    assert 0 < same_as_plain(some_estate(2, 500), of, acme) < 500


def read_plainly(name: str) -> Estate:
    """The machines of a sample workbook's vInfo, by openpyxl alone."""
    openpyxl = pytest.importorskip("openpyxl")
    path = SAMPLES / name
    if not path.is_file():
        pytest.skip(f"{name} is not here; it is one of the shared samples")
    book = openpyxl.load_workbook(path, read_only=True)
    rows = book["vInfo"].iter_rows(values_only=True)
    header = next(rows)
    machines = []
    for cells in rows:
        if cells[0] is None:
            break  # padding: a million empty rows
        row = dict(zip(header, cells, strict=True))
        if row["CPUs"] is None:
            continue  # the sample's last row has a name and no size
        guest = row.get("OS according to the configuration file") or row["OS according to the VMware Tools"]
        machines.append(
            EstateMachine(
                id=row.get("VM UUID") or row["VM"], name=row["VM"], guest_os=guest, vcpus=int(row["CPUs"]),
                memory_mib=int(row["Memory"]), provisioned_mib=int(row["Provisioned MiB"]),
                power=PowerState(row["Powerstate"].removeprefix("powered").lower()),
            )
        )  # fmt: skip
    book.close()
    return estate(*machines)


@pytest.mark.parametrize(
    ("name", "machines", "need_eye"),
    [("kubev2v-example1.xlsx", 8, 6), ("rvtools-small-complete.xlsx", 3, 0)],
)
def test_acmes_rules_on_published_exports_leave_so_many_to_a_person(
    name: str, machines: int, need_eye: int, acme: Catalog, acme_rules: ClassRules
) -> None:
    """The first sample's machines are called vm-1 to vm-8: what is not small Linux must be asked about."""
    whole = read_plainly(name)
    assert len(whole.machines) == machines
    assert same_as_plain(whole, acme_rules, acme) == need_eye
