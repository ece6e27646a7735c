"""A mapping that cannot change: equal to a dict of the same items, hashable, picklable, copyable."""

from collections.abc import Mapping
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import AfterValidator

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A dict whose items are set once. Equality does not look at the order, as with any dict."""

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        msg = "this mapping is frozen; make a new one"
        raise TypeError(msg)

    __setitem__ = _refuse
    __delitem__ = _refuse
    __ior__ = _refuse
    clear = _refuse
    pop = _refuse
    popitem = _refuse
    setdefault = _refuse
    update = _refuse

    def __hash__(self) -> int:  # type: ignore[override] # dict says None: a frozen one can be hashed
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type["FrozenDict[K, V]"], tuple[dict[K, V]]]:
        # The default way rebuilds a dict item by item, which `__setitem__` refuses.
        return type(self), (dict(self),)


FrozenMapping = Annotated[Mapping[K, V], AfterValidator(FrozenDict)]
"""A field that takes any mapping and keeps a frozen copy in the same order."""
