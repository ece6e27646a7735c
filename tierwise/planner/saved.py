"""Results as files."""

import json
from pathlib import Path

from pydantic import ValidationError

from tierwise.errors import InvalidInput, TierwiseError
from tierwise.planner.result import FORMAT, WhatIfResult
from tierwise.reports.files import write_whole


def write_saved(result: WhatIfResult, path: Path) -> None:
    """Write a result, whole or not at all: what was saved there before stays. Raises InvalidInput where that cannot be."""
    try:
        write_whole(path, (result.model_dump_json(indent=1) + "\n").encode())
    except TierwiseError as error:
        raise InvalidInput(str(error)) from None


def is_saved(path: Path) -> bool:
    """Whether a file looks like JSON rather than a document to be solved."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(4096).lstrip().startswith("{")
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise InvalidInput(msg) from None


def read_saved(path: Path) -> WhatIfResult:
    """A result that was written. Raises InvalidInput with what is wrong."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(tree, dict) or tree.get("format") != FORMAT:
            msg = f"{path}: is no result: its format must be {FORMAT}; write one by `tierwise whatif run --save`"
            raise InvalidInput(msg)
        return WhatIfResult.model_validate(tree)
    except ValidationError as error:
        details = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:20]]
        msg = f"{path}: is not a whole result; write it again by `tierwise whatif run --save`"
        raise InvalidInput(msg, details=details) from None
    except (ValueError, RecursionError) as error:
        msg = f"{path}: cannot be read as JSON: {error}; write it again by `tierwise whatif run --save`"
        raise InvalidInput(msg) from None
