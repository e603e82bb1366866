"""Extra anchored gradient method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fejer.evidence import Array
from fejer.method import Method, Rate, option, register
from fejer.problems.monotone._operators import InclusionForm

from ._anchored import CONSTANT, VARYING, iterate
from ._inclusions import Steps, natural, radius, rotation

CONSTANT_SHARE, CONSTRAINED_SHARE = 0.125, 0.5


@register
@dataclass(frozen=True, eq=False)
class EAG(Steps, Method):
    """Extra anchored gradient method, for monotone operators with or without a resolvent.

    ``h = J(x + b (x_0 - x) - a F(x))``, ``x <- J(x + b (x_0 - x) - a F(h))`` with
    ``b = 1 / (k + 2)``, J the resolvent of ``a G``.

    Parameters
    ----------
    steps : {"varying", "constant"}, default "varying"
        Varying: ``a_0 = 0.618 / L`` and, with ``s = (a_k L)^2``,
        ``a_{k+1} = a_k (1 - s (k + 2)^2 / ((k + 1)(k + 3))) / (1 - s)``, which falls to about
        ``0.44 / L``. Constant: ``step``. With a resolvent always constant.
    step : float or None, default None
        a of the constant rule. None: ``1 / (8 L)``, with a resolvent ``1 / (2 L)``.
    restart : float or None, default 0.3
        A new anchor x_0 is set where the residual is at most ``restart`` times that at the anchor.
        None: never.

    Notes
    -----
    Rate for G = 0 without restarts [1]_: ``||F(x_k)||^2 <= 27 L^2 R^2 / ((k + 1)(k + 2))`` for the
    varying steps, ``260 L^2 R^2 / (k + 1)^2`` for ``1 / (8 L)``, R the distance of the start to a
    zero. With a resolvent the residual is O(1/k) for ``a < 1 / (3^(1/2) L)`` [2]_.

    Where no constant is declared, 1/L starts as a secant at the origin and is divided by 1.5 with a
    new anchor whenever a pair of points contradicts it.

    Cost per iteration: two evaluations of F, three resolvents, eight passes over x. Memory: about
    thirteen vectors.

    References
    ----------
    .. [1] Yoon, Ryu (2021), Accelerated algorithms for smooth convex-concave minimax problems with
       O(1/k^2) rate on squared gradient norm, ICML, arXiv:2102.07922.
    .. [2] Cai, Oikonomou, Zheng (2022), Accelerated algorithms for monotone inclusions and
       constrained nonconvex-nonconcave min-max optimization, arXiv:2206.05248.

    Examples
    --------
    >>> import numpy as np
    >>> import fejer
    >>> saddle = fejer.MonotoneInclusion(
    ...     lambda z: [z[1] - 1.0, 2.0 - z[0]], 2, lipschitz=1.0,
    ...     resolvent=lambda v, eta: np.clip(v, -1.5, 1.5))
    >>> fejer.minimize(saddle, method="eag").x.round(5)
    array([ 1.5, -1.5])
    """

    steps: str = option("varying", choices=("varying", "constant"), doc="the rule for the steps")
    step: float | None = option(None, above=0, doc="a of the constant rule; None: from L")
    restart: float | None = option(
        0.3, above=0, below=1, doc="decrease of the residual that moves the anchor; None: never"
    )

    name = "eag"
    solves = (InclusionForm,)
    cites = ("arXiv:2102.07922", "arXiv:2206.05248")
    loop = iterate

    @property
    def rate(self) -> Rate:
        """The theorem for these steps; its bounds hold for G = 0 without restarts."""
        squared = "27 L^2 R^2 / ((k+1)(k+2))"
        if self.steps == "constant":
            squared = "260 L^2 R^2 / (k+1)^2"
        bounded = self.restart is None and self.step is None
        return Rate(
            f"||F(x_k)||^2 <= {squared} (arXiv:2102.07922)",
            "sublinear",
            1.0,
            assumptions="F monotone and L-Lipschitz with declared L, G = 0, restart=None",
            measure=natural,
            bound=self._bound if bounded else None,
            worst_case=lambda k: rotation(1.0 / (k + 1.0)),
        )

    def _bound(self, problem: Any, x0: Array, xstar: Array, k: int) -> float:
        inclusion = problem.inclusion()
        if inclusion.resolvent is not None or inclusion.constant is None:
            return math.inf
        size = inclusion.constant * radius(x0, xstar)
        if self.steps == "constant":
            return math.sqrt(260.0) * size / (k + 1)
        return math.sqrt(27.0 / ((k + 1) * (k + 2))) * size

    def supports(self, problem: Any) -> str | None:
        """Return None, or why the operator is not monotone."""
        if problem.inclusion().kind == "comonotone":
            return "it needs a monotone operator; feg treats comonotone ones"
        return None

    def rule(self, inclusion: Any) -> tuple[float, ...]:
        """Return the rule of the loop, and the step times L where it is constant."""
        if inclusion.resolvent is None and self.steps == "varying" and self.step is None:
            return VARYING, 0.0
        if self.step is not None:
            return CONSTANT, 1.0
        return CONSTANT, CONSTANT_SHARE if inclusion.resolvent is None else CONSTRAINED_SHARE
