#!/usr/bin/env python3
"""Prepare a checkout: the counterparts' Debian packages, then `.venv` with the locked packages.

`make` calls this before every target that needs it. When nothing has changed it returns at once. It
uses the standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "set-up.stamp"
BUILD = ROOT / ".build"
LOG = BUILD / "set-up.log"
REQUIREMENTS = ROOT / "requirements"
COUNTERPARTS = ROOT / "tests" / "counterparts.toml"

OLDEST_PYTHON = (3, 11)
FREE_GIB_NEEDED = 3

# Locks of bindings that are compiled here: what, the Debian packages of its library, what tells that they are there.
BINDINGS = {
    "libvirt.txt": ("libvirt-python", "libvirt-dev, pkg-config", ["pkg-config", "--exists", "libvirt"]),
    "kerberos.txt": ("pykerberos", "libkrb5-dev", ["krb5-config", "--libs", "gssapi"]),
}

# What a failing tool printed -> what to do about it; the first that matches is shown.
HINTS = (
    ("no space left", "the disk is full: free some space and run the same command again"),
    (
        "hash mismatch",
        "a downloaded file is not the one that was locked: it was damaged or replaced on its way",
    ),
    (
        "certificate",
        "the registry's certificate is not trusted: set SSL_CERT_FILE and PIP_CERT to your CA bundle",
    ),
    ("resolve", "the package registry cannot be reached: check the network, or set https_proxy"),
    ("connect", "the package registry cannot be reached: check the network, or set https_proxy"),
    ("timed out", "the package registry is slow or cannot be reached: run the same command again"),
)


class Problem(Exception):
    """Set-up cannot go on; the text says what, where, and what to do."""


def main() -> int:
    """Set up what is asked for; 0 when it is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--counterparts", action="store_true", help="the Debian packages of the counterparts too"
    )
    arguments = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        return start_again_with_newer_python()
    BUILD.mkdir(exist_ok=True)
    try:
        with one_at_a_time():
            LOG.write_text("")
            if arguments.counterparts:
                set_up_counterparts()
                set_up_npm_counterparts()
            set_up_environment()
    except Problem as problem:
        print(f"set-up stopped: {problem}", file=sys.stderr)
        return 1
    return 0


