"""Help: quick, complete, and telling in one line what each command is for."""

import re
import shlex
import subprocess
import sys
from typing import Any

import pytest

from tierwise.cli.examples import EXAMPLES
from tierwise.cli.fields import LISTS


def test_every_command_has_a_one_line_summary(commands: dict[str, Any]) -> None:
    assert len(commands) > 20
    for words, command in commands.items():
        assert command.help, words
        summary = command.help.splitlines()[0]
        assert summary.endswith("."), words
        assert len(summary) <= 90, words


def test_every_option_and_argument_has_a_help_text(commands: dict[str, Any]) -> None:
    silent = [
        f"{words}: {parameter.name}"
        for words, command in commands.items()
        for parameter in command.params
        if parameter.name != "help" and not getattr(parameter, "help", None)
    ]
    assert silent == []


def test_fields_have_names_that_programs_can_use() -> None:
    names = [name for fields in LISTS.values() for name in fields.meanings]
    assert [name for name in names if not name.isidentifier() or name != name.lower()] == []


def test_no_number_of_seconds_may_be_without_end(commands: dict[str, Any]) -> None:
    # Infinity is a number to Python, and what counts with it then is a bug at some place or other.
    numbers = {
        f"{words} --{parameter.name}": parameter.max
        for words, command in commands.items()
        for parameter in command.params
        if "float" in str(parameter.type_descriptor.annotation)
    }
    assert len(numbers) > 10
    assert [name for name, most in numbers.items() if most is None] == []


def test_every_command_that_prints_rows_offers_the_four_formats(commands: dict[str, Any]) -> None:
    answers = {"doctor", "quote", "vm move", "whatif now"}  # whose rows stand in their own order
    for words in LISTS:
        options = {name for parameter in commands[f"tierwise {words}"].params for name in parameter.opts}
        assert {"--output", "-o"} <= options, words
        assert words in answers or {"--columns", "--sort"} <= options, words


def test_every_command_ends_its_help_with_an_example_that_it_understands(commands: dict[str, Any]) -> None:
    leaves = {
        words.partition(" ")[2] for words, command in commands.items() if not hasattr(command, "commands")
    }
    assert set(EXAMPLES) == leaves
    for words, example in EXAMPLES.items():
        command = commands[f"tierwise {words}"]
        assert command.epilog == f"Example: {example}"
        typed, _, arguments = example.partition(words)
        assert typed == "tierwise ", example
        # Raises where an option is unknown, a value is none of its choices or a parameter is missing.
        command.make_context(words, shlex.split(re.sub(r" > \S+$", "", arguments)))


def test_help_of_every_command_fits_100_columns_and_ends_with_0(
    tierwise: Any, commands: dict[str, Any]
) -> None:
    for words in list(commands)[::4]:
        ended = tierwise(*words.split()[1:], "--help")
        assert max(map(len, ended.out.splitlines())) <= 100


@pytest.mark.parametrize("arguments", [["--help"], ["order", "create", "--help"], ["--version"]])
def test_help_imports_nothing_that_takes_long(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from tierwise.cli.main import run\n"
        "try:\n    run()\n"
        "except SystemExit as ended:\n"
        "    heavy = {'ortools', 'pandas', 'numpy', 'duckdb', 'ibis', 'pyarrow', 'dbos', 'pyVmomi', 'sqlalchemy'}\n"
        "    print(sorted(heavy & set(sys.modules)), ended.code, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[] 0\n"
    assert done.stdout
