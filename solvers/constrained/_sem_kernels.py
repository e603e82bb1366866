"""Kernels for structural equations: score and barrier, OWL-QN, Adam, coordinate descent."""

from __future__ import annotations

import math

import numpy as np

from fejer.jit import kernel

MEMORY = 5
WINDOW = 20
HALVINGS = 30
# places in the array of numbers that a run carries
VALUE, PAIRS, HEAD, DONE, MADE = range(5)


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
def owlqn(C, w, mu, s, lam, equal, least, still, g, S, Y, rho, recent, numbers, scratch, count):
    """Make up to `count` orthant-wise steps of L-BFGS; ``numbers`` says where it stands."""
    d = C.shape[0]
    N = d * d
    grids = scratch.reshape(6, d, d)
    pg, step, trial, g_new = scratch[0], scratch[1], scratch[2], scratch[3]
    penalty = mu * lam
    alpha = np.zeros(MEMORY)
    for made in range(count):
        top = pseudo_gradient(w, g, penalty, d, pg)
        if top <= 1e-4 * mu:
            numbers[DONE] = 1.0
            return made
        pairs, head = int(numbers[PAIRS]), int(numbers[HEAD])
        for k in range(N):
            step[k] = -pg[k]
        for back in range(pairs):
            p = (head - 1 - back) % MEMORY
            total = 0.0
            for k in range(N):
                total += S[p, k] * step[k]
            alpha[p] = rho[p] * total
            for k in range(N):
                step[k] -= alpha[p] * Y[p, k]
        if pairs:
            p = (head - 1) % MEMORY
            square = 0.0
            for k in range(N):
                square += Y[p, k] * Y[p, k]
            for k in range(N):
                step[k] *= 1.0 / (rho[p] * square)
        for forth in range(pairs):
            p = (head - pairs + forth) % MEMORY
            total = 0.0
            for k in range(N):
                total += Y[p, k] * step[k]
            total = alpha[p] - rho[p] * total
            for k in range(N):
                step[k] += total * S[p, k]
        square = 0.0
        for k in range(N):
            if step[k] * pg[k] >= 0.0:
                step[k] = 0.0
            square += pg[k] * pg[k]
        length = 1.0 if pairs else 0.1 / math.sqrt(square)
        accepted = False
        value = 0.0
        for _ in range(HALVINGS):
            gain = 0.0
            for k in range(N):
                moved = w[k] + length * step[k]
                side = w[k] if w[k] != 0.0 else -pg[k]
                trial[k] = moved if moved * side > 0.0 else 0.0
                gain += pg[k] * (trial[k] - w[k])
            value = score(C, grids[2], mu, s, equal, least, grids[4], grids[5], grids[3])
            value += penalty * modulus(trial)
            if value <= numbers[VALUE] + 1e-4 * gain and gain < 0.0:
                accepted = True
                break
            length *= 0.5
        if not accepted:
            numbers[DONE] = 1.0 if pairs == 0 else 0.0
            numbers[PAIRS] = 0.0
            if pairs == 0:
                return made
            numbers[MADE] += 1.0
            continue
        curved, size_s, size_y = 0.0, 0.0, 0.0
        for k in range(N):
            S[head, k] = trial[k] - w[k]
            Y[head, k] = g_new[k] - g[k]
            curved += S[head, k] * Y[head, k]
            size_s += S[head, k] * S[head, k]
            size_y += Y[head, k] * Y[head, k]
            w[k] = trial[k]
            g[k] = g_new[k]
        if curved > 1e-12 * math.sqrt(size_s * size_y):
            rho[head] = 1.0 / curved
            numbers[HEAD] = (head + 1) % MEMORY
            numbers[PAIRS] = min(pairs + 1, MEMORY)
        place = int(numbers[MADE]) % WINDOW
        old = recent[place]
        recent[place] = value
        numbers[VALUE] = value
        numbers[MADE] += 1.0
        if numbers[MADE] > WINDOW and old - value <= still * abs(value):
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
