"""Comparing two columns of moments row by row."""

from datetime import UTC, datetime

import numpy as np

from chargeback.focus.rules.frame import Column, Frame, Mask

NONE = -(2**62)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def not_before(frame: Frame, one: str, other: str) -> Mask:
    """Where both are moments and the first is the later one, or they are the same."""
    left, right = _seconds(frame[one]), _seconds(frame[other])
    return (left != NONE) & (right != NONE) & (left >= right)


def not_after(frame: Frame, one: str, other: str) -> Mask:
    """Where both are moments and the first is the earlier one, or they are the same."""
    return not_before(frame, other, one)


def before(frame: Frame, one: str, other: str) -> Mask:
    """Where both are moments and the first is the earlier one."""
    left, right = _seconds(frame[one]), _seconds(frame[other])
    return (left != NONE) & (right != NONE) & (left < right)


def _seconds(column: Column) -> Mask:
    return np.array([second(text) for text in column.values], np.int64)[column.codes]


def second(text: str | None) -> int:
    """Epoch seconds of a text, `NONE` where it is no moment."""
    if text is None:
        return NONE
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return NONE
    return int((moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH).total_seconds() // 1)
