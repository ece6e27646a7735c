"""Sweeps on processes and on real Dask clusters: the same results, and a death takes nothing else with it."""

import gc
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tierwise.errors import EndpointDown, InvalidInput
from tierwise.planner import sweeps
from tierwise.planner.sweeps import Done, Kept, Task, sweep

ROOT = Path(sweeps.__file__).parents[2]
distributed = pytest.importorskip("distributed")


def tasks(count: int) -> list[Task[int]]:
    return [Task(f"n{n}", f"square of {n}", n) for n in range(count)]


def squares() -> Any:
    """A function that is sent by value: workers do not have this file."""

    def square(n: int) -> dict[str, Any]:
        return {"square": n * n}

    return square


def expected(count: int) -> list[Done]:
    return [Done(f"n{n}", {"square": n * n}) for n in range(count)]


def test_processes_give_the_same_results_in_the_order_of_the_tasks() -> None:
    assert sweep(tasks(9), squares()) == expected(9)
    assert sweep(tasks(9), squares(), jobs=2) == expected(9)


def test_progress_counts_up_to_all() -> None:
    told: list[tuple[int, int]] = []
    sweep(tasks(4), squares(), jobs=2, tell=lambda done, of: told.append((done, of)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_one_task_raises_leaves_the_others_their_results() -> None:
    def work(n: int) -> dict[str, Any]:
        if n == 1:
            message = "site 'b' is not known"
            raise InvalidInput(message, details=["line 3"])
        if n == 2:
            return {"x": 1 // (n - 2)}
        return {"x": n}

    for jobs in (1, 2):
        first, second, third, fourth = sweep(tasks(4), work, jobs=jobs)
        assert (first.result, fourth.result) == ({"x": 0}, {"x": 3})
        assert (second.result, second.error) == (None, "site 'b' is not known; line 3")
        assert third.error == "ZeroDivisionError: integer division or modulo by zero"


def test_a_task_that_ends_its_process_is_named_and_all_others_are_done() -> None:
    def work(n: int) -> dict[str, Any]:
        if n == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"square": n * n}

    found = sweep(tasks(8), work, jobs=2)
    assert [one.name for one in found if one.result is None] == ["n3"]
    assert "its process ended 2 times" in found[3].error
    assert [one for one in found if one.result] == [one for one in expected(8) if one.name != "n3"]


@pytest.mark.parametrize(
    "asks",
    [
        "from tierwise.planner.sweeps import Task, sweep; sweep([Task(x, x, 1) for x in 'ab'], wait, jobs=2)",
        (
            "from joblib import delayed; from tierwise.planner.sweeps import processes; "
            "list(processes(2)(delayed(wait)(x) for x in 'ab'))"
        ),
    ],
    ids=["sweep", "forecast"],
)
def test_processes_end_with_the_one_that_asked_for_them(asks: str) -> None:
    # One write each, so that their lines do not mingle.
    waits = "def wait(_):\n  import os, signal\n  os.write(1, b'%d\\n' % os.getpid())\n  signal.pause()\n"
    found: list[int] = []
    with subprocess.Popen(
        [sys.executable, "-c", waits + asks], stdout=subprocess.PIPE, text=True
    ) as asking:
        try:
            assert asking.stdout is not None
            found += [int(asking.stdout.readline()) for _ in range(2)]
            asking.kill()
            # It ends where nobody is left that could write to it.
            assert asking.communicate(timeout=60) == ("", None)
        finally:
            asking.kill()
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_what_was_done_before_is_not_done_again(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def work(n: int) -> dict[str, Any]:
        with log.open("a") as file:
            file.write(f"{n} ")
        if n == 2 and not (tmp_path / "mended").exists():
            raise KeyboardInterrupt
        return {"square": n * n}

    kept = Kept(tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        sweep(tasks(4), work, kept=kept)
    (tmp_path / "mended").touch()
    found = sweep(tasks(4), work, kept=kept)
    assert [one.result for one in found] == [one.result for one in expected(4)]
    assert [one.kept for one in found] == [True, True, False, False]
    assert log.read_text() == "0 1 2 2 3 "


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: '{"square": ',
        lambda _: '{"square": 1}',
        lambda _: "[]",
        lambda _: "[" * 100_000,
        lambda text: text.replace('"square": ', '"square": 7'),
    ],
)
def test_a_damaged_result_and_that_of_another_version_are_made_anew(
    tmp_path: Path, damage: Callable[[str], str]
) -> None:
    kept = Kept(tmp_path)
    sweep(tasks(2), squares(), kept=kept)
    for file in tmp_path.iterdir():
        file.write_text(damage(file.read_text()))
    assert [one.kept for one in sweep(tasks(2), squares(), kept=kept)] == [False, False]
    assert [one.kept for one in sweep(tasks(2), squares(), kept=kept)] == [True, True]
    assert [one.kept for one in sweep(tasks(2), squares(), kept=Kept(tmp_path, "0.0.1"))] == [False, False]


def test_a_disk_that_fills_up_ends_the_keeping_and_not_the_sweep(tmp_path: Path) -> None:
    def work(n: int) -> dict[str, Any]:
        if n == 1:  # From the second on no file can have more than a few bytes.
            resource.setrlimit(resource.RLIMIT_FSIZE, (2, before[1]))
        return {"square": n * n}

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    warned: list[str] = []
    kept = Kept(tmp_path / "kept", warn=warned.append)
    try:
        assert sweep(tasks(4), work, kept=kept) == expected(4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (said,) = warned
    assert "can no longer be kept there: File too large; the rest is answered without" in said
    assert len(list(kept.folder.iterdir())) == 1
    again = sweep(tasks(4), squares(), kept=kept)
    assert [one.kept for one in again] == [True, False, False, False]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="results cannot be kept there: Not a directory"):
        sweep(tasks(1), squares(), kept=Kept(tmp_path / "file" / "kept"))


@pytest.fixture(scope="module")
def local_cluster() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield cluster.scheduler_address


def test_a_cluster_gives_the_same_results(local_cluster: str) -> None:
    assert sweep(tasks(9), squares(), cluster=local_cluster) == expected(9)


def test_a_failure_on_a_cluster_is_the_task_s_alone(local_cluster: str) -> None:
    def work(n: int) -> dict[str, Any]:
        return {"x": 6 // n}

    found = sweep(tasks(3), work, cluster=local_cluster)
    assert [one.result for one in found] == [None, {"x": 6}, {"x": 3}]
    assert found[0].error.startswith("ZeroDivisionError")


def test_two_workers_that_were_started_by_themselves_share_the_work(tmp_path: Path) -> None:
    def work(n: int) -> dict[str, Any]:
        import time

        time.sleep(0.05)  # So that one worker alone is not through before the other has begun.
        return {"square": n * n, "process": os.getpid()}

    with scheduler(tmp_path) as address, worker(address, tmp_path), worker(address, tmp_path):
        found = sweep(tasks(12), work, cluster=address)
    assert [(one.result or {})["square"] for one in found] == [n * n for n in range(12)]
    assert len({(one.result or {})["process"] for one in found}) == 2


def test_the_work_of_a_worker_that_dies_is_done_by_another(tmp_path: Path) -> None:
    def work(n: int) -> dict[str, Any]:
        if n == 3 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"square": n * n}

    with scheduler(tmp_path) as address, worker(address, tmp_path), worker(address, tmp_path):
        assert sweep(tasks(8), work, cluster=address) == expected(8)
    assert (tmp_path / "died").exists()


def test_what_is_left_when_the_last_worker_is_gone_is_told_and_the_rest_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(n: int) -> dict[str, Any]:
        import time

        (tmp_path / f"begun-{n}").touch()
        if len(list(tmp_path.glob("begun-*"))) == 3:
            while len(list((tmp_path / "kept").glob("*.json"))) < 2:
                time.sleep(0.05)  # What a worker did is gone with it until it has been fetched.
            os.kill(os.getpid(), signal.SIGKILL)
        return {"square": n * n}

    monkeypatch.setattr(sweeps, "_LOOK_S", 1)
    monkeypatch.setattr(sweeps, "_PATIENCE_S", 10)
    with scheduler(tmp_path) as address, worker(address, tmp_path):
        found = sweep(tasks(3), work, cluster=address, kept=Kept(tmp_path / "kept"))
    (left,) = [one for one in found if one.result is None]
    assert left.error.startswith(f"no worker has been at {address} for 10 s; start some with `dask worker")
    assert len(list((tmp_path / "kept").iterdir())) == 2


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (signal.SIGKILL, "the scheduler at {} went away while it was under way; start one"),
        (signal.SIGSTOP, "no worker has been at {} for 5 s; start some"),
    ],
)
def test_a_scheduler_that_goes_away_or_falls_silent_is_told_for_each_that_was_not_done(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    how: signal.Signals,
    told: str,
) -> None:
    monkeypatch.setattr(sweeps, "_LOOK_S", 1)
    monkeypatch.setattr(sweeps, "_PATIENCE_S", 5)
    with scheduler(tmp_path) as address, worker(address, tmp_path):
        with distributed.Client(address, set_as_default=False) as client:
            boss = client.run_on_scheduler(os.getpid)

        def work(n: int) -> dict[str, Any]:
            import time

            if n == 2:
                while not list((tmp_path / "kept").glob("*.json")):
                    time.sleep(0.05)  # What is done is fetched before.
                os.kill(boss, how)
                time.sleep(600)
            return {"square": n * n}

        capfd.readouterr()
        found = sweep(tasks(4), work, cluster=address, kept=Kept(tmp_path / "kept"))
        assert capfd.readouterr() == ("", "")
    assert found[0].result == {"square": 0}
    assert found[2].error.startswith(told.format(address))
    assert all(one.result or one.error for one in found)


