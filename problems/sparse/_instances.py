"""Random data of the classes of this family."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array

__all__ = ["random_regression"]


def random_regression(
    n: int, p: int, density: float, correlation: float, snr: float, seed: int
) -> tuple[Array, Array]:
    """Draw features with ``corr(x_j, x_{j+1}) = correlation`` and targets of a sparse signal."""
    rng = np.random.default_rng(seed)
    X = np.asfortranarray(rng.standard_normal((n, p)))
    for j in range(1, p):
        X[:, j] = correlation * X[:, j - 1] + np.sqrt(1.0 - correlation**2) * X[:, j]
    signal = np.zeros(p)
    chosen = rng.choice(p, max(1, int(density * p)), replace=False)
    signal[chosen] = rng.standard_normal(chosen.size)
    y = X @ signal
    noise = rng.standard_normal(n)
    return X, y + noise * (np.linalg.norm(y) / (snr * np.linalg.norm(noise)))
