"""implicit: alternating least squares for implicit feedback, another objective than ours.

It weights all entries of the matrix, the missing ones with value 0. Its answers are therefore not
comparable; the time of a sweep is.
"""

from __future__ import annotations

import time

import numpy as np

from fejer.problems.lowrank.matrix_completion import MatrixCompletion

__all__ = ["seconds_per_sweep"]


def seconds_per_sweep(problem: MatrixCompletion, use_cg: bool, sweeps: int = 5) -> float:
    """Measure its sweeps on the entries of a problem, one thread, single precision.

    Parameters
    ----------
    problem : MatrixCompletion
        Its entries are taken by modulus, as weights.
    use_cg : bool
        Conjugate gradients, or Cholesky.
    sweeps : int, default 5
        How many are timed, after one that is not.

    Returns
    -------
    float
        Seconds of processor time for one.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    weights = np.abs(problem.values).astype(np.float32)
    entries = csr_matrix((weights, (problem.rows, problem.cols)), shape=problem.shape)

    def run(count: int) -> float:
        model = AlternatingLeastSquares(
            factors=problem.rank,
            regularization=1e-3,
            iterations=count,
            use_native=True,
            use_cg=use_cg,
            num_threads=1,
            dtype=np.float32,
            random_state=0,
        )
        begun = time.process_time()
        model.fit(entries, show_progress=False)
        return time.process_time() - begun

    once = run(1)
    return (run(1 + sweeps) - once) / sweeps