@pytest.mark.parametrize("address", ["not an address:x", "tcp://", "localhost", "http://127.0.0.1:80"])
def test_what_is_no_address_is_told_and_nothing_is_left_that_tries_it(address: str) -> None:
    with pytest.raises(InvalidInput, match="no address of a Dask scheduler"):
        sweep(tasks(2), squares(), cluster=address)
    # A client that is half made waits for 20 s when it goes, and then tells so on the screen.
    assert not [
        one for one in gc.get_objects() if type(one) is distributed.Client and one.status != "closed"
    ]


@pytest.fixture
def changed_code(tmp_path: Path) -> Path:
    """A folder with all packages, of which one differs by a line."""
    for package in ("catalog", "chargeback", "placement", "policies", "tierwise"):
        shutil.copytree(ROOT / package, tmp_path / "code" / package)
    with (tmp_path / "code/placement/planning/mip.py").open("a") as file:
        file.write("# changed\n")
    return tmp_path / "code"


def test_what_other_code_of_the_same_version_has_kept_is_made_anew(
    tmp_path: Path, changed_code: Path
) -> None:
    program = (
        "import sys; from pathlib import Path; from tierwise.planner.sweeps import Kept, Task, sweep; "
        "print(sweep([Task('a', 'a', 1)], lambda n: {'n': n}, kept=Kept(Path(sys.argv[1])))[0].kept)"
    )

    def kept(root: Path) -> str:
        return subprocess.run(
            [sys.executable, "-c", program, tmp_path / "kept"],
            cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip

    assert [kept(ROOT), kept(ROOT), kept(changed_code), kept(changed_code)] == [
        "False", "True", "False", "True",
    ]  # fmt: skip


def test_a_worker_that_has_other_code_of_the_same_version_is_named(
    tmp_path: Path, changed_code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scheduler(tmp_path) as address, worker(address, tmp_path), monkeypatch.context() as there:
        there.setenv("PYTHONPATH", str(changed_code))
        other = worker(address, tmp_path)
        with other, pytest.raises(InvalidInput, match=r"worker tcp://\S+ has other code of tierwise"):
            sweep(tasks(2), squares(), cluster=address)


def test_addresses_that_lead_nowhere_say_what_to_start(tmp_path: Path) -> None:
    with scheduler(tmp_path) as address, pytest.raises(EndpointDown, match="has no workers; start some"):
        sweep(tasks(2), squares(), cluster=address)


@contextmanager
def scheduler(folder: Path) -> Iterator[str]:
    """A scheduler in a process of its own; its address."""
    command = ["dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"]
    with started(command, folder) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if match := re.search(r"Scheduler at:\s+(tcp://\S+)", line):
                yield match[1]
                return
    message = "the scheduler ended before it told its address"
    raise AssertionError(message)


@contextmanager
def worker(address: str, folder: Path) -> Iterator[None]:
    """A worker in a process of its own, which the scheduler knows."""
    command = ["dask", "worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard"]
    command += ["--no-nanny", "--death-timeout", "60", "--local-directory", str(folder)]
    with started(command, folder) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Registered to" in line:
                yield
                return
    message = "the worker ended before it was registered"
    raise AssertionError(message)


@contextmanager
def started(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    program = [sys.executable, "-m", *command]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True, cwd=folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
