"""Compiling what calls each other across files, without ever running what was compiled from an older file."""

import builtins
import dis
from collections.abc import Callable
from typing import Any, TypeVar
from zlib import crc32

import numpy as np

from placement.hosts import kernels

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """As `placement.hosts.kernels.compiled`, under a name that says what it was compiled with.

    Numba keeps machine code by the function's name and file, and does not notice that a constant or function
    of another file has changed; all that it uses is in the name here, so that a change is another name.
    """
    function.__qualname__ = f"{function.__qualname__}_{crc32(_used(function).encode()):08x}"
    return kernels.compiled(function)


def _used(function: Callable[..., Any]) -> str:
    """Its code, and what its names stand for: compiled functions by their names, which say all of them in turn.

    Whatever it calls must stand before it: what is not there yet could not be in the name.
    """
    code = function.__code__
    parts = [code.co_code.hex(), repr(code.co_consts)]
    for one in dis.get_instructions(function):
        if one.opname == "LOAD_GLOBAL":
            used = function.__globals__.get(one.argval, vars(builtins).get(one.argval))
            assert used is not None, f"{function.__name__} is compiled before '{one.argval}', which it uses"
            parts.append(
                repr(used) if isinstance(used, int | np.int64) else getattr(used, "__qualname__", "")
            )
    return " ".join(parts)
