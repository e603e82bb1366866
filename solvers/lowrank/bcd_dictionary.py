"""Block coordinate descent for supervised dictionaries: exact blocks from a singular start."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.lowrank import _nonnegative
from fejer.problems.lowrank._dictionary import Parts, lifted, probabilities
from fejer.problems.lowrank.supervised_dictionary import SupervisedDictionary

from ._start import STILL, stillness

NEWTON, HALVINGS, GRADIENTS, PROJECTED = 12, 40, 5, 10
EARLY, LARGEST = 1, 600  # iterations by gradients; unknowns of a Newton step over W


@dataclass
class DictionaryState(State):
    """Packed factors and coefficients; iterations in a row that changed nothing."""

    x: Array
    still: int = 0


@register
@dataclass(frozen=True, eq=False)
class DictionaryDescent(Method):
    """Block coordinate descent for supervised dictionary learning.

    Minimises over H, then over (beta, Gamma), then over W. Model "filter": ``H = W' X`` for
    orthonormal W, damped Newton for the coefficients, and for W five accelerated gradient steps
    in the first iteration; later damped Newton for those columns of W that the labels see, and the
    leading singular vectors of what these leave of X for the others. Model
    "feature": Newton for each code in ``h_i = W' x_i + beta s_i``, damped Newton for the
    coefficients, least squares for W. Nonnegative dictionaries: ten accelerated projected gradient
    steps for H and for W, damped Newton for the coefficients.

    Parameters
    ----------
    radius : float, optional
        Blocks move at most ``radius / (sqrt(t) log(t + 1))`` in iteration t, as published; default:
        not at all bounded.

    Attributes
    ----------
    name : str
        ``"bcd-dictionary"``.

    Notes
    -----
    Rate: the published method, with the radius, is eps-stationary after
    ``O(log(1/eps)^2 / eps)`` iterations. Without it, from singular vectors, few iterations are
    enough where the global gap closes.

    Cost of an iteration: ten products with X; model "filter" from the second one on a few Newton
    matrices, ``p^2 n (K - 1)^2``, for at most 600 unknowns p (K - 1), and gradient steps above.
    Memory: that of the factors and of such a matrix.

    Pitfall: with small nu and xi and a random start the model "feature" ends at bad stationary
    points; the default start avoids that.

    References
    ----------
    .. [1] Lee, Lyu, Yao (2022), Supervised dictionary learning with auxiliary covariates,
       arXiv:2206.06774.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.SupervisedDictionary.random(model="feature")
    >>> fejer.minimize(problem, method="bcd-dictionary").success
    True
    """

    radius: float | None = option(None, above=0, doc="bound of a block's step, over sqrt(t) log t")

    name, solves = "bcd-dictionary", (SupervisedDictionary,)
    cites = ("arXiv:2206.06774",)

    @property
    def rate(self) -> Rate:
        """Stationarity at the rate of the published method."""
        return Rate(
            "min over t <= T of the stationarity is O(log T / sqrt(T)) with the radius",
            "sublinear",
            exponent=0.5,
            assumptions="radius / (sqrt(t) log t) bounds the steps",
        )

    def begin(
        self,
        problem: SupervisedDictionary,
        prep: None,
        start: Start,
        rng: np.random.Generator,
    ) -> DictionaryState:
        """Start from the given point or the leading singular vectors."""
        return DictionaryState(start.x)

    def advance(
        self, problem: SupervisedDictionary, prep: None, state: DictionaryState, n: int
    ) -> bool:
        """Make up to n iterations."""
        iterate = self._iterate_nonnegative if problem.nonnegative else self._iterate
        for _ in range(n):
            if state.still >= STILL:
                return True
            x = state.x.copy()
            with np.errstate(all="ignore"):  # starts whose products overflow
                iterate(problem, problem.parts(x), state.nit + 1)
            state.still = stillness(x, state.x, state.still)
            state.x = x
            state.nit += 1
            state.work += (6 + 2 * GRADIENTS) * problem.unit
        return state.still >= STILL

    def _iterate(self, problem: SupervisedDictionary, parts: Parts, t: int) -> None:
        """Move the three blocks, in place."""
        W, H, beta, gamma = parts
        X, aux, hot = problem.X, problem._aux, problem.hot()
        Q, R = np.linalg.qr(W)
        if W.shape[0] >= W.shape[1]:
            # The same activations: of W beta, or of beta' H.
            turned = R @ beta
            if problem.model == "feature":
                turned = np.linalg.lstsq(R.T, beta, rcond=1e-14)[0]
            W[:], H[:], beta[:] = Q, R @ H, turned
        limit = math.inf if self.radius is None else self.radius / (math.sqrt(t) * math.log(t + 1))
        if problem.model == "filter":
            features = W.T @ X
            _move(H, features, limit)
            ridge = np.eye(W.shape[1])
        else:
            _move(H, _codes(problem, parts), limit)
            features, ridge = H, H @ H.T
        rows = np.vstack([features, aux])
        weight = np.eye(len(rows))
        weight[: len(ridge), : len(ridge)] = ridge
        theta = _newton(rows, hot, np.vstack([beta, gamma]), 2.0 * problem.nu * weight)
        _move(beta, theta[: len(beta)], limit)
        _move(gamma, theta[len(beta) :], limit)
        if problem.model == "filter":
            if t > EARLY and limit == math.inf and len(X) * min(beta.shape) <= LARGEST:
                _solve_filters(problem, parts)
            else:
                _move(W, _filtered(problem, parts), limit)
        else:
            gram = H @ H.T
            gram[np.diag_indices(len(gram))] += 1e-13 * np.trace(gram) or 1.0
            _move(W, np.asarray(np.linalg.solve(gram, H @ X.T).T, dtype=np.float64), limit)

    def _iterate_nonnegative(self, problem: SupervisedDictionary, parts: Parts, t: int) -> None:
        """Move the blocks by projected gradients and Newton steps, in place."""
        W, H, beta, gamma = parts
        limit = math.inf if self.radius is None else self.radius / (math.sqrt(t) * math.log(t + 1))
        for block, part in zip((W, H, beta), _nonnegative.balanced(problem, parts), strict=False):
            block[:] = part
        np.maximum(W, 0.0, out=W)
        np.maximum(H, 0.0, out=H)
        _move(H, _projected(problem, parts, 1), limit)
        filtering = problem.model == "filter"
        features, square = (W.T @ problem.X, W.T @ W) if filtering else (H, H @ H.T)
        weight = np.eye(len(features) + len(gamma))
        weight[: len(square), : len(square)] = square
        rows = np.vstack([features, problem._aux])
        theta = np.vstack([beta, gamma])
        theta = _newton(rows, problem.hot(), theta, 2.0 * problem.nu * weight)
        _move(beta, theta[: len(beta)], limit)
        _move(gamma, theta[len(beta) :], limit)
        _move(W, _projected(problem, parts, 0), limit)


def _projected(problem: SupervisedDictionary, parts: Parts, place: int) -> Array:
    """Minimise over W (place 0) or H (place 1) >= 0 by accelerated projected gradient steps."""
    curvature = _nonnegative.curvatures(problem, parts)[place] or 1.0
    x, since = parts[place], 0
    last, now = x, lifted(problem, parts).fun
    for _ in range(PROJECTED):
        y = x + (since / (since + 3)) * (x - last)
        slope = _nonnegative.slopes(problem, _with(parts, place, y))[1 + place]
        new = np.maximum(y - slope / curvature, 0.0)
        fun = lifted(problem, _with(parts, place, new)).fun
        if since and fun > now:  # no momentum: the next step is a plain one
            since = 0
            continue
        last, x, now, since = x, new, fun, since + 1
    return np.asarray(x)


def _with(parts: Parts, place: int, block: Array) -> Parts:
    """The parts with another W or H."""
    return parts._replace(W=block) if place == 0 else parts._replace(H=block)


def _move(block: Array, goal: Array, limit: float) -> None:
    """Go to the goal, or as far towards it as the limit allows, in place."""
    step = goal - block
    length = float(np.linalg.norm(step))
    block += step * min(1.0, limit / length) if length > 0.0 else 0.0


def _newton(rows: Array, hot: Array, theta: Array, ridge: Array) -> Array:
    """Minimise ``sum log(1 + sum exp a) - <a, hot> + tr(theta' ridge theta)/2``, a = theta' rows.

    Damped Newton; undamped it overflows where labels are nearly separable.
    """
    size, k = theta.shape

    def value(theta: Array) -> float:
        a = theta.T @ rows
        return float(
            probabilities(a)[1].sum() - np.vdot(a, hot) + 0.5 * np.vdot(theta, ridge @ theta)
        )

    now = value(theta)
    for _ in range(NEWTON):
        p, _ = probabilities(theta.T @ rows)
        grad = rows @ (p - hot).T + ridge @ theta
        hessian = np.empty((k, size, k, size))
        for c in range(k):
            for d in range(k):
                weight = p[c] * (float(c == d) - p[d])
                hessian[c, :, d, :] = (rows * weight) @ rows.T + float(c == d) * ridge
        square = hessian.reshape(k * size, k * size)
        square[np.diag_indices(k * size)] += 1e-13 * (float(np.trace(square)) / (k * size) or 1.0)
        step = -np.linalg.solve(square, grad.T.ravel()).reshape(k, size).T
        slope, length = float(np.vdot(grad, step)), 1.0
        if not slope < -1e-12 * (1.0 + abs(now)):  # values no longer tell: the last full step
            return theta + step
        for _ in range(HALVINGS):
            tried = value(theta + length * step)
            if tried <= now + 1e-4 * length * slope:
                theta, now = theta + length * step, tried
                break
            length *= 0.5
        else:
            break
    return theta


def _codes(problem: SupervisedDictionary, parts: Parts) -> Array:
    """Minimise over the codes, ``h_i = W' x_i + beta s_i`` for orthonormal W, all samples at once.

    The optimality condition is ``2 xi s + p(u) - hot + 2 nu u = 0`` with ``u = beta' h``.
    """
    W, _, beta, gamma = parts
    base = W.T @ problem.X
    offset, hot = gamma.T @ problem._aux, problem.hot()
    u0, M = beta.T @ base, beta.T @ beta
    xi, nu = problem.xi, problem.nu
    k, n = u0.shape
    s = np.zeros((k, n))

    def value(s: Array) -> Array:
        u = u0 + M @ s
        a = u + offset
        return np.asarray(
            probabilities(a)[1] - (a * hot).sum(0) + xi * (s * (M @ s)).sum(0) + nu * (u * u).sum(0)
        )

    now = value(s)
    for _ in range(NEWTON):
        u = u0 + M @ s
        p, _ = probabilities(u + offset)
        F = 2 * xi * s + p - hot + 2 * nu * u
        if not np.abs(F).max() > 1e-14 * (1.0 + np.abs(u).max()):
            break
        curvature = -p.T[:, :, None] * p.T[:, None, :]
        curvature[:, np.arange(k), np.arange(k)] += p.T + 2 * nu
        J = curvature @ M
        J[:, np.arange(k), np.arange(k)] += 2 * xi
        step = -np.linalg.solve(J, F.T[:, :, None])[:, :, 0].T
        length = np.ones(n)
        for _ in range(HALVINGS):
            tried = value(s + length * step)
            worse = tried > now + 1e-13 * (1.0 + np.abs(now))
            if not worse.any():
                break
            length[worse] *= 0.5
        length[worse] = 0.0
        s = s + length * step
        now = value(s)
    return np.asarray(base + beta @ s)


def _filtered(problem: SupervisedDictionary, parts: Parts) -> Array:
    """Take accelerated gradient steps over W, the other blocks fixed."""
    _, H, beta, gamma = parts
    share = 0.25 if problem.n_classes == 2 else 0.5
    norm = float(np.linalg.norm(beta, 2)) ** 2
    top = problem.fact("top", ("X",), lambda: float(np.linalg.norm(problem.X, 2)) ** 2)
    L = (share * top + 2 * problem.nu) * norm + 2 * problem.xi * float(np.linalg.norm(H, 2)) ** 2
    W, since = parts.W, 0
    at, last = lifted(problem, parts), W
    for _ in range(GRADIENTS):
        Y = W + (since / (since + 3)) * (W - last)
        here = lifted(problem, Parts(Y, H, beta, gamma)) if since else at
        new = Y - (here.slope_a @ beta.T + here.slope_b @ H.T) / (L or 1.0)
        there = lifted(problem, Parts(new, H, beta, gamma))
        if since and there.fun > at.fun:  # no momentum: the next step is a plain one
            since = 0
            continue
        last, W, at, since = W, new, there, since + 1
    return W


def _solve_filters(problem: SupervisedDictionary, parts: Parts) -> None:
    """Minimise over W by Newton steps, then over H and what the labels do not see of W; in place.

    With ``beta = Q [R; 0]`` the labels see the first columns of W Q alone, at most K - 1 of them.
    The others are least squares, and are eliminated. Then, those columns fixed, the best others
    are the leading singular vectors of what they leave of X.
    """
    W, H, beta, gamma = parts
    X, hot, xi, nu = problem.X, problem.hot(), problem.xi, problem.nu
    p, k = len(X), beta.shape[1]
    Q, R = np.linalg.qr(beta, mode="complete")
    seen = min(beta.shape)
    R, H1, H2 = R[:seen], Q[:, :seen].T @ H, Q[:, seen:].T @ H
    if H2.size:
        H1 = H1 - np.linalg.lstsq(H2.T, H1.T, rcond=1e-12)[0].T @ H2
    S, C, offset = H1 @ H1.T, X @ H1.T, gamma.T @ problem._aux
    ridge = 2.0 * (nu * R @ R.T + xi * S)
    V = W @ Q[:, :seen]

    def value(V: Array) -> tuple[float, Array]:
        a = R.T @ (V.T @ X) + offset
        p, total = probabilities(a)
        fun = float(total.sum() - np.vdot(a, hot)) + 0.5 * float(np.vdot(V @ ridge, V))
        return fun - 2.0 * xi * float(np.vdot(V, C)), p

    now, chance = value(V)
    for _ in range(NEWTON):
        grad = X @ (R @ (chance - hot)).T + V @ ridge - 2.0 * xi * C
        hessian = np.zeros((seen, p, seen, p))
        for c in range(k):
            for d in range(k):
                weight = chance[c] * (float(c == d) - chance[d])
                square = (X * weight) @ X.T
                hessian += np.einsum("a,b,ij->aibj", R[:, c], R[:, d], square)
        for a in range(seen):
            for b in range(seen):
                hessian[a, np.arange(p), b, np.arange(p)] += ridge[a, b]
        flat = hessian.reshape(seen * p, seen * p)
        flat[np.diag_indices(seen * p)] += 1e-13 * (float(np.trace(flat)) / (seen * p) or 1.0)
        step = -np.linalg.solve(flat, grad.T.ravel()).reshape(seen, p).T
        slope, length = float(np.vdot(grad, step)), 1.0
        if not slope < -1e-10 * (1.0 + abs(now)):  # values no longer tell: the last full step
            V = V + step
            break
        for _ in range(HALVINGS):
            tried, there = value(V + length * step)
            if tried <= now + 1e-4 * length * slope:
                V, now, chance = V + length * step, tried, there
                break
            length *= 0.5
        else:
            break
    more = W.shape[1] - seen
    frame = np.linalg.qr(V)[0]
    if more:
        gram = problem.fact("gram", ("X",), lambda: X @ X.T)
        half = gram - frame @ (frame.T @ gram)
        half -= (half @ frame) @ frame.T
        frame = np.hstack([frame, np.linalg.eigh(half)[1][:, : -more - 1 : -1]])
    W[:] = np.hstack([V, frame[:, seen:]])
    beta[:] = 0.0
    beta[:seen] = R
    H[:] = np.linalg.lstsq(W, X, rcond=1e-13)[0]
