"""What an import has to say about its source: notes, and rows that it left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from catalog.estates import DroppedRow

_EXAMPLES = 3
_LONGEST = 100


@dataclass
class Findings:
    """Collected while reading. Notes about many cells of one column become one note with examples."""

    dropped: list[DroppedRow] = field(default_factory=list)
    by_columns: set[str] = field(default_factory=set)
    """Sheets that were recognised by their columns."""
    said: dict[str, None] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def note(self, words: str) -> None:
        """Something that a person should know; said once."""
        self.said[words] = None

    def drop(self, where: str, name: str, reason: str) -> None:
        """A row that is not part of the estate."""
        self.dropped.append(DroppedRow(where=where, name=name, reason=reason))

    def count(self, subject: str, what: str, example: str) -> None:
        """One more case of `what`; the note will read ``subject: what: 12, such as example``."""
        key = (subject, what)
        self.counts[key] += 1
        examples = self.examples.setdefault(key, [])
        if len(examples) < _EXAMPLES and example not in examples:
            examples.append(example[:_LONGEST])

    def add(self, other: "Findings") -> None:
        """Take over what another collection has."""
        self.dropped += other.dropped
        self.by_columns |= other.by_columns
        self.said.update(other.said)
        for key, count in other.counts.items():
            self.counts[key] += count
            mine = self.examples.setdefault(key, [])
            mine += [one for one in other.examples[key] if one not in mine]
            del mine[_EXAMPLES:]

    def notes(self) -> tuple[str, ...]:
        """All notes: those said at once, then those counted."""
        counted = (
            f"{subject}: {what}: {count:,}, such as {', '.join(self.examples[subject, what])}"
            for (subject, what), count in self.counts.items()
        )
        return (*self.said, *counted)


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _EXAMPLES:,} more" if len(names) > _EXAMPLES else ""
    return ", ".join(f"'{name[:_LONGEST]}'" for name in names[:_EXAMPLES]) + more
