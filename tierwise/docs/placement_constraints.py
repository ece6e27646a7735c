"""The page of constraints, made from their classes and from examples that tests read and solve.

``make docs`` writes it anew.
"""

import ast
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from textwrap import dedent
from typing import Any

from pydantic import BaseModel

from placement import document
from placement.constraint import Constraint
from placement.documents import kinds

_WIDTH = 100
_INTRODUCTION = """\
# Constraints of a placement problem

What a [problem's document](placement-problem.md) can ask for under `constraints`: in each section what holds, every
field, an example, and how the example is told where not everything can be had. The examples are in
[placement-constraints.json](placement-constraints.json), and each is about the pools and requests of
[cluster.json](../../examples/placement/cluster.json); tests read and solve them.

`requests` names requests by id, a group, or an entry with a count. Where providers are named, a pool's name means all
of its hosts. Money is in micro-units of the problem's currency for the whole horizon, a share in parts of a million, and
resources are in the unit that their class's name ends with. Without `penalty_micros` a rule must be kept; with it the
rule is a wish that costs so much where it is not. A `label` is one of hosts or of pools, or `host`, `pool` or `tier`.

That machines fit into what is free and on a host, and that policies allow their place, always holds and is not written.
[A constraint of your own](../how-to/add-a-constraint.md) is one file.
"""


def page(examples: Mapping[str, Any], problem: Mapping[str, Any]) -> str:
    """The whole page. `examples` by kind, each a constraint of the document `problem`."""
    sections = [_section(name, one, examples[name], problem) for name, one in kinds.written().items()]
    return "\n".join([_INTRODUCTION, *sections])


def meanings(value: type[BaseModel]) -> dict[str, str]:
    """What the text below each field of a class says; fields without one are left out."""
    (tree,) = ast.parse(dedent(inspect.getsource(value))).body
    assert isinstance(tree, ast.ClassDef), f"{value} is a class"
    return {
        field.target.id: " ".join(ast.literal_eval(text.value).split())
        for field, text in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def values_of(constraint: type[Constraint]) -> list[type[BaseModel]]:
    """The classes that its data is made of, itself first."""
    schema = constraint.model_json_schema()
    parts = {name: _class(constraint, name) for name in _references(schema, schema)}
    return [constraint, *parts.values()]


def _section(
    name: str, constraint: type[Constraint], example: Mapping[str, Any], problem: Mapping[str, Any]
) -> str:
    read = document.read({**problem, "constraints": [example]})
    rule = inspect.cleandoc(sys.modules[constraint.__module__].__doc__ or "").splitlines()[0]
    parts = [f"## {name}\n", f"{rule}\n", f"{inspect.cleandoc(constraint.__doc__ or '')}\n"]
    for value in values_of(constraint):
        title = [] if value is constraint else [f"### {value.__name__}\n", f"{_about(value)}\n"]
        parts += [*title, "\n".join(_fields(value)) + "\n"]
    parts.append(f"```json\n{_written(example)}\n```\n")
    parts.append(f"In a conflict: *{read.constraints[0].fact(read)}*.\n")
    return "\n".join(parts)


def _about(value: type[BaseModel]) -> str:
    return inspect.cleandoc(value.__doc__ or "")


def _fields(value: type[BaseModel]) -> Iterator[str]:
    schema, said = value.model_json_schema(), meanings(value)
    yield "| field | what it is | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, field in schema["properties"].items():
        if name != "kind":
            default = "required" if name in schema.get("required", ()) else _default(value, name)
            meaning = said.get(name, "").replace("|", "\\|").replace("None:", "none:")
            yield f"| `{name}` | {_form(field)} | {default} | {meaning} |"


def _default(value: type[BaseModel], name: str) -> str:
    default = value.model_fields[name].get_default(call_default_factory=True)
    return "none" if default is None or default in ((), {}) else f"`{json.dumps(default)}`"


def _form(field: Mapping[str, Any]) -> str:
    """What a JSON Schema allows, in a few words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return _form(next(one for one in field["anyOf"] if one.get("type") != "null"))
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"])
    if field["type"] == "array":
        return f"list of {_form(field['items'])}"
    if field["type"] == "object":
        return f"name -> {_form(field['additionalProperties'])}"
    words = {"string": "text", "boolean": "true or false", "integer": "whole number"}[field["type"]]
    return f"{words}, at least {field['minimum']}" if field.get("minimum") else words


def _references(part: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    """The names of the objects that a schema refers to, in the order in which it does, each followed by its own."""
    if isinstance(part, list):
        for one in part:
            yield from _references(one, schema)
    elif isinstance(part, dict):
        if "$ref" in part:
            name = part["$ref"].rpartition("/")[2]
            yield name
            yield from _references(schema["$defs"][name], schema)
        for key, one in part.items():
            if key != "$defs":
                yield from _references(one, schema)


def _class(constraint: type[Constraint], name: str) -> type[BaseModel]:
    """The class of a constraint's data that has a name, as its file knows it or a file that this one looks into."""
    for module in (constraint.__module__, *(one.__module__ for one in _looked_into(constraint))):
        found = vars(sys.modules[module]).get(name)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    msg = f"{constraint.__module__} does not know the class {name} of its data; import it there"
    raise LookupError(msg)


def _looked_into(constraint: type[Constraint]) -> Iterator[type[BaseModel]]:
    yield from (
        one
        for one in vars(sys.modules[constraint.__module__]).values()
        if isinstance(one, type) and issubclass(one, BaseModel)
    )


def _written(value: Any, indent: str = "", before: int = 0) -> str:
    """JSON in lines of up to 100 characters where that can be; `before` it stands a name of so many."""
    text = json.dumps(value)
    if (indent and len(indent) + before + len(text) <= _WIDTH) or not isinstance(value, dict | list):
        return text
    inner = f"{indent}  "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + _written(one, inner) for one in value) + f"\n{indent}]"
    names = {f"{json.dumps(name)}: ": one for name, one in value.items()}
    lines = (f"{inner}{name}{_written(one, inner, len(name))}" for name, one in names.items())
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
