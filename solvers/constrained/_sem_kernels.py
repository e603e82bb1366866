"""Kernels for structural equations: score and barrier, Newton, Adam, coordinate descent."""

from __future__ import annotations

import math

import numpy as np

from fejer.jit import kernel

HALVINGS = 40
RIDGE = 1e-9  # of a column's Hessian, relative to its diagonal
# places in the array of numbers that a run carries
VALUE, CALM, DONE, EVALUATIONS = range(4)


@kernel
def invert(a):
    """Invert in place a matrix whose off-diagonal entries are not positive; log of its determinant.

    Elimination without pivots: they are positive just when the matrix is an M-matrix. Else -inf.
    """
    d = a.shape[0]
    total = 0.0
    for k in range(d):
        pivot = a[k, k]
        if not pivot > 0.0:
            return -np.inf
        total += math.log(pivot)
        a[k, k] = 1.0
        for j in range(d):
            a[k, j] /= pivot
        for i in range(d):
            factor = a[i, k]
            if i != k and factor != 0.0:
                a[i, k] = 0.0
                for j in range(d):
                    a[i, j] -= factor * a[k, j]
    return total


@kernel
def score(C, W, mu, s, equal, least, M, inverse, grad):
    """Return ``mu * score + barrier`` with noise levels eliminated, and write its gradient.

    inf outside of the domain of the barrier ``d log s - log det(s I - W o W)``.
    """
    d = C.shape[0]
    for i in range(d):
        for j in range(d):
            inverse[i, j] = -W[i, j] * W[i, j]
        inverse[i, i] += s
    total = invert(inverse)
    if not total > -np.inf:
        return np.inf
    value = d * math.log(s) - total
    for i in range(d):
        for j in range(d):
            M[i, j] = C[i, j]
        for k in range(d):
            c = C[i, k]
            for j in range(d):
                M[i, j] -= c * W[k, j]
    trace = 0.0
    for j in range(d):
        square = M[j, j]
        for i in range(d):
            square -= W[i, j] * M[i, j]
        square = max(square, 0.0)
        trace += square
        if not equal:
            sigma = max(math.sqrt(square), least)
            value += mu * (square / (2.0 * sigma) + sigma / 2.0)
            for i in range(d):
                grad[i, j] = -mu * M[i, j] / sigma
    if equal:
        sigma = max(math.sqrt(trace / d), least)
        value += mu * (trace / (2.0 * sigma) + d * sigma / 2.0)
        for i in range(d):
            for j in range(d):
                grad[i, j] = -mu * M[i, j] / sigma
    for i in range(d):
        for j in range(d):
            grad[i, j] += 2.0 * W[i, j] * inverse[j, i]
        grad[i, i] = 0.0
    return value


@kernel
def pseudo_gradient(w, g, penalty, d, out):
    """Write the steepest one-sided slope, and return its largest modulus."""
    top = 0.0
    for k in range(w.size):
        if w[k] > 0.0:
            out[k] = g[k] + penalty
        elif w[k] < 0.0:
            out[k] = g[k] - penalty
        elif g[k] > penalty:
            out[k] = g[k] - penalty
        elif g[k] < -penalty:
            out[k] = g[k] + penalty
        else:
            out[k] = 0.0
        if k % (d + 1) == 0:
            out[k] = 0.0
        top = max(top, abs(out[k]))
    return top


@kernel
def modulus(w):
    """Sum of the moduli."""
    total = 0.0
    for k in range(w.size):
        total += abs(w[k])
    return total


@kernel
def solve_positive(B, r, n):
    """Overwrite r with ``B^-1 r`` for the leading n rows of the upper triangle; whether B > 0."""
    for k in range(n):
        if not B[k, k] > 0.0:
            return False
        pivot = math.sqrt(B[k, k])
        for j in range(k, n):
            B[k, j] /= pivot
        r[k] /= pivot
        for i in range(k + 1, n):
            factor = B[k, i]
            for j in range(i, n):
                B[i, j] -= factor * B[k, j]
            r[i] -= factor * r[k]
    for k in range(n - 1, -1, -1):
        total = r[k]
        for j in range(k + 1, n):
            total -= B[k, j] * r[j]
        r[k] = total / B[k, k]
    return True


