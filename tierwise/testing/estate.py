"""A whole estate for tests: the acme example on embedded simulations that outlive the process."""

from collections.abc import Mapping
from pathlib import Path

from catalog.pools import Endpoint, Option
from tierwise.demo.counterparts import embedded
from tierwise.documents import load
from tierwise.settings import Settings
from tierwise.usecases.init import init, replace_endpoints


def quick_settings(folder: Path) -> Settings:
    """Settings for the data directory ``folder/data``, with retries that do not keep a test waiting."""
    return Settings(data_dir=folder / "data", workers=2, retries=3, retry_after_s=0.01, boot_check_s=0)


def simulated_acme(
    folder: Path, live: Mapping[str, Endpoint] | None = None, /, **options: Option
) -> Settings:
    """The data directory ``folder/data``, whose every endpoint is an embedded simulation in it.

    Except for those named in `live`. `options` are added to every simulation's own.
    """
    settings = quick_settings(folder)
    init(settings, "acme")
    catalog = load(settings.catalog_dir).catalog
    endpoints = {}
    for name, endpoint in catalog.endpoints.items():
        providers = [pool.provider for pool in catalog.pools.values() if pool.endpoint == name]
        found = embedded(endpoint, providers, "for tests").endpoint
        endpoints[name] = found.model_copy(update={"options": {**found.options, **options}})
    replace_endpoints(settings, {**endpoints, **(live or {})})
    return settings
