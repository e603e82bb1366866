"""Hidden units left out of a network of digits while it is trained."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.evidence import Array
from fejer.numerics.prox import Group, GroupEnvelope

__all__ = ["hidden_units"]

UNITS, KEPT, CLASSES = 64, 16, 10
PIXELS = 64
SIZE = PIXELS + 1 + CLASSES  # weights of a unit: into it, its constant, out of it
BATCH, STEP, MOMENTUM = 32, 0.1, 0.9
WEIGHTS = (0.003, 0.01, 0.03, 0.1)


def parts(w: Array) -> tuple[Array, Array, Array]:
    """Weights into the units with their constants, weights out of them, constants of classes."""
    table = w[: UNITS * SIZE].reshape(UNITS, SIZE)
    return table[:, : PIXELS + 1], table[:, PIXELS + 1 :], w[UNITS * SIZE :]


def forward(w: Array, X: Array) -> tuple[Array, Array]:
    """Values of the hidden units, and scores of the classes."""
    into, out, constants = parts(w)
    H = np.maximum(X @ into[:, :-1].T + into[:, -1], 0.0)
    return H, H @ out + constants


def gradient(w: Array, X: Array, y: Array) -> Array:
    """Of the mean cross-entropy."""
    g = np.empty_like(w)
    into, out, constants = parts(g)
    H, P = forward(w, X)
    P = np.exp(P - P.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    P[np.arange(y.size), y] -= 1.0
    P /= y.size
    out[:], constants[:] = H.T @ P, P.sum(axis=0)
    back = (P @ parts(w)[1].T) * (H > 0)
    into[:, :-1], into[:, -1] = back.T @ X, back.sum(axis=0)
    return g


def train(
    w: Array, X: Array, y: Array, epochs: int, seed: int, prox: Callable[[Array, float], Array]
) -> Array:
    """Proximal stochastic gradient steps with momentum, their size a falling cosine."""
    rng, speed = np.random.default_rng(seed), np.zeros_like(w)
    batches = y.size // BATCH
    for t in range(epochs * batches):
        if t % batches == 0:
            order = rng.permutation(y.size)
        at = order[t % batches * BATCH :][:BATCH]
        step = 0.5 * STEP * (1.0 + np.cos(np.pi * t / (epochs * batches)))
        speed = MOMENTUM * speed - step * gradient(w, X[at], y[at])
        w = w + speed
        w[: UNITS * SIZE] = prox(w[: UNITS * SIZE], step)
    return w


def sizes(w: Array) -> Array:
    """Norms of the weights of each unit."""
    return np.asarray(np.linalg.norm(w[: UNITS * SIZE].reshape(UNITS, SIZE), axis=1))


def started(seed: int) -> Array:
    """Random weights."""
    rng, w = np.random.default_rng(seed), np.zeros(UNITS * SIZE + CLASSES)
    into, out, _ = parts(w)
    into[:, :-1] = rng.standard_normal((UNITS, PIXELS)) * np.sqrt(2 / PIXELS)
    out[:] = rng.standard_normal((UNITS, CLASSES)) * np.sqrt(2 / UNITS)
    return w


def trained(X: Array, y: Array, seed: int, penalty: Any, lam: float) -> tuple[Array, int]:
    """Train with a penalty, then without it on the largest units; and how many there were."""

    def shrink(v: Array, step: float) -> Array:
        return np.asarray(penalty(v, lam * step)) if step > 0 else v

    w = train(started(seed), X, y, 100, seed, shrink)
    size = sizes(w)
    mask = np.repeat(np.isin(np.arange(UNITS), np.argsort(-size)[:KEPT]), SIZE)
    w[: UNITS * SIZE] *= mask
    return train(w, X, y, 50, seed, lambda v, _: v * mask), int(np.count_nonzero(size))


def right(w: Array, X: Array, y: Array) -> float:
    """Accuracy in per cent."""
    return 100 * float(np.mean(forward(w, X)[1].argmax(axis=1) == y))


def held_layer(w: Array, X: Array, y: Array) -> Array:
    """Units that `GroupEnvelope` selects, the layer held, one-hot targets by least squares."""
    H = forward(w, X)[0]
    H = H - H.mean(axis=0)
    T = np.eye(CLASSES)[y]
    scale = float(np.linalg.norm(H, 2)) ** 2
    groups = np.tile(np.arange(UNITS), CLASSES)  # classes one after another
    target = (T - T.mean(axis=0)).T.ravel()
    problem = fejer.GroupEnvelope(np.kron(np.eye(CLASSES), H), target, groups, KEPT, 1e-2 * scale)
    return np.asarray(fejer.minimize(problem, tol=1e-4).selected.groups)


@claim("digits, k = 16 of 64 hidden units: exactly k remain, accuracy falls by at most 1 point")
def hidden_units() -> Found:
    """A network trained by proximal stochastic gradients, five splits, half of the images held out.

    A group is all weights of a unit. The network with a penalty is trained for 100 epochs, then
    the 16 largest units alone and without it for 50, the finishing step; the dense one for 150.
    The weight of a penalty is that of four which is best on 30 % of the training images, left out
    for that. "Held layer": 16 units that the convex problem selects in the dense network, whose
    hidden layer stays as it is, and the output layer is fitted by least squares.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, digits = load_digits(return_X_y=True)
    whole: Any = lambda v, _: v  # noqa: E731
    penalties = {
        "envelope": GroupEnvelope(k=KEPT, groups=SIZE),
        "group lasso": Group(groups=SIZE, weights=1.0),
    }
    scores: dict[str, list[float]] = {}
    before: dict[str, list[int]] = {}
    after: dict[str, list[int]] = {}
    for seed in range(5):
        X, held, y, truth = train_test_split(images / 16, digits, test_size=0.5, random_state=seed)
        inner, outer, a, b = train_test_split(X, y, test_size=0.3, random_state=seed)
        dense = train(started(seed), X, y, 150, seed, whole)
        scores.setdefault("dense", []).append(right(dense, held, truth))
        for name, penalty in penalties.items():
            fit = functools.partial(trained, seed=seed, penalty=penalty)
            judged = [right(fit(inner, a, lam=lam)[0], outer, b) for lam in WEIGHTS]
            w, count = fit(X, y, lam=WEIGHTS[int(np.argmax(judged))])
            before.setdefault(name, []).append(count)
            after.setdefault(name, []).append(int(np.count_nonzero(sizes(w))))
            scores.setdefault(name, []).append(right(w, held, truth))
        units = held_layer(dense, X, y)
        H, T = forward(dense, X)[0][:, units], np.eye(CLASSES)[y]
        coef = np.linalg.lstsq(H - H.mean(axis=0), T - T.mean(axis=0), rcond=None)[0]
        guess = (forward(dense, held)[0][:, units] - H.mean(axis=0)) @ coef + T.mean(axis=0)
        scores.setdefault("held layer", []).append(
            100 * float(np.mean(guess.argmax(axis=1) == truth))
        )
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    yield f"units before the finishing step: {before}", None
    yield f"units that remain: {after}", set(after["envelope"]) == {KEPT}
    loss = means["dense"] - means["envelope"]
    shown = ", ".join(f"{name} {value:.1f}" for name, value in means.items())
    yield f"accuracy in %, mean of 5: {shown}; envelope loses {loss:.1f}", loss <= 1.0
