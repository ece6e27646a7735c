"""Write the pages of docs/reference that are derived from the product, so that they cannot say anything else.

With --check nothing is written: pages that are not what the product says now are named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup

from chargeback import document_schemas
from tierwise.cli import economics, estate_classes, forecast, waves
from tierwise.cli.examples import EXAMPLES as OF_COMMANDS
from tierwise.cli.fields import LISTS, Fields
from tierwise.cli.main import app
from tierwise.docs import capabilities, placement_constraints, placement_problem, shapes
from tierwise.errors import ExitCode, TierwiseError
from tierwise.estates import document as estate_document
from tierwise.planner import schema as whatif_schema
from tierwise.settings import Settings

PLANNERS = {
    "economics show": economics.ECONOMICS_FIGURES,
    "economics rates": economics.ECONOMICS_RATES,
    "economics licences": economics.ECONOMICS_LICENCES,
    "estate classify": estate_classes.CLASSES,
    "estate rightsize": estate_classes.SIZES,
    "whatif forecast": forecast.FORECAST,
    "whatif waves": waves.WAVES,
}
"""Command -> the fields of its rows, of commands that keep these beside them."""
REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTICE = "<!-- written by `make docs`; change the code that it describes instead -->\n"


def main() -> int:
    """0 when every page is, or now is, what the product says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, name what would change")
    check = parser.parse_args().check
    changed = []
    for name, text in pages().items():
        page = REFERENCE / name
        if not page.is_file() or page.read_text() != text:
            changed.append(name)
            if not check:
                page.parent.mkdir(parents=True, exist_ok=True)
                page.write_text(text)
    for name in changed:
        print(f"docs/reference/{name} {'is not current: run make docs' if check else 'is written'}")
    return 1 if check and changed else 0


def pages() -> dict[str, str]:
    """File name -> what must stand in it."""
    return {
        "capabilities.md": capabilities.installed(),
        "cli.md": cli_page(),
        "estate.schema.json": estate_document.schema_text(),
        "placement-constraints.md": NOTICE + placement_constraints.page(*constraint_examples()),
        "placement-problem.md": NOTICE + placement_problem.page(),
        "placement-problem.schema.json": placement_problem.schema_text(),
        "rate-card.schema.json": shapes.schema_text(),
        "shapes.md": NOTICE + shapes.page(),
        "whatif.schema.json": whatif_schema.schema_text(),
        **{
            name: json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
            for name, schema in document_schemas.SCHEMAS.items()
        },
    }


def constraint_examples() -> tuple[dict[str, Any], dict[str, Any]]:
    """The example of each kind, and the document that they are about."""
    cluster = REFERENCE.parent.parent / "examples" / "placement" / "cluster.json"
    return json.loads((REFERENCE / "placement-constraints.json").read_text()), json.loads(
        cluster.read_text()
    )


INTRODUCTION = """\
# The command line

[The tutorial](../tutorial.md) leads through the commands; this page lists them all.

Data goes to stdout, notes, questions, progress and errors to stderr. `-o table` (the default of lists) is for people:
it fits a terminal of 100 columns, folds long texts there, and keeps one row on one line in a pipe. `-o json`, `yaml`
and `csv` are for programs and have every field; lists of things have `--columns` and `--sort`, in every format. A
document, such as `vm show`, is one field a row as a table or as CSV. Colour is used only on a terminal, and never where
`NO_COLOR` is set. In CSV, a text that a spreadsheet would run as a formula begins with an apostrophe.

What is printed as `EUR 412.60` stands as a whole number of minor units in `price_minor`, and names ending in `_micros`
are millionths of the currency.
"""

