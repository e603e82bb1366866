"""Small instances that cover the fields of the least-squares classes."""

import numpy as np
import scipy.sparse

import fejer

RNG = np.random.default_rng(7)
WEIGHTS = RNG.uniform(0.5, 2.0, 40)
EXCLUDED = np.where(np.arange(40) % 7 == 3, np.inf, WEIGHTS)
SAMPLES = RNG.uniform(0.1, 4.0, 60)
SHIFTED = np.where(np.arange(40) < 5, 0.1, -np.inf)

LASSOS = {
    "plain": {},
    "small lam": {"ratio": 0.003},
    "elastic net": {"l1_ratio": 0.4},
    "nearly ridge": {"l1_ratio": 0.01, "ratio": 0.01},
    "weights": {"weights": WEIGHTS},
    "excluded": {"weights": EXCLUDED},
    "positive": {"positive": True},
    "box": {"lower": -0.2, "upper": 0.15},
    "huge box": {"lower": -1e9, "upper": 1e12},
    "box without 0": {"lower": SHIFTED, "upper": 3.0, "l1_ratio": 0.7},
    "intercept": {"fit_intercept": True},
    "sample weights": {"sample_weight": SAMPLES},
    "mean": {"scale": "mean"},
    "all": {
        "l1_ratio": 0.8,
        "weights": WEIGHTS,
        "lower": -0.3,
        "upper": 0.4,
        "fit_intercept": True,
        "sample_weight": SAMPLES,
        "scale": "mean",
    },
    "wide": {"n": 25, "p": 40},
}


def lasso(name, sparse=False, offset=True, **more):
    problem = fejer.Lasso.random(**{**LASSOS[name], **more}, seed=3)
    X, y = problem.X.toarray(), np.array(problem.y)
    if problem.fit_intercept and offset:
        X, y = X + np.linspace(-2, 3, X.shape[1]), y + 5.0
    if sparse:
        X = np.where(np.abs(X) > 1.0, X, 0.0)
        X = scipy.sparse.csc_array(X)
    return problem.replace(X=X, y=y)


BOXES = {
    "nonnegative": {},
    "box": {"lower": -0.5, "upper": 0.5},
    "one side": {"lower": -np.inf, "upper": 0.3},
    "free": {"lower": -np.inf},
    "wide": {"n": 20, "p": 30},
    "penalty": {"lam": 3.0},
    "far": {"lower": 1.0, "upper": 1e9},
}


def box(name, sparse=False):
    problem = fejer.BoxLeastSquares.random(**BOXES[name], seed=5)
    if not sparse:
        return problem
    X = problem.X.toarray()
    return problem.replace(X=scipy.sparse.csr_array(np.where(np.abs(X) > 0.8, X, 0.0)))
