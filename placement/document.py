"""The JSON document of a placement problem: read, written, and its schema."""

from collections.abc import Mapping
from typing import Annotated, Any, Union

from pydantic import Field, create_model

from catalog.json_schema import DRAFT, tidied
from placement.documents import kinds
from placement.documents.form import Document
from placement.documents.reading import problem_of
from placement.documents.texts import InvalidDocument, parsed
from placement.documents.writing import document_of
from placement.problem import PlacementProblem

__all__ = ["InvalidDocument", "read", "schema", "write"]


def read(document: Mapping[str, Any] | bytes) -> PlacementProblem:
    """The problem that a document says, from JSON text or from what a JSON reader made of it.

    Raises InvalidDocument with everything that is wrong, each with its path as it is written in the document. Names
    and sums are looked at when every value is in form, and constraints when what they name is there.
    """
    return problem_of(parsed(document) if isinstance(document, bytes) else document)


def write(problem: PlacementProblem) -> dict[str, Any]:
    """The document of a problem, in JSON's own types; `read` makes an equal problem of it.

    Capacity is written as it is left: overcommit, reserve and use are in it already.
    """
    return document_of(problem)


def schema() -> dict[str, Any]:
    """The JSON Schema of documents, with every kind of constraint that there is here."""
    form: Any = create_model("Document", __base__=Document, __doc__=Document.__doc__, **_constraints())
    made = form.model_json_schema(ref_template="#/$defs/{model}")
    return {"$schema": DRAFT, **tidied(made, defaults=True), "title": "tierwise placement problem"}


def _constraints() -> dict[str, Any]:
    """The field of the constraints, each told by its kind; pydantic wants at least two for a union."""
    classes = tuple(kinds.written().values())
    if not classes:
        return {}
    one: Any = classes[0] if len(classes) == 1 else Annotated[Union[classes], Field(discriminator="kind")]  # noqa: UP007 - made from values
    described = Document.model_fields["constraints"].description
    return {"constraints": (tuple[one, ...], Field(default=(), description=described))}
