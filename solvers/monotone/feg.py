"""Fast extragradient method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fejer.evidence import Array
from fejer.method import Method, Rate, option, register
from fejer.problems.monotone._operators import InclusionForm

from ._anchored import FAST, iterate
from ._inclusions import Steps, natural, radius, rotation


@register
@dataclass(frozen=True, eq=False)
class FEG(Steps, Method):
    """Fast extragradient method: anchored, for monotone and weakly nonmonotone operators.

    ``h = x + b (x_0 - x) - (1 - b)(1/L + 2 rho) F(x)``,
    ``x <- x + b (x_0 - x) - F(h) / L - 2 (1 - b) rho F(x)`` with ``b = 1 / (k + 1)``, rho the
    comonotonicity (0 for monotone F).

    Parameters
    ----------
    restart : float or None, default 0.3
        A new anchor x_0 is set where ``||F(x)||`` is at most ``restart`` times that at the anchor.
        None: never.

    Notes
    -----
    Rate without restarts: ``||F(x_k)|| <= 2 L R / (k (1 + 2 rho L))``, R the distance of the start
    to a zero, which is the optimal order. With restarts each stretch between two anchors obeys it,
    and on affine and strongly monotone operators the rate is linear.

    Where no constant is declared, 1/L starts as a secant at the origin and is divided by 1.5 with a
    new anchor whenever ``||F(h) - F(x)|| > L ||h - x||`` is seen for a new x.

    Cost per iteration: two evaluations of F, eight passes over x. Memory: about thirteen vectors.

    Pitfalls: comonotonicity must lie above ``-1 / (2 L)``; with a resolvent use ``eag``, ``graal``
    or ``extragradient``.

    References
    ----------
    .. [1] Lee, Kim (2021), Fast extra gradient methods for smooth structured nonconvex-nonconcave
       minimax problems, NeurIPS, arXiv:2106.02326.

    Examples
    --------
    >>> import fejer
    >>> saddle = fejer.MonotoneInclusion(lambda z: [z[1] - 1.0, 2.0 - z[0]], 2, lipschitz=1.0)
    >>> fejer.minimize(saddle, method="feg").x.round(5)
    array([2., 1.])
    """

    restart: float | None = option(
        0.3, above=0, below=1, doc="decrease of ||F|| that moves the anchor; None: never"
    )

    name = "feg"
    solves = (InclusionForm,)
    cites = ("arXiv:2106.02326",)
    loop = iterate

    @property
    def rate(self) -> Rate:
        """The theorem; its bound holds without restarts."""
        return Rate(
            "||F(x_k)|| <= 2 L R / (k (1 + 2 rho L)) (arXiv:2106.02326)",
            "sublinear",
            1.0,
            assumptions="F rho-comonotone and L-Lipschitz with declared L, restart=None",
            measure=natural,
            bound=_bound if self.restart is None else None,
            worst_case=lambda k: rotation(1.0 / (k + 1.0)),
        )

    def supports(self, problem: Any) -> str | None:
        """Return None, or what the theorem lacks."""
        inclusion = problem.inclusion()
        if inclusion.resolvent is not None:
            return "it needs G = 0; eag, graal and extragradient take resolvents"
        rho, constant = inclusion.comonotonicity, inclusion.constant
        if rho < 0.0:
            if constant is None:
                return "a comonotone operator needs lipschitz"
            if not 2.0 * rho * constant > -1.0:
                return "comonotonicity must be above -1 / (2 lipschitz)"
        return None

    def rule(self, inclusion: Any) -> tuple[float, ...]:
        """Return the rule of the loop and the comonotonicity."""
        return FAST, inclusion.comonotonicity


def _bound(problem: Any, x0: Array, xstar: Array, k: int) -> float:
    inclusion = problem.inclusion()
    if k == 0 or inclusion.constant is None:
        return math.inf
    L = inclusion.constant
    return 2.0 * L * radius(x0, xstar) / (k * (1.0 + 2.0 * L * inclusion.comonotonicity))
