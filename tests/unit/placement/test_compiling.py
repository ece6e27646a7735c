"""What compiled code is kept under: all that it was compiled with."""

from collections.abc import Callable
from types import FunctionType

import pytest

from placement.compiling import compiled, compiled_bare, inlined


def once(n: int) -> int:
    return n + 1


def twice(n: int) -> int:
    return n + 2


def fresh(function: Callable[[int], int], **names: object) -> Callable[[int], int]:
    """The same code among other names, as a file would have it after a change elsewhere."""
    return FunctionType(function.__code__, {**globals(), **names}, function.__name__)


def user(n: int) -> int:
    return helper(n) + NUMBER  # type: ignore[name-defined,no-any-return]  # noqa: F821 - given by `fresh`


def named(helper: Callable[[int], int], number: float, way: Callable[..., Callable[[int], int]]) -> str:
    """The name under which `user` is kept, with such a helper and constant."""
    return way(fresh(user, helper=inlined(fresh(helper)), NUMBER=number)).__qualname__


@pytest.mark.parametrize("way", [compiled, compiled_bare])
def test_code_is_kept_under_another_name_when_what_it_uses_changes(
    way: Callable[..., Callable[[int], int]],
) -> None:
    before = named(once, 5, way)
    assert named(once, 5, way) == before
    assert len({before, named(twice, 5, way), named(once, 6, way), named(once, 5.5, way)}) == 4


def test_what_is_compiled_before_what_it_uses_is_refused() -> None:
    with pytest.raises(AssertionError, match="user is compiled before 'helper'"):
        compiled(fresh(user, NUMBER=1))
