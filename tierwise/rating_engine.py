"""The engine that rating runs on, by the settings: DuckDB in this process, or Spark where one machine is outgrown."""

from importlib import import_module
from typing import Any

from chargeback.engines.contract import Engine
from chargeback.engines.duck import DuckEngine
from tierwise.errors import InvalidInput
from tierwise.settings import Settings


def engine_of(settings: Settings) -> Engine:
    """The engine for these settings; Spark's session is made, or found, here.

    Raises InvalidInput where Spark is wanted and not installed.
    """
    if settings.spark_master:
        return _spark(settings.spark_master)
    spill = settings.usage_dir / "spill"
    return DuckEngine(
        memory_limit_mib=settings.rating_memory_mib,
        threads=settings.rating_threads,
        spill_folder=str(spill) if settings.rating_memory_mib else "",
    )


def _spark(master: str) -> Engine:
    try:
        spark: Any = import_module("pyspark.sql")  # an extra that few have, loaded by name
    except ImportError:
        msg = f"rating on Spark ({master}) needs pyspark; install tierwise[spark], or unset TIERWISE_SPARK_MASTER"
        raise InvalidInput(msg) from None
    import ibis  # noqa: PLC0415 - 0.9 s that only Spark needs

    from chargeback.engines.by_ibis import IbisEngine  # noqa: PLC0415 - as above

    builder: Any = spark.SparkSession.builder
    session = (
        builder.master(master).appName("tierwise").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    )
    return IbisEngine(ibis.pyspark.connect(session))
