# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""Disks go in and come out with the content that they had."""

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

import pytest

from catalog.capabilities import Capability
from connectors import disks
from connectors.contract import Connector, DiskFormat, Firmware, PoolSnapshot, PowerState, Seed
from connectors.disks import Image
from connectors.errors import Conflict, NotFound, Refused, Unsupported
from tierwise.testing.promises.base import Counterpart, Machines, Needs, identities, identity_of

GIB = 2**30
BLOCK = 2**20


def written_disk(path: Path, form: DiskFormat, size_bytes: int, seed: int) -> Image:
    """Make a disk image with random content at both ends; gives what it was made from, a raw image."""
    raw = Image(path.with_suffix(".src"), DiskFormat.RAW)
    chance = random.Random(seed)  # noqa: S311 -- content, not a secret
    with raw.path.open("wb") as file:
        file.truncate(size_bytes)
        file.write(chance.randbytes(BLOCK))
        file.seek(size_bytes - BLOCK)
        file.write(chance.randbytes(BLOCK))
    disks.convert(raw, Image(path, form), _ignore)
    return raw


def _ignore(_done: int) -> None:
    pass


class DiskPromises(Counterpart):
    """What is written to a disk is what is read from it."""

    @pytest.fixture
    def formats(self, needs: Needs, pool: PoolSnapshot) -> tuple[DiskFormat, DiskFormat]:
        """A format that the endpoint takes, and one that it gives; skips where disks are not carried."""
        needs(Capability.CREATE)
        if why := disks.missing():
            pytest.skip(why)
        has = pool.capabilities.has
        taken = [form for form in DiskFormat if has(form.importing)]
        given = [form for form in DiskFormat if has(form.exporting)]
        if not taken or not given:
            gap = pool.capabilities.gap(DiskFormat.RAW.exporting if taken else DiskFormat.RAW.importing)
            pytest.skip(f"disks are not carried: {gap}")
        return taken[0], given[0]

    def test_the_details_of_a_new_machine_are_as_ordered(
        self, formats: object, connector: Connector, machines: Machines
    ) -> None:
        view = machines.make()
        found = connector.details(identity_of(view))
        assert [disk.size_bytes for disk in found.disks] == [view.resources.disk_gib * GIB]

    @pytest.mark.parametrize("firmware", Firmware, ids=str)
    def test_a_machine_starts_by_the_firmware_that_was_asked_for_or_is_refused_with_nothing_left(
        self, firmware: Firmware, formats: object, connector: Connector, machines: Machines
    ) -> None:
        identity = machines.identity()
        spec = machines.spec(identity).model_copy(update={"firmware": firmware})
        try:
            connector.create_vm(spec, identity)
        except Refused:
            assert identity not in identities(connector)
        else:
            assert connector.details(identity).firmware is firmware

    @pytest.mark.parametrize("on", [False, True], ids=["off", "running"])
    def test_a_disk_moves_to_another_storage_and_the_machine_is_as_before(
        self,
        needs: Needs,
        connector: Connector,
        machines: Machines,
        other_storage: str | None,
        *,
        on: bool,
    ) -> None:
        needs(Capability.CREATE, Capability.STORAGE_MIGRATE)
        if other_storage is None:
            pytest.skip("this counterpart has one storage only")
        view = machines.make(on=on)
        identity = identity_of(view)
        told: list[int] = []
        for _ in ("it moves", "it is there"):
            assert connector.storage_migrate(identity, other_storage, told.append) == view
        assert told == sorted(told)
        assert [disk.size_bytes for disk in connector.details(identity).disks] == [
            view.resources.disk_gib * GIB
        ]

    def test_a_storage_that_is_not_there_is_not_found(
        self, needs: Needs, connector: Connector, machines: Machines
    ) -> None:
        needs(Capability.CREATE, Capability.STORAGE_MIGRATE)
        view = machines.make()
        with pytest.raises(NotFound):
            connector.storage_migrate(identity_of(view), "no-such-storage", _ignore)
        with pytest.raises(NotFound):
            connector.storage_migrate(uuid4(), "no-such-storage", _ignore)
        assert connector.get_vm(identity_of(view)) == view

    def test_a_seed_disk_comes_and_goes_with_its_machine_or_is_refused_with_nothing_left(
        self, needs: Needs, connector: Connector, machines: Machines, pool: PoolSnapshot
    ) -> None:
        needs(Capability.CREATE)
        identity = machines.identity()
        seed = Seed(user_data="#cloud-config\nhostname: promised\n")
        spec = machines.spec(identity).model_copy(update={"seed": seed})
        if not pool.capabilities.has(Capability.SEED_DISK):
            with pytest.raises(Unsupported):
                connector.create_vm(spec, identity)
            assert identity not in identities(connector)
            return
        made = connector.create_vm(spec, identity)
        assert connector.create_vm(spec, identity) == made
        assert made.resources == spec.resources, "the seed disk does not count as the machine's"
        connector.delete_vm(identity)
        assert identity not in identities(connector)

    def test_every_format_taken_and_given_carries_the_content(
        self, formats: object, connector: Connector, machines: Machines, pool: PoolSnapshot, tmp_path: Path
    ) -> None:
        identity = identity_of(machines.make())
        (disk,) = connector.details(identity).disks
        for seed, form in enumerate(f for f in DiskFormat if pool.capabilities.has(f.importing)):
            source = tmp_path / f"in.{form}"
            wanted = written_disk(source, form, disk.size_bytes, seed)
            told: list[int] = []
            with source.open("rb") as file:
                connector.import_disk(identity, disk.key, form, file, told.append)
            assert told == sorted(told)
            assert told[-1] > 0
            for out in (f for f in DiskFormat if pool.capabilities.has(f.exporting)):
                target = tmp_path / f"out.{out}"
                _export(connector, identity, disk.key, out, target)
                disks.must_be_equal(wanted, Image(target, out))
                target.unlink()
            source.unlink()
            wanted.path.unlink()
        assert connector.get_vm(identity).power is PowerState.OFF
        assert [d.size_bytes for d in connector.details(identity).disks] == [disk.size_bytes]

    def test_a_disk_of_another_size_is_not_taken(
        self,
        formats: tuple[DiskFormat, DiskFormat],
        connector: Connector,
        machines: Machines,
        tmp_path: Path,
    ) -> None:
        identity = identity_of(machines.make())
        (disk,) = connector.details(identity).disks
        source = tmp_path / "larger"
        written_disk(source, formats[0], disk.size_bytes + GIB, 7)
        with source.open("rb") as file, pytest.raises(Conflict):
            connector.import_disk(identity, disk.key, formats[0], file, _ignore)

    def test_a_running_machine_gives_and_takes_no_disk(
        self,
        formats: tuple[DiskFormat, DiskFormat],
        needs: Needs,
        connector: Connector,
        machines: Machines,
    ) -> None:
        needs(Capability.POWER_ON)
        identity = identity_of(machines.make(on=True))
        (disk,) = connector.details(identity).disks
        taken, given = formats
        with pytest.raises(Conflict):
            connector.export_disk(identity, disk.key, given, io.BytesIO(), _ignore)
        with pytest.raises(Conflict):
            connector.import_disk(identity, disk.key, taken, io.BytesIO(b"x"), _ignore)

    def test_a_machine_or_disk_that_is_not_there_is_not_found(
        self, formats: tuple[DiskFormat, DiskFormat], connector: Connector, machines: Machines
    ) -> None:
        identity = identity_of(machines.make())
        taken, given = formats
        calls: list[Callable[[UUID, str], None]] = [
            lambda i, key: connector.export_disk(i, key, given, io.BytesIO(), _ignore),
            lambda i, key: connector.import_disk(i, key, taken, io.BytesIO(b"x"), _ignore),
        ]
        (disk,) = connector.details(identity).disks
        for call in calls:
            with pytest.raises(NotFound):
                call(uuid4(), disk.key)
            with pytest.raises(NotFound):
                call(identity, "no such disk")
        with pytest.raises(NotFound):
            connector.details(uuid4())

    @pytest.mark.parametrize("form", DiskFormat, ids=lambda form: str(form.value))
    def test_a_format_declared_missing_is_refused_with_its_reason(
        self, form: DiskFormat, needs: Needs, connector: Connector, machines: Machines, pool: PoolSnapshot
    ) -> None:
        needs(Capability.CREATE)
        gaps = {form.importing: _importing, form.exporting: _exporting}
        missing = {
            capability: call for capability, call in gaps.items() if pool.capabilities.gap(capability)
        }
        if not missing:
            pytest.skip(f"{form.value} is taken and given; other tests prove it")
        identity = identity_of(machines.make())
        for capability, call in missing.items():
            with pytest.raises(Unsupported) as caught:
                call(connector, identity, form)
            assert caught.value.gap == pool.capabilities.gap(capability)


def _importing(connector: Connector, identity: UUID, form: DiskFormat) -> None:
    connector.import_disk(identity, "0", form, io.BytesIO(b"x"), _ignore)


def _exporting(connector: Connector, identity: UUID, form: DiskFormat) -> None:
    connector.export_disk(identity, "0", form, io.BytesIO(), _ignore)


def _export(connector: Connector, identity: UUID, key: str, form: DiskFormat, target: Path) -> None:
    told: list[int] = []
    with target.open("w+b") as opened:
        file: BinaryIO = opened
        connector.export_disk(identity, key, form, file, told.append)
    assert told == sorted(told)
    assert told[-1] > 0
