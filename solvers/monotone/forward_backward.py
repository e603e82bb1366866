"""Forward-backward splitting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fejer.evidence import Array
from fejer.method import Method, Rate, option, register
from fejer.problems.monotone._operators import InclusionForm

from ._forward_backward import iterate
from ._inclusions import Steps, natural, radius


@register
@dataclass(frozen=True, eq=False)
class ForwardBackward(Steps, Method):
    """Forward-backward splitting for cocoercive operators.

    ``x <- J(x - a F(x))``, J the resolvent of ``a G``.

    Parameters
    ----------
    step : float or None, default None
        a, below ``2 / L``. None: ``1 / L``; where no constant is declared, the step is divided by
        1.5 until ``<F(y) - F(x), y - x> >= a ||F(y) - F(x)||^2`` holds, from the secant at the
        origin on.

    Notes
    -----
    Rate: the map is averaged with constant ``c = 2 / (4 - a L)``, so that the residuals never
    increase and ``||x - J(x - a F(x))|| / a <= R (c / ((1 - c)(k + 1)))^(1/2) / a``, R the distance
    of the start to a solution: ``(2 / (k + 1))^(1/2) L R`` for a = 1/L. Linear for strongly
    monotone operators.

    Cost per iteration: one evaluation of F, one resolvent, four passes over x. Memory: about ten
    vectors.

    Pitfalls: it diverges on operators that are monotone only, such as rotations; use
    ``extragradient`` there.

    References
    ----------
    .. [1] Bauschke, Combettes (2017), Convex Analysis and Monotone Operator Theory in Hilbert
       Spaces, 2nd edition, Springer.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.MonotoneInclusion.random()
    >>> fejer.minimize(problem, method="forward-backward").success
    True
    """

    step: float | None = option(None, above=0, doc="a; None: 1 / L, found where L is unknown")

    name = "forward-backward"
    solves = (InclusionForm,)
    cites = ("Bauschke, Combettes (2017)",)
    loop = iterate

    @property
    def rate(self) -> Rate:
        """The bound of averaged maps."""
        return Rate(
            "||x - J(x - a F(x))|| / a <= R (c / ((1 - c)(k + 1)))^(1/2) / a, c = 2 / (4 - a L)",
            "sublinear",
            0.5,
            assumptions="F 1/L-cocoercive with declared L, a < 2 / L; measured for a = 1 / L",
            measure=natural,
            bound=_bound if self.step is None else None,
        )

    def supports(self, problem: Any) -> str | None:
        """Return None, or why a forward-backward step may diverge."""
        if problem.inclusion().kind != "cocoercive":
            return "it needs kind='cocoercive'; extragradient treats monotone operators"
        return None

    def rule(self, inclusion: Any) -> tuple[float, ...]:
        """Keep the safeguards, move all parts at once."""
        return 0.0, 0.0


def _bound(problem: Any, x0: Array, xstar: Array, k: int) -> float:
    constant = problem.inclusion().constant
    if constant is None:
        return math.inf
    return math.sqrt(2.0 / (k + 1)) * float(constant) * radius(x0, xstar)
