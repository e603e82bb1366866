"""The rival GridSearchCV: it ends at the grid's best point of our objective."""

import numpy as np
import pytest

import fejer
from fejer.benchmarks.peers.grid_search import POINTS, one_penalty


@pytest.mark.parametrize(
    "problem",
    [
        fejer.RidgeBilevel.random(40, 50, 5),
        fejer.MultinomialBilevel.random(mu0=1e-3),
        fejer.MultinomialBilevel.random(mode="class", mu0=1e-3),
    ],
    ids=["ridge", "multinomial", "shared by classes"],
)
def test_best_point_of_the_grid(problem):
    x = one_penalty(problem)(1e-10)
    assert x.shape == (problem.size,) and np.ptp(x) == 0
    grid = np.linspace(problem.lower, problem.upper, POINTS)
    values = [problem.judge(np.full(problem.size, p)).fun for p in grid]
    assert x[0] == grid[np.argmin(values)]