@kernel
def column_steps(C, W, M, inverse, mu, equal, least, pg, step, B, r, free):
    """Write Newton's step of each column, whose Hessian takes the other columns as they are.

    A column's barrier is ``-log(a - sum_i b_i W_ij^2)``, b >= 0: its Hessian is positive. Weights
    are free that are not 0 or shall leave it; one that would leave it to the wrong side is not.
    """
    d = C.shape[0]
    trace = 0.0
    for j in range(d):
        square = M[j, j]
        for i in range(d):
            square -= W[i, j] * M[i, j]
        r[j] = max(square, 0.0)
        trace += r[j]
    for j in range(d):
        step[0, j] = max(math.sqrt(trace / d if equal else r[j]), least)
    for j in range(d):  # the first row of step holds the levels of columns to come
        sigma = step[0, j]
        bent = 0.0 if sigma <= least else 1.0 / (sigma * sigma * sigma * (d if equal else 1))
        n = 0
        for i in range(d):
            step[i, j] = 0.0
            if i != j and (W[i, j] != 0.0 or pg[i, j] != 0.0):
                free[n] = i
                n += 1
        ridge = RIDGE
        while n > 0:
            for a in range(n):
                i = free[a]
                slope, curved = mu * bent * M[i, j], 4.0 * W[i, j] * inverse[j, i]
                for b in range(a, n):
                    k = free[b]
                    B[a, b] = mu / sigma * C[i, k] - slope * M[k, j]
                    B[a, b] += curved * W[k, j] * inverse[j, k]
                B[a, a] += 2.0 * inverse[j, i] + ridge * mu / sigma * C[i, i]
                r[a] = -pg[i, j]
            if not solve_positive(B, r, n):
                ridge *= 100.0
                continue
            kept = 0
            for a in range(n):
                i = free[a]
                if W[i, j] != 0.0 or r[a] * pg[i, j] < 0.0:
                    free[kept] = i
                    r[kept] = r[a]
                    kept += 1
            if kept == n:
                for a in range(n):
                    step[free[a], j] = r[a]
                break
            n = kept


@kernel
def owlqn(C, w, mu, s, lam, equal, least, still, point, numbers, scratch, count):
    """Make up to `count` orthant-wise Newton steps by columns; ``numbers`` says where it stands.

    ``point`` holds M, the inverse and the gradient at w.
    """
    d = C.shape[0]
    N = d * d
    pg, trial, step = np.empty(N), scratch[3], np.empty((d, d))
    W, tried = w.reshape(d, d), trial.reshape(d, d)
    moved, B, r, free = step.reshape(N), np.empty((d, d)), np.empty(d), np.empty(d, np.int64)
    grids = scratch.reshape(4, d, d)
    penalty = mu * lam
    for made in range(count):
        top = pseudo_gradient(w, point[2], penalty, d, pg)
        if top <= 1e-4 * mu:
            numbers[DONE] = 1.0
            return made
        slopes = pg.reshape(d, d)
        at = point.reshape(3, d, d)
        column_steps(C, W, at[0], at[1], mu, equal, least, slopes, step, B, r, free)
        length = 1.0
        accepted = False
        value = 0.0
        for _ in range(HALVINGS):
            gain = 0.0
            for k in range(N):
                aim = w[k] + length * moved[k]
                side = w[k] if w[k] != 0.0 else -pg[k]
                trial[k] = aim if aim * side > 0.0 else 0.0
                gain += pg[k] * (trial[k] - w[k])
            value = score(C, tried, mu, s, equal, least, grids[0], grids[1], grids[2])
            value += penalty * modulus(trial)
            numbers[EVALUATIONS] += 1.0
            if value <= numbers[VALUE] + 1e-4 * gain and gain < 0.0:
                accepted = True
                break
            length *= 0.5
        if not accepted:
            numbers[DONE] = 1.0
            return made
        for k in range(N):
            w[k] = trial[k]
            for part in range(3):
                point[part, k] = scratch[part, k]
        fell = numbers[VALUE] - value
        numbers[VALUE] = value
        numbers[CALM] = numbers[CALM] + 1.0 if fell <= still * abs(value) else 0.0
        if numbers[CALM] >= 2.0:
            numbers[DONE] = 1.0
            return made + 1
    return count


