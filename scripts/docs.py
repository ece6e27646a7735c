"""Write the pages of docs/reference that are derived from the product, so that they cannot say anything else.

With --check nothing is written: pages that are not what the product says now are named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup

from catalog.capabilities import Capability, Gap
from connectors import registry
from tierwise.cli.main import app
from tierwise.errors import ExitCode, TierwiseError

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTICE = "<!-- written by `make docs`; change the code that it describes instead -->\n"


def main() -> int:
    """0 when every page is, or now is, what the product says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, name what would change")
    check = parser.parse_args().check
    changed = []
    for name, text in {"capabilities.md": capabilities_page(), "cli.md": cli_page()}.items():
        page = REFERENCE / name
        if not page.is_file() or page.read_text() != text:
            changed.append(name)
            if not check:
                page.parent.mkdir(parents=True, exist_ok=True)
                page.write_text(text)
    for name in changed:
        print(f"docs/reference/{name} {'is not current: run make docs' if check else 'is written'}")
    return 1 if check and changed else 0


# --- what each driver can do ---------------------------------------------------------------------


def capabilities_page() -> str:
    """The matrix of capabilities and drivers, then every gap with its reason."""
    gaps = {name: registry.driver_class(name).gaps for name in registry.driver_names()}
    head = f"| capability | {' | '.join(gaps)} |\n| --- |{' --- |' * len(gaps)}\n"
    rows = "".join(
        f"| `{capability.value}` | {' | '.join(_cell(missing.get(capability)) for missing in gaps.values())} |\n"
        for capability in Capability
    )
    details = "\n".join(
        f"## {name}\n\n" + ("".join(_gap_lines(missing)) or "Nothing is missing.\n")
        for name, missing in gaps.items()
    )
    return (
        f"{NOTICE}# What each driver can do\n\n"
        "What the driver itself rules out; a probe of the live endpoint narrows it further, pool by pool\n"
        "(`tierwise pool --help`). What is not listed as missing passes the conformance suite.\n\n"
        f"{head}{rows}\n{details}"
    )


def _cell(gap: Gap | None) -> str:
    return "yes" if gap is None else gap.reason.value.replace("_", " ")


def _gap_lines(missing: Mapping[Capability, Gap]) -> Iterator[str]:
    for capability in Capability:
        if capability in missing:
            yield f"- `{capability.value}`: {missing[capability]}\n"


# --- the command line ----------------------------------------------------------------------------


def cli_page() -> str:
    """Every command with its parameters, and the exit codes."""
    command = typer.main.get_command(app)
    return f"{NOTICE}# The command line\n\n{_exit_codes()}\n" + "\n".join(_commands(command, "tierwise"))


def _exit_codes() -> str:
    meanings = {error.exit_code: inspect.getdoc(error) or "" for error in TierwiseError.__subclasses__()}
    others = {ExitCode.OK: "Done.", ExitCode.ERROR: inspect.getdoc(TierwiseError) or ""}
    others[ExitCode.USAGE] = "The command was called with parameters that it does not have."
    rows = "".join(
        f"| {code.value} | {' '.join({**others, **meanings}[code].split())} |\n" for code in ExitCode
    )
    return f"## Exit codes\n\n| code | meaning |\n| ---: | --- |\n{rows}"


def _commands(command: Any, path: str) -> Iterator[str]:
    yield _command(command, path)
    if isinstance(command, TyperGroup):
        for name in sorted(command.commands):
            yield from _commands(command.commands[name], f"{path} {name}")


def _command(command: Any, path: str) -> str:
    rows = [_parameter(parameter) for parameter in command.params if parameter.name != "help"]
    table = "\n| parameter | meaning |\n| --- | --- |\n" + "".join(rows) if rows else ""
    return f"## {path}\n\n{inspect.cleandoc(command.help or '')}\n{table}"


def _parameter(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    if isinstance(parameter, TyperArgument):
        names = f"`{(parameter.name or '').upper()}`"
    need = " (required)" if parameter.required else ""
    text = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
    return f"| {names}{need} | {text} |\n"


if __name__ == "__main__":
    sys.exit(main())
