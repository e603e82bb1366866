"""Upper variables that are logarithms of positive numbers, in a box."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array
from fejer.problem import as_number

from ._lower_level import LowerLevel

__all__ = ["LARGEST_LOG", "Logarithms"]

LARGEST_LOG = 300.0  # squares of exponentials stay finite


class Logarithms(LowerLevel):
    """Base of classes whose certificate is in ``t = p/(p + s)``, ``p = exp(x)``."""

    lower: float
    upper: float
    scale: float

    def sizes(self) -> Array:
        """Return s, the positive number for each entry of x at which ``t = 1/2``."""
        raise NotImplementedError

    def set_box(self, largest: float = LARGEST_LOG) -> None:
        """Check and store ``lower``, ``upper`` and ``scale``.

        Parameters
        ----------
        largest : float
            How far from 0 the bounds may be.
        """
        lower = as_number(self.lower, "lower", least=-largest, most=largest)
        upper = as_number(self.upper, "upper", above=lower, most=largest)
        self.set(lower=lower, upper=upper, scale=as_number(self.scale, "scale", above=0))

    def initial_point(self) -> Array:
        """Return the logarithms of s, ``t = 1/2``, moved into the box."""
        return np.clip(np.log(self.sizes()), self.lower, self.upper)

    def box(self) -> tuple[Array, Array]:
        """Return the bounds of the logarithms."""
        n = self.sizes().size
        return np.full(n, self.lower), np.full(n, self.upper)

    def steps_to_box(self, x: Array) -> tuple[Array, Array]:
        """Return the distances to the image of the box, without cancellation."""
        s, p = self.sizes(), np.exp(x)
        low, high = np.exp(self.lower), np.exp(self.upper)
        return s * (low - p) / ((p + s) * (low + s)), s * (high - p) / ((p + s) * (high + s))

    def chart_rate(self, x: Array) -> Array:
        """Return ``dx/dt = (p + s)^2/(p s)``."""
        return np.asarray(self.weights(x, True) / np.exp(x))

    def weights(self, x: Array, chart: bool) -> Array:
        """Return dp/dx, or dp/dt.

        Parameters
        ----------
        x : array
            The logarithms.
        chart : bool
            Along t.

        Returns
        -------
        array
        """
        p = np.exp(x)
        return (p + self.sizes()) ** 2 / self.sizes() if chart else p
