"""Extragradient method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Method, Rate, option, register
from fejer.problems.monotone._operators import InclusionForm

from ._inclusions import (
    ADAPTIVE,
    CALLS,
    GO_ON,
    INNER,
    RESTORED,
    SHARE,
    SHORTEN,
    SOLVED,
    STEP,
    Steps,
    ahead,
    apart,
    decide,
    length,
    natural,
    radius,
    rotation,
    too_long,
)


@kernel
def iterate(
    F, J, x, value, anchor, best, exact, vectors, pair, numbers, counters, options, count
):  # fmt: skip
    """Many iterations of the extragradient method."""
    copy, half, slope = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    made = 0
    code = GO_ON
    while made < count:
        step = numbers[STEP]
        ahead(x, value, step, half)
        if J is None:
            size = length(value)
        else:
            copy[:] = half
            J(copy, step, half)
            size = apart(x, half) / step
        code = decide(x, value, anchor, best, exact, pair, numbers, counters, options, size)
        if code == SOLVED:
            break
        if code == RESTORED:
            continue
        copy[:] = half
        F(copy, slope)
        counters[CALLS] += 1
        if options[ADAPTIVE] > 0.0 and too_long(x, value, half, slope, step, options[SHARE]):
            numbers[STEP] *= SHORTEN
            continue
        ahead(x, slope, step, x)
        if J is not None:
            copy[:] = x
            J(copy, step, x)
        copy[:] = x
        F(copy, value)
        counters[CALLS] += 1
        counters[INNER] += 1
        made += 1
    return made, code


@register
@dataclass(frozen=True, eq=False)
class Extragradient(Steps, Method):
    """Extragradient method of Korpelevich.

    ``h = J(x - a F(x))``, ``x <- J(x - a F(h))``, J the resolvent of ``a G``.

    Parameters
    ----------
    step : float or None, default None
        a. None: ``0.7 / L``; where no constant is declared, the step is divided by 1.5 until
        ``a ||F(h) - F(x)|| <= 0.7 ||h - x||`` holds, from the secant at the origin on.

    Notes
    -----
    Rate for ``a L < 1``: the smallest residual ``||x - J(x - a F(x))|| / a`` of the first k + 1
    points is at most ``R / (a ((1 - a^2 L^2)(k + 1))^(1/2))``, R the distance of the start to a
    solution; with G = 0 the residuals never increase, so that the bound holds for the last one
    [2]_. Linear for affine F and for strongly monotone F: on the rotation F = (y, -x) the distance
    falls by ``((1 - a^2)^2 + a^2)^(1/2)`` in each iteration.

    Cost per iteration: two evaluations of F, two resolvents, six passes over x. Memory: about
    twelve vectors.

    Pitfalls: Halpern-type anchoring (``feg``, ``eag``) has the better worst case, 1 / k; on
    problems where extragradient is linear it is often slower.

    References
    ----------
    .. [1] Korpelevich (1976), The extragradient method for finding saddle points and other
       problems, Matecon 12.
    .. [2] Gorbunov, Loizou, Gidel (2022), Extragradient method: O(1/K) last-iterate convergence for
       monotone variational inequalities, AISTATS, arXiv:2110.04261.

    Examples
    --------
    >>> import fejer
    >>> saddle = fejer.MonotoneInclusion(lambda z: [z[1] - 1.0, 2.0 - z[0]], 2, lipschitz=1.0)
    >>> fejer.minimize(saddle, method="extragradient").x.round(5)
    array([2., 1.])
    """

    step: float | None = option(None, above=0, doc="a; None: 0.7 / L, found where L is unknown")

    name = "extragradient"
    solves = (InclusionForm,)
    cites = ("Korpelevich (1976)", "arXiv:2110.04261")
    loop = iterate
    share = 0.7

    @property
    def rate(self) -> Rate:
        """The bound of the last residual, for G = 0 and a known constant."""
        return Rate(
            "||F(x)|| <= R / (a ((1 - a^2 L^2)(k + 1))^(1/2)) (arXiv:2110.04261)",
            "sublinear",
            0.5,
            assumptions="F monotone and L-Lipschitz with declared L, G = 0, a L < 1",
            measure=natural,
            bound=self._bound,
            worst_case=lambda k: rotation(1.0 / (0.7 * math.sqrt(k + 1.0))),
        )

    def _bound(self, problem: Any, x0: Array, xstar: Array, k: int) -> float:
        inclusion, step = problem.inclusion(), self.first_step(problem)
        if inclusion.resolvent is not None or inclusion.constant is None:
            return math.inf
        rest = 1.0 - (step * inclusion.constant) ** 2
        if rest <= 0.0:
            return math.inf
        return radius(x0, xstar) / (step * math.sqrt(rest * (k + 1)))

    def supports(self, problem: Any) -> str | None:
        """Return None, or why the operator is not monotone."""
        if problem.inclusion().kind == "comonotone":
            return "it needs a monotone operator; feg treats comonotone ones"
        return None
