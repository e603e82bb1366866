"""Gradient descent-ascent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fejer.method import Method, Rate, option, register
from fejer.problems.monotone._operators import InclusionForm

from ._forward_backward import iterate
from ._inclusions import Steps


@register
@dataclass(frozen=True, eq=False)
class GDA(Steps, Method):
    """Gradient descent-ascent, a baseline that may diverge.

    ``x <- J(x - a F(x))``, J the resolvent of ``a G``: on saddle points a step of descent in one
    part and of ascent in the other. No safeguards; it gives up where 2000 iterations bring no
    progress.

    Parameters
    ----------
    step : float or None, default None
        a. None: ``1 / L``, or 1 over the secant at the origin.
    alternating : bool, default False
        The second player answers the first one's new point. Only for problems with two players.

    Notes
    -----
    Rate: linear for strongly monotone F and steps below ``2 mu / L^2``. On ``F = (y, -x)``
    simultaneous steps drive the distance to the solution up, by ``(1 + a^2)^(1/2)`` each, whatever
    the step; alternating ones stay bounded for a < 2 and converge nowhere. The other methods of
    this family converge there.

    Cost per iteration: one evaluation of F (alternating: two), one resolvent, four passes over x.
    Memory: about ten vectors.

    References
    ----------
    .. [1] Arrow, Hurwicz, Uzawa (1958), Studies in linear and non-linear programming, Stanford
       University Press.

    Examples
    --------
    >>> import fejer
    >>> saddle = fejer.MonotoneInclusion(
    ...     lambda z: [z[0] + z[1], z[1] - z[0] + 2.0], 2, lipschitz=2.0 ** 0.5)
    >>> fejer.minimize(saddle, method="gda", options={"step": 0.5}).x.round(5)
    array([ 1., -1.])
    """

    step: float | None = option(None, above=0, doc="a; None: 1 / L")
    alternating: bool = option(False, doc="the second player answers the first one's new point")

    name = "gda"
    solves = (InclusionForm,)
    cites = ("Arrow, Hurwicz, Uzawa (1958)",)
    loop = iterate
    reach = None

    @property
    def rate(self) -> Rate | None:
        """The theorem for strongly monotone operators."""
        return Rate(
            "linear for strongly monotone F and a < 2 mu / L^2",
            "linear",
            assumptions="F strongly monotone with constant mu and L-Lipschitz",
        )

    def supports(self, problem: Any) -> str | None:
        """Return None, or why there are no players to alternate."""
        if self.alternating and problem.split is None:
            return "alternating=True needs a problem with two players"
        return None

    def prepare(self, problem: Any, tol: float, rng: Any) -> Any:
        """Take the operators, the step and the players."""
        plan = super().prepare(problem, tol, rng)
        plan.options[1] = 0.0
        plan.options[-1] = float(problem.split) if self.alternating else 0.0
        return plan

    def rule(self, inclusion: Any) -> tuple[float, ...]:
        """Drop the safeguards; `prepare` says where the players part."""
        return 1.0, 0.0
