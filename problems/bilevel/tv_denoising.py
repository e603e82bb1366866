"""Total-variation denoising whose weight and smoothing are learnt from clean images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array

from . import _variation as variation
from ._assessment import ROUNDING, Constants, Cross, Upper, norm
from ._images import LARGEST_LOG, images, spread
from ._logarithms import Logarithms
from ._smooth_lower import SmoothLower

__all__ = ["TVDenoising"]

BEND = 0.8586501  # largest third derivative of sqrt(t^2 + 1)


class _Edges(NamedTuple):
    right: Array  # c phi'' on the edge to the right of each pixel
    down: Array
    diagonal: Array  # of N H


@dataclass(frozen=True, eq=False, repr=False)
class TVDenoising(Logarithms, SmoothLower):
    """Weight and smoothing of total-variation denoising, by the error on images known clean.

    min over x in [lower, upper]^2 of ``Phi(x) = 1/(2N) ||y*(x) - clean||^2`` where y*(x) minimises
    ``1/N (1/2 ||y - noisy||^2 + exp(x_0)/2 sum_e sqrt((Dy)_e^2 + exp(2 x_1)))``, Dy the differences
    of neighbouring pixels to the right and down.

    Parameters
    ----------
    clean : array_like, shape (N, h, w) or (h, w)
        Images.
    noisy : array_like, shape (N, h, w) or (h, w)
        The same images with noise.
    lower, upper : float, default -12 and 4
        Box of the logarithms x, within -100 .. 100.
    scale : float, default 1.0
        Divides the certificate's value.

    Raises
    ------
    ProblemError
        Wrong shapes, entries or box.

    Notes
    -----
    Variable: ``x = (log weight, log smoothing)``. View ``y``: the denoised images, flattened.

    Constants, with ``c = exp(x_0)/2`` and ``nu = exp(x_1)``: ``mu = 1/N``, ``L = (1 + 8c/nu)/N``,
    ``LF = 1/N``, ``LH = 9.72 c/(nu^2 N)``; for the q at hand H changes by at most
    ``8c/N max_e |(Dq)_e| sup |phi'''|`` per unit of y, the supremum over the differences that a
    lower solution near y can have.

    Certificate: of the hypergradient in ``t = p/(p + s)``, ``p = exp(x)``, s twice the root mean
    square of the differences of the noisy images for the weight, and once for the smoothing; F0 is
    the error of the noisy images. See `RidgeBilevel`. Not rigorous: stationarity is a necessary
    condition.

    Cost: a gradient is two square roots and two divisions a pixel, a product with H reads four
    arrays. Memory: ten arrays of the size of the images.

    Pitfalls: with little smoothing (x_1 < -5) plain Newton steps fail; accelerated gradients take
    over, and ``L/mu`` is what they pay. The corner of no weight and endless smoothing is a saddle
    point of Phi: far outside the default box it passes as stationary, which it is.

    References
    ----------
    .. [1] Rudin, Osher, Fatemi (1992), Nonlinear total variation based noise removal algorithms.
    .. [2] Salehi, Mukherjee, Roberts, Ehrhardt (2023), An adaptively inexact first-order method
       for bilevel optimization, arXiv 2308.10098.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.TVDenoising.random()
    >>> result = fejer.minimize(problem)
    >>> result.success, result.fun < 0.7 * problem.null_value()
    (True, True)
    """

    clean: Any
    noisy: Any
    lower: float = -12.0
    upper: float = 4.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("clean", "noisy"):
            self.set(**{name: images(getattr(self, name), name)})
        if self.noisy.shape != self.clean.shape:
            expected = f"the shape of clean, {self.clean.shape}"
            raise ProblemError(f"noisy: expected {expected}, got {self.noisy.shape}")
        self.set_box(LARGEST_LOG)

    @classmethod
    def random(
        cls, images: int = 2, height: int = 7, width: int = 6, *, noise: float = 0.2, seed: int = 0
    ) -> Self:
        """Draw images of smooth waves with a step in them, and normal noise.

        Parameters
        ----------
        images, height, width : int
            Sizes.
        noise : float
            Standard deviation.
        seed : int
            Seed of the generator.

        Returns
        -------
        TVDenoising
        """
        rng = np.random.default_rng(seed)
        i, j = np.mgrid[:height, :width]
        a, b, phase = rng.standard_normal((3, images, 1, 1))
        side = a * (i - height / 2) + b * (j - width / 2) > 0
        clean = np.sin(2 * (a * i / height + b * j / width) + phase) + 0.5 * side
        return cls(clean, clean + noise * rng.standard_normal(clean.shape))

    def lower_start(self) -> Array:
        """Return the noisy images."""
        return np.array(self.noisy.ravel())

    @property
    def judge_units(self) -> int:
        """Gradients in one certificate from an accurate witness."""
        return 10

    def sizes(self) -> Array:
        """Return s, the weight and the smoothing that are in the middle of the judged box."""

        def build() -> Array:
            rms = spread(self.noisy)
            return np.array([2 * rms, rms])

        return self.fact("sizes", ("noisy",), build)  # type: ignore[no-any-return]

    # ---- oracles -----------------------------------------------------------------------------
    @property
    def lower_size(self) -> int:
        """Number of pixels."""
        return int(self.noisy.size)

    def _parts(self, x: Array) -> tuple[float, float, int]:
        return 0.5 * math.exp(x[0]), math.exp(x[1]), self.noisy.shape[0]

    def constants(self, x: Array) -> Constants:
        """Return the constants."""
        c, nu, N = self._parts(x)
        return Constants(
            mu=1 / N,
            lipschitz=(1 + 8 * c / nu) / N,
            upper=1 / N,
            hessian=8 * math.sqrt(2) * BEND * c / (nu * nu * N),
        )

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return ``(y - noisy + c D'phi'(Dy))/N``."""
        c, nu, N = self._parts(x)
        out = np.empty_like(self.noisy)
        variation.gradient(y.reshape(out.shape), self.noisy, c, nu, out)
        out /= N
        return out.ravel()

    def lower_in_x(self, x: Array, y: Array) -> Array:
        """Return the derivatives of f along the logarithms of weight and smoothing."""
        c, nu, N = self._parts(x)
        Y = y.reshape(self.noisy.shape)
        sizes = [np.sqrt(np.diff(Y, axis=axis) ** 2 + nu * nu) for axis in (1, 2)]
        weight = sum(float(size.sum()) for size in sizes)
        smoothing = sum(float((nu * nu / size).sum()) for size in sizes)
        return np.array([c * weight, c * smoothing]) / N

    def evaluate(self, x: Array) -> _Edges:
        """Compute the weights of the edges; what is given is x and then y."""
        c, nu, _ = self._parts(x)
        shape = self.noisy.shape
        edges = _Edges(np.empty(shape), np.empty(shape), np.empty(shape))
        variation.weights(x[2:].reshape(shape), c, nu, *edges)
        return edges

    def _edges(self, x: Array, y: Array) -> _Edges:
        return self.oracle(np.concatenate([x, y]))  # type: ignore[no-any-return]

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return ``v -> (v + D'(c phi'' Dv))/N``."""
        edges, shape, N = self._edges(x, y), self.noisy.shape, self.noisy.shape[0]

        def product(v: Array) -> Array:
            out = np.empty(shape)
            variation.product(v.reshape(shape), edges.right, edges.down, out)
            out /= N
            return out.ravel()

        return product

    def preconditioner(self, x: Array, y: Array) -> Callable[[Array], Array] | None:
        """Return the division by the diagonal of H."""
        diagonal = self._edges(x, y).diagonal.ravel() / self.noisy.shape[0]
        return lambda v: v / diagonal

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return the mean squared error and its gradient."""
        N, clean = self.noisy.shape[0], self.clean.ravel()
        residual = y - clean
        fun = 0.5 * float(residual @ residual) / N
        error = ROUNDING * (np.abs(y) + np.abs(clean))
        floor = float(error @ (np.abs(residual) + 0.5 * error)) / N + ROUNDING * fun
        return Upper(fun, residual / N, floor)

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return ``J'q``, J of two columns."""
        c, nu, N = self._parts(x)
        shape = self.noisy.shape
        J = np.empty((2, *shape))
        variation.columns(y.reshape(shape), c, nu, J[0], J[1])
        # In t a column is multiplied by dp/dt / p.
        w = (self.chart_rate(x) if chart else np.ones(2)) / N
        J = J.reshape(2, -1) * w[:, None]
        bends = 8 * c / nu * w
        # The rounding of a difference is multiplied by at most c/nu, on four edges of a pixel.
        moduli = 4 * c * (math.sqrt(y.size) + 2 * norm(y) / nu) * norm(w)
        return Cross(
            product=J @ q,
            # The root of the largest eigenvalue of J J', two rows by two.
            norm=math.sqrt(float(np.linalg.eigvalsh(J @ J.T)[1])) * (1 + ROUNDING * y.size),
            lipschitz=norm(bends),
            change=norm(bends) * norm(q),
            floor=ROUNDING * moduli * norm(q),
        )

    def hessian_change(self, x: Array, y: Array, q: Array, distance: float) -> float:
        """Bound ``||(H(y') - H(y)) q||`` from the differences that are possible."""
        c, nu, N = self._parts(x)
        plain = super().hessian_change(x, y, q, distance)
        if not 0.0 < distance < math.inf:
            return plain
        shape = self.noisy.shape
        found = variation.change(y.reshape(shape), q.reshape(shape), nu, math.sqrt(2) * distance)
        return min(plain, 8 * c / N * float(found) * distance)

    def rounding(self, x: Array, y: Array, q: Array) -> tuple[float, float]:
        """Bound the rounding errors of the two residuals."""
        c, nu, N = self._parts(x)
        edges, shape = self._edges(x, y), self.noisy.shape
        noisy, clean = self.noisy.ravel(), self.clean.ravel()
        moduli, moduli_q = np.abs(y).reshape(shape), np.abs(q).reshape(shape)
        lower = norm(np.abs(y) + np.abs(noisy) + np.abs(y - noisy))
        upper = norm(np.abs(y) + np.abs(clean) + np.abs(q))
        for weight, axis in ((edges.right, 2), (edges.down, 1)):
            inner = weight.take(range(shape[axis] - 1), axis=axis)
            sums, sums_q = _sums(moduli, axis), _sums(moduli_q, axis)
            lower += 2 * (norm((inner * sums).ravel()) + c * math.sqrt(inner.size))
            upper += 2 * norm((inner * sums_q * (1 + 1.5 * sums / nu)).ravel())
        return ROUNDING * lower / N, ROUNDING * upper / N


def _sums(v: Array, axis: int) -> Array:
    """Sums of neighbours."""
    size = v.shape[axis]
    return np.asarray(v.take(range(1, size), axis=axis) + v.take(range(size - 1), axis=axis))
