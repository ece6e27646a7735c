"""Many independent pieces of work on several processes or machines: the same results, whoever does them.

On one machine joblib starts the processes; a cluster is Dask's, found by its scheduler's address. What is done
is written down at once where a folder is given, so that a sweep that was stopped goes on where it was.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

from tierwise.code_sum import sum_of
from tierwise.errors import EndpointDown, InvalidInput, NotSupported, TierwiseError
from tierwise.planner.changes import kinds

W = TypeVar("W")

Result = dict[str, Any]
"""What a piece of work comes to: plain values, as JSON has them."""
Told = Callable[[int, int], None]
"""How many are done, and of how many."""
Warned = Callable[[str], None]
"""Something that a person should know, in words."""
_LOOK_S, _PATIENCE_S = 5, 60
"""How often a cluster is asked for its workers while nothing comes, and how long it may be without any."""
_LIBRARIES = ("numba", "numpy", "ortools", "pydantic", "pydantic-core")
_DEATHS = 2
"""How often a piece of work may take its process down before it is left out."""


@cache
def code() -> str:
    """The same for the same code: ours, that of kinds of changes from elsewhere, and of what solves."""
    packages = {one.__module__.partition(".")[0] for one in kinds().values()}
    return sum_of({"catalog", "chargeback", "placement", "policies", "tierwise", *packages}, _LIBRARIES)


@dataclass(frozen=True)
class Task(Generic[W]):
    """A piece of work. `key` says everything that its result depends on, so that a kept result is still right."""

    name: str
    key: str
    work: W


@dataclass(frozen=True)
class Done:
    """What came of a task: its result, or why there is none. `kept` tells that an earlier run had done it."""

    name: str
    result: Result | None
    error: str = ""
    kept: bool = False


@dataclass(frozen=True)
class Kept:
    """A folder of results, one file each, named by what they depend on; other code has others."""

    folder: Path
    code: str = field(default_factory=code)
    warn: Warned | None = None
    """Hears, once a sweep, that results can no longer be kept."""

    def check(self) -> None:
        """Raises InvalidInput where the folder cannot be made or written to, before anything is computed."""
        probe = self.folder / f".part-{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            msg = f"{self.folder}: results cannot be kept there: {error.strerror}; choose another folder or make room"
            raise InvalidInput(msg) from error

    def read(self, key: str) -> Result | None:
        """The result, or None where there is none that is as it was written."""
        try:
            sealed = json.loads(self._file(key).read_text(encoding="utf-8"))
            found: Result = sealed["result"]
            whole = sealed["sha256"] == _digest(json.dumps(found))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return found if whole else None  # A damaged file is as good as none: it is made anew.

    def write(self, key: str, result: Result) -> str:
        """Keep a result; a reader sees it whole or not at all. Gives the reason why it cannot be written, or nothing."""
        target = self._file(key)
        part = target.with_suffix(f".part-{os.getpid()}")
        try:
            sealed = {"sha256": _digest(json.dumps(result)), "result": result}
            part.write_text(json.dumps(sealed), encoding="utf-8")
            part.replace(target)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            return error.strerror or str(error)
        return ""

    def _file(self, key: str) -> Path:
        return self.folder / f"{_digest(f'{self.code} {key}')}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sweep(
    tasks: Sequence[Task[W]],
    function: Callable[[W], Result],
    *,
    jobs: int = 1,
    cluster: str = "",
    kept: Kept | None = None,
    tell: Told | None = None,
) -> list[Done]:
    """Do every task; in their order. What one of them raises is its own failure: the others go on.

    `jobs` processes of this machine, or the workers of the Dask scheduler at `cluster` (``tcp://host:8786``).
    `function` and what is in the tasks must be picklable. Raises NotSupported where Dask is not installed,
    EndpointDown for a scheduler that does not answer, InvalidInput for an address that is none and for a folder that
    nothing can be kept in. When the sweep is interrupted, what is done by then is kept.
    """
    names = {task.name for task in tasks}
    assert len(names) == len(tasks), "tasks have names of their own"
    found: dict[str, Done] = {}
    warned = False
    if kept is not None:
        kept.check()
        for task in tasks:
            if (result := kept.read(task.key)) is not None:
                found[task.name] = Done(task.name, result, kept=True)
    open_ = [task for task in tasks if task.name not in found]
    keys = {task.name: task.key for task in tasks}
    for done in _done(open_, function, jobs, cluster):
        found[done.name] = done
        if kept is not None and done.result is not None:
            reason = kept.write(keys[done.name], done.result)
            if reason and not warned and kept.warn is not None:
                warned = True
                kept.warn(
                    f"{kept.folder}: results can no longer be kept there: {reason}; the rest is answered without; make room, "
                    "and the same command goes on from those that were kept"
                )
        if tell is not None:
            tell(len(found), len(tasks))
    return [found[task.name] for task in tasks]


def _done(
    tasks: Sequence[Task[W]], function: Callable[[W], Result], jobs: int, cluster: str
) -> Iterator[Done]:
    if not tasks:
        return
    if cluster:
        yield from _on_cluster(tasks, function, cluster)
    elif jobs == 1 or len(tasks) == 1:
        yield from (_tried(function, task) for task in tasks)
    else:
        yield from _on_processes(tasks, function, jobs)


def _tried(function: Callable[[W], Result], task: Task[W]) -> Done:
    """One task, here. Whatever it raises is its result."""
    try:
        return Done(task.name, function(task.work))
    except TierwiseError as error:
        return Done(task.name, None, "; ".join((str(error), *error.details)))
    except Exception as error:  # noqa: BLE001 - one task's failure must not take the others with it
        return Done(task.name, None, f"{type(error).__name__}: {error}")


def _on_processes(tasks: Sequence[Task[W]], function: Callable[[W], Result], jobs: int) -> Iterator[Done]:
    """On processes of this machine. Those that were under way when one died are then done one at a time."""
    waiting = list(tasks)
    while waiting:
        open_ = {task.name: task for task in waiting}
        try:
            for done in _parallel(waiting, function, jobs):
                del open_[done.name]
                yield done
        except BrokenProcessPool:
            waiting = list(open_.values())
            under_way = waiting[: 2 * jobs]  # joblib hands out no more than that ahead.
            for task in under_way:
                yield _alone(task, function)
            waiting = waiting[len(under_way) :]
        else:
            return


def _parallel(tasks: Sequence[Task[W]], function: Callable[[W], Result], jobs: int) -> Iterator[Done]:
    from joblib import delayed  # noqa: PLC0415 - only sweeps need it

    pool = processes(jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
    yield from pool(delayed(_tried)(function, task) for task in tasks)


def processes(jobs: int, **more: Any) -> Any:
    """The `Parallel` of joblib on so many processes, which end when this one does, however that ends; `more` is its own."""
    from joblib import Parallel, parallel_config  # noqa: PLC0415 - as above

    with parallel_config(
        "loky", inner_max_num_threads=1, initializer=_ending_with, initargs=(os.getpid(),)
    ):
        return Parallel(n_jobs=jobs, **more)


def _ending_with(parent: int) -> None:
    """Watch the process that this one works for: who is killed cannot tell it to end."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _alone(task: Task[W], function: Callable[[W], Result]) -> Done:
    """One task in a pool of its own, so that it is known whose process died."""
    for _ in range(_DEATHS):
        try:
            return next(_parallel([task], function, 2))
        except BrokenProcessPool:
            continue
    return Done(task.name, None, _died("process"))


def _died(what: str) -> str:
    return (
        f"its {what} ended {_DEATHS} times while it was under way, as when memory runs out; "
        "the others are done: run it again by itself, on a machine with more memory"
    )


def _on_cluster(tasks: Sequence[Task[W]], function: Callable[[W], Result], address: str) -> Iterator[Done]:
    """On a Dask cluster. A task whose worker dies is done by another one, or by one that comes within a while."""
    distributed = _dask()
    with _quiet("distributed"):
        client = _connected(distributed, address)
        try:
            futures = {
                client.submit(_tried, function, task, key=f"{task.name}-{n}-{id(client)}", pure=False): task
                for n, task in enumerate(tasks)
            }
            for future in _arriving(client, list(futures)):
                task = futures.pop(future)
                try:
                    # Its worker can die with the result before it is here.
                    yield future.result(timeout=_PATIENCE_S)
                except distributed.KilledWorker:
                    yield Done(task.name, None, _died("worker"))
                except CancelledError:
                    yield Done(task.name, None, _lost(address))
                except Exception as error:  # noqa: BLE001 - the cluster's own failures, which are this task's alone
                    yield Done(task.name, None, f"the cluster gave it up: {type(error).__name__}: {error}")
            for task in futures.values():
                yield Done(task.name, None, _deserted(address))
        finally:
            client.close(timeout=5)


@contextmanager
def _quiet(library: str) -> Iterator[None]:
    """Without what a library logs: what becomes of each task is told in our words."""
    loggers = [logging.getLogger(name) for name in (library, f"{library}.client", f"{library}.core")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


def _arriving(client: Any, futures: list[Any]) -> Iterator[Any]:
    """Each future when it is done; those that are left when there has been no worker for a while never come."""
    arrived: SimpleQueue[Any] = SimpleQueue()
    for future in futures:
        future.add_done_callback(arrived.put)
    left, waited = len(futures), 0
    while left and waited < _PATIENCE_S:
        try:
            yield arrived.get(timeout=_LOOK_S)
            left, waited = left - 1, 0
        except Empty:
            waited = 0 if _has_workers(client) else waited + _LOOK_S


def _has_workers(client: Any) -> bool:
    try:
        # Of itself a client waits for its scheduler for ever.
        return bool(client.sync(client.scheduler.ncores, callback_timeout=_LOOK_S))
    except Exception:  # noqa: BLE001 - Dask's errors are of many kinds; whatever it is, nobody answers
        return False


def _lost(address: str) -> str:
    return (
        f"the scheduler at {address} went away while it was under way; start one with `dask scheduler` and its workers, and run "
        "it again"
    )


def _deserted(address: str) -> str:
    return (
        f"no worker has been at {address} for {_PATIENCE_S} s; start some with `dask worker {address}`, and a `dask scheduler` "
        "where none answers, and run it again"
    )


def _dask() -> Any:
    """The module, which is an extra, slow to import, and untyped."""
    try:
        return import_module("distributed")
    except ImportError:
        msg = "a cluster needs Dask, which is not installed: pip install 'tierwise[dask]', or use --jobs"
        raise NotSupported(msg) from None


def _connected(distributed: Any, address: str) -> Any:
    """A client of a cluster whose workers have the code that is here."""
    comm = import_module("distributed.comm")
    try:  # A client that is made of a wrong address takes 20 s to give up, and says so on the screen.
        comm.get_address_host_port(comm.normalize_address(address), strict=True)
    except ValueError as error:
        msg = f"'{address}' is no address of a Dask scheduler ({error}); write tcp://HOST:PORT"
        raise InvalidInput(msg) from None
    try:
        client = distributed.Client(address, timeout=10, set_as_default=False)
    except OSError:
        msg = f"no Dask scheduler answers at {address} within 10 s; start one with `dask scheduler`, or use --jobs"
        raise EndpointDown(msg) from None
    try:
        _check_workers(client, address)
    except BaseException:
        client.close(timeout=5)
        raise
    return client


def _check_workers(client: Any, address: str) -> None:
    ours = version("tierwise")
    try:
        theirs: dict[str, str] = client.run(version, "tierwise")
    except Exception as error:
        msg = f"a worker of {address} has no tierwise ({error}); install tierwise {ours} on every worker"
        raise InvalidInput(msg) from error
    if not theirs:
        msg = f"the cluster at {address} has no workers; start some with `dask worker {address}`"
        raise EndpointDown(msg)
    for worker, found in sorted(theirs.items()):
        if found != ours:
            msg = f"worker {worker} has tierwise {found}, not {ours}; install the same version there"
            raise InvalidInput(msg)
    try:
        sums: dict[str, str] = client.run(code)
    except Exception as error:
        msg = f"a worker of {address} cannot tell its code ({error}); install the tierwise of this machine there"
        raise InvalidInput(msg) from error
    for worker, found in sorted(sums.items()):
        if found != code():
            msg = (
                f"worker {worker} has other code of tierwise {ours}, of a kind of change, or of the libraries that solve; "
                "install there what is installed here, so that all answer the same"
            )
            raise InvalidInput(msg)
