"""Economics with some figures changed, and what is wrong with the path of one."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from catalog.wording import known_names
from chargeback.economics.document import Economics
from chargeback.economics.finding import migration_of, site_of, storage_of
from chargeback.money import exact_text
from tierwise.planner.pricing import host_facts, pool_facts
from tierwise.planner.world import FigureEdit, LicenceEdit, World


def wrong_path(economics: Economics, path: str) -> str:
    """What is wrong with a figure's path; empty: nothing."""
    known = [name for name, _ in economics.figures()]
    if path in known:
        return ""
    return f"there is no figure '{path}' in the economics document; {known_names(path, known)}"


def wrong_edit(economics: Economics, edit: FigureEdit) -> tuple[str, str]:
    """Which field of an edit is wrong and why; empty: nothing is."""
    why = wrong_path(economics, ".".join(edit.path))
    if why:
        return "path", why
    try:
        edited(economics, [edit], [])
    except ValidationError as error:
        said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        return "value" if edit.value is not None else "percent", f"the figure cannot be that: {said}"
    return "", ""


_SUNK = frozenset({"purchase_price", "purchase_per_core", "purchase_per_memory_gib", "depreciation_months"})
"""Figures that what was bought once is written off by, whatever becomes of its pool."""


def paying(economics: Economics, world: World) -> dict[str, frozenset[str]]:
    """Figure -> the pools that pay by it, of figures that are about some pools; for a move, those that it goes to."""
    facts = {name: pool_facts(pool) for name, pool in world.pools.items()}
    found: dict[str, set[str]] = {}
    for block in world.blocks:
        host = host_facts(block, world.pools[block.pool])
        for one in (each for each in economics.host_types if each.match.has(host)):
            found.setdefault(f"host_types.{one.name}", set()).add(block.pool)
            break
    for name, pool in facts.items():
        site, storage = site_of(economics, pool.site), storage_of(economics, pool)
        about = [
            f"sites.{site.name}" if site else "",
            f"storage.{storage.name}" if storage else "",
            *(f"opening.{one.name}" for one in economics.opening if one.match.has(pool)),
            *(f"other.{one.name}" for one in economics.other if one.match.has(pool)),
        ]
        moves = (migration_of(economics, origin, pool) for origin in facts.values() if origin != pool)
        about += [f"migration.{one.name}" for one in moves if one]
        for at in about:
            found.setdefault(at, set()).add(name)
    bought = {f"host_types.{one.name}" for one in economics.host_types if one.bought_on}
    bought |= {f"opening.{one.name}" for one in economics.opening if one.bought_on}
    return {
        path: frozenset(pools)
        for path, _ in economics.figures()
        for at, pools in found.items()
        if path.startswith(f"{at}.") and not (at in bought and path.rpartition(".")[2] in _SUNK)
    }


def edited(
    economics: Economics, figures: Sequence[FigureEdit], licences: Sequence[LicenceEdit]
) -> Economics:
    """The document with figures scaled or set, and licences renewed on other days.

    A figure that is scaled is so on all days and in all regions; one that is set has that value always. Raises
    ValueError where the result is no valid document.
    """
    renewals = [one for one in licences if one.renewal is not None]
    if not figures and not renewals:
        return economics
    tree = economics.model_dump(mode="json", by_alias=True)
    for edit in figures:
        _change(_place(tree, list(edit.path)), edit)
    for renewal in renewals:
        for way in _named(tree["licences"], renewal.product)["alternatives"]:
            for owned in way["owned"] if renewal.alternative in {"", way["name"]} else ():
                owned["until"] = str(renewal.renewal)
    return Economics.model_validate(tree)


def _place(tree: Any, path: list[str]) -> dict[str, Any]:
    """The figure at a path: keys of mappings, names or positions in lists. Names may have dots in them."""
    for cut in range(1, len(path) + 1):
        key = ".".join(path[:cut])
        inner = _child(tree, key)
        if isinstance(inner, dict) and cut == len(path):
            return inner
        if isinstance(inner, dict | list):
            try:
                return _place(inner, path[cut:])
            except KeyError:
                continue
    raise KeyError(".".join(path))


def _child(tree: Any, key: str) -> Any:
    if isinstance(tree, dict):
        return tree.get(key)
    if key.isdecimal() and int(key) < len(tree):
        return tree[int(key)]
    return next((one for one in tree if isinstance(one, dict) and one.get("name") == key), None)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(one for one in entries if one["name"] == name)


def _change(figure: dict[str, Any], edit: FigureEdit) -> None:
    if edit.value is not None:
        figure["value"], figure["changes"] = edit.value, []
        figure["from"] = figure["until"] = figure["region"] = None
        return
    factor = (Fraction(edit.percent or 0) + 100) / 100
    for one in (figure, *figure["changes"]):
        one["value"] = exact_text(Fraction(one["value"]) * factor)
