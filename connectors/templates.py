"""Templates that orders choose: an endpoint's option `templates` names them, and its pools have a trait for each.

So a class or rule that requires the trait is placed only where machines can be made of the template, and the
driver finds it among `VmSpec.traits`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from catalog.capabilities import Capability, Gap, GapReason
from catalog.frozen import FrozenMapping
from catalog.pools import Firmware, Template
from connectors.contract import TEMPLATE_TRAIT, VmSpec
from connectors.errors import NotFound, Refused, Unsupported

GIB = 2**30
OPERATION = "create_vm"
NONE = Gap(
    reason=GapReason.NOT_CONFIGURED,
    detail="the endpoint names no templates that orders could choose; set its option 'templates'",
)

_NAME = re.compile(r"[A-Z0-9][A-Z0-9_]{0,99}")


def _checked(named: object) -> object:
    if not isinstance(named, Mapping):
        msg = "must be a mapping of names to the endpoint's own templates, such as {DEBIAN_12: debian-12}"
        raise ValueError(msg)  # noqa: TRY004 - pydantic reports ValueErrors only
    wrong = [name for name in named if not _NAME.fullmatch(str(name))]
    if wrong:
        msg = (
            f"{', '.join(map(repr, wrong))}: a template's name ends a trait's, so write capitals, digits and "
            "underscores, at most 100, such as DEBIAN_12"
        )
        raise ValueError(msg)
    return named


Templates = Annotated[
    FrozenMapping[str, Annotated[str, Field(min_length=1, max_length=1000)]], BeforeValidator(_checked)
]
"""The endpoint's own templates by the names that orders know them by."""


def trait(name: str) -> str:
    """What a pool is that makes machines of the template of this name."""
    return f"{TEMPLATE_TRAIT}{name}"


def described(
    name: str, size_bytes: int, firmware: Firmware | None, *, minimum_disk_gib: int | None = None
) -> Template:
    """The template of this name; its machines have as much disk, or more, unless it says otherwise."""
    least = -(-size_bytes // GIB) if minimum_disk_gib is None else minimum_disk_gib
    return Template(trait=trait(name), size_bytes=size_bytes, minimum_disk_gib=least, firmware=firmware)


def traits(offered: Iterable[Template]) -> frozenset[str]:
    """What a pool is that makes machines of these."""
    return frozenset(one.trait for one in offered)


def wanted(endpoint: str, spec: VmSpec, named: Mapping[str, str]) -> str | None:
    """The name, among those of the option, of the template that the machine's order requires; None for none.

    Raises Refused for more than one, Unsupported where the option names none, and NotFound.
    """
    asked = spec.templates
    if not asked:
        return None
    if len(asked) > 1:
        why = f"a machine is made of one template, and its order requires {' and '.join(map(trait, asked))}"
        raise Refused(endpoint, OPERATION, why, hint="require one of them in its class and rules")
    if not named:
        raise Unsupported(endpoint, Capability.TEMPLATE, NONE)
    (name,) = asked
    if name not in named:
        why = f"the endpoint's option 'templates' has no {name}, for {trait(name)}"
        raise NotFound(endpoint, OPERATION, why, hint=_hint("write it there", named))
    return name


def gone(endpoint: str, name: str, own: str, there: Iterable[str]) -> NotFound:
    """The error for a template that is named, and is not at the endpoint; `there` are the names of those that are."""
    why = f"there is no template '{own}', which {trait(name)} stands for"
    return NotFound(
        endpoint, OPERATION, why, hint=_hint(f"make it, or correct option 'templates.{name}'", there)
    )


def problems(found: Mapping[str, str]) -> str:
    """Why templates are not offered, for the note of a probe: name -> what is wrong with it."""
    return "; ".join(f"{trait(name)} is not offered: {why}" for name, why in sorted(found.items()))


def _hint(what: str, there: Iterable[str]) -> str:
    known = ", ".join(map(trait, sorted(there))) or "none"
    return f"there are: {known}; {what}, or change what the order's class and rules require"
