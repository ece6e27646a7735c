"""The locks name packages, versions and hashes, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[^\s;]+)( ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
COMMENT = re.compile(r"^\s*#")
ADDRESS = re.compile(r"://|@ |^-|\b[\w-]+\.(org|com|io|net|dev)\b")


def breaches(lock: str) -> Iterator[str]:
    """Lines that are neither a pin, nor a hash, nor a comment; pins without a hash; addresses."""
    lines = lock.splitlines()
    for number, (line, following) in enumerate(zip(lines, [*lines[1:], ""], strict=True), start=1):
        if ADDRESS.search(line):
            yield f"line {number} names an address: {line}"
        if COMMENT.match(line) or HASH.match(line):
            continue
        if not PIN.match(line):
            yield f"line {number} is no pin: {line}"
        elif not HASH.match(following):
            yield f"line {number} has no hash: {line}"


def pins(lock: str) -> set[tuple[str, str, str]]:
    """Name, condition and version of everything in a lock."""
    found = [PIN.match(line) for line in lock.splitlines()]
    return {(pin["name"], pin[3] or "", pin["version"]) for pin in found if pin}


@pytest.fixture(scope="session")
def locks(repository: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((repository / "requirements").iterdir())}


def test_every_line_of_every_lock_is_hashed_and_names_no_address(locks: dict[str, str]) -> None:
    assert {"base.txt", "bootstrap.txt", "dev.txt", "extras.txt", "kerberos.txt", "libvirt.txt"} == set(
        locks
    )
    assert {name: found for name, lock in locks.items() if (found := list(breaches(lock)))} == {}


def test_a_lock_line_without_hash_or_with_an_address_is_found() -> None:
    digest = "0" * 64
    good = f"six==1.17.0 ; python_version < '4' \\\n    --hash=sha256:{digest}\n    # via nobody\n"
    assert list(breaches(good)) == []
    assert list(breaches("six==1.17.0\n")) == ["line 1 is no pin: six==1.17.0"]
    assert list(breaches("six==1.17.0 \\\n    # via x\n")) == ["line 1 has no hash: six==1.17.0 \\"]
    assert len(list(breaches(f"six @ https://example.test/six.whl \\\n    --hash=sha256:{digest}\n"))) == 2
    assert len(list(breaches(f"--index-url example\n{good}"))) == 2
    assert list(breaches(good + "    # from files.example.org\n")) == [
        "line 4 names an address:     # from files.example.org"
    ]


def test_all_locks_agree_on_each_version(locks: dict[str, str]) -> None:
    """So that what users install is what the tests ran with."""
    tested = {
        name: {version for pin, _, version in pins(locks["dev.txt"]) if pin == name}
        for name in names(locks)
    }
    differing = [
        f"{lock}: {name} {version}, tested with {tested[name]}"
        for lock, text in locks.items()
        for name, _, version in pins(text)
        if tested[name] and version not in tested[name]
    ]
    assert differing == []


def names(locks: dict[str, str]) -> set[str]:
    return {name for text in locks.values() for name, _, _ in pins(text)}


def test_no_lock_of_a_tool_that_writes_addresses_is_tracked(tracked: list[Path]) -> None:
    forbidden = {"uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"}
    assert [path for path in tracked if path.name in forbidden] == []
