"""Lasso problems: a medical table, and sparse features."""

from __future__ import annotations

import numpy as np

from fejer.problems.sparse.lasso import Lasso

from .tables import tumours

__all__ = ["sparse_lasso", "tumour_lasso"]


def _at(problem: Lasso, ratio: float) -> Lasso:
    return problem.replace(lam=ratio * problem.lam_max())


def tumour_lasso(ratio: float = 0.05) -> Lasso:
    """Return the Lasso that tells benign tumours (1) from others (-1), with a constant.

    Parameters
    ----------
    ratio : float, default 0.05
        ``lam`` over the value from which on all coefficients are 0.

    Examples
    --------
    >>> tumour_lasso().X.shape
    (569, 30)
    """
    X, y, _ = tumours()
    return _at(Lasso(X, y, 1.0, fit_intercept=True), ratio)


def sparse_lasso(
    n: int, p: int, density: float = 0.01, ratio: float = 0.1, *, seed: int = 0
) -> Lasso:
    """Draw sparse features, as word counts are: few entries, columns of very different weight.

    Parameters
    ----------
    n, p : int
        Samples and features.
    density : float, default 0.01
        Share of entries that are not 0.
    ratio : float, default 0.1
        ``lam`` over the value from which on all coefficients are 0.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> sparse_lasso(50, 80).X.is_sparse
    True
    """
    from scipy.sparse import csc_array, diags_array, random_array

    rng = np.random.default_rng(seed)
    drawn = random_array((n, p), density=density, rng=rng)
    X = csc_array(drawn @ diags_array(rng.lognormal(sigma=1.0, size=p)))
    signal = np.zeros(p)
    signal[rng.choice(p, max(1, p // 50), replace=False)] = rng.standard_normal(max(1, p // 50))
    y = np.asarray(X @ signal)
    y += rng.standard_normal(n) * (y.std() / 3)
    return _at(Lasso(X, y, 1.0), ratio)
