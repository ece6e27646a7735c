"""catalog, policies, placement and chargeback take values and return values: no files, no clock, no chance."""

import ast
from collections.abc import Iterator
from pathlib import Path

ENGINE = ("catalog", "policies", "placement", "chargeback")

BUILTINS = {"open", "input", "print", "exec", "eval"}
PATH_METHODS = {
    "read_text",
    "write_text",
    "read_bytes",
    "write_bytes",
    "unlink",
    "mkdir",
    "rmdir",
    "glob",
    "iterdir",
}
CLOCKS = {"now", "utcnow", "today", "perf_counter", "monotonic", "process_time", "time_ns"}
CLOCK_OWNERS = {"datetime", "date", "time", "dt", "Timestamp", "Instant"}
CHANCE = {"uuid1", "uuid4", "getrandbits", "token_hex", "token_bytes", "urandom"}
MODULES = {
    "os",
    "sys",
    "time",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "shutil",
    "tempfile",
    "logging",
    "threading",
}
MODULES |= {
    "urllib.request",
    "http",
    "requests",
    "httpx",
    "sqlite3",
    "multiprocessing",
    "asyncio",
    "concurrent",
}


def breaches(path: Path, source: str) -> Iterator[str]:
    """Calls and imports that reach the world, each with its line; running a module as a program is no engine."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not _is_program(node)]
    for node in ast.walk(tree):
        why = _of_import(node) or (_of_call(node) if isinstance(node, ast.Call) else "")
        if why:
            yield f"{path}:{node.lineno}: {why}"  # type: ignore[attr-defined]  # imports and calls have lines


def _is_program(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _of_import(node: ast.AST) -> str:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        names = [node.module or ""]
    found = [name for name in names if {name, name.partition(".")[0]} & MODULES]
    return f"imports {', '.join(found)}" if found else ""


def _of_call(call: ast.Call) -> str:
    words = ast.unparse(call.func).split(".")
    name, owner = words[-1], words[-2] if len(words) > 1 else ""
    if name in BUILTINS and owner in {"", "io"}:
        return f"calls {'.'.join(words)}()"
    if owner and name in PATH_METHODS:
        return f"touches a file: {'.'.join(words)}()"
    if name in CLOCKS and owner in CLOCK_OWNERS:
        return f"reads the clock: {'.'.join(words)}()"
    seeded = name in {"default_rng", "Generator", "PCG64", "SeedSequence"} and bool(
        call.args or call.keywords
    )
    if name in CHANCE or ("random" in words[:-1] and not seeded) or (name == "default_rng" and not seeded):
        return f"draws by chance: {'.'.join(words)}()"
    return ""


def test_the_engine_reaches_no_file_no_clock_and_no_chance(sources: dict[Path, str]) -> None:
    engine = {path: source for path, source in sources.items() if path.parts[0] in ENGINE}
    assert {path.parts[0] for path in engine} == set(ENGINE)
    assert [breach for path, source in engine.items() for breach in breaches(path, source)] == []


def test_each_way_out_of_the_engine_is_found() -> None:
    planted = [
        "open('x')",
        "io.open('x')",
        "from urllib.request import urlopen",
        "path.read_text()",
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "import time",
        "from os import environ",
        "uuid.uuid4()",
        "np.random.normal()",
        "np.random.default_rng()",
        "print(1)",
    ]
    assert [line for line in planted if len(list(breaches(Path("x.py"), line))) != 1] == []


def test_what_is_pure_is_left_alone() -> None:
    pure = [
        "from datetime import datetime",
        "np.random.default_rng(seed)",
        "model.open(x)",
        "clock.now",
        "uuid.uuid5(a, b)",
        "from . import time",
        "import io",
        "if __name__ == '__main__':\n    import sys",
        "from urllib.parse import urlsplit",
    ]
    assert [breach for line in pure for breach in breaches(Path("x.py"), line)] == []
