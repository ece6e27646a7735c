"""What set-up decides and says; that it works from nothing is shown by continuous integration itself."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def set_up(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("set_up", repository / "scripts/set_up.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_packages_of_all_counterparts_are_wanted_once(set_up: ModuleType) -> None:
    table = '[a]\npackages = ["gcc", "cpio"]\n[b]\npackages = ["gcc"]\n'
    assert set_up.counterpart_packages(table) == ["cpio", "gcc"]


def test_packages_are_not_wanted_where_their_programs_came_from_elsewhere(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = '[a]\npackages = ["nodejs", "npm"]\nprograms = ["node", "npm"]\n[b]\npackages = ["npm"]\n'
    there = {"node"}
    monkeypatch.setattr(set_up.shutil, "which", lambda name: name if name in there else None)
    assert set_up.counterpart_packages(table) == ["nodejs", "npm"]
    there.add("npm")
    assert set_up.counterpart_packages(table) == ["npm"], "the other entry has no programs"


def test_npm_packages_are_installed_once_for_a_lock_and_again_for_another(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(set_up, "run", lambda _failure, command: ran.append(command))
    locked, target = tmp_path / "locked", tmp_path / "target"
    locked.mkdir()
    for lock in ("one", "one", "two"):
        for file in ("package.json", "package-lock.json"):
            (locked / file).write_text(lock)
        set_up.set_up_npm(target, locked)
        assert (target / "package-lock.json").read_text() == lock
    assert [command[:4] for command in ran] == [["npm", "ci", "--prefix", str(target)]] * 2


def test_npm_packages_that_cannot_be_installed_do_not_stop_set_up(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        problem = "npm could not install xen-api-js (exit code 1)"
        raise set_up.Problem(problem)

    monkeypatch.setattr(set_up, "set_up_npm", refuse)
    monkeypatch.setattr(set_up.shutil, "which", lambda _: "there")
    set_up.set_up_npm_counterparts()
    assert "going on without xen-api-js: npm could not" in capsys.readouterr().out
    monkeypatch.setattr(set_up.shutil, "which", lambda _: None)
    set_up.set_up_npm_counterparts()
    assert "npm is missing, so what needs xen-api-js is skipped" in capsys.readouterr().out


def test_a_failure_shows_the_tools_last_words_and_what_to_do(set_up: ModuleType) -> None:
    output = "".join(f"line {n}\n" for n in range(20)) + "OSError: [Errno 28] No space left on device\n"
    text = set_up.explain("pip could not install uv", 2, output)
    assert text.startswith("pip could not install uv (exit code 2)\n  | line 13\n")
    assert "  | OSError: [Errno 28] No space left on device\n  the disk is full" in text
    assert "line 12" not in text


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            "error: failed to lookup address: Temporary failure in name resolution: could not resolve host",
            "network",
        ),
        ("Connection refused", "network"),
        ("invalid peer certificate: UnknownIssuer", "CA bundle"),
        ("Hash mismatch for `six==1.17.0`", "not the one that was locked"),
        ("something else", "see the log"),
    ],
)
def test_the_hint_fits_the_failure(set_up: ModuleType, output: str, said: str) -> None:
    assert said in set_up.explain("x failed", 1, output)


def test_a_change_of_any_lock_means_setting_up_again(
    set_up: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "pyproject.toml").write_text("x")
    lock = tmp_path / "requirements/dev.txt"
    monkeypatch.setattr(set_up, "ROOT", tmp_path)
    monkeypatch.setattr(set_up, "REQUIREMENTS", tmp_path / "requirements")
    seen = set()
    for text in ("a", "b"):
        lock.write_text(text)
        seen |= {set_up.fingerprint(bindings) for bindings in ([], ["libvirt.txt"])}
    assert len(seen) == 4


def test_a_binding_is_compiled_only_where_its_library_is(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(set_up.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(set_up.shutil, "which", lambda name: None if name == "pkg-config" else name)
    monkeypatch.setattr(
        set_up.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0)
    )
    assert set_up.bindings_to_build() == ["kerberos.txt"]
    (tmp_path / "Python.h").unlink()
    assert set_up.bindings_to_build() == []
    assert all((repository / "requirements" / lock).is_file() for lock in set_up.BINDINGS)


def test_an_older_python_is_refused_in_words(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", ["set_up.py"])
    assert set_up.main() == 1
    assert "needs Python 3.11 or newer" in capsys.readouterr().err


def test_the_registry_that_pip_is_told_to_use_is_used_by_uv_too(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "mirror")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    assert set_up.environment()["UV_DEFAULT_INDEX"] == "mirror"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "another")
    assert set_up.environment()["UV_DEFAULT_INDEX"] == "another"


@pytest.mark.parametrize(
    ("missing", "may_install", "said"),
    [
        ([], False, ""),
        (["cpio"], False, "as root:\n  apt-get install --no-install-recommends cpio"),
        (["cpio"], True, "no service was started"),
    ],
    ids=["nothing missing", "not root", "root"],
)
def test_missing_counterparts_are_installed_or_named(
    set_up: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: list[str],
    may_install: bool,
    said: str,
) -> None:
    installed: list[str] = []
    monkeypatch.setattr(set_up.shutil, "which", lambda _: "there")
    monkeypatch.setattr(set_up, "missing_packages", lambda _: missing)
    monkeypatch.setattr(set_up, "can_apt", lambda: may_install)
    monkeypatch.setattr(set_up, "apt_install", installed.extend)
    set_up.set_up_counterparts()
    printed = capsys.readouterr().out
    assert said in printed
    assert bool(printed) == bool(missing)
    assert installed == (missing if may_install else [])


def test_counterparts_that_cannot_be_installed_do_not_stop_set_up(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: list[str]) -> None:
        problem = "apt-get update failed (exit code 100)"
        raise set_up.Problem(problem)

    monkeypatch.setattr(set_up.shutil, "which", lambda _: "there")
    monkeypatch.setattr(set_up, "missing_packages", lambda wanted: wanted)
    monkeypatch.setattr(set_up, "can_apt", lambda: True)
    monkeypatch.setattr(set_up, "apt_install", refuse)
    set_up.set_up_counterparts()
    assert "going on without them: apt-get update failed (exit code 100)" in capsys.readouterr().out