def start_again_with_newer_python() -> int:
    """Hand over to a newer Python on PATH, or say that there is none."""
    for minor in range(20, OLDEST_PYTHON[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])  # noqa: S606  there is no shell to go through
    found = ".".join(map(str, sys.version_info[:3]))
    print(
        f"set-up stopped: tierwise needs Python 3.11 or newer, and {sys.executable} is {found}\n"
        "  install one (Debian 12: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12",
        file=sys.stderr,
    )
    return 1


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let a second `make` wait for the first instead of writing over it."""
    with (BUILD / "set-up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- .venv ---------------------------------------------------------------------------------------


def set_up_environment() -> None:
    """Make `.venv` hold exactly the locked packages and this checkout."""
    bindings = bindings_to_build()
    wanted = fingerprint(bindings)
    if STAMP.is_file() and STAMP.read_text() == wanted and VENV_PYTHON.exists():
        return
    started = time.monotonic()
    if VENV_PYTHON.exists():
        say("bringing .venv up to date with the locked packages")
    else:
        say(
            "setting up .venv with the locked packages (800 MB on disk; one to three minutes, by your network)"
        )
    STAMP.unlink(missing_ok=True)
    check_disk()
    create_venv()
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
    run("pip could not install uv", [*pip, "--require-hashes", "-r", str(REQUIREMENTS / "bootstrap.txt")])
    uv = [str(VENV / "bin" / "uv"), "pip"]
    locks = [str(REQUIREMENTS / lock) for lock in ("dev.txt", *bindings)]
    if bindings:
        # Built from source with the locked setuptools: an isolated build would fetch one unchecked.
        locks += ["--no-build-isolation"]
    target = ["--python", str(VENV_PYTHON)]
    # Compiled now, or every process of a user who may not write there would compile them again.
    sync = [*uv, "sync", *target, "--require-hashes", "--compile-bytecode"]
    run("the locked packages could not be installed", [*sync, *locks])
    checkout = ["--no-deps", "--no-build-isolation", "--offline", "--editable", str(ROOT)]
    run("this checkout could not be installed into .venv", [*uv, "install", *target, *checkout])
    run("the inner loops could not be compiled", [str(VENV_PYTHON), "-m", "placement.warm"])
    STAMP.write_text(wanted)
    without = "".join(
        f" (no {what}: it needs {needs}, gcc, python3-dev)"
        for lock, (what, needs, _) in BINDINGS.items()
        if lock not in bindings
    )
    say(f".venv is ready after {time.monotonic() - started:.0f} s{without}")


def fingerprint(bindings: list[str]) -> str:
    """Everything that, when it changes, means installing again."""
    digest = hashlib.sha256(repr((sys.version, str(ROOT), bindings)).encode())
    for path in [*sorted(REQUIREMENTS.glob("*.txt")), ROOT / "pyproject.toml"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def bindings_to_build() -> list[str]:
    """The locks of those bindings to C libraries, which exist as source only, that can be compiled here."""
    if not shutil.which("cc") or not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return []
    return [lock for lock, (_, _, tells) in BINDINGS.items() if answers(tells)]


def answers(command: list[str]) -> bool:
    """Whether a tool is there and says yes."""
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def check_disk() -> None:
    """Refuse early what would fail late."""
    free_gib = shutil.disk_usage(ROOT).free / 2**30
    if free_gib < FREE_GIB_NEEDED:
        message = (
            f"only {free_gib:.1f} GiB are free at {ROOT}, and the packages need {FREE_GIB_NEEDED} GiB\n"
            "  free some space, then run the same command again"
        )
        raise Problem(message)


def create_venv() -> None:
    """Create `.venv`, anew if it was made by another Python or in another folder."""
    activate = VENV / "bin" / "activate"
    here = activate.is_file() and str(VENV) in activate.read_text()
    same = [str(VENV_PYTHON), "-c", f"import sys, pip; sys.exit(sys.version != {sys.version!r})"]
    if here and subprocess.run(same, check=False, capture_output=True).returncode == 0:
        return
    if importlib.util.find_spec("ensurepip") is None:
        package = f"python3.{sys.version_info[1]}-venv"
        if not can_apt():
            message = (
                f"{sys.executable} has no venv module\n  install it, then run the same command again: "
                f"apt-get install {package} (as root), or your system's package of that kind"
            )
            raise Problem(message)
        apt_install([package])
    run("python3 -m venv failed", [sys.executable, "-m", "venv", "--clear", str(VENV)])


# --- counterparts --------------------------------------------------------------------------------


def set_up_counterparts() -> None:
    """Install the Debian packages of the counterparts if that is allowed here, else say what is missing."""
    wanted = counterpart_packages(COUNTERPARTS.read_text())
    if not shutil.which("dpkg-query"):
        say(
            "this is no Debian system: counterparts that are not installed here are skipped; see docs/dependencies.md"
        )
        return
    missing = missing_packages(wanted)
    if not missing:
        return
    if not can_apt():
        say(
            "some counterparts are missing, so what needs them is skipped; to have them, as root:\n"
            f"  apt-get install --no-install-recommends {' '.join(missing)}"
        )
        return
    say(f"installing the counterparts' Debian packages (about a minute): {' '.join(missing)}")
    started = time.monotonic()
    try:
        apt_install(missing)
    except Problem as problem:
        say(f"going on without them: {problem}")
    else:
        say(
            f"the counterparts are installed after {time.monotonic() - started:.0f} s; no service was started"
        )


def counterpart_entries(table: str) -> dict[str, dict[str, Any]]:
    """The table of counterparts."""
    import tomllib  # noqa: PLC0415  older Pythons must get as far as the message about their age

    return tomllib.loads(table)


def counterpart_packages(table: str) -> list[str]:
    """All Debian packages that the table of counterparts names, each once.

    Those of an entry whose `programs` are all on PATH are left out: they came from elsewhere.
    """
    wanted = [
        entry
        for entry in counterpart_entries(table).values()
        if not ("programs" in entry and all(shutil.which(program) for program in entry["programs"]))
    ]
    return sorted({package for entry in wanted for package in entry["packages"]})


def set_up_npm_counterparts() -> None:
    """Install the npm packages that counterparts lock, each into its folder below .build/npm."""
    entries = counterpart_entries(COUNTERPARTS.read_text())
    for name, entry in entries.items():
        if "npm" not in entry:
            continue
        if not shutil.which("npm"):
            say(f"npm is missing, so what needs {name} is skipped; see docs/dependencies.md")
            continue
        try:
            set_up_npm(BUILD / "npm" / name, ROOT / entry["npm"])
        except Problem as problem:
            say(f"going on without {name}: {problem}")


def set_up_npm(target: Path, locked: Path) -> None:
    """Make a folder hold exactly the npm packages of a lock; their install scripts are not run."""
    files = ("package.json", "package-lock.json")
    wanted = hashlib.sha256(b"".join((locked / file).read_bytes() for file in files)).hexdigest()
    stamp = target / "set-up.stamp"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    started = time.monotonic()
    target.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    for file in files:
        shutil.copyfile(locked / file, target / file)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    run(f"npm could not install {target.name}", ["npm", "ci", "--prefix", str(target), *quiet])
    stamp.write_text(wanted)
    say(f"{target.name} is installed from npm after {time.monotonic() - started:.0f} s")


def missing_packages(wanted: list[str]) -> list[str]:
    """Those of the packages that dpkg does not call installed."""
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted]
    answer = subprocess.run(query, check=False, capture_output=True, text=True).stdout
    installed = {line.split()[0] for line in answer.splitlines() if line.endswith(" installed")}
    return [package for package in wanted if package not in installed]


def can_apt() -> bool:
    """Whether packages may be installed here without asking anybody."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and "TIERWISE_NO_APT" not in os.environ


