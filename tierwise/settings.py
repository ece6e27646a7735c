"""Settings of the application, from the environment (``TIERWISE_*``) or the command line."""

from pathlib import Path

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _default_data_dir() -> Path:
    return platformdirs.user_data_path("tierwise")


class Settings(BaseSettings):
    """Where tierwise keeps its data, and how hard it works."""

    model_config = SettingsConfigDict(env_prefix="TIERWISE_", frozen=True)

    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="Folder of the database, the catalog and the usage files.",
    )
    workers: int = Field(
        default=4, ge=1, le=64, description="How many machines are created or changed at the same time."
    )
    retries: int = Field(
        default=4, ge=1, le=20, description="How often a call to an endpoint that does not answer is tried."
    )
    retry_after_s: float = Field(
        default=1.0,
        ge=0.01,
        le=300,
        description="Seconds before the first retry; each further one doubles it.",
    )

    boot_check_s: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="Seconds that a moved machine must go on running before the move counts as done.",
    )

    rating_memory_mib: int | None = Field(
        default=None,
        ge=64,
        description="Memory that rating may use before it writes to the disk; most of the machine's where not set.",
    )
    rating_threads: int | None = Field(
        default=None, ge=1, le=1024, description="Cores that rating may use; all where not set."
    )
    spark_master: str = Field(
        default="",
        description="Rate on this Spark master, such as spark://host:7077; in this process where not set.",
    )

    kept_estates_mib: int = Field(
        default=512,
        ge=0,
        le=2**20,
        description="What estates that were read from files may take in the user's cache folder, so that planning the same "
        "file again need not read it again; those not asked for the longest go first. 0 keeps none.",
    )

    @property
    def database(self) -> Path:
        """The SQLite file of orders, machines and durable work."""
        return self.data_dir / "tierwise.sqlite"

    @property
    def catalog_dir(self) -> Path:
        """The folder whose YAML files are the catalog, the rules and the rate cards."""
        return self.data_dir / "catalog"

    @property
    def seeds_dir(self) -> Path:
        """The folder of seeds, each a folder with cloud-init's ``user-data``, and ``network-config`` if need be."""
        return self.data_dir / "seeds"

    @property
    def usage_dir(self) -> Path:
        """The folder of the Parquet files with usage intervals and samples."""
        return self.data_dir / "usage"

    @property
    def kept_estates_dir(self) -> Path:
        """The folder of estates that were read from files; it can be removed at any time."""
        return platformdirs.user_cache_path("tierwise") / "estates"

    @property
    def ledger_dir(self) -> Path:
        """The folder of the booked lines of closed periods."""
        return self.data_dir / "ledger"
