"""The exponential and its sums against long double arithmetic and scipy."""

import numpy as np
import pytest
from scipy.special import expit, logsumexp
from scipy.special import softmax as scipy_softmax

from fejer.jit import kernel
from fejer.numerics import elementary


@kernel
def exp_all(x, out):
    for i in range(x.size):
        out[i] = elementary.exp(x[i])


@kernel
def exp32_all(x, out):
    for i in range(x.size):
        out[i] = elementary.exp32(x[i])


def test_exp_is_within_one_ulp():
    x = np.random.default_rng(0).uniform(-700.0, 700.0, 300_000)
    out = np.empty_like(x)
    exp_all(x, out)
    exact = np.exp(x.astype(np.longdouble))
    assert np.max(np.abs(out - exact) / np.spacing(out)) < 1.0


def test_exp32_stays_in_float32():
    x = np.random.default_rng(0).uniform(-87.0, 88.0, 300_000).astype(np.float32)
    out = np.empty_like(x)
    exp32_all(x, out)
    exact = np.exp(x.astype(np.float64))
    assert np.max(np.abs(out - exact) / exact) < 2e-7
    assert np.isnan(elementary.exp32(np.float32(np.nan)))
    assert elementary.exp32(np.float32(-90.0)) == 0.0
    assert elementary.exp32(np.float32(100.0)) == elementary.exp32(np.float32(88.0))


def test_exp_at_the_ends():
    assert elementary.exp(0.0) == 1.0
    assert elementary.exp(-708.1) == elementary.exp(-np.inf) == 0.0
    assert elementary.exp(np.inf) == elementary.exp(709.0) == pytest.approx(np.exp(709.0))
    assert np.isnan(elementary.exp(np.nan))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 11, 100])
def test_sums_agree_with_scipy(size):
    X = np.random.default_rng(size).normal(0.0, 300.0, (6, size))
    rows = np.empty(6)
    elementary.row_log_sum_exp(X, rows)
    np.testing.assert_allclose(rows, logsumexp(X, axis=1), rtol=1e-14)
    out = np.empty(size)
    assert elementary.softmax(X[0], out) == rows[0]
    np.testing.assert_allclose(out, scipy_softmax(X[0]), rtol=1e-13, atol=1e-300)


def test_log_sum_exp_of_infinities():
    lse = elementary.log_sum_exp
    assert lse(np.array([-np.inf, 2.0, -np.inf])) == 2.0
    assert lse(np.full(5, -np.inf)) == -np.inf
    assert lse(np.array([np.inf, 0.0, -np.inf])) == np.inf
    assert np.isnan(lse(np.array([0.0, np.nan, np.inf])))


def test_logistic_functions():
    for t in (-800.0, -40.0, -1.0, 0.0, 1e-9, 3.0, 800.0):
        assert elementary.sigmoid(t) == pytest.approx(expit(t), rel=1e-13, abs=1e-307)
        assert elementary.softplus(t) == pytest.approx(np.logaddexp(0.0, t), rel=1e-13, abs=1e-307)
