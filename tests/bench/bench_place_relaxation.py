"""Linear programs of made-up estates by GLOP, HiGHS and PDLP, and how much their prices prove in whole numbers.

Every column and row is in the program, as if the search way did not first make one of what is alike: so large
programs are only made here. The stage is the cost once all are placed that can be. What is proven is given in
percent of what GLOP's prices prove; a solver that does not end within its limit proves nothing.

    python tests/bench/bench_place_relaxation.py
"""

import time

from placement.generator import estate
from placement.linear import SOLVERS
from placement.matrix import NO_LIMIT, Matrix
from placement.relaxation import Solver, program_of, proven, with_row
from placement.solve import posted
from placement.stages import Stage, level_stages, unplaced_stages

LIMIT_S = 60.0
SIZES = ((100, 10), (400, 20), (1_000, 50))

Figures = dict[str, int | float | str]


def main() -> Figures:
    """Processor seconds of each solver and size."""
    figures: Figures = {}
    for requests, hosts in SIZES:
        model = posted(estate(0, requests, hosts, fill_percent=60))
        matrix = model.matrix()
        level = level_stages(model, matrix)[0]
        for out in unplaced_stages(model):  # All are placed.
            matrix = with_row(matrix, out.expression, -NO_LIMIT, -out.constant)
        name = f"estate_{requests}x{hosts}"
        figures[f"{name}_columns"] = len(matrix.lower)
        figures[f"{name}_entries"] = len(matrix.column)
        figures |= _raced(name, matrix, level)
    return figures


def _raced(name: str, matrix: Matrix, stage: Stage) -> Figures:
    figures: Figures = {}
    first = 0
    for solver in SOLVERS:
        began, processor = time.perf_counter(), time.process_time()
        answer = Solver(program_of(matrix, stage.expression), named=solver).solve(LIMIT_S, 10**9)
        figures[f"{name}_{solver}_s"] = round(time.perf_counter() - began, 3)
        figures[f"{name}_{solver}_processor_s"] = round(time.process_time() - processor, 3)
        exact = 0 if answer is None else proven(matrix, stage.expression, answer.prices)
        first = first or exact
        figures[f"{name}_{solver}_proven_percent"] = round(100 * exact / first, 5) if first else 0.0
    return figures


if __name__ == "__main__":
    print(main())
