"""What must hold for any estate and any rules: order does not matter, a person's word wins, nothing is lost on the way."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.catalog import load_catalog
from catalog.documents import DocumentError, Problem
from catalog.estates import Estate, EstateMachine, PowerState, Utilization
from catalog.estates.class_rules import ClassRule, ClassRules, Match, Range, Weighing
from catalog.estates.classified import Decision, Target
from catalog.estates.classifying import classify
from catalog.estates.mapping import read_mapping, write_mapping
from catalog.estates.patterns import complaint
from catalog.estates.sizing import Bounds, SizingPolicy, rightsize

CLASSES = load_catalog({
    "c.yaml": """\
tiers: {t: {rank: 1, title: T, purpose: for all}}
classes:
  a: {title: A, summary: a, sizes: {s: {vcpu: 1, memory_mib: 1024, disk_gib: 1}, l: {vcpu: 8, memory_mib: 4096, disk_gib: 9}}, allowed_tiers: [t], default_tier: t}
  b: {title: B, summary: b, sizes: {wide: {vcpu: 9, memory_mib: 512, disk_gib: 1}, deep: {vcpu: 2, memory_mib: 99999, disk_gib: 1}}, allowed_tiers: [t], default_tier: t}
"""
}).classes  # fmt: skip

words = st.text("ab*?[]re:.-", max_size=6)
names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
patterns = st.lists(words.filter(lambda text: not complaint(text)), min_size=1, max_size=3).map(tuple)
sizes = st.integers(0, 12)


@st.composite
def machines(draw: st.DrawFn) -> tuple[EstateMachine, ...]:
    ids = draw(st.lists(names.filter(str.strip), unique_by=str.strip, min_size=1, max_size=8))
    return tuple(
        EstateMachine(
            id=key,
            name=draw(words) or "m",
            guest_os=draw(words),
            vcpus=draw(sizes),
            memory_mib=draw(sizes) * 512,
            provisioned_mib=draw(sizes) * 1000,
            power=draw(st.sampled_from(PowerState)),
            networks=tuple(draw(st.lists(words, max_size=2))),
        )
        for key in ids
    )


matches = st.builds(
    Match,
    name=patterns,
    guest_os=st.none() | patterns,
    networks=st.none() | patterns,
    vcpus=st.none() | st.builds(Range, at_least=st.integers(0, 6), at_most=st.integers(6, 12)),
)


@st.composite
def rule_sets(draw: st.DrawFn) -> ClassRules:
    rules = []
    for i in range(draw(st.integers(0, 6))):
        what: dict[str, Any] = draw(
            st.sampled_from([{"workload_class": "a"}, {"workload_class": "b"}, {"label": "x"}])
        )
        size = draw(st.sampled_from(["nearest", "as-is"])) if "workload_class" in what else "nearest"
        rules.append(
            ClassRule(
                name=f"r{i}", when=draw(matches), unless=draw(st.none() | matches), size=size,
                confidence=draw(st.decimals("0.01", 1, places=2)), otherwise=draw(st.booleans()), **what,
            )
        )  # fmt: skip
    weight = draw(st.decimals(0, 1, places=2))
    return ClassRules(rules=tuple(rules), weighing=Weighing(size_weight=weight))


def estate(of: tuple[EstateMachine, ...]) -> Estate:
    return Estate(name="e", source="drawn", machines=of)


@given(machines(), rule_sets(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_machines_and_their_company_do_not_matter(
    of: tuple[EstateMachine, ...], rules: ClassRules, chance: Any
) -> None:
    known = {one.machine: one for one in classify(estate(of), rules, CLASSES)}
    shuffled = chance.sample(of, len(of))
    again = classify(estate(tuple(shuffled)), rules, CLASSES)
    assert [one.machine for one in again] == [one.id for one in shuffled]
    assert all(known[one.machine] == one for one in again)
    for alone in of:
        assert classify(estate((alone,)), rules, CLASSES) == (known[alone.id],)


@given(machines(), rule_sets())
@settings(max_examples=40, deadline=None)
def test_what_is_said_is_possible(of: tuple[EstateMachine, ...], rules: ClassRules) -> None:
    for machine, one in zip(of, classify(estate(of), rules, CLASSES), strict=True):
        own = machine.resources()
        assert 0 <= one.confidence <= 1
        assert one.resources.disk_gib == own.disk_gib
        assert (
            one.resources.vcpu >= own.vcpu
        )  # no rule here names a size, so what is chosen holds the machine
        assert one.resources.memory_mib >= own.memory_mib
        if one.size not in {"", "as-is"}:
            size = CLASSES[one.workload_class].sizes[one.size]
            assert (one.resources.vcpu, one.resources.memory_mib) == (size.vcpu, size.memory_mib)
        else:
            assert one.resources == own


@given(machines(), rule_sets(), st.data())
@settings(max_examples=40, deadline=None)
def test_a_row_of_the_mapping_wins_and_touches_no_other_machine(
    of: tuple[EstateMachine, ...], rules: ClassRules, data: st.DataObject
) -> None:
    machine = data.draw(st.sampled_from(of))
    target = data.draw(
        st.sampled_from([Target(workload_class="a"), Target(workload_class="b"), Target(label="z")])
    )
    size = data.draw(st.sampled_from(["", "as-is"])) if target.workload_class else ""
    decision = Decision(machine=machine.id, target=target, size=size)
    before = classify(estate(of), rules, CLASSES)
    after = classify(estate(of), rules, CLASSES, {machine.id: decision})
    for old, new in zip(before, after, strict=True):
        if old.machine != machine.id:
            assert old == new
        else:
            assert (new.target, new.confidence, new.needs_eye, new.by_hand) == (target, 1, False, True)
            assert new.suggested == old.suggested


@given(machines(), rule_sets(), st.data())
@settings(max_examples=40, deadline=None)
def test_the_mapping_reads_back_what_was_decided_and_nothing_else(
    of: tuple[EstateMachine, ...], rules: ClassRules, data: st.DataObject
) -> None:
    whole = estate(of)
    chosen = data.draw(st.lists(st.sampled_from(of), unique=True))
    notes = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=9).map(str.strip)
    decided = {
        one.id: Decision(
            machine=one.id,
            note=data.draw(notes),
            target=data.draw(st.sampled_from([Target(workload_class="a"), Target(label="z")])),
        )
        for one in chosen
    }
    found = classify(whole, rules, CLASSES, decided)
    back = read_mapping(write_mapping(whole, found), "m.csv", whole, CLASSES)
    assert set(back.by_machine) == set(decided)
    assert not back.notes
    again = classify(whole, rules, CLASSES, back.by_machine)
    # Only the words differ: what was "the nearest size" is read back as the size that this came to.
    assert [one.model_copy(update={"reason": "-"}) for one in again] == [
        one.model_copy(update={"reason": "-"}) for one in found
    ]


@given(
    st.builds(
        Bounds,
        headroom_percent=st.decimals(0, 80, places=1),
        step=st.integers(1, 9),
        smallest=st.integers(1, 6),
        largest=st.none() | st.integers(6, 30),
        keep_percent=st.decimals(0, 100, places=1),
        smallest_change=st.integers(0, 5),
        largest_cut_percent=st.decimals(0, 100, places=1),
    ),
    st.booleans(),
    st.integers(0, 40),
    st.lists(st.floats(0, 300), min_size=2, max_size=6),
)
@settings(max_examples=200, deadline=None)
def test_growing_use_never_shrinks_the_size(
    bounds: Bounds, may_grow: bool, vcpus: int, percents: list[float]
) -> None:
    policy = SizingPolicy(vcpu=bounds, may_grow=may_grow, min_hours=0, min_samples=0)
    found = [
        rightsize(
            EstateMachine(
                id="m", name="m", vcpus=vcpus, memory_mib=1, utilization=Utilization(cpu_percent=percent)
            ),
            policy,
        )
        for percent in sorted(percents)
    ]
    given_ = [one.resources.vcpu for one in found]
    assert given_ == sorted(given_)
    assert all(n > 0 for n in given_) or vcpus == 0
    assert all(one.resources.memory_mib == 1 for one in found)


def problems_of(text: str) -> tuple[Problem, ...]:
    whole = estate((EstateMachine(id="m", name="m", vcpus=1, memory_mib=1),))
    try:
        read_mapping(text, "m.csv", whole, CLASSES)
    except DocumentError as error:
        return error.problems
    return ()


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_mapping_or_refused_with_its_rows(text: str) -> None:
    for candidate in (text, "id,class\n" + text, "id;class;size\n" + text):
        assert all(problem.line > 0 and problem.message for problem in problems_of(candidate))


@pytest.mark.parametrize(
    "text", ["id,class\nm,a\x00\n", "id,class\r\rm,a\r", "id,class\n" + "m" * 2000 + ",a\n"]
)
def test_odd_characters_end_in_words_too(text: str) -> None:
    assert all(problem.line > 0 and problem.message for problem in problems_of(text))