EXAMPLES = """\
## Examples

The tests run these on the [tutorial's](../tutorial.md) data directory.

The largest offerings, for a spreadsheet:

```bash
tierwise catalog list -o csv --columns offering,vcpu,memory_mib --sort -memory_mib | head -3
```

```text
offering,vcpu,memory_mib
db-large,16,131072
sap-app,16,131072
```

What a program reads, and what it ends with:

```bash
tierwise quote sap-app --tenant finance-apps -o json --set sap_system=erp-production | head -9
```

```text
[
  {
    "tier": "tier-1",
    "pool": "fra-prod-1",
    "site": "fra",
    "price": "EUR 698.83",
    "price_minor": 69883,
    "currency": "EUR",
```

```bash
tierwise quote web-small --tenant webshop || echo "exit code $?"
```

```text
error: there is no tenant 'webshop'; did you mean 'web-shop'? known are ...
exit code 3
```
"""


def cli_page() -> str:
    """How commands behave, exit codes, settings, every command with its parameters, the fields of lists."""
    command = typer.main.get_command(app)
    parts = [NOTICE + INTRODUCTION, _exit_codes(), _settings(), EXAMPLES, *_commands(command, "tierwise")]
    parts += ["## Fields\n\nWhat each list has, in this order; a table shows those in **bold**.\n"]
    parts += [_fields(words, fields) for words, fields in {**LISTS, **PLANNERS}.items()]
    return "\n".join(parts)


def _exit_codes() -> str:
    meanings = {error.exit_code: inspect.getdoc(error) or "" for error in TierwiseError.__subclasses__()}
    others = {ExitCode.OK: "Done.", ExitCode.ERROR: inspect.getdoc(TierwiseError) or ""}
    others[ExitCode.USAGE] = "The command was called with parameters that it does not have."
    rows = "".join(
        f"| {code.value} | {' '.join({**others, **meanings}[code].split())} |\n" for code in ExitCode
    )
    return (
        f"## Exit codes\n\n| code | meaning |\n| ---: | --- |\n{rows}\n"
        "An order or quote that no pool takes ends with 7 where rules allow a pool that lacks room, with 8 where they\n"
        "allow one that does not answer, and with 5 otherwise; a batch that failed in several ways with 1. `tierwise place\n"
        "check` ends with 5 where the plan breaks a rule or misstates a sum. A signal ends\n"
        "a command as shells expect it: Ctrl-C with 130, a reader that closes the pipe (`| head`) with 141. What was\n"
        "accepted by then is finished by `tierwise order resume`.\n\n"
        "A bug in tierwise ends with 1, in two lines: the error, and the file under `logs/` in the data directory that\n"
        "has its traceback; `TIERWISE_DEBUG=1` shows that at the terminal instead.\n"
    )


def _settings() -> str:
    rows = "".join(
        f"| `TIERWISE_{name.upper()}` | {_default(field)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    )
    return f"## Environment\n\n| variable | default | meaning |\n| --- | --- | --- |\n{rows}"


def _default(field: Any) -> str:
    return "the user's data folder" if field.default_factory else f"`{field.default}`"


def _commands(command: Any, path: str) -> Iterator[str]:
    yield _command(command, path)
    if isinstance(command, TyperGroup):
        for name in sorted(command.commands):
            yield from _commands(command.commands[name], f"{path} {name}")


def _command(command: Any, path: str) -> str:
    rows = [_parameter(parameter) for parameter in command.params if parameter.name != "help"]
    table = "\n| parameter | meaning |\n| --- | --- |\n" + "".join(rows) if rows else ""
    example = (
        f"\n```\n{OF_COMMANDS[words]}\n```\n" if (words := path.partition(" ")[2]) in OF_COMMANDS else ""
    )
    return f"## {path}\n\n{inspect.cleandoc(command.help or '')}\n{example}{table}"


def _parameter(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    if isinstance(parameter, TyperArgument):
        names = f"`{(parameter.name or '').upper()}`"
    need = " (required)" if parameter.required else ""
    text = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
    return f"| {names}{need} | {text} |\n"


def _fields(words: str, fields: Fields) -> str:
    rows = "".join(
        f"| {f'**`{name}`**' if name in fields.table else f'`{name}`'} | {meaning} |\n"
        for name, meaning in fields.meanings.items()
    )
    return f"### Fields of {words}\n\n| field | meaning |\n| --- | --- |\n{rows}"


if __name__ == "__main__":
    sys.exit(main())
