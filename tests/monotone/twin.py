"""Plain numpy twins of the certificates, written from the formulas and not from the code."""

import numpy as np

U = 2.0**-53


def fixed_point(T, x, scale=1.0, A=None, b=None):
    """(||x - T x|| + 4 u (||x|| + size)) / scale, size that of the terms of T x."""
    image = np.asarray(T(x))
    terms = image if A is None else np.abs(A) @ np.abs(x) + np.abs(b)
    floor = 4 * U * (np.linalg.norm(x) + np.linalg.norm(terms))
    return (np.linalg.norm(x - image) + floor) / scale


def inclusion(F, x, resolvent=None, lipschitz=None):
    """The natural residual over that at J(0), each with step eta."""
    J = resolvent or (lambda v, eta: v)
    n = len(x)
    if lipschitz is None:
        origin = J(np.zeros(n), 1.0)
        value = F(origin)
        size = np.linalg.norm(value)
        h = 1e-3 * max(1.0, np.linalg.norm(origin))
        slope = np.linalg.norm(F(origin + h * value / size) - value) / h if size > 0 else 1.0
        lipschitz = slope if slope > 0 else 1.0
    eta = 1.0 / lipschitz

    def residual(z):
        image = J(z - eta * F(z), eta)
        return np.linalg.norm(z - image) / eta, image

    origin = J(np.zeros(n), eta)
    scale = residual(origin)[0] if np.isfinite(F(origin)).all() else 1.0
    scale = 1.0 / eta if scale == 0 else scale
    value, image = residual(x)
    return (value + 4 * U * (np.linalg.norm(x) + np.linalg.norm(image)) / eta) / scale


def _best_answer(v, mu):
    """max over the simplex of v'a - mu/2 |a|^2, by bisection on the multiplier."""
    if mu == 0:
        return float(v.max())
    low, high = v.min() - mu, v.max()
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.maximum(v - middle, 0).sum() > mu else (low, middle)
    a = np.maximum(v - high, 0) / mu
    a /= a.sum() or 1.0
    if mu > 1e6 * (np.ptp(v) or 1.0):
        a = 1 / v.size + (v - v.mean()) / mu
    return float(v @ a - mu / 2 * a @ a)


def game(A, mu_x, mu_y, x):
    """Sum of the players' regrets, each over its own unit."""
    A = np.asarray(A, float)
    n = A.shape[1]
    p, q = x[:n], x[n:]
    B = A - np.median(A)
    s = np.median(np.abs(B[B != 0])) if (B != 0).any() else 0.0
    push, pull = B @ p, -(B.T @ q)
    regret_x = _best_answer(pull, mu_x) - (pull @ p - mu_x / 2 * p @ p)
    regret_y = _best_answer(push, mu_y) - (push @ q - mu_y / 2 * q @ q)
    return regret_x / ((s + mu_x) or 1.0) + regret_y / ((s + mu_y) or 1.0)
