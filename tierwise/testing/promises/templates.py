# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""Machines are made of the template that their order requires, and of no other."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import permutations
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability
from catalog.resources import Resources
from connectors import disks
from connectors.contract import (
    TEMPLATE_TRAIT,
    Connector,
    DiskFormat,
    Firmware,
    PoolSnapshot,
    PowerState,
    VmDetails,
    VmSpec,
)
from connectors.disks import Image
from connectors.errors import DeadlineExceeded, NotFound, Refused, Unreachable, Unsupported
from tierwise.testing.promises.base import Connect, Counterpart, Machines, Needs, identities, identity_of

GIB = 2**30
GONE = "GONE"
OTHER_TRAIT = "HW_CPU_X86_AVX"


class TemplatePromises(Counterpart):
    """An order chooses by a trait among the templates that the endpoint's option `templates` names."""

    @pytest.fixture
    def templates(self) -> Mapping[str, bytes]:
        """Two names of the endpoint's option `templates` -> words that stand on that template's disk alone.

        The option has a third name, `GONE`, whose template is not at the endpoint. Empty: it has none.
        """
        return {}

    @pytest.fixture
    def offered(self, needs: Needs, templates: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """The same; skips where the pool makes no machines of templates."""
        needs(Capability.CREATE, Capability.TEMPLATE)
        assert len(templates) == 2, "say in the fixture 'templates' what the endpoint's option names"
        return templates

    @pytest.fixture
    def holds(
        self, needs: Needs, connector: Connector, pool: PoolSnapshot, tmp_path: Path
    ) -> Callable[[UUID, bytes], bool]:
        """Whether words stand on a machine's first disk; skips where no disk can be looked at."""
        if why := disks.missing():
            pytest.skip(why)
        given = [form for form in DiskFormat if pool.capabilities.has(form.exporting)]
        if not given:
            needs(DiskFormat.RAW.exporting)

        def look(identity: UUID, words: bytes) -> bool:
            seen, raw = Image(tmp_path / "seen", given[0]), Image(tmp_path / "seen.raw", DiskFormat.RAW)
            first = connector.details(identity).disks[0]
            with seen.path.open("w+b") as file:
                connector.export_disk(identity, first.key, seen.form, file, _ignore)
            if seen.form is DiskFormat.RAW:
                return _stands(words, seen.path)
            disks.convert(seen, raw, _ignore)
            return _stands(words, raw.path)

        return look

    def test_a_pool_has_a_trait_for_each_template_that_is_there_and_the_probe_tells_which_is_not(
        self, offered: Mapping[str, bytes], connector: Connector, pool: PoolSnapshot
    ) -> None:
        traits = {trait for trait in pool.traits if trait.startswith(TEMPLATE_TRAIT)}
        assert traits == {TEMPLATE_TRAIT + name for name in offered}
        assert {template.trait for template in pool.templates} == traits
        assert TEMPLATE_TRAIT + GONE in connector.probe().note

    def test_a_machine_can_be_made_of_a_template_with_the_least_disk_that_its_pool_tells_and_with_no_less(
        self, offered: Mapping[str, bytes], connector: Connector, machines: Machines, pool: PoolSnapshot
    ) -> None:
        told = [
            (template, template.minimum_disk_gib, template.size_bytes)
            for template in pool.templates
            if template.minimum_disk_gib is not None and template.size_bytes is not None
        ]
        if not told:
            pytest.skip("the pool tells the size of none of its templates")
        for template, least, size_bytes in told:
            fitting = Resources(vcpu=self.small.vcpu, memory_mib=self.small.memory_mib, disk_gib=least)
            made = identity_of(machines.make(resources=fitting, traits={template.trait}))
            details = connector.details(made)
            assert size_bytes <= details.disks[0].size_bytes < size_bytes + 2 * GIB
            assert details.firmware is (template.firmware or details.firmware)
            if least > 1:
                tight = fitting.model_copy(update={"disk_gib": least - 1})
                with pytest.raises(Refused, match=f"at least {least} GiB"):
                    machines.make(resources=tight, traits={template.trait})

    def test_a_machine_is_made_of_the_template_that_its_order_requires(
        self,
        offered: Mapping[str, bytes],
        connector: Connector,
        machines: Machines,
        holds: Callable[[UUID, bytes], bool],
    ) -> None:
        larger = self.small + Resources(disk_gib=1)
        for name, other in permutations(offered):
            view = machines.make(resources=larger, traits={TEMPLATE_TRAIT + name, OTHER_TRAIT})
            identity = identity_of(view)
            assert (view.resources, view.power) == (larger, PowerState.OFF)
            assert [disk.size_bytes for disk in connector.details(identity).disks] == [
                larger.disk_gib * GIB
            ]
            assert holds(identity, offered[name])
            assert not holds(identity, offered[other])

    def test_what_one_machine_writes_no_other_of_its_template_has(
        self,
        offered: Mapping[str, bytes],
        connector: Connector,
        machines: Machines,
        holds: Callable[[UUID, bytes], bool],
    ) -> None:
        name = next(iter(offered))
        first, second = (
            identity_of(machines.make(resources=self.bigger, traits={TEMPLATE_TRAIT + name}))
            for _ in range(2)
        )
        connector.delete_vm(first)
        assert holds(second, offered[name])
        third = identity_of(machines.make(resources=self.bigger, traits={TEMPLATE_TRAIT + name}))
        assert holds(third, offered[name]), "the template went with a machine that was made of it"

    def test_a_machine_whose_order_requires_none_and_one_that_is_to_be_filled_have_neithers_content(
        self,
        offered: Mapping[str, bytes],
        machines: Machines,
        holds: Callable[[UUID, bytes], bool],
    ) -> None:
        name = next(iter(offered))
        plain = identity_of(machines.make(traits={OTHER_TRAIT}))
        empty = identity_of(machines.make(empty=True, traits={TEMPLATE_TRAIT + name}))
        for identity in (plain, empty):
            assert [holds(identity, words) for words in offered.values()] == [False, False]

    def test_of_a_template_too_creating_twice_is_creating_once(
        self,
        offered: Mapping[str, bytes],
        machines: Machines,
        connect: Connect,
        holds: Callable[[UUID, bytes], bool],
    ) -> None:
        name, other = offered
        view = machines.make(resources=self.bigger, traits={TEMPLATE_TRAIT + name})
        identity = identity_of(view)
        elsewhere = connect()
        for one in (name, other):
            spec = machines.spec(identity, resources=self.bigger, traits={TEMPLATE_TRAIT + one})
            assert elsewhere.create_vm(spec, identity) == view
        assert identities(elsewhere).count(identity) == 1
        assert holds(identity, offered[name])

    def test_a_create_of_a_template_whose_reply_was_lost_is_repeated_without_harm(
        self,
        offered: Mapping[str, bytes],
        machines: Machines,
        connect: Connect,
        holds: Callable[[UUID, bytes], bool],
        lose_next_create_reply: Callable[[], None] | None,
    ) -> None:
        if lose_next_create_reply is None:
            pytest.skip("no reply can be lost on purpose here")
        name, words = next(iter(offered.items()))
        identity = machines.identity()
        spec = machines.spec(identity, resources=self.bigger, traits={TEMPLATE_TRAIT + name})
        lose_next_create_reply()
        with suppress(Unreachable, DeadlineExceeded):
            machines.connector.create_vm(spec, identity)
        again = connect()
        assert again.create_vm(spec, identity).resources == self.bigger
        assert identities(again).count(identity) == 1
        assert holds(identity, words)

    def test_two_templates_for_one_machine_are_refused(
        self, offered: Mapping[str, bytes], connector: Connector, machines: Machines
    ) -> None:
        before = connector.list_vms()
        traits = {TEMPLATE_TRAIT + name for name in offered}
        with pytest.raises(Refused) as caught:
            machines.make(resources=self.bigger, traits=traits)
        assert all(trait in str(caught.value) for trait in traits)
        assert connector.list_vms() == before

    @pytest.mark.parametrize("name", [GONE, "NEVER_NAMED"])
    def test_a_template_that_is_not_there_is_not_found_and_those_that_are_there_are_told(
        self, name: str, offered: Mapping[str, bytes], connector: Connector, machines: Machines
    ) -> None:
        before = connector.list_vms()
        with pytest.raises(NotFound) as caught:
            machines.make(resources=self.bigger, traits={TEMPLATE_TRAIT + name})
        there = ", ".join(TEMPLATE_TRAIT + one for one in sorted(offered))
        assert TEMPLATE_TRAIT + name in caught.value.why
        if name == GONE:
            assert f"there are: {there};" in caught.value.hint
        assert connector.list_vms() == before

    def test_a_firmware_that_the_template_does_not_start_by_is_refused_or_the_machine_has_it(
        self, offered: Mapping[str, bytes], connector: Connector, machines: Machines
    ) -> None:
        name = next(iter(offered))
        for firmware in Firmware:
            identity = machines.identity()
            spec = machines.spec(
                identity, resources=self.bigger, traits={TEMPLATE_TRAIT + name}, firmware=firmware
            )
            try:
                connector.create_vm(spec, identity)
            except Refused:
                assert identity not in identities(connector)
            else:
                found: VmDetails = connector.details(identity)
                assert found.firmware is firmware

    def test_where_no_template_can_be_chosen_an_order_that_requires_one_is_refused_with_the_reason(
        self, needs: Needs, connector: Connector, machines: Machines, pool: PoolSnapshot
    ) -> None:
        needs(Capability.CREATE)
        gap = pool.capabilities.gap(Capability.TEMPLATE)
        if gap is None:
            pytest.skip("templates can be chosen; other tests prove it")
        identity = uuid4()
        spec: VmSpec = machines.spec(identity, traits={f"{TEMPLATE_TRAIT}DEBIAN_12"})
        with pytest.raises(Unsupported) as caught:
            connector.create_vm(spec, identity)
        assert (caught.value.capability, caught.value.gap) == (Capability.TEMPLATE, gap)
        assert identity not in identities(connector)


def _ignore(_done: int) -> None:
    pass


def _stands(words: bytes, path: Path) -> bool:
    """Whether the words stand in a file, whose holes are not read."""
    with path.open("rb") as file:
        place = 0
        while True:
            try:
                place = os.lseek(file.fileno(), place, os.SEEK_DATA)
            except OSError:  # nothing follows
                return False
            end = os.lseek(file.fileno(), place, os.SEEK_HOLE)
            file.seek(place)
            if words in file.read(end - place):
                return True
            place = end
