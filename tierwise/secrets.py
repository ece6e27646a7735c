"""Secret references -> secrets. Only references are stored; values stay inside `SecretStr`."""

import os
from pathlib import Path

from pydantic import SecretStr

from tierwise.errors import InvalidInput


def resolve(reference: str | None, *, wanted_by: str) -> SecretStr | None:
    """The secret that ``env:NAME`` or ``file:PATH`` points at, or None without a reference.

    Raises InvalidInput naming the reference, never the value.
    """
    if reference is None:
        return None
    scheme, _, where = reference.partition(":")
    if scheme == "env" and where:
        value = os.environ.get(where)
        if value is None:
            msg = f"{wanted_by} takes its password from the environment variable {where}, which is not set"
            raise InvalidInput(msg)
        return SecretStr(value)
    if scheme == "file" and where:
        try:
            return SecretStr(Path(where).read_text(encoding="utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{wanted_by} takes its password from the file {where}, which cannot be read: {error}"
            raise InvalidInput(msg) from None
    # The reference itself may be a password that somebody wrote by mistake: never repeat it.
    msg = f"the secret of {wanted_by} must be a reference: env:NAME or file:PATH"
    raise InvalidInput(msg)
