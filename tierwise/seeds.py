"""Seeds in the data directory: what cloud-init reads at a machine's first start. Orders name them.

They may hold passwords, so neither orders nor durable work have their texts: a seed is read where a machine
is made. A seed is a folder ``seeds/NAME`` with cloud-init's own file names.
"""

from pathlib import Path

from pydantic import ValidationError

from connectors.contract import Seed
from tierwise.errors import InvalidInput

USER_DATA = "user-data"
NETWORK_CONFIG = "network-config"


def read(folder: Path, name: str) -> Seed:
    """The seed of this name. Raises InvalidInput naming the file, never what is in it."""
    return _seed(folder, name, network=_text(folder / name / NETWORK_CONFIG, missing=""))


def _seed(folder: Path, name: str, *, network: str) -> Seed:
    file = folder / name / USER_DATA
    try:
        return Seed(user_data=_text(file, missing=None), network_config=network)
    except ValidationError as error:
        why = str(error.errors(include_input=False, include_url=False)[0]["msg"]).lower()
        msg = f"seed '{name}' in {file.parent} cannot be used: {why}; correct its files"
        raise InvalidInput(msg) from None


def _text(file: Path, *, missing: str | None) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if missing is not None:
            return missing
        there = sorted(one.parent.name for one in file.parent.parent.glob(f"*/{USER_DATA}"))
        known = f"there are: {', '.join(there)}" if there else "write it"
        msg = f"seed '{file.parent.name}' has no file {file}; {known}"
        raise InvalidInput(msg) from None
    except UnicodeDecodeError as error:
        msg = f"{file}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise InvalidInput(msg) from None
    except OSError as error:
        msg = f"{file}: cannot be read: {error.strerror}; let the user that runs tierwise read it"
        raise InvalidInput(msg) from None
