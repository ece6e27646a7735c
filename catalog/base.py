"""What all nouns share: frozen, checked when made, no unknown fields."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Value(BaseModel):
    """A frozen value; two values with equal fields are equal."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_TRAIT = r"^[A-Z][A-Z0-9_]{0,254}$"
_COUNTRY = r"^[A-Z]{2}$"
_IDENTIFIER = r"^[a-z][a-z0-9_]{0,62}$"
_SECRET = r"^(env|file):.+$"  # noqa: S105 - the form of a reference to a secret
_CURRENCY = r"^[A-Z]{3}$"
_NAME_OR_NONE = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$"

PATTERNS_IN_WORDS = {
    _NAME: "a name of lower-case letters, digits and inner hyphens, at most 63 characters",
    _TRAIT: "a trait in capitals, digits and underscores, such as STORAGE_SSD",
    _COUNTRY: "a country code of two capitals (ISO 3166-1), such as DE",
    _CURRENCY: "a currency code of three capitals (ISO 4217), such as EUR",
    _NAME_OR_NONE: "a name of lower-case letters, digits and inner hyphens, at most 63 characters, or empty",
    _IDENTIFIER: "lower-case letters, digits and underscores, starting with a letter",
    _SECRET: "env:NAME or file:PATH, which says where the secret is; never the secret itself",
}
"""What each pattern means, for messages."""

Name = Annotated[str, StringConstraints(pattern=_NAME, max_length=63)]
"""A lower-case name of letters, digits and inner hyphens, 1 to 63 characters (a DNS label)."""

Trait = Annotated[str, StringConstraints(pattern=_TRAIT)]
"""A qualitative property of a pool, in the style of OpenStack Placement: ``STORAGE_SSD``."""

CountryCode = Annotated[str, StringConstraints(pattern=_COUNTRY)]
"""An ISO 3166-1 alpha-2 country code."""

Currency = Annotated[str, StringConstraints(pattern=_CURRENCY)]
"""An ISO 4217 code."""

NameOrNone = Annotated[str, StringConstraints(pattern=_NAME_OR_NONE)]
"""A name, or the empty text."""

Identifier = Annotated[str, StringConstraints(pattern=_IDENTIFIER)]
"""A name that predicates can use too: lower-case letters, digits and underscores."""

SecretReference = Annotated[str, StringConstraints(pattern=_SECRET)]
"""Where a secret is: ``env:NAME`` or ``file:PATH``."""

SAFE_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""

SafeInteger = Annotated[int, Field(strict=True, ge=-SAFE_INTEGER, le=SAFE_INTEGER)]
"""A whole number, not text and not true or false, that JSON carries exactly."""
