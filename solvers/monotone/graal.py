"""Adaptive golden ratio algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.jit import kernel
from fejer.method import Method, Rate, option, register
from fejer.problems.monotone._operators import InclusionForm

from ._inclusions import (
    CALLS,
    FIRST,
    GO_ON,
    INNER,
    RESTORED,
    RULE,
    SECOND,
    SOLVED,
    STEP,
    Steps,
    ahead,
    apart,
    decide,
    length,
)

LARGEST = RULE + 1
MEAN, BEFORE, VALUE = range(3)  # rows of the state's vectors
GOLDEN = 1.618033988749895


@kernel
def iterate(
    F, J, x, value, anchor, best, exact, vectors, pair, numbers, counters, options, count
):  # fmt: skip
    """Many iterations of the golden ratio algorithm.

    FIRST holds the last step, SECOND the theta of the paper, STEP the first step of a stretch.
    """
    copy, image = np.empty_like(x), np.empty_like(x)
    phi, largest = options[RULE], options[LARGEST]
    rho = 1.0 / phi + 1.0 / phi**2
    made = 0
    code = GO_ON
    while made < count:
        first = counters[INNER] == 0
        lam = numbers[STEP] if first else numbers[FIRST]
        if J is None:
            size = length(value)
        else:
            ahead(x, value, lam, copy)
            J(copy, lam, image)
            size = apart(x, image) / lam
        code = decide(x, value, anchor, best, exact, pair, numbers, counters, options, size)
        if code == SOLVED:
            break
        if code == RESTORED:
            continue
        if first:
            vectors[MEAN] = x
            theta = 1.0
        else:
            last = numbers[FIRST]
            lam = min(rho * last, largest)
            moved = apart(value, vectors[VALUE])
            if moved > 0.0:
                secant = apart(x, vectors[BEFORE]) / moved
                lam = min(lam, phi * numbers[SECOND] / (4.0 * last) * secant * secant)
            theta = phi * lam / last
            for i in range(x.size):
                vectors[MEAN, i] = ((phi - 1.0) * x[i] + vectors[MEAN, i]) / phi
        vectors[BEFORE] = x
        vectors[VALUE] = value
        ahead(vectors[MEAN], value, lam, x)
        if J is not None:
            copy[:] = x
            J(copy, lam, x)
        copy[:] = x
        F(copy, value)
        numbers[FIRST] = lam
        numbers[SECOND] = theta
        counters[CALLS] += 1
        counters[INNER] += 1
        made += 1
    return made, code


@register
@dataclass(frozen=True, eq=False)
class GRAAL(Steps, Method):
    """Adaptive golden ratio algorithm: no constant, no line search, one evaluation per iteration.

    ``z <- ((phi - 1) x + z) / phi``, ``x <- J(z - l F(x))``, J the resolvent of ``l G``, with
    ``l_k = min(rho l_{k-1}, phi t_{k-1} ||dx||^2 / (4 l_{k-1} ||dF||^2))``,
    ``t_k = phi l_k / l_{k-1}``, ``rho = 1/phi + 1/phi^2``.

    Parameters
    ----------
    phi : float, default 1.5
        In (1, 1.618], the golden ratio at most.
    largest : float, default 1e6
        Bound of the steps.

    Notes
    -----
    Rate: the iterates converge to a solution wherever F is monotone and *locally* Lipschitz; the
    ergodic gap is O(1/k), the smallest residual O(1 / k^(1/2)), and the rate is linear under an
    error bound.

    The first step is 1 over the declared constant, or a secant at the origin.

    Cost per iteration: one evaluation of F, two resolvents, seven passes over x. Memory: about
    twelve vectors.

    References
    ----------
    .. [1] Malitsky (2020), Golden ratio algorithms for variational inequalities, Math. Program.
       184, arXiv:1803.08832.

    Examples
    --------
    >>> import numpy as np
    >>> import fejer
    >>> saddle = fejer.MonotoneInclusion(
    ...     lambda z: [z[1] - 1.0, 2.0 - z[0]], 2, resolvent=lambda v, eta: np.clip(v, -1.5, 1.5))
    >>> fejer.minimize(saddle, method="graal").x.round(5)
    array([ 1.5, -1.5])
    """

    phi: float = option(1.5, above=1, most=GOLDEN, doc="the ratio of the averaging")
    largest: float = option(1e6, above=0, doc="bound of the steps")

    name = "graal"
    solves = (InclusionForm,)
    cites = ("arXiv:1803.08832",)
    loop = iterate
    n_vectors = 3

    @property
    def rate(self) -> Rate:
        """The order of the smallest residual."""
        return Rate(
            "min over j <= k of ||x - J(x - F(x))|| = O(1 / k^(1/2)) (arXiv:1803.08832)",
            "sublinear",
            0.5,
            assumptions="F monotone and locally Lipschitz",
        )

    def supports(self, problem: Any) -> str | None:
        """Return None, or why the operator is not monotone."""
        if problem.inclusion().kind == "comonotone":
            return "it needs a monotone operator; feg treats comonotone ones"
        return None

    def rule(self, inclusion: Any) -> tuple[float, ...]:
        """Return phi and the largest step."""
        return self.phi, self.largest
