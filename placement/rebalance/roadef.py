"""The text of the ROADEF/EURO challenge 2012: models and assignments, read and written; opening files is for others.

All is whole numbers between white space: resources, machines, services, processes, balances and three weights,
each group behind its count. A mistake is named with the line it is in.
"""

import re

import numpy as np

from placement.arrays import Int64
from placement.problem import InvalidProblem
from placement.rebalance.reassignment import Reassignment

_LARGEST = 2**31
"""No count of things is above this: a larger one is a number read in the wrong place."""
_BALANCE_WIDTH = 4


class _Numbers:
    """The whole numbers of a text, taken from the front; says where it stands when there are too few."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name, self.at = text, name, 0
        words = text.split()
        if "_" in text:  # Python takes 1_000 for a thousand; other readers end at the first letter.
            raise self.no_number(words)
        try:
            self.values: Int64 = np.array(words, dtype=np.int64) if words else np.empty(0, dtype=np.int64)
        except (ValueError, OverflowError):
            raise self.no_number(words) from None

    def no_number(self, words: list[str]) -> InvalidProblem:
        """The error of the first word that is no number."""
        for at, word in enumerate(words):
            if not re.fullmatch(r"[+-]?[0-9]{1,19}", word) or not -(2**63) <= int(word) < 2**63:
                return self.wrong(at, f"'{word[:40]}' is no whole number of at most 63 bits")
        return self.wrong(0, "there is a word that is no whole number")

    def wrong(self, at: int, what: str) -> InvalidProblem:
        """The error of what stands at a position."""
        return InvalidProblem(f"{self.name}, line {self._line(at)}: {what}")

    def _line(self, at: int) -> int:
        found = next((m for n, m in enumerate(re.finditer(r"\S+", self.text)) if n == at), None)
        return self.text.count("\n", 0, found.start() if found else len(self.text.rstrip())) + 1

    def take(self, count: int, what: str) -> Int64:
        """So many numbers, which are `what`."""
        left = len(self.values) - self.at
        if count > left:
            needed = "a number is needed" if count == 1 else f"{count} numbers are needed"
            raise self.wrong(len(self.values), f"the file ends in {what}: {needed}, {left or 'none'} left")
        taken = self.values[self.at : self.at + count]
        self.at += count
        return taken

    def count(self, what: str, least: int = 0) -> int:
        """One number that says how many follow."""
        value = int(self.take(1, f"the number of {what}")[0])
        if not least <= value < _LARGEST:
            raise self.wrong(
                self.at - 1, f"the number of {what} is {value}; it must be from {least} to {_LARGEST - 1}"
            )
        return value

    def table(self, rows: int, width: int, what: str, ends: dict[int, tuple[int, str]]) -> Int64:
        """Rows of numbers, none negative; those in the columns of `ends` are below a number of things."""
        begin = self.at
        table = self.take(rows * width, what).reshape(rows, width)
        wrong = table < 0
        for column, (end, _) in ends.items():
            wrong[:, column] |= table[:, column] >= end
        if wrong.any():
            row, column = np.argwhere(wrong)[0].tolist()
            rule = "must not be negative"
            if column in ends:
                end, kind = ends[column]
                rule = f"must be one of {end} {kind}, from 0"
            raise self.wrong(begin + row * width + column, f"{what}: {table[row, column]} {rule}")
        return table

    def end(self) -> None:
        """Nothing may follow."""
        if self.at < len(self.values):
            left = len(self.values) - self.at
            raise self.wrong(
                self.at, f"{left} more numbers follow where the file should end; a count above is wrong"
            )


def read(model: str, assignment: str, *, names: tuple[str, str] = ("model", "assignment")) -> Reassignment:
    """The problem of two texts. Raises InvalidProblem, whose message begins with the name and line of what is wrong."""
    numbers = _Numbers(model, names[0])
    resources = numbers.count("resources", 1)
    resource = numbers.table(resources, 2, "the resources", {0: (2, "values for 'is used twice'")})
    machines = numbers.count("machines", 1)
    machine = numbers.table(machines, 2 + 2 * resources + machines, "the machines", {})
    services = numbers.count("services")
    spread, dependency = _services(numbers, services)
    processes = numbers.count("processes")
    process = numbers.table(processes, 2 + resources, "the processes", {0: (services, "services")})
    balances = numbers.count("balances")
    ends = {0: (resources, "resources"), 1: (resources, "resources")}
    balance = numbers.table(balances, _BALANCE_WIDTH, "the balances", ends)
    weights = numbers.table(1, 3, "the weights", {})[0]
    numbers.end()
    try:
        return Reassignment(
            transient=resource[:, 0] != 0,
            load_weight=resource[:, 1],
            neighbourhood=machine[:, 0],
            location=machine[:, 1],
            capacity=machine[:, 2 : 2 + resources],
            safety=machine[:, 2 + resources : 2 + 2 * resources],
            machine_move_cost=machine[:, 2 + 2 * resources :],
            spread=spread,
            dependency=dependency,
            service=process[:, 0],
            requirement=process[:, 1 : 1 + resources],
            process_move_cost=process[:, 1 + resources],
            balance=balance,
            weights=weights,
            initial=read_assignment(assignment, processes, machines, name=names[1]),
        )
    except InvalidProblem as error:
        msg = str(error) if str(error).startswith(names) else f"{names[0]}: {error}"
        raise InvalidProblem(msg) from None


def _services(numbers: _Numbers, services: int) -> tuple[Int64, Int64]:
    spread = np.zeros(min(services, len(numbers.values)), dtype=np.int64)
    pairs: list[tuple[int, int]] = []
    for s in range(services):
        spread[s], needs = numbers.table(1, 2, f"service {s}", {})[0]
        needed = numbers.table(int(needs), 1, f"what service {s} depends on", {0: (services, "services")})
        pairs.extend((s, one) for one in needed[:, 0].tolist())
    return spread, np.array(pairs, dtype=np.int64).reshape(-1, 2)


def read_assignment(text: str, processes: int, machines: int, *, name: str = "assignment") -> Int64:
    """The machine of each process. Raises InvalidProblem with the line of what is wrong."""
    numbers = _Numbers(text, name)
    if len(numbers.values) != processes:
        what = f"there are {len(numbers.values)} numbers; the model has {processes} processes"
        raise numbers.wrong(len(numbers.values), what)
    return numbers.table(processes, 1, "the assignment", {0: (machines, "machines")})[:, 0].copy()


def write_assignment(machine: Int64) -> str:
    """The machine of each process, on one line."""
    return " ".join(map(str, machine.tolist())) + "\n"


def write_model(problem: Reassignment) -> str:
    """The model without its assignment; what `read` reads as the same problem."""
    r, m = problem.capacity.shape[1], problem.machines
    lines: list[list[int]] = [[r]]
    lines += np.column_stack([problem.transient.astype(np.int64), problem.load_weight]).tolist()
    machine = [
        problem.neighbourhood,
        problem.location,
        problem.capacity,
        problem.safety,
        problem.machine_move_cost,
    ]
    lines += [[m], *np.column_stack(machine).tolist(), [problem.services]]
    for s in range(problem.services):
        needs = problem.dependency[problem.dependency[:, 0] == s, 1].tolist()
        lines.append([int(problem.spread[s]), len(needs), *needs])
    process = [problem.service, problem.requirement, problem.process_move_cost]
    lines += [[problem.processes], *np.column_stack(process).tolist(), [len(problem.balance)]]
    lines += [*problem.balance.tolist(), problem.weights.tolist()]
    return "\n".join(" ".join(map(str, line)) for line in lines) + "\n"
