"""Compiling inner loops: by numba where it is installed, plain Python or numpy where it is not.

The first call of `compiled` loads numba, which takes a second: whoever may do without imports its loops late.

Compiled code is kept on disk for the next process. Numba finds it by the function's name and file, and does not notice
that a constant or function of another file has changed; all that a function uses is in its name here, so that a change
is another name.
"""

import builtins
import dis
from collections.abc import Callable
from typing import Any, TypeVar, cast
from zlib import crc32

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F, without: F | None = None, *, allocates: bool = True) -> F:
    """The function compiled; where numba is missing, `without` or the function itself.

    Compiled code runs beside other threads: it holds no lock of the interpreter.
    """
    _name(function)
    try:
        import numba  # noqa: PLC0415 - optional at run time: slower without, and the same
    except ImportError:
        return without or function
    compiling: Any = numba.njit  # Its types leave `_nrt` out: no counted references, no allocations.
    try:
        kept = compiling(cache=True, nogil=True, _nrt=allocates)(function)
    except RuntimeError:  # no folder to keep it in: read-only installation without a home
        kept = compiling(nogil=True, _nrt=allocates)(function)
    return cast("F", kept)


def compiled_bare(function: F) -> F:
    """As `compiled`, for what makes no arrays; numba refuses what does.

    References to the arrays that it is handed are not counted: that takes longer than the rest of a short loop.
    """
    return compiled(function, allocates=False)


def inlined(function: F) -> F:
    """A part of a loop, pasted into it: calls would hand over all arrays one by one, and cost more than the part."""
    _name(function)
    try:
        import numba  # noqa: PLC0415 - as in `compiled`
    except ImportError:
        return function
    return cast("F", numba.njit(inline="always", nogil=True)(function))


def _name(function: Callable[..., Any]) -> None:
    """Say in its name what it is compiled with."""
    function.__qualname__ = f"{function.__qualname__}_{crc32(_used(function).encode()):08x}"


def _used(function: Callable[..., Any]) -> str:
    """Its code, and what its names stand for: compiled functions by their names, which say all of them in turn.

    Whatever it calls must stand before it: what is not there yet could not be in the name.
    """
    code = function.__code__
    parts = [code.co_code.hex(), repr(code.co_consts), *code.co_names]
    for one in dis.get_instructions(function):
        if one.opname == "LOAD_GLOBAL":
            used = function.__globals__.get(one.argval, vars(builtins).get(one.argval))
            assert used is not None, f"{function.__name__} is compiled before '{one.argval}', which it uses"
            number = isinstance(used, int | float | np.number)
            parts.append(repr(used) if number else getattr(used, "__qualname__", ""))
    return " ".join(parts)
