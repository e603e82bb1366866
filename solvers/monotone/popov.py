"""Popov's method, the optimistic gradient method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

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
    too_long,
)


@kernel
def iterate(
    F, J, x, value, anchor, best, exact, vectors, pair, numbers, counters, options, count
):  # fmt: skip
    """Many iterations of Popov's method. ``x`` is h and ``value`` is F(h) throughout."""
    copy, base, image, half, slope = (
        np.empty_like(x), np.empty_like(x), np.empty_like(x), np.empty_like(x), np.empty_like(x)
    )  # fmt: skip
    made = 0
    code = GO_ON
    while made < count:
        step = numbers[STEP]
        if J is None:
            ahead(x, value, step, image)
        else:
            ahead(x, value, step, copy)
            J(copy, step, image)
        size = apart(x, image) / step
        code = decide(x, value, anchor, best, exact, pair, numbers, counters, options, size)
        if code == SOLVED:
            break
        if code == RESTORED:
            continue
        if counters[INNER] == 0:
            vectors[0] = x
        ahead(vectors[0], value, step, base)
        if J is not None:
            copy[:] = base
            J(copy, step, base)
        ahead(base, value, step, half)
        if J is not None:
            copy[:] = half
            J(copy, step, half)
        copy[:] = half
        F(copy, slope)
        counters[CALLS] += 1
        if options[ADAPTIVE] > 0.0 and too_long(x, value, half, slope, step, options[SHARE]):
            numbers[STEP] *= SHORTEN
            counters[INNER] = 0
            continue
        vectors[0] = base
        x[:] = half
        value[:] = slope
        counters[INNER] += 1
        made += 1
    return made, code


@register
@dataclass(frozen=True, eq=False)
class Popov(Steps, Method):
    """Popov's method: extragradient with one evaluation of F per iteration.

    ``z <- J(z - a F(h))``, ``h <- J(z - a F(h))`` with the new z and the old F(h), J the resolvent
    of ``a G``; h is the point that is judged. With G = 0 it is the optimistic gradient method
    ``h <- h - 2 a F(h) + a F(h_before)``.

    Parameters
    ----------
    step : float or None, default None
        a. None: ``1 / (3 L)``; where no constant is declared, the step is divided by 1.5 until
        ``a ||F(h_new) - F(h)|| <= ||h_new - h|| / 3`` holds, from the secant at the origin on.

    Notes
    -----
    Rate: the last residual is O(1 / k^(1/2)) for ``a <= 1 / (3 L)`` [2]_; linear for affine F and
    for strongly monotone F.

    Cost per iteration: one evaluation of F, three resolvents, six passes over x. Memory: about
    thirteen vectors.

    References
    ----------
    .. [1] Popov (1980), A modification of the Arrow-Hurwicz method for search of saddle points,
       Math. Notes 28.
    .. [2] Gorbunov, Taylor, Gidel (2022), Last-iterate convergence of optimistic gradient method
       for monotone variational inequalities, NeurIPS, arXiv:2205.08446.

    Examples
    --------
    >>> import fejer
    >>> saddle = fejer.MonotoneInclusion(lambda z: [z[1] - 1.0, 2.0 - z[0]], 2, lipschitz=1.0)
    >>> fejer.minimize(saddle, method="popov").x.round(5)
    array([2., 1.])
    """

    step: float | None = option(None, above=0, doc="a; None: 1 / (3 L), found where L is unknown")

    name = "popov"
    solves = (InclusionForm,)
    cites = ("Popov (1980)", "arXiv:2205.08446")
    loop = iterate
    n_vectors = 1
    share = 1.0 / 3.0

    @property
    def rate(self) -> Rate:
        """The order of the last residual."""
        return Rate(
            "||x - J(x - a F(x))|| = O(1 / k^(1/2)) for a <= 1 / (3 L) (arXiv:2205.08446)",
            "sublinear",
            0.5,
            assumptions="F monotone and L-Lipschitz",
        )

    def supports(self, problem: Any) -> str | None:
        """Return None, or why the operator is not monotone."""
        if problem.inclusion().kind == "comonotone":
            return "it needs a monotone operator; feg treats comonotone ones"
        return None
