"""What ``tierwise pool list`` and ``pool templates`` tell of pools."""

import json
from pathlib import Path
from typing import Any

from tierwise.documents import load
from tierwise.testing.estate import simulated_acme
from tierwise.usecases.init import replace_endpoints


def test_a_pool_is_listed_with_the_traits_and_templates_that_its_endpoint_told(
    tierwise: Any, tmp_path: Path
) -> None:
    settings = simulated_acme(tmp_path)
    catalog = load(settings.catalog_dir).catalog
    endpoints = dict(catalog.endpoints)
    vcenter = endpoints["fra-vcenter"]
    options = {**vcenter.options, "templates": {"DEBIAN_12": "debian-12"}}
    replace_endpoints(
        settings, {**endpoints, vcenter.name: vcenter.model_copy(update={"options": options})}
    )
    command = tierwise.at(settings.data_dir)

    def listed(*arguments: str) -> dict[str, str]:
        shown = command("pool", "list", "--columns", "pool,traits", "-o", "json", *arguments).out
        return {row["pool"]: row["traits"] for row in json.loads(shown)}

    before, after = listed("--no-refresh"), listed()
    for name, pool in catalog.pools.items():
        assert before[name] == ", ".join(sorted(pool.traits))
        told = {"CUSTOM_TEMPLATE_DEBIAN_12"} if pool.endpoint == vcenter.name else set()
        assert after[name] == ", ".join(sorted(pool.traits | told))
    assert len(set(after.values())) > 1

    def templates(*arguments: str) -> list[dict[str, object]]:
        return json.loads(command("pool", "templates", "-o", "json", *arguments).out)

    there = [
        {
            "pool": name, "template": "CUSTOM_TEMPLATE_DEBIAN_12", "minimum_disk_gib": 1,
            "firmware": "bios", "size_bytes": 2**30,
        }
        for name, pool in catalog.pools.items()
        if pool.endpoint == vcenter.name
    ]  # fmt: skip
    assert templates() == there
    assert templates(there[0]["pool"], "--no-refresh") == there[:1]
    (other, *_) = (name for name, pool in catalog.pools.items() if pool.endpoint != vcenter.name)
    assert templates(other, "--no-refresh") == []
