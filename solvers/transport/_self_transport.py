"""Entropic transport of a measure to itself, and values in the form with KL(P | a b')."""

from __future__ import annotations

import math

import numpy as np

from fejer.evidence import Array
from fejer.front import minimize
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.problems.transport.point_cloud import PointCloud

HALVINGS = 200  # symmetric iterations that are tried; small eps needs Newton's methods


def kl_value(a: Array, b: Array, cloud: PointCloud, eps: float, tol: float) -> tuple[float, Array]:
    """Value with KL(P | a b') of the entropy, for weights of mass 1, and the plan."""
    result = minimize(EntropicOT(a, b, cloud, eps=eps), tol=tol)
    return _in_kl_form(result.fun, a, b, eps), result.plan.toarray()


def _in_kl_form(fun: float, a: Array, b: Array, eps: float) -> float:
    logs = sum(float(w[w > 0] @ np.log(w[w > 0])) for w in (a, b))
    return fun + eps - eps * logs


def self_value(a: Array, cloud: PointCloud, eps: float, tol: float) -> tuple[float, Array]:
    """The same between a measure and itself, by averaged symmetric iterations.

    ``f <- (f + softmin(f)) / 2`` keeps both potentials equal, and needs some ten iterations.
    """
    C, there = cloud.matrix, a > 0
    log_a = np.where(there, np.log(np.where(there, a, 1.0)), -np.inf)
    f, P = np.zeros(a.size), np.zeros(C.shape)
    change = math.inf
    for _ in range(HALVINGS):
        exponents = log_a[:, None] + (f[:, None] - C) / eps
        top = exponents.max(axis=0)
        soft = -eps * (top + np.log(np.exp(exponents - top).sum(axis=0)))
        change = float(np.abs(a * (1.0 - np.exp((f - soft) / eps))).sum())
        f = 0.5 * (f + soft)
        if not math.isfinite(change) or change <= tol:
            break
    if not change <= tol:
        return kl_value(a, a, cloud, eps, tol)
    P = np.exp(log_a[:, None] + log_a + (f[:, None] + f - C) / eps)
    # dual value: 2 <a, f> + eps (1 - sum P)
    return 2.0 * float(a @ f) + eps * (1.0 - float(P.sum())), P
