"""What a what-if document may say, and what is told where it says something else."""

import pytest
import yaml

from catalog.discovery import BadKind, kind_of
from catalog.documents import DocumentError
from tierwise.planner.change import Change
from tierwise.planner.changes import kinds
from tierwise.planner.reading import load

WHOLE = """\
format: tierwise-whatif/1
name: leave
estate: export.xlsx
start: 2027-01-01
economics: economics.yaml
pools:
  Cluster 1: {tier: tier-1}
  edge:
    new: true
    tier: tier-2
    hypervisor: libvirt
    site: north
    hosts:
      small: {most: 2, sockets: 2, cores: 16, memory_mib: 131072}
rules:
  databases: {machines: {classes: [database]}, only: {tiers: [tier-1]}, reason: they must restart}
scenarios:
  retire:
    changes:
      - {kind: hypervisor_retired, hypervisor: vsphere}
      - {kind: growth, percent: 12.5}
"""


def told(text: str) -> list[str]:
    with pytest.raises(DocumentError) as error:
        load(text, "w.yaml")
    return [str(one) for one in error.value.problems]


def test_a_whole_document_is_read_with_its_changes() -> None:
    document = load(WHOLE, "w.yaml").document
    assert list(document.pools) == ["Cluster 1", "edge"]
    assert document.pools["edge"].hosts["small"].cores == 16
    assert [str(one) for one in document.scenarios["retire"].changes] == [
        "vSphere retired",
        "+12.5% all machines",
    ]
    assert str(document.start) == "2027-01-01"


def test_all_mistakes_of_a_document_are_told_at_once_with_their_places() -> None:
    text = (
        WHOLE.replace("start: 2027-01-01", "start: 2027-13-01")
        .replace("tier: tier-2", "teir: tier-2")
        .replace("reason: they must restart", "never: {tiers: [tier-2]}, reason: they must restart")
        .replace("kind: growth", "kind: grwoth")
        .replace("hypervisor: vsphere", "hypervisor: vmware")
    )
    assert told(text) == [
        "w.yaml:4:8: start: must be a day, such as 2027-03-01",
        "w.yaml:8:3: pools.edge.tier: is required and missing",
        (
            "w.yaml:10:11: pools.edge.teir: unknown field; did you mean 'tier'? known are new, tier, hypervisor, site, region, "
            "manager, losses, overcommit, reserved_memory_mib, threads_per_core, disk_gib, raw_storage_gib, ... (found 'tier-2')"
        ),
        "w.yaml:16:3: rules.databases: must have one of 'only' and 'never', which say where these machines may go",
        "w.yaml:20:48: scenarios.retire.changes.0.hypervisor: must be one of vsphere, hyperv, xen, libvirt (found 'vmware')",
        (
            "w.yaml:21:16: scenarios.retire.changes.1.kind: there is no change 'grwoth'; did you mean 'growth'? known are demand, "
            "figure, fixed, growth, host_loss, hosts_bought, hypervisor_retired, licence, most_moves, pool_closed, price, "
            "promised, ..."
        ),
    ]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("{kind: growth, percent: -5}", "must be above 0"),
        ("{kind: price, percent: lots}", "must be a number"),
        ("{kind: figure, path: a.b}", "must have one of 'percent' and 'value'"),
        ("{kind: licence, product: suite}", "must say what changes"),
        ("{kind: demand, class: web, size: small, per_month: 5, first_month: 9, last_month: 3}", "is before first_month 9"),
        ("{kind: reserve, losses: 1, enforce: false}", "must have one of 'losses' and 'enforce'"),
        ("{kind: pool_closed, of: {}}", "must say which pools"),
        ("[growth]", "must be a mapping with the change's kind"),
        ("growth", "must be a mapping with the change's kind"),
        ("{percent: 5}", "there is no change 'None'"),
        ("{kind: {a: 1}}", "there is no change '{'a': 1}'"),
        ("{kind: [growth]}", "did you mean 'growth'"),
        ("{kind: rule, name: a, only: {tiers: [t]}, never: {tiers: [t]}, reason: because}", "one of 'only' and 'never'"),
        ("{kind: rule, machines: {}, only: {tiers: [t]}, reason: because}", "changes.0.name: is required and missing"),
        ("{kind: host_loss, pool: A, hosts: 0}", "must be at least 1"),
        ("{kind: most_moves, machines: 1.5}", "must be a whole number"),
        ("{kind: growth, percent: 5, machines: {clases: [web]}}", "did you mean 'classes'"),
        ("{kind: licence, product: s, renewal: soon}", "must be a day"),
    ],
)  # fmt: skip
def test_a_wrong_change_is_told_with_its_line(change: str, word: str) -> None:
    text = (
        WHOLE.split("scenarios:", maxsplit=1)[0] + f"scenarios:\n  one:\n    changes:\n      - {change}\n"
    )
    (problem,) = told(text)
    assert problem.startswith("w.yaml:20:")
    assert word in problem


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "must be tierwise-whatif/1"),
        ("[]", "must be a mapping of sections"),
        ("format: tierwise-whatif/2", "must be tierwise-whatif/1"),
        ("format: tierwise-whatif/1\nscenarios: [a]", "must be a mapping from name to entry"),
        ("format: tierwise-whatif/1\npools: {A: 3}", "must be a mapping"),
        ("format: tierwise-whatif/1\nscenarios: {a: {changes: 5}}", "must be a list of changes"),
        (
            "format: tierwise-whatif/1\nscenarios: {today: {changes: []}}",
            "'today' is what every scenario is compared with",
        ),
        ("format: [", "w.yaml:1"),
        ("a: 1\na: 2", "stands already"),
    ],
)
def test_what_is_no_document_is_told(text: str, word: str) -> None:
    assert any(word in one for one in told(text)), told(text)


def test_every_kind_of_change_has_a_file_an_example_and_words() -> None:
    assert len(kinds()) >= 19
    for name, kind in kinds().items():
        change = kind.model_validate(yaml.safe_load(kind.example))
        assert isinstance(change, Change)
        assert kind.__module__.endswith(f".{name}")
        assert str(change)
        assert len(kind.summary) < 120


def test_a_module_that_is_no_kind_of_change_is_told_what_it_lacks() -> None:
    with pytest.raises(BadKind, match="must define one change with the field kind"):
        kind_of("growth", yaml, Change, "change")
