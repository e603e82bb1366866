"""Monotone mean-field equations: the residual, the prox, uniqueness, what fails, bad data."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import brentq

import fejer
from fejer.errors import ProblemError
from fejer.problems.monotone._mean_field import EntropyProx
from fejer.testing import hostile_witnesses

METHODS = ("anderson", "halpern", "averaged", "forward-backward", "extragradient", "graal", "eag")


def softmax(v):
    e = np.exp(v - v.max())
    return e / e.sum()


def twin(p, q):
    v, groups = p.Phi.toarray() @ q + p.b, p.groups
    return max(
        np.abs(q[groups == k] - softmax(v[groups == k])).max() for k in range(groups.max() + 1)
    )


@pytest.mark.parametrize("seed", range(5))
def test_certificate_is_that_of_the_twin(seed):
    p = fejer.MeanFieldBoltzmann.random(seed=seed)
    rng = np.random.default_rng(seed)
    for size in (0.0, 1e-6, 1.0, 30.0):
        q = p.initial_point() + size * rng.standard_normal(15)
        assert p.judge(q).value == pytest.approx(twin(p, q), rel=1e-9, abs=1e-13)
    honest = p.judge(q).value
    for witness in hostile_witnesses({"pair": np.zeros((2, 15))}):
        assert p.judge(q, witness).value == honest
    for size in (1e8, 1e200, 1e308):
        assert p.judge(size * rng.uniform(-1, 1, 15)).value > 0.1


def test_points_three_tol_away_fail():
    rng = np.random.default_rng(0)
    for seed in range(10):
        p = fejer.MeanFieldBoltzmann.random(seed=seed)
        x = fejer.minimize(p, tol=1e-11).x
        for _ in range(5):
            d = rng.standard_normal(15)
            t = 1e-12
            while twin(p, x + t * d) < 3e-6:
                t *= 1.5
            assert not p.judge(x + t * d).holds(1e-6)


@pytest.mark.parametrize("a", [1e-3, 0.1, 0.9, 1.0, 1.5, 20.0])
def test_the_prox_solves_its_equations(a):
    """(1 - a) z + a log z + lam = v with sum 1, against a root finder; a = 1 is softmax."""
    rng = np.random.default_rng(0)
    for scale in (0.1, 1.0, 30.0):
        v = scale * rng.standard_normal(4)
        z = EntropyProx(np.array([0, 4]))(v, a)
        assert z.sum() == pytest.approx(1.0, abs=1e-14) and (z >= 0).all()

        def entry(t):
            f = lambda u: (1 - a) * math.exp(u) + a * u - t  # noqa: E731
            return 1.0 if f(0.0) <= 0 else math.exp(brentq(f, -1e5, 0.0, xtol=1e-14))

        def excess(lam, v=v, entry=entry):
            return sum(entry(t - lam) for t in v) - 1.0

        lam = brentq(excess, v.max() - 50 * (1 + a), v.max() + 50 * (1 + a), xtol=1e-13)
        assert z == pytest.approx([entry(t - lam) for t in v], abs=1e-9)
        if a == 1.0:
            assert z == pytest.approx(softmax(v), abs=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_all_methods_agree(method):
    p = fejer.MeanFieldBoltzmann.random(6, 4, seed=3)
    result = fejer.minimize(p, method=method, tol=1e-10)
    assert result.success
    assert result.x == pytest.approx(fejer.minimize(p, tol=1e-12).x, abs=1e-8)
    assert (result.modes == result.x.reshape(6, 4).argmax(axis=1)).all()


def test_twenty_starts_lead_to_one_solution():
    p = fejer.MeanFieldBoltzmann.random(40, 5, seed=1)
    rng, found = np.random.default_rng(0), []
    for _ in range(20):
        start = rng.exponential(size=200).reshape(40, 5) ** 3
        start /= start.sum(axis=1, keepdims=True)
        result = fejer.minimize(p, start.ravel(), tol=1e-11)
        assert result.success
        found.append(result.x)
    assert np.ptp(found, axis=0).max() < 1e-8


def test_plain_iteration_may_cycle_where_the_methods_converge():
    """Two states, strong repulsion: monotone, yet q <- softmax(Phi q + b) flips for ever."""
    n, states = 30, 2
    u = np.array([1.0, -1.0]) * math.sqrt(0.42)
    stacked = np.tile(u, n)
    groups = np.repeat(np.arange(n), states)
    Phi = np.where(groups[:, None] == groups, 0.0, -np.outer(stacked, stacked))
    b = np.where(np.arange(60) % 2 == 0, 0.1, 0.0)
    p = fejer.MeanFieldBoltzmann(Phi, b, groups)
    assert np.linalg.eigvalsh(np.eye(60) - Phi)[0] > 0.1
    q = p.initial_point()
    for _ in range(300):
        q = np.concatenate([softmax(v) for v in (Phi @ q + b).reshape(n, states)])
    assert twin(p, q) > 0.1
    assert fejer.minimize(p, tol=1e-10).success


def test_machines_that_are_not_monotone_are_refused():
    Phi = 3.0 * (np.ones((4, 4)) - np.kron(np.eye(2), np.ones((2, 2))))
    p = fejer.MeanFieldBoltzmann(Phi, np.zeros(4), [0, 0, 1, 1])
    with pytest.raises(fejer.MethodError, match="no method treats"):
        fejer.minimize(p)


def test_sparse_couplings():
    p = fejer.MeanFieldBoltzmann.random()
    other = fejer.MeanFieldBoltzmann(sp.csr_array(p.Phi.toarray()), p.b, p.groups)
    q = p.initial_point()
    assert other.judge(q).value == pytest.approx(p.judge(q).value, rel=1e-12)
    assert fejer.minimize(other).x == pytest.approx(fejer.minimize(p).x, abs=1e-6)


GOOD = {"Phi": np.zeros((4, 4)), "b": np.zeros(4), "groups": [0, 0, 1, 1]}
BAD = [
    ({"Phi": np.zeros((4, 3))}, "Phi"),
    ({"Phi": np.eye(4)}, "Phi: expected zeros within"),
    ({"Phi": np.eye(4, k=2)}, "Phi: expected a symmetric"),
    ({"Phi": sp.csr_array(np.eye(4, k=2))}, "Phi: expected a symmetric"),
    ({"Phi": sp.csr_array(np.eye(4))}, "Phi: expected zeros within"),
    ({"Phi": np.full((4, 4), math.nan)}, "Phi"),
    ({"Phi": sp.linalg.aslinearoperator(np.eye(4))}, "Phi"),
    ({"b": [1.0]}, "b"),
    ({"b": [1.0, math.inf, 0, 0]}, "b"),
    ({"groups": [0, 0, 2, 2]}, "groups"),
    ({"groups": [1, 1, 0, 0]}, "groups"),
    ({"groups": [0, 0.5, 1, 1]}, "groups"),
    ({"groups": [0, 1]}, "groups"),
    ({"groups": "ab"}, "groups"),
]


@pytest.mark.parametrize(("fields", "said"), BAD)
def test_bad_data(fields, said):
    with pytest.raises(ProblemError, match=said):
        fejer.MeanFieldBoltzmann(**{**GOOD, **fields})
