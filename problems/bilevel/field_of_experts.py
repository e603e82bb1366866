"""Denoising by a field of experts: filters, weights and smoothing learnt from clean images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problem import as_number

from ._assessment import ROUNDING, Assessment, Constants, Cross, Upper, norm
from ._expert_variable import ExpertVariable
from ._experts import BEND, Windows, bend_nearby
from ._images import LARGEST_LOG, images

__all__ = ["FieldOfExperts"]

NEAR = 1e-4  # distance of y from the lower solution, relative to the noise, at which it serves
OFF = 1e-3  # effect of an expert on y, relative to the noise, below which it counts as off


class _Experts(NamedTuple):
    """Everything at one (x, y): responses t of the filters, and functions of them."""

    windows: Array
    t: Array
    slope: Array  # w phi'
    bend: Array  # w phi''
    blunt: Array  # derivative of w phi' in log nu


@dataclass(frozen=True, eq=False, repr=False)
class FieldOfExperts(ExpertVariable):
    """Filters with their weights and smoothing, by the error on images known clean.

    min over x of ``Phi(x) = 1/(2N) ||y*(x) - clean||^2`` where y*(x) minimises
    ``1/N (1/2 ||y - noisy||^2 + sum_i exp(x_0 + a_i)/2 sum_p sqrt((k_i * y)_p^2 + exp(2 b_i)))``.

    Parameters
    ----------
    clean : array_like, shape (N, h, w) or (h, w)
        Images.
    noisy : array_like, shape (N, h, w) or (h, w)
        The same images with noise.
    experts : int, default 8
        Number of filters k_i.
    side : int, default 5
        Their side in pixels, at most h and w.
    lower, upper : float, default -12 and 4
        Box of the logarithms x_0, a and b, within -100 .. 100. Filters are free.
    scale : float, default 1.0
        Divides the certificate's value.

    Raises
    ------
    ProblemError
        Wrong shapes, entries, sizes or box.

    Notes
    -----
    Variable: ``x = (x_0, a_1 .. a_k, b_1 .. b_k, filters row by row)``, ``1 + 2 k + k side^2``
    numbers. View ``y``: the denoised images, flattened. Borders are mirrored, border pixels
    included: two filters of differences are then total variation, see `variation`.

    Certificate: as that of `TVDenoising`, in ``t = p/(p + s)`` for the logarithms (s is 1 for the
    a) and, for a filter, in units of its norm. An expert that is switched off (it moves y by less
    than 1e-3 of the noise) has vanishing derivatives whatever its filter is; the value then
    includes the slope of Phi along the strength of the best filter there is, where that lowers
    Phi. Smoothing without end is flat, too: what Phi exceeds F0 by is added. Not rigorous:
    stationarity is a necessary condition.

    Constants: ``mu = 1/N``, ``L = (1 + sum_i w_i c_i^2/nu_i)/N`` with ``w = exp(x_0 + a)/2``,
    ``nu = exp(b)`` and bounds c_i of the convolutions' norms.

    Cost: a gradient is two products of the windows, ``N h w x side^2``, with the filters. Memory:
    the windows of all images, and five arrays ``N h w x k``.

    Pitfalls: a common factor may move between filter, weight and smoothing: solutions are not
    unique. All filters zero is a stationary point, of the kind that the certificate refuses.

    References
    ----------
    .. [1] Roth, Black (2009), Fields of experts, International Journal of Computer Vision 82.
    .. [2] Salehi, Mukherjee, Roberts, Ehrhardt (2023), An adaptively inexact first-order method
       for bilevel optimization, arXiv 2308.10098.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.FieldOfExperts.random()
    >>> result = fejer.minimize(problem, tol=1e-3)
    >>> result.success, result.fun < 0.8 * problem.null_value()
    (True, True)
    """

    clean: Any
    noisy: Any
    experts: int = 8
    side: int = 5
    lower: float = -12.0
    upper: float = 4.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("clean", "noisy"):
            self.set(**{name: images(getattr(self, name), name)})
        if self.noisy.shape != self.clean.shape:
            expected = f"the shape of clean, {self.clean.shape}"
            raise ProblemError(f"noisy: expected {expected}, got {self.noisy.shape}")
        lower = as_number(self.lower, "lower", least=-LARGEST_LOG, most=LARGEST_LOG)
        most = min(self.clean.shape[1:])
        self.set(
            experts=as_number(self.experts, "experts", least=1, most=1000, integer=True),
            side=as_number(self.side, "side", least=1, most=most, integer=True),
            lower=lower,
            upper=as_number(self.upper, "upper", above=lower, most=LARGEST_LOG),
            scale=as_number(self.scale, "scale", above=0),
        )

    @classmethod
    def random(
        cls,
        pictures: int = 2,
        height: int = 4,
        width: int = 4,
        experts: int = 1,
        side: int = 1,
        *,
        noise: float = 0.5,
        lower: float = -1.0,
        upper: float = 0.0,
        seed: int = 0,
    ) -> Self:
        """Draw images of smooth waves, and normal noise.

        Parameters
        ----------
        pictures, height, width : int
            Sizes.
        experts, side : int
            As in the class.
        noise : float
            Standard deviation.
        lower, upper : float
            As in the class; in a narrow box first-order methods get to the end.
        seed : int
            Seed of the generator.

        Returns
        -------
        FieldOfExperts
        """
        rng = np.random.default_rng(seed)
        i, j = np.mgrid[:height, :width]
        a, b, phase = rng.standard_normal((3, pictures, 1, 1))
        clean = np.sin(2 * (a * i / height + b * j / width) + phase)
        return cls(
            clean, clean + noise * rng.standard_normal(clean.shape), experts, side, lower, upper
        )

    def initial_point(self) -> Array:
        """Return cosine filters, the weight shared among them, in the middle of the judged box."""
        k, s = self.experts, self.sizes()
        logs = np.clip(np.log([s[0] / k, s[k + 1]]), self.lower, self.upper)
        return self.pack(
            float(logs[0]),
            np.clip(np.zeros(k), self.lower, self.upper),
            np.full(k, logs[1]),
            self.cosines(),
        )

    def lower_start(self) -> Array:
        """Return the noisy images."""
        return np.array(self.noisy.ravel())

    def auto(self) -> tuple[str, ...]:
        """Return the methods, quasi-Newton first."""
        return ("inexact-quasi-newton", "hoag", "maid")

    @property
    def judge_units(self) -> int:
        """Gradients in one certificate from an accurate witness."""
        return 20

    # ---- oracles -----------------------------------------------------------------------------
    def _windows(self) -> Windows:
        def build() -> Windows:
            return Windows(self.noisy.shape, self.side)

        return self.fact("windows", ("noisy", "side"), build)  # type: ignore[no-any-return]

    @property
    def lower_size(self) -> int:
        """Number of pixels."""
        return int(self.noisy.size)

    def constants(self, x: Array) -> Constants:
        """Return the constants."""
        w, nu, filters = self.unpack(x)
        c, N = self._windows().bounds(filters), self.noisy.shape[0]
        reach = 2 * np.sqrt((filters**2).sum(axis=1))  # a window has a pixel up to four times
        return Constants(
            mu=1 / N,
            lipschitz=(1 + float(w @ (c**2 / nu))) / N,
            upper=1 / N,
            hessian=BEND * float((w * c**2 * reach) @ nu**-2.0) / N,
        )

    def evaluate(self, x: Array) -> _Experts:
        """Compute the experts; what is given is x and then y."""
        w, nu, filters = self.unpack(x[: self.size])
        windows = self._windows().take(x[self.size :])
        t = windows @ filters.T
        phi = np.sqrt(t * t + nu**2)
        bend = w * nu**2 / phi**3
        return _Experts(windows, t, w * t / phi, bend, -bend * t)

    def _experts(self, x: Array, y: Array) -> _Experts:
        return self.oracle(np.concatenate([x, y]))  # type: ignore[no-any-return]

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return ``(y - noisy + sum C_i'(w_i phi_i'))/N``."""
        filters, N = self.unpack(x)[2], self.noisy.shape[0]
        back = self._windows().give(self._experts(x, y).slope @ filters)
        return np.asarray(((y - self.noisy.ravel()) + back) / N)

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return ``v -> (v + sum C_i'(w_i phi_i'' C_i v))/N``."""
        filters, N, W = self.unpack(x)[2], self.noisy.shape[0], self._windows()
        bend = self._experts(x, y).bend

        def product(v: Array) -> Array:
            return np.asarray((v + W.give((bend * (W.take(v) @ filters.T)) @ filters)) / N)

        return product

    def preconditioner(self, x: Array, y: Array) -> Callable[[Array], Array] | None:
        """Return the division by the diagonal of H, mirrored pixels taken as others."""
        filters = self.unpack(x)[2]
        inner = self._windows().give(self._experts(x, y).bend @ filters**2)
        diagonal = (1 + inner) / self.noisy.shape[0]
        return lambda v: v / diagonal

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return the mean squared error and its gradient."""
        N, clean = self.noisy.shape[0], self.clean.ravel()
        residual = y - clean
        fun = 0.5 * float(residual @ residual) / N
        error = ROUNDING * (np.abs(y) + np.abs(clean))
        floor = float(error @ (np.abs(residual) + 0.5 * error)) / N + ROUNDING * fun
        return Upper(fun, residual / N, floor)

    def lower_in_x(self, x: Array, y: Array) -> Array:
        """Return ``grad_x f``."""
        w, nu, _ = self.unpack(x)
        E, N = self._experts(x, y), self.noisy.shape[0]
        phi = np.sqrt(E.t**2 + nu**2)
        a, b = w * phi.sum(axis=0), w * nu**2 * (1 / phi).sum(axis=0)
        return np.asarray(self.pack(float(a.sum()), a, b, E.slope.T @ E.windows) / N)

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return ``J'q`` and the bounds that go with it, block by block."""
        w, nu, filters = self.unpack(x)
        E, W, N = self._experts(x, y), self._windows(), self.noisy.shape[0]
        Q = W.take(q)
        u = Q @ filters.T
        a, b = (E.slope * u).sum(axis=0), (E.blunt * u).sum(axis=0)
        third = E.slope.T @ Q + (E.bend * u).T @ E.windows
        rate = self.chart_rate(x) if chart else np.ones(x.size)
        k, c, size = self.experts, W.bounds(filters), np.sqrt((filters**2).sum(axis=1))
        slopes, blunts = (np.sqrt((v**2).sum(axis=0)) for v in (E.slope, E.blunt))
        seen = np.array([_norm2(E.bend[:, [i]] * E.windows) for i in range(k)])
        whole = _norm2(E.windows)
        flat, turn = w * c / nu, BEND * w * c * 2 * size / nu**2
        ends = 1, 1 + k, 1 + 2 * k
        first, r_a, r_b = rate[0], rate[1 : ends[1]], rate[ends[1] : ends[2]]
        r_k = rate[ends[2] :: self.side**2]
        norms = [
            [first * float(c @ slopes)],
            r_a * c * slopes,
            r_b * c * blunts,
            r_k * (W.norm * slopes + c * seen),
        ]
        moves = [
            [first * float(c @ flat)],
            r_a * c * flat,
            r_b * c * flat,
            r_k * (2 * W.norm * flat + c * turn * whole),
        ]
        lipschitz = norm(np.concatenate(moves)) / N
        # A response is rounded like side^2 products, and functions of it have moduli 1/nu.
        rough = self.side**2 * size * (1 + whole / nu)
        moduli = norm(float(np.max(1 + rough)) * np.concatenate(norms)) / N
        return Cross(
            product=rate * self.pack(float(a.sum()), a, b, third) / N,
            norm=norm(np.concatenate(norms)) / N,
            lipschitz=lipschitz,
            change=lipschitz * norm(q),
            floor=ROUNDING * moduli * norm(q),
        )

    def hessian_change(self, x: Array, y: Array, q: Array, distance: float) -> float:
        """Bound ``||(H(y') - H(y)) q||`` from the responses that are possible."""
        plain = super().hessian_change(x, y, q, distance)
        if not 0.0 < distance < math.inf:
            return plain
        w, nu, filters = self.unpack(x)
        t, u = self._experts(x, y).t, self._windows().take(q) @ filters.T
        c, reach = self._windows().bounds(filters), 2 * np.sqrt((filters**2).sum(axis=1)) * distance
        found = [
            float(bend_nearby(t[:, i].copy(), u[:, i].copy(), nu[i], reach[i]))
            for i in range(self.experts)
        ]
        return min(plain, float((w * c**2) @ np.array(found)) * distance / self.noisy.shape[0])

    def rounding(self, x: Array, y: Array, q: Array) -> tuple[float, float]:
        """Bound the rounding errors of the two residuals."""
        w, nu, filters = self.unpack(x)
        W, N, noisy, clean = self._windows(), self.noisy.shape[0], self.noisy, self.clean
        c, size = W.bounds(filters), np.sqrt((filters**2).sum(axis=1))
        wrong = self.side**2 * size * W.norm * norm(y) / nu  # of phi', in units of the rounding
        lower = norm(y) + norm(noisy.ravel()) + float((w * c) @ (math.sqrt(y.size) + wrong))
        upper = norm(y) + norm(clean.ravel()) + norm(q)
        upper += float((w * c / nu) @ (c * (1 + 3 * wrong) + self.side**2 * size * W.norm)) * norm(
            q
        )
        return ROUNDING * lower / N, ROUNDING * upper / N

    def _judged(
        self, x: Array, a: Assessment, outside: float
    ) -> tuple[float, float, dict[str, float], Assessment]:
        value, unit, parts, a = super()._judged(x, a, outside)
        # Without filters Phi is F0: a point above it is no minimum, however flat it is there.
        excess = max(0.0, a.fun - a.fun_error - self.null_value()) / unit
        extra = (self._escape(x, a) / unit + excess) / self.scale
        if extra > 0 and math.isfinite(value):
            value, parts = value + extra, {**parts, "step": parts["step"] + extra}
        return value, unit, parts, a

    def _escape(self, x: Array, a: Assessment) -> float:
        """Slope of Phi along the strength of the best filter, where an expert is off."""
        filters, W, N = self.unpack(x)[2], self._windows(), self.noisy.shape[0]
        noise = math.sqrt(2 * N * self.null_value())
        # With experts that are off J vanishes, and any y and adjoint of a witness look accurate.
        y = a.y if a.distance <= NEAR * noise else self.lower_solution(x, 1e-10)
        slope = self._experts(x, y).slope
        effects = [norm(W.give(np.outer(v, k))) for v, k in zip(slope.T, filters, strict=True)]
        if min(effects) >= OFF * noise:
            return 0.0
        q = self.adjoint(x, y, self.upper_level(x, y).grad_y, tol=1e-10)[0]
        M = W.take(q).T @ W.take(y) / N
        return max(0.0, float(np.linalg.eigvalsh(0.5 * (M + M.T))[-1]))


def _norm2(A: Array) -> float:
    """Spectral norm of a matrix with few columns, from above."""
    gram = A.T @ A
    error = ROUNDING * sum(A.shape) * float(np.trace(gram))
    return math.sqrt(max(float(np.linalg.eigvalsh(gram)[-1]), 0.0) + error)