@kernel
def adam(C, w, mu, s, lam, sigma, equal, least, m, v, rate, first, count, trial, M, inverse):
    """Make up to `count` steps of Adam, each with new noise levels; how many, negative if stopped.

    The gradient takes the noise level of the step before, as published; it stops in front of a
    step that left the domain of the barrier.
    """
    d = C.shape[0]
    W = w.reshape(d, d)
    for made in range(count):
        t = first + made + 1
        for i in range(d):
            for j in range(d):
                inverse[i, j] = -W[i, j] * W[i, j]
                M[i, j] = C[i, j]
            inverse[i, i] += s
            for k in range(d):
                c = C[i, k]
                for j in range(d):
                    M[i, j] -= c * W[k, j]
        if not invert(inverse) > -np.inf:
            return -made - 1
        slow, fast = 1.0 - 0.99**t, 1.0 - 0.999**t
        for i in range(d):
            for j in range(d):
                k = i * d + j
                sign = 1.0 if w[k] > 0.0 else (-1.0 if w[k] < 0.0 else 0.0)
                slope = mu * (lam * sign - M[i, j] / sigma[j]) + 2.0 * w[k] * inverse[j, i]
                m[k] = 0.99 * m[k] + 0.01 * slope
                v[k] = 0.999 * v[k] + 0.001 * slope * slope
                trial[k] = w[k] - rate * (m[k] / slow) / (math.sqrt(v[k] / fast) + 1e-8)
            trial[i * d + i] = 0.0
        for k in range(d * d):
            w[k] = trial[k]
        levels(C, W, equal, least, M, sigma)
    return count


@kernel
def levels(C, W, equal, least, M, sigma):
    """Write the noise levels of W."""
    d = C.shape[0]
    total = 0.0
    for i in range(d):
        for j in range(d):
            M[i, j] = C[i, j]
        for k in range(d):
            c = C[i, k]
            for j in range(d):
                M[i, j] -= c * W[k, j]
    for j in range(d):
        square = M[j, j]
        for i in range(d):
            square -= W[i, j] * M[i, j]
        square = max(square, 0.0)
        total += square
        sigma[j] = max(math.sqrt(square), least)
    if equal:
        for j in range(d):
            sigma[j] = max(math.sqrt(total / d), least)


@kernel
def refit(C, W, allowed, lam, equal, least, M, sigma, count):
    """Make up to `count` sweeps of coordinate descent on an order; how many, negative if done."""
    d = C.shape[0]
    for made in range(count):
        levels(C, W, equal, least, M, sigma)
        change = 0.0
        for j in range(d):
            for i in range(d):
                if allowed[i, j]:
                    old = W[i, j]
                    aim = old + M[i, j] / C[i, i]
                    bound = lam * sigma[j] / C[i, i]
                    new = aim - bound if aim > bound else (aim + bound if aim < -bound else 0.0)
                    if new != old:
                        W[i, j] = new
                        for k in range(d):
                            M[k, j] -= C[k, i] * (new - old)
                        change = max(change, abs(new - old) * math.sqrt(C[i, i] / C[j, j]))
        if change <= 1e-15:
            return -made - 1
    return count
