"""Compiling inner loops: by numba where it is installed, plain Python or numpy where it is not.

The first call of `compiled` loads numba, which takes a second: whoever may do without imports its loops late.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F, without: F | None = None) -> F:
    """The function compiled, and kept on disk for the next process; where numba is missing, `without` or the function itself.

    Compiled code runs beside other threads: it holds no lock of the interpreter.
    """
    try:
        import numba  # noqa: PLC0415 - optional at run time: slower without, and the same
    except ImportError:
        return without or function
    try:
        kept: Any = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder to keep it in: read-only installation without a home
        kept = numba.njit(nogil=True)(function)
    return cast("F", kept)