def apt_install(packages: list[str]) -> None:
    """Install Debian packages without starting their services; fetch the package lists where they are old."""
    install = ["apt-get", "install", "--yes", "--no-install-recommends"]
    install += ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", *packages]
    update = ["apt-get", "update", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
    with no_service_starts():
        if any(Path("/var/lib/apt/lists").glob("*_Packages*")):
            try:
                run("apt-get install failed", install)
            except Problem:  # most often lists that name versions no longer served
                pass
            else:
                return
        run("apt-get update failed", update)
        run("apt-get install failed", install)


@contextlib.contextmanager
def no_service_starts() -> Iterator[None]:
    """Keep Debian from starting daemons that it installs: the tests start their own.

    A file of that name is Debian's own way to say so (invoke-rc.d, deb-systemd-invoke); one that is
    there already stays as it is.
    """
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            policy.unlink()


# --- running and telling -------------------------------------------------------------------------


def run(failure: str, command: list[str]) -> None:
    """Run a tool with its output in the log, and tell what it said if it fails."""
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        log.flush()
        begin = log.tell()
        code = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
            cwd=ROOT,
        ).returncode
    if code != 0:
        raise Problem(explain(failure, code, LOG.read_bytes()[begin:].decode(errors="replace")))


def explain(failure: str, code: int, output: str) -> str:
    """What failed, the last words of the tool that failed, and what to do."""
    said = [
        line.rstrip()[:160] for line in output.splitlines() if line.strip() and "Retrying (" not in line
    ][-8:]
    hint = next(
        (hint for sign, hint in HINTS if sign in output.lower()), "see the log for the whole output"
    )
    lines = [
        f"{failure} (exit code {code})",
        *(f"  | {line}" for line in said),
        f"  {hint}",
        f"  log: {LOG}",
    ]
    return "\n".join(lines)


def environment() -> dict[str, str]:
    """The environment of the tools: quiet, patient, and with the registry that pip is configured for."""
    variables = dict(os.environ)
    variables.pop("VIRTUAL_ENV", None)
    variables.setdefault("DEBIAN_FRONTEND", "noninteractive")
    variables.setdefault("UV_SYSTEM_CERTS", "true")
    variables.setdefault("UV_HTTP_TIMEOUT", "180")
    variables.setdefault("UV_PYTHON_DOWNLOADS", "never")
    variables.setdefault("UV_NO_PROGRESS", "true")
    index = variables.get("PIP_INDEX_URL")
    if index:
        variables.setdefault("UV_DEFAULT_INDEX", index)
    return variables


def say(text: str) -> None:
    """Tell the person at the terminal, at once even when output is piped."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
