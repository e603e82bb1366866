"""
Which coordinate next? Rules of coordinate descent on a Lasso
=============================================================

Each update of coordinate descent minimises the Lasso objective over one coefficient exactly,

.. math:: w_j \\leftarrow \\mathrm{soft}(q_j w_j + x_j^T r, \\lambda) / q_j,
          \\quad q_j = \\|x_j\\|^2,

and the rules differ only in the choice of j. What is an update worth, and what a pass over the
data, and what a second? The questions have different answers, so the plots show all three axes.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import fejer

problem = fejer.Lasso.random(200, 150, ratio=0.1, correlation=0.7)
best = fejer.minimize(problem, method="bcd", tol=1e-13).x

RULES = ["cyclic", "permuted", "random", "lipschitz", "gs", "gs-q"]
runs = {}
for rule in RULES:
    method = fejer.BCD(selection=rule, block_size=1)  # an iteration is one update
    measure = method.rate.measure
    steps = fejer.steps(problem, method, max_iter=4000, tol=1e-12)
    nit, work, excess = zip(
        *((s.nit, s.state.work / problem.unit, measure(problem, s.x, best)) for s in steps),
        strict=True,
    )
    # The processor's clock is read in runs of their own, which neither stop at every update nor
    # measure it; the run above has compiled. Preparing counts, with the Gram matrix of the greedy
    # rules, as does judging the last point.
    marks = np.unique(np.geomspace(1, nit[-1], 12).astype(int))
    seconds = []
    for mark in marks:
        each = []
        for _ in range(20):
            fresh = problem.replace(lam=problem.lam)  # nothing that another run has prepared
            begun = time.process_time()
            fejer.minimize(fresh, method=method, max_iter=int(mark), tol=0.0)
            each.append(time.process_time() - begun)
        seconds.append(min(each))
    runs[rule] = np.array(nit), np.array(work), np.array(excess), marks, np.array(seconds)

# %%
# The excess over the optimum, against updates and against passes over the data (two products with X
# are two passes). The greedy rules read columns of the Gram matrix instead of those of X, which is
# far less; but the Gram matrix costs as much as d/2 passes first, and that is where their curves
# begin in the middle. They pay where it serves many values of ``lam``, or very many updates.
#
# Seconds need not agree with passes. All of this takes about a millisecond, a third of which is
# preparation; the Gram matrix of so small a problem is one fast product of matrices, cheaper
# than the same arithmetic column by column, and the greedy rules are not behind. The times are the
# least of twenty; they change with the machine, and a larger d may change the verdict.

figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True)
for rule, (nit, work, excess, marks, seconds) in runs.items():
    axes[0].semilogy(nit, np.maximum(excess, 1e-12), label=rule)
    first = problem.X.shape[1] / 2 if rule in ("gs", "gs-q") else 0
    axes[1].semilogy(first + work, np.maximum(excess, 1e-12))
    reached = excess[np.searchsorted(nit, marks)]
    axes[2].semilogy(1e3 * seconds, np.maximum(reached, 1e-12), ".-")
axes[0].set(xlabel="updates", ylabel="$F(w_k) - F^*$", ylim=(1e-9, None))
axes[1].set(xlabel="passes over the data")
axes[2].set(xlabel="milliseconds of the processor", xlim=(0, 1.5))
axes[0].legend(fontsize="small", loc="upper right")
figure.tight_layout()

# %%
# A theorem speaks about the worst problem; here are the bounds with the constants of this one.
# That of "gs-q" holds for certain, that of "random" in the mean. Both are far above what is seen:
# they know nothing of the few coefficients that move in the end.

figure, axis = plt.subplots(figsize=(6, 3.6))
start = problem.initial_point()
for rule in ("random", "gs-q"):
    nit, _, excess, *_ = runs[rule]
    rate = fejer.BCD(selection=rule, block_size=1).rate
    (line,) = axis.semilogy(nit, np.maximum(excess, 1e-12), label=rule)
    grid = nit[:: max(1, nit.size // 50)]
    bound = [rate.bound(problem, start, best, int(k)) for k in grid]
    axis.semilogy(grid, bound, "--", color=line.get_color(), label=f"bound for {rule}")
axis.set(xlabel="updates", ylabel="$F(w_k) - F^*$", ylim=(1e-9, None))
axis.legend()
figure.tight_layout()
plt.show()
