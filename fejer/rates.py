"""Observed rates of convergence: what a record of errors says about a theorem.

`fit_rate` reads a rate off a curve, with an interval; `check_bound` compares the curve with a bound
point by point. The second is a test, the first can only suggest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ProblemError
from .numerics import curves

if TYPE_CHECKING:
    from .method import Rate

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Form = Literal["sublinear", "linear", "superlinear", "undetermined"]
Verdict = Literal["at least as fast", "slower", "undetermined"]

SPEED = {"sublinear": 0, "linear": 1, "superlinear": 2}


@dataclass(frozen=True)
class RateFit:
    """A rate of convergence read off a record of errors.

    sublinear ``constant (k + shift)^-exponent + plateau``, linear
    ``constant factor^k + plateau``, superlinear ``e_{k+1} = constant e_k^exponent``.

    Attributes
    ----------
    form : {"sublinear", "linear", "superlinear", "undetermined"}
        "undetermined": too few points, or hardly any fall; the numbers are then nan.
    exponent : float
        p of ``k^-p``, or the order of superlinear convergence; nan if linear.
    factor : float
        q of ``q^k``; nan unless linear.
    low, high : float
        Interval for the exponent, or for the factor if linear.
    window : (int, int)
        First and last iteration that the fit rests on; (0, 0) if undetermined.
    error : float
        Root mean square deviation of the fit from ln(error) over the window.
    constant, shift, plateau : float
        The rest of the fitted curve.

    Examples
    --------
    >>> import numpy as np
    >>> k = np.arange(300)
    >>> fit_rate(k, 0.9**k)
    RateFit(linear, q = 0.9 [0.9, 0.9], k = 0 to 299)
    """

    form: Form
    exponent: float
    factor: float
    low: float
    high: float
    window: tuple[int, int]
    error: float
    constant: float = np.nan
    shift: float = 0.0
    plateau: float = 0.0

    def compare(self, rate: Rate, slack: float = 0.1, *, problem: Any = None) -> Verdict:
        """Compare with a theorem.

        Of two forms the order is sublinear, linear, superlinear. Within a form the whole interval
        must lie on one side: of ``(1 - slack) p`` for exponents and orders (of the excess over 1
        for orders), of ``q^(1 - slack)`` for factors.

        Parameters
        ----------
        rate : fejer.Rate
            The theorem: its ``form``, ``exponent`` and ``factor`` are used.
        slack : float, default 0.1
            How much of the rate may be missing: shifts and noise cost a few per cent.
        problem : Problem, optional
            What ``rate.factor`` is evaluated at. A theorem whose factor or exponent is not known
            is one about the form.

        Returns
        -------
        {"at least as fast", "slower", "undetermined"}
            With a known factor near 1, a sublinear curve that falls as far over its window as the
            theorem says is at least as fast too.

        Examples
        --------
        >>> import numpy as np
        >>> from types import SimpleNamespace
        >>> k = np.arange(1, 1000)
        >>> theorem = SimpleNamespace(form="sublinear", exponent=1.0, factor=None)
        >>> fit_rate(k, 1 / k**2).compare(theorem), fit_rate(k, k**-0.5).compare(theorem)
        ('at least as fast', 'slower')
        """
        if self.form == "undetermined":
            return "undetermined"
        target = (1 - slack) * rate.exponent
        if rate.form == "superlinear":
            target += slack
        elif rate.form == "linear":
            factor = np.nan if rate.factor is None or problem is None else rate.factor(problem)
            # -log turns factors into speeds: the larger the faster.
            target = -(1 - slack) * np.log(factor + 1e-300)
        if self.form != rate.form:
            fall = target * (self.window[1] - self.window[0])
            as_promised = rate.form == "linear" and self._fall() >= fall
            faster = SPEED[self.form] > SPEED[rate.form] or as_promised
            return "at least as fast" if faster else "slower"
        low, high = self.low, self.high
        if self.form == "linear":
            low, high = -np.log(self.high), -np.log(self.low)
        if np.isnan(target) or low >= target:
            return "at least as fast"
        return "slower" if high < target else "undetermined"

    def curve(self, nit: ArrayLike) -> Array:
        """Evaluate the fitted curve.

        Parameters
        ----------
        nit : array_like
            Iteration numbers.

        Returns
        -------
        array
            Errors; nan for superlinear and undetermined fits, which are no function of k.

        Examples
        --------
        >>> import numpy as np
        >>> k = np.arange(1, 1000)
        >>> bool(np.allclose(fit_rate(k, 3 / k).curve(k), 3 / k))
        True
        """
        k = np.asarray(nit, dtype=float)
        if self.form == "linear":
            return np.asarray(self.constant * self.factor**k + self.plateau)
        if self.form == "sublinear":
            with np.errstate(divide="ignore"):
                return np.asarray(self.constant * (k + self.shift) ** -self.exponent + self.plateau)
        return np.full(k.shape, np.nan)

    def _fall(self) -> float:
        """Fall of ln(error) along the fitted curve over the window."""
        first, last = self.curve(np.maximum(self.window, 1))
        return float(np.log(first / last))

    def __repr__(self) -> str:
        if self.form == "undetermined":
            return "RateFit(undetermined)"
        name, value = ("q", self.factor) if self.form == "linear" else ("p", self.exponent)
        name = "order" if self.form == "superlinear" else name
        # Factors such as 0.9993 differ from 1 beyond the third digit.
        digits = 3 if self.form != "linear" else max(3, int(np.ceil(2 - np.log10(1 - value))))
        shown = [f"{v:.{digits}g}" for v in (value, self.low, self.high)]
        numbers = f"{name} = {shown[0]} [{shown[1]}, {shown[2]}]"
        return f"RateFit({self.form}, {numbers}, k = {self.window[0]} to {self.window[1]})"


LARGEST_POWER = 8.0

UNDETERMINED = RateFit("undetermined", np.nan, np.nan, np.nan, np.nan, (0, 0), np.nan)


def fit_rate(nit: ArrayLike, error: ArrayLike, *, floor: float = 0.0, seed: int = 0) -> RateFit:
    """Read the rate of convergence off a record of errors.

    Decides between ``e_k = C (k + s)^-p + f``, ``e_k = C q^k + f`` and ``e_{k+1} = C e_k^r``.

    Parameters
    ----------
    nit : (m,) array_like
        Iteration numbers, not negative, strictly increasing; gaps are welcome.
    error : (m,) array_like
        Errors, or any quantity that a theorem bounds. Entries that are nan or +inf are left out;
        the record ends where the smallest error so far reaches 3 ``floor`` (zero or a negative
        error: here at the latest), since what follows is the resolution of the error, not the
        method.
    floor : float, default 0
        Accuracy to which the errors are known: that of f* in f(x_k) - f*, say.
    seed : int, default 0
        Of the random sub-windows that give the interval.

    Returns
    -------
    RateFit
        ``form`` is "undetermined" where the record is too short or does not even halve.

    Raises
    ------
    ProblemError
        If the shapes differ, nit does not increase, or floor is negative.

    Notes
    -----
    In this order:

    (a) the best error so far, which is what a user of the method has;
    (b) its last octaves of k are cut while they fall slower than k^-0.15, and with them all within
        a factor 3 of the plateau that they form. A rate below k^-0.15 cannot be told from one;
    (c) superlinear, if the Theil-Sen slope of ln e_{k+1} on ln e_k over the longest run of
        consecutive iterates that at least halve the error exceeds 1.1 whichever pair is left out;
    (d) one point per factor 1.15 of k, so that dense and sparse records of a run weigh the same;
        the axis k has in addition one for each of 48 equal steps, since a linear stretch after a
        long plateau occupies but a small factor of k. Where the errors are not monotone, (g) and
        (h) take the medians of these bins: the best of ever more noise falls faster than the error;
    (e) the noise is the robust size of the raw curve's deviation from the chord between points on
        both sides, at several distances;
    (f) on either axis, ln k and k, the stretch with the largest fall of ln e among those that are a
        line within max(2 % of their fall, twice the noise, 0.02): the larger fall decides the form;
    (g) the fit is refined over a grid of shifts s (if sublinear) and floors f, scored by BIC,
        because theorems read C/(k + s)^p and the plain slope is biased by 5 %;
    (h) the interval holds 5 to 95 % of the slopes over 200 random sub-windows, joined over all
        (s, f) whose BIC is within 6 of the best.

    A fit suggests a rate and proves nothing: only `check_bound` can refute a theorem.

    References
    ----------
    .. [1] Sen (1968), Estimates of the regression coefficient based on Kendall's tau, J. Amer.
       Statist. Assoc. 63.
    .. [2] Schwarz (1978), Estimating the dimension of a model, Ann. Statist. 6.

    Examples
    --------
    >>> import numpy as np
    >>> k = np.arange(1, 2000)
    >>> fit_rate(k, 5 / (k + 7) ** 2)
    RateFit(sublinear, p = 2 [2, 2], k = 28 to 1999)
    >>> fit_rate([0, 1, 2, 3, 4], [0.5, 0.25, 0.25**2, 0.25**4, 0.25**8])
    RateFit(superlinear, order = 2 [2, 2], k = 0 to 4)
    """
    k, raw = curves.checked_record(nit, error)
    if not floor >= 0:
        raise ProblemError(f"floor: expected a number >= 0, got {floor}")
    best = np.minimum.accumulate(raw)
    usable = best > 3 * floor
    k, raw, best = k[usable], raw[usable], best[usable]
    before = curves.before_plateau(k, best)
    k, raw, best = k[before], raw[before], best[before]

    if (superlinear := _superlinear(k, best)) is not None:
        return superlinear
    if len(k) < curves.FEWEST_POINTS:
        return UNDETERMINED

    by_ratio = np.floor(np.log(np.maximum(k, 0.9)) / np.log(1.15))
    by_step = np.floor(48 * k / k[-1])
    records: dict[Form, curves.Thinned] = {
        "sublinear": curves.thin(k, raw, best, by_ratio).after(0),
        "linear": curves.thin(k, raw, best, by_ratio + by_step),
    }
    noise = curves.noise_of(k, raw, records)
    falls: dict[Form, tuple[float, Indices]] = {}
    for form, record in records.items():
        value = np.log(record.best)
        stretch = curves.longest_line(curves.axis_of(form, record.last), value, noise)
        if len(stretch):
            falls[form] = float(value[stretch[0]] - value[stretch[-1]]), stretch
    if not falls:
        return UNDETERMINED
    form = max(falls, key=lambda form: falls[form][0])
    fit = _refined(form, records[form], falls[form][1], np.random.default_rng(seed))
    if form == "sublinear" and fit.exponent > LARGEST_POWER:
        # A power like that, far from k = 0, is q^k seen through a logarithm.
        if "linear" not in falls:
            return UNDETERMINED
        again = np.random.default_rng(seed)
        return _refined("linear", records["linear"], falls["linear"][1], again)
    return fit


def check_bound(
    nit: ArrayLike, error: ArrayLike, bound: ArrayLike, *, rtol: float = 1e-9
) -> tuple[float, int, bool]:
    """Compare errors with a theorem's bound at every recorded iteration.

    Parameters
    ----------
    nit : (m,) array_like
        Iteration numbers.
    error, bound : (m,) array_like
        Left-hand and right-hand side of the theorem. Where the bound is infinite it says nothing.
    rtol : float, default 1e-9
        Rounding error granted to the comparison.

    Returns
    -------
    ratio : float
        Largest error / bound; 0 / 0 counts as 0, a nan as inf: what cannot be compared is not met.
    where : int
        The iteration at which it is taken.
    holds : bool
        Whether ratio <= 1 + rtol.

    Raises
    ------
    ProblemError
        If the shapes differ or there is nothing to compare.

    Examples
    --------
    >>> check_bound([1, 2, 4], [0.9, 0.6, 0.1], [1.0, 0.5, 0.25])
    (1.2, 2, False)
    """
    k, e, b = (np.asarray(values, dtype=float) for values in (nit, error, bound))
    for name, values in (("error", e), ("bound", b)):
        if k.ndim != 1 or not k.size or values.shape != k.shape:
            raise ProblemError(f"{name}: expected the shape of nit, {k.shape}, got {values.shape}")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((e <= 0) & (b >= 0), 0.0, e / b)
    ratio[(b < 0) | np.isnan(ratio) | np.isnan(b)] = np.inf
    ratio[np.isposinf(b)] = 0.0
    worst = int(np.argmax(ratio))
    return float(ratio[worst]), int(k[worst]), bool(ratio[worst] <= 1 + rtol)


def _superlinear(k: Array, best: Array) -> RateFit | None:
    """Step (c)."""
    start, stop = curves.fast_run(k, best)
    count = stop - start
    if count < 3:
        return None
    x, y = np.log(best[start:stop]), np.log(best[start + 1 : stop + 1])
    first, second = np.triu_indices(count, 1)
    slopes = (y[second] - y[first]) / (x[second] - x[first])
    order = float(np.median(slopes))
    without = [float(np.median(slopes[(first != i) & (second != i)])) for i in range(count)]
    if min(without) <= 1.1:
        return None
    offset = float(np.median(y - order * x))
    deviation = float(np.sqrt(np.mean((y - order * x - offset) ** 2)))
    window = (int(k[start]), int(k[stop]))
    # The order of a multi-step method alternates, which the medians do not show.
    low, high = np.quantile(slopes, [0.05, 0.95])
    low, high = float(min(low, *without)), float(max(high, *without))
    return RateFit("superlinear", order, np.nan, low, high, window, deviation, np.exp(offset))


def _refined(
    form: Form, record: curves.Thinned, stretch: Indices, rng: np.random.Generator
) -> RateFit:
    """Steps (g) and (h): C (k + s)^-p + f or C q^k + f, the best over s and f."""
    k, error = record.middle[stretch], record.error[stretch]
    linear = form == "linear"
    shift = np.zeros(1) if linear else np.append(0.0, np.geomspace(0.05, k[-1], 20))
    plateau = error.min() * np.append(0.0, np.geomspace(0.003, 0.9, 12))
    spread, tried = 2.0, []
    # Coarse first, then about the best so far: a mesh of 1 % in s costs 0.1 % in p.
    for _ in range(6):
        grid = curves.score_grid(k, error, linear, shift, plateau)
        tried.append(grid)
        best = int(np.argmin(grid.score))
        zoom = spread ** np.linspace(-1, 1, 9)
        shift = np.unique(np.append(0.0, grid.shift[best] * zoom))
        plateau = np.unique(np.append(0.0, grid.plateau[best] * zoom))
        plateau = plateau[plateau < error.min()]
        spread **= 0.5
    grid = curves.Grid(*(np.concatenate(column) for column in zip(*tried, strict=True)))
    best = int(np.argmin(grid.score))
    near = grid.score <= grid.score[best] + 6
    windows = curves.sub_windows(curves.axis_of(form, k), rng)
    slopes, _ = curves.fit_lines(windows, grid.x[near], grid.y[near], grid.weight[near])
    low, high = np.quantile(slopes, [0.05, 0.95], axis=0)
    # Each of s and f off by a mesh width shifts the slope by about as much as all else together.
    fitted = 1 + (grid.shift[best] > 0) + (grid.plateau[best] > 0)
    mesh = fitted * curves.RESOLUTION / grid.x[best].std()
    slope = float(grid.slope[best])
    low, high = min(low.min(), slope - mesh), max(high.max(), slope + mesh)
    low, high = np.exp([low, high]) if linear else (-high, -low)
    return RateFit(
        form,
        exponent=np.nan if linear else -slope,
        factor=float(np.exp(slope)) if linear else np.nan,
        low=float(low),
        high=float(high),
        window=(int(record.last[stretch[0]]), int(record.last[stretch[-1]])),
        error=float(np.sqrt(grid.square[best])),
        constant=float(np.exp(min(grid.offset[best], 700.0))),
        shift=float(grid.shift[best]),
        plateau=float(grid.plateau[best]),
    )
