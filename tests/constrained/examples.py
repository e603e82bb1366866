"""Small problems of the tests of this family."""

import numpy as np

import fejer
from fejer.solvers.constrained.alm import ALM


def solve(problem, tol=1e-8, **more):
    return fejer.minimize(problem, method=ALM(), tol=tol, **more)


def quadratic(n=6, m=2, seed=0, **fields):
    """min 1/2 x'Qx - b'x subject to A x = r, with its solution and multipliers."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((n, n))
    Q, b = root @ root.T + np.eye(n), rng.standard_normal(n)
    A, r = rng.standard_normal((m, n)), rng.standard_normal(m)
    solution = np.linalg.solve(np.block([[Q, A.T], [A, np.zeros((m, m))]]), np.concatenate([b, r]))
    problem = fejer.EqualityNLP(
        lambda x: 0.5 * x @ Q @ x - b @ x,
        lambda x: Q @ x - b,
        x0=np.zeros(n),
        linear=(A, r),
        hess=lambda x: Q,
        **fields,
    )
    return problem, solution[:n], solution[n:], (Q, b, A, r)


def circle(**fields):
    values = {
        "fun": lambda x: x.sum(),
        "grad": lambda x: np.ones(2),
        "constraint": lambda x: [x @ x - 2],
        "constraint_jac": lambda x: [2 * x],
        "x0": [-2.0, 0.5],
    }
    return fejer.EqualityNLP(**values | fields)
