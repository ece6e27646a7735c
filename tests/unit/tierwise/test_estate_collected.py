"""Right-sizing from the samples that the data directory has collected."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pyarrow as pa
import pytest

from catalog.estates import Estate, EstateMachine
from catalog.estates.sizing import SizingPolicy, rightsize
from chargeback.samples import SCHEMA
from tierwise.app import App
from tierwise.cli import estate_classes
from tierwise.cli.context import Context
from tierwise.usecases.samples import added_to, sample_store

START = 1_790_000_000


def test_a_machine_is_sized_by_what_the_usage_store_has_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,000 MHz of 2 x 2,000 are 25 %; 2 x 0.25 x 1.2 = 0.6, so 1 vCPU; 200 of 720 hours are 0.28."""
    stored = SimpleNamespace(settings=SimpleNamespace(usage_dir=tmp_path))

    @contextmanager
    def app(_context: Context) -> Iterator[object]:
        yield stored

    monkeypatch.setattr(Context, "app", app)
    rows = [
        {"machine": "id", "metric": "cpu_mhz", "at": START + 3600 * i, "quantity": 1000} for i in range(200)
    ]
    store = sample_store(cast("App", stored))
    with store.writing():
        added_to(store, pa.Table.from_pylist(rows, schema=SCHEMA), source="s", recorded_at=START, what="w")
    estate = Estate(
        name="e", source="s", machines=(EstateMachine(id="id", name="n", vcpus=2, memory_mib=2048),)
    )
    measured = estate_classes._from_store(Context(None), estate, 95, 2000)
    assert (measured.machines, measured.until_s, measured.notes) == (1, START + 3600 * 199, ())
    sized = rightsize(measured.estate.machines[0], SizingPolicy())
    assert (sized.resources.vcpu, sized.confidence) == (1, 0.28)
    assert sized.reason == "2 vCPU to 1 vCPU: 25 % used; memory kept: its use is not known"
