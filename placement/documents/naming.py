"""Groups of a document: names for requests, and for groups of them."""

from collections.abc import Iterator, Mapping

from catalog.wording import known_names
from placement.documents.form import Document


def groups(form: Document, ids: tuple[str, ...]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Every group with the ids in it, those of counted requests too; and what is wrong with them.

    `ids` are those of all requests, in their order.
    """
    counted, first = {}, 0
    for request in form.requests:
        end = first + (request.count or 1)
        if request.count is not None:
            counted[request.id] = ids[first:end]
        first = end
    singles = set(ids)
    found = dict(counted)
    for name in form.groups:
        _fill(name, form, singles, found)
    return found, list(_wrong_groups(form, counted, singles))


def _fill(name: str, form: Document, singles: set[str], found: dict[str, tuple[str, ...]]) -> None:
    """Flatten one group, those in it before it; of a circle, which is told elsewhere, whatever comes."""
    opened: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting[-1]
        if one not in found and one not in opened:
            opened.add(one)
            inner = (m for m in form.groups[one] if m in form.groups and m not in singles)
            waiting += [m for m in inner if m not in found and m not in opened]
            continue
        waiting.pop()
        if one not in found:
            members = ((m,) if m in singles else found.get(m, ()) for m in form.groups[one])
            found[one] = tuple(dict.fromkeys(m for ids in members for m in ids))


def _wrong_groups(
    form: Document, counted: Mapping[str, tuple[str, ...]], singles: set[str]
) -> Iterator[str]:
    known = (*form.groups, *(request.id for request in form.requests[:1000]))
    for name, members in form.groups.items():
        if name in singles or name in counted:
            yield f"groups.{name}: a request has this id; call the group something else"
        for n, one in enumerate(members):
            if one not in singles and one not in counted and one not in form.groups:
                yield f"groups.{name}[{n}]: there is no request or group '{one}'; {known_names(one, known)}"
    circles = (circle for name in form.groups if (circle := _circle(name, form)))
    for circle in circles:
        if circle[0] == min(circle):  # Told once, not from each of its groups.
            yield f"groups.{circle[0]}: goes round in a circle, {' > '.join(circle)}; take one of them out"


def _circle(start: str, form: Document) -> tuple[str, ...]:
    """The way from a group back to itself, or nothing."""
    seen: set[str] = set()
    ways: list[tuple[str, ...]] = [(start,)]
    while ways:
        way = ways.pop()
        for one in form.groups.get(way[-1], ()):
            if one == start:
                return (*way, start)
            if one in form.groups and one not in seen:
                seen.add(one)
                ways.append((*way, one))
    return ()
