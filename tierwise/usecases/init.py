"""Making a data directory: the catalog's folder and an empty database."""

import importlib.resources
import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from catalog.documents import read
from catalog.pools import Endpoint
from tierwise.documents import load
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.settings import Settings
from tierwise.store.engine import migrate, open_engine


def examples_root() -> Path:
    """The folder of all examples, from the installed package or from the source tree."""
    packaged = Path(str(importlib.resources.files("tierwise"))) / "examples"
    return packaged if packaged.is_dir() else packaged.parents[1] / "examples"


def example_dir(name: str) -> Path:
    """The folder of a worked example. Raises InvalidInput where there is none of that name."""
    root = examples_root()
    if (root / name / "catalog.yaml").is_file():
        return root / name
    known = sorted(p.parent.name for p in root.glob("*/catalog.yaml"))
    msg = f"there is no example '{name}'; known are {', '.join(known) or 'none'}"
    raise InvalidInput(msg)


def init(settings: Settings, example: str) -> Path:
    """Write an example's documents into a new data directory, and make the database.

    Raises InvalidInput when the directory already has a catalog: nothing is overwritten.
    """
    target = settings.catalog_dir
    if target.exists():
        msg = f"{settings.data_dir} has a catalog already; nothing was changed. Edit {target}, or use another --data-dir"
        raise InvalidInput(msg)
    source = example_dir(example)
    load(source)
    # Copied beside and renamed: a full disk or a kill leaves no half catalog.
    part = settings.data_dir / "catalog.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, part)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        msg = f"{settings.data_dir} cannot be written: {_reason(error)}; check its rights and free space"
        raise InvalidInput(msg) from None
    try:
        engine = open_engine(settings.database)
        migrate(engine)
        engine.dispose()
    except TierwiseError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    part.rename(target)
    return target


def _reason(error: OSError) -> str:
    """The system's own words; copying a folder tells one for each file, and they are alike."""
    if isinstance(error, shutil.Error):
        (_, _, first), *_ = error.args[0]
        return str(first).partition("] ")[2].partition(":")[0] or str(first)
    return error.strerror or str(error)


def replace_endpoints(settings: Settings, endpoints: Mapping[str, Endpoint]) -> None:
    """Write other endpoints into the data directory's ``endpoints.yaml``, which must hold nothing else."""
    file = settings.catalog_dir / "endpoints.yaml"
    sections = set(read(file.read_text(encoding="utf-8"), str(file)).tree)
    if sections != {"endpoints"}:
        msg = (
            f"{file} must hold the section 'endpoints' alone to be replaced; it holds {', '.join(sections)}"
        )
        raise InvalidInput(msg)
    document = {
        "endpoints": {
            name: endpoint.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
            for name, endpoint in endpoints.items()
        }
    }
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
