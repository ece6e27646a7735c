"""Documents of sizing policies -> policies, or every problem with its file, line and column.

::

    format: tierwise-sizing/1
    sizing:
      percentile: 95
      memory_mib: {headroom_percent: 25, step: 1024, keep_percent: 50}
"""

from catalog.documents import DocumentError, Problem, checked, parse, unknown_sections
from catalog.estates.sizing import SizingPolicy

FORMAT = "tierwise-sizing/1"
_FORMAT, _SIZING = "format", "sizing"


def load_sizing(text: str, file: str) -> SizingPolicy:
    """The policy of one text. Raises DocumentError with every problem found."""
    document, problems = parse(text, file)
    policy: SizingPolicy | None = None
    if document is not None:
        of_fields: list[Problem] = []
        given = document.tree.get(_FORMAT)
        if given != FORMAT:
            shown = () if given is None else (given,)
            of_fields.append(
                document.problem((_FORMAT,), f"must be {FORMAT}: this is what the file is read as", *shown)
            )
        of_fields += unknown_sections(document, (_FORMAT, _SIZING))
        policy = checked(document, (_SIZING,), SizingPolicy, document.tree.get(_SIZING) or {}, of_fields)
        unread = {problem.path for problem in problems}
        problems += (problem for problem in of_fields if problem.path not in unread)
    if problems or policy is None:
        raise DocumentError(problems)
    return policy
