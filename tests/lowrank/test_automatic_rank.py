"""rank="auto": the number it stands for, and the rank that is then found."""

import numpy as np
import pytest

import fejer
from fejer import MatrixCompletion


def freedom(shape, rank):
    return rank * (sum(shape) - rank)


@pytest.mark.parametrize(("shape", "count"), [((30, 20), 384), ((9, 200), 700), ((300, 400), 20)])
def test_number_from_the_degrees_of_freedom(shape, count):
    rng = np.random.default_rng(0)
    rows, cols = np.divmod(rng.permutation(shape[0] * shape[1])[:count], shape[1])
    problem = MatrixCompletion(rows, cols, rng.standard_normal(count), shape, "auto")
    fitting = [k for k in range(1, min(*shape, 40) + 1) if 2 * freedom(shape, k) <= count]
    assert problem.rank == max(fitting, default=1)
    assert problem.replace(reg=1.0).rank == problem.rank  # a number from then on
    regularised = MatrixCompletion(rows, cols, problem.values, shape, "auto", reg=1.0)
    assert regularised.rank == min(*shape, 40)


@pytest.mark.parametrize(
    ("m", "n", "rank", "ratio", "kappa"),
    [(60, 50, 2, 6, 1), (60, 50, 3, 4, 10), (100, 80, 5, 4, 1), (200, 150, 5, 6, 30)],
)
def test_true_rank_is_found(m, n, rank, ratio, kappa):
    for seed in range(3):
        count = ratio * freedom((m, n), rank)
        drawn = MatrixCompletion.random(m, n, rank, count, kappa=kappa, seed=seed)
        problem = MatrixCompletion(drawn.rows, drawn.cols, drawn.values, drawn.shape, "auto")
        result = fejer.minimize(problem)
        assert problem.rank > rank
        assert result.success and result.found_rank == rank and result.recovered


def test_other_ways_to_give_the_data():
    M = np.outer(np.arange(1.0, 9), np.arange(1.0, 8))
    M[0, 0] = np.nan
    problem = MatrixCompletion.from_masked(M, "auto")
    assert problem.rank == 2  # of 8 x 7 with 55 entries
    result = fejer.minimize(problem, tol=1e-9)
    assert result.found_rank == 1 and result.predict([0], [0]) == pytest.approx(1.0)


def test_nuclear_norm_chooses_the_rank():
    drawn = MatrixCompletion.random(60, 50, 3, noise=0.1, seed=1)
    problem = MatrixCompletion(drawn.rows, drawn.cols, drawn.values, drawn.shape, "auto", reg=5.0)
    result = fejer.minimize(problem)
    assert result.success and result.certificate.rigorous
    assert result.certificate.details["norm_over_reg"] <= 1 + 1e-6
