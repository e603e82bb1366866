"""HiGHS through its own interface, without what SciPy puts around it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.linear.linear_program import LinearProgram

__all__ = ["interior", "simplex"]

Solve = Callable[[float], tuple[Array, dict[str, Array]]]


def _prepare(problem: LinearProgram, solver: str) -> Solve:
    import highspy

    form = problem.program()
    columns = _columns(form.A)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = form.c.size, form.row_lower.size
    lp.col_cost_ = form.c
    lp.col_lower_, lp.col_upper_ = form.lower, form.upper
    lp.row_lower_, lp.row_upper_ = form.row_lower, form.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = columns.indptr, columns.indices
    lp.a_matrix_.value_ = columns.data
    model = highspy.Highs()
    model.silent()
    model.setOptionValue("threads", 1)
    model.setOptionValue("solver", solver)

    def solve(tol: float) -> tuple[Array, dict[str, Array]]:
        model.passModel(lp)  # forgets the basis of the run before
        for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            model.setOptionValue(option, max(tol, 1e-10))
        model.setOptionValue("ipm_optimality_tolerance", max(tol, 1e-12))
        model.run()
        solution = model.getSolution()
        return np.array(solution.col_value), {"dual": np.array(solution.row_dual)}

    return solve


def _columns(A: Any) -> Any:
    from scipy.sparse import csc_array

    return csc_array(A.native)


simplex = partial(_prepare, solver="simplex")
interior = partial(_prepare, solver="ipm")
