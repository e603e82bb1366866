"""project_linear: the quadratic program, the theorem on distances, layouts, bad input."""

import numpy as np
import pytest
from scipy import sparse

import fejer


def draw(seed=0, n=8, m=3):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((n, n))
    return (
        rng.standard_normal(n),
        root @ root.T,
        rng.standard_normal((m, n)),
        rng.standard_normal(m),
    )


@pytest.mark.parametrize("seed", range(5))
def test_it_solves_the_quadratic_program(seed):
    import cvxpy

    mean, cov, G, b = draw(seed)
    found = fejer.project_linear(mean, cov, G, b)
    np.testing.assert_allclose(G @ found.mean, b, atol=1e-12)
    x = cvxpy.Variable(8)
    weight = np.linalg.inv(cov)
    objective = cvxpy.quad_form(x - mean, cvxpy.psd_wrap((weight + weight.T) / 2))
    cvxpy.Problem(cvxpy.Minimize(objective), [G @ x == b]).solve(solver="CLARABEL")
    np.testing.assert_allclose(found.mean, x.value, atol=1e-4)
    np.testing.assert_allclose(G @ found.cov, 0.0, atol=1e-9)
    assert np.linalg.eigvalsh(found.cov)[0] > -1e-10
    again = fejer.project_linear(found.mean, cov, G, b)
    np.testing.assert_allclose(again.mean, found.mean, atol=1e-12)


@pytest.mark.parametrize("seed", range(200))
def test_the_weighted_error_never_increases(seed):
    mean, cov, G, _ = draw(seed)
    truth = np.random.default_rng([seed, 1]).standard_normal(8)
    found = fejer.project_linear(mean, cov, G, G @ truth)
    before, after = ((v - truth) @ np.linalg.solve(cov, v - truth) for v in (mean, found.mean))
    assert after <= before * (1 + 1e-9)


def test_noise_is_conditioning():
    mean, cov, G, b = draw()
    found = fejer.project_linear(mean, cov, G, b, var=0.7)
    precision = np.linalg.inv(cov) + G.T @ G / 0.7
    np.testing.assert_allclose(found.cov, np.linalg.inv(precision), atol=1e-8)
    right = np.linalg.solve(cov, mean) + G.T @ b / 0.7
    np.testing.assert_allclose(found.mean, np.linalg.solve(precision, right), atol=1e-8)


def test_layouts():
    mean, _, G, b = draw()
    variances = np.linspace(1, 2, 8)
    expected = fejer.project_linear(mean, np.diag(variances), G, b)
    for cov in (variances, list(variances), sparse.diags_array(variances), np.diag(variances)):
        for rows in (G, sparse.csr_array(G), np.asfortranarray(G), G.tolist()):
            found = fejer.project_linear(mean, cov, rows, b)
            np.testing.assert_allclose(found.mean, expected.mean, atol=1e-12)
            np.testing.assert_allclose(found.cov, expected.cov, atol=1e-12)
    one, eye = (fejer.project_linear(mean, c, G, b) for c in (2.0, 2 * np.eye(8)))
    np.testing.assert_allclose(one.mean, eye.mean, atol=1e-12)


def test_an_equation_given_twice_counts_once():
    mean, cov, G, b = draw()
    twice = fejer.project_linear(mean, cov, np.vstack([G, G[:1]]), np.append(b, b[0]))
    np.testing.assert_allclose(twice.mean, fejer.project_linear(mean, cov, G, b).mean, atol=1e-8)


M, C, G, B = draw()
BAD = {
    "mean nan": ((M * np.nan, C, G, B), "mean: "),
    "mean text": (("mean", C, G, B), "mean: "),
    "cov shape": ((M, C[:3], G, B), "cov: "),
    "cov length": ((M, [1.0, 2.0], G, B), "cov: "),
    "cov negative": ((M, -np.ones(8), G, B), "cov: "),
    "cov number": ((M, -1.0, G, B), "cov: "),
    "cov unsymmetric": ((M, np.triu(C), G, B), "cov: .*symmetric"),
    "cov indefinite": ((M, -C, G, B), "cov: .*semidefinite"),
    "G columns": ((M, C, G[:, :3], B), "G: "),
    "b length": ((M, C, G, B[:1]), "b: "),
    "b contradicts": ((M, C, np.vstack([G[0], G[0]]), [0.0, 1.0]), "b: "),
    "var": ((M, C, G, B, -1.0), "var: "),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_is_named(name):
    args, text = BAD[name]
    with pytest.raises(fejer.ProblemError, match=f"^{text}"):
        fejer.project_linear(*args)
