"""OR-tools PDLP: restarted primal-dual hybrid gradients, the published system."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fejer.evidence import Array
from fejer.problems.linear.linear_program import LinearProgram

__all__ = ["pdlp"]


def pdlp(problem: LinearProgram) -> Callable[[float], tuple[Array, dict[str, Array]]]:
    """Prepare PDLP with its defaults, presolve included, on one thread.

    Parameters
    ----------
    problem : LinearProgram
        Any.

    Returns
    -------
    callable
        ``solve(tol)``; tol is the relative optimality and feasibility tolerance.
    """
    from ortools.pdlp import solvers_pb2
    from ortools.pdlp.python import pdlp as library
    from scipy.sparse import csc_matrix

    form = problem.program()
    program = library.QuadraticProgram()
    program.objective_vector = np.array(form.c)
    program.constraint_matrix = csc_matrix(form.A.native, copy=True)
    program.constraint_lower_bounds = np.array(form.row_lower)
    program.constraint_upper_bounds = np.array(form.row_upper)
    program.variable_lower_bounds = np.array(form.lower)
    program.variable_upper_bounds = np.array(form.upper)

    def solve(tol: float) -> tuple[Array, dict[str, Array]]:
        parameters = solvers_pb2.PrimalDualHybridGradientParams()
        parameters.num_threads = 1
        criteria = parameters.termination_criteria
        criteria.simple_optimality_criteria.eps_optimal_relative = tol
        criteria.simple_optimality_criteria.eps_optimal_absolute = tol * 1e-2
        parameters.presolve_options.use_glop = True
        found = library.primal_dual_hybrid_gradient(program, parameters)
        return np.array(found.primal_solution), {"dual": np.array(found.dual_solution)}

    return solve
