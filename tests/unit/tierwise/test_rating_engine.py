"""The engine follows the settings."""

import sys
from pathlib import Path

import pytest

from chargeback.engines.duck import DuckEngine
from tierwise.errors import InvalidInput
from tierwise.rating_engine import engine_of
from tierwise.settings import Settings


def test_duckdb_is_the_default_and_never_writes_beside_the_data(tmp_path: Path) -> None:
    assert engine_of(Settings(data_dir=tmp_path)) == DuckEngine()


def test_a_memory_limit_comes_with_a_folder_to_write_to(tmp_path: Path) -> None:
    engine = engine_of(Settings(data_dir=tmp_path, rating_memory_mib=256, rating_threads=1))
    assert engine == DuckEngine(256, 1, str(tmp_path / "usage" / "spill"))


def test_spark_that_is_not_installed_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(
        InvalidInput, match=r"needs pyspark; install tierwise\[spark\], or unset TIERWISE_SPARK_MASTER"
    ):
        engine_of(Settings(data_dir=tmp_path, spark_master="local[2]"))
