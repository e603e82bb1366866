"""
Where the sketch wins, and where it does not
============================================

Two sketches carry the same name and do different things. One solves the Newton system of a
constrained problem by random row actions; the other builds the Hessian of a sum from some of its
terms. The first one loses to a factorisation whenever the matrix is in memory. The second one can
win where there are many more samples than variables.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import fejer

# %%
# Row actions. The rule that asks for descent and a residual of a tenth needs far fewer of them than
# the published one, whose tolerance covers the worst matrix of the same norms. MINRES in the same
# place needs fewer flops still.
problem = fejer.EqualityNLP.random(n=32, m=8, seed=1)
runs = {
    "single rows": {},
    "single rows, published rule": {"accuracy": "worst-case", "cap": 100_000},
    "count sketch": {"inner": "count-sketch"},
    "MINRES": {"inner": "minres"},
}
fig, ax = plt.subplots(figsize=(7, 4.2))
for label, options in runs.items():
    flops, norms = [], []
    for step in fejer.steps(problem, "adasketch", tol=1e-8, max_iter=30, options=options):
        flops.append(max(step.state.flops, 1))
        norms.append(step.certificate.details["F_norm"])
    ax.loglog(flops[1:], norms[1:], "o-", ms=4, label=label)
    print(f"{label:28} {len(norms) - 1:3} iterations, {flops[-1]:.1e} flops, |F| {norms[-1]:.1e}")
size = problem.size + problem.n_constraints
exact = fejer.minimize(problem, method="exact-al-newton", tol=1e-8)
ax.axvline(exact.nit * size**3 / 3, color="k", lw=1, ls="--", label="factorisations, in all")
ax.set(xlabel="flops in the linear systems", ylabel="KKT residual |F|")
ax.legend()
fig.tight_layout()

# %%
# Rows of a Hessian. The gradient stays exact, so all runs end at the same point. Twenty rows a
# variable in each iteration cost more iterations than they save work with these 100 variables;
# "auto", which begins so and takes all rows once a step is rejected, needs no more iterations than
# the exact Hessian and less time from 40 samples a variable on. Processor time, the minimum of
# three.
rng = np.random.default_rng(0)
samples = np.array([2000, 5000, 10_000, 20_000])
times: dict[str, list[float]] = {"exact": [], "sketch": [], "auto": []}
for n in samples:
    X = rng.standard_normal((n, 100))
    y = np.where(X @ rng.standard_normal(100) + 5 * rng.logistic(size=n) > 0, 1.0, -1.0)
    for hessian, column in times.items():
        taken = []
        for _ in range(3):
            logistic = fejer.SmoothComposite(X, y, l2=1e-6)
            begun = time.process_time()
            result = fejer.minimize(logistic, method="gns", tol=1e-8, options={"hessian": hessian})
            taken.append(time.process_time() - begun)
        column.append(min(taken))
        print(f"{n:6} samples, {hessian:7} {result.nit:3} iterations, {min(taken):.3f} s")
fig, ax = plt.subplots(figsize=(6, 3.8))
for hessian, column in times.items():
    ax.loglog(samples, column, "o-", label=hessian)
ax.set(xlabel="samples (100 variables)", ylabel="seconds to 1e-8")
ax.legend()
fig.tight_layout()
