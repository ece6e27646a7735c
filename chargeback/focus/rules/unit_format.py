"""FOCUS's Unit Format: what a unit may look like, and the spelling of the terms that it lists."""

import re

from chargeback.focus.rules.attributes import Test

_SIZES = frozenset(
    "b B Kb Mb Gb Tb Pb Eb KB MB GB TB PB EB Kib Mib Gib Tib Pib Eib KiB MiB GiB TiB PiB EiB".split()  # noqa: SIM905 - a list of short words
)
_COUNTS = ("Count", "Unit", "Request", "Token", "Connection", "Certificate", "Domain", "Core")
_TIMES = ("Year", "Month", "Day", "Hour", "Minute", "Second")
_TIMES_PLURAL = tuple(f"{word}s" for word in _TIMES)

_LISTED = {
    word.casefold(): word for word in (*_COUNTS, *_TIMES, *(f"{word}s" for word in _COUNTS), *_TIMES_PLURAL)
}
_SIZE_WORD = re.compile(r"[KMGTPEkmgtpe][iI]?[bB]", re.ASCII)
_WORD = re.compile(r"[A-Za-z]+", re.ASCII)

_NOUN = r"[A-Za-z][A-Za-z0-9]*"
_NEXT = r"[A-Z][A-Za-z0-9]*"
_FORM = re.compile(
    rf"(?P<count>\S+ )?(?P<noun>{_NOUN}( {_NEXT})*)"
    rf"(-(?P<times>{'|'.join(_TIMES_PLURAL)})|/((?P<time>{'|'.join(_TIMES)})|"
    rf"(?P<interval>\S+) ({'|'.join(_TIMES_PLURAL)})))?",
    re.ASCII,
)


def in_form(text: str) -> bool:
    """One of ``GB``, ``GB-Hours``, ``GB/Hour``, ``1000 Tokens``, ``Units/3 Months``; its spelling apart."""
    return _FORM.fullmatch(text) is not None


def misspelt(text: str) -> bool:
    """A term of the specification's lists in other capitals: ``gigabyte-seconds``, ``Gib-hours``."""
    for word in _WORD.findall(text):
        listed = _LISTED.get(word.casefold())
        if listed is not None and word != listed:
            return True
        if _SIZE_WORD.fullmatch(word) and word not in _SIZES:
            return True
    return False


def not_whole(text: str) -> bool:
    """A quantity or interval that is no whole number."""
    numbers = re.findall(r"(?:^|/)([^\s/]*\d[^\s/]*) ", text)
    return any(not number.isdecimal() for number in numbers)


def unlisted(text: str) -> bool:
    """A new noun in small letters: new nouns count something, and are capitalised."""
    return any(word not in _SIZES and not word[0].isupper() for word in _WORD.findall(text))


def is_unit(text: str) -> bool:
    """In form, and spelt right."""
    return in_form(text) and not misspelt(text) and not not_whole(text) and not unlisted(text)


UNIT: dict[str, Test] = {
    "UnitFormat-A-001-M": lambda text: not in_form(text),
    "UnitFormat-A-002-O": not_whole,
    "UnitFormat-A-003-M": misspelt,
    "UnitFormat-A-004-C": unlisted,
}
