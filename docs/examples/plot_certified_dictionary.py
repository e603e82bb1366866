"""
A dictionary that is proved globally optimal
============================================

Supervised dictionary learning is not convex: W multiplies H and beta. The certificate looks at what
the products are. In (A, B, Gamma), A = W beta and B = W H, the objective is strongly convex; only
the rank of [A, B] is bounded, and over *all* matrices of that rank a quadratic model can be
minimised by a singular value decomposition. So ``result.certificate`` bounds the distance to the
global minimum, and no restart from anywhere can do better than it says.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import fejer

data = load_digits()
chosen = (data.target == 3) | (data.target == 8)
X = data.data[chosen].T / 16
y = (data.target[chosen] == 8).astype(int)
problem = fejer.SupervisedDictionary(X, y, rank=8, aux=np.ones((1, y.size)))

# %%
# Two methods, one certificate. Block descent solves each block exactly; the lifted gradient method
# projects on the matrices of rank 8 after each step, and is linear.

fig, ax = plt.subplots()
for method, options in (
    ("bcd-dictionary", {}),
    ("lpgd", {}),
    ("lpgd", {"memory": 0}),
):
    result = fejer.minimize(
        problem, method=method, options=options, tol=1e-8, max_iter=600, trace="every"
    )
    label = method + (", no memory" if options else "")
    ax.semilogy(1 + np.array(result.trace.nit), result.trace.certificate, label=label)
    print(f"{label:20} {result.nit:4d} iterations, {result.certificate}")
ax.set_xscale("log")
ax.set_xlabel("1 + iteration")
ax.set_ylabel("certificate")
ax.legend()

# %%
# Starts from noise end at the same value: they must.

best = fejer.minimize(problem, tol=1e-9)
rng = np.random.default_rng(0)
for _ in range(4):
    other = fejer.minimize(problem, rng.standard_normal(problem.size), tol=1e-7)
    print(f"objective {other.fun:.6f}, certified minimum {best.certificate.lower_bound:.6f}")

# %%
# The proof has a limit. Where the residual is large against what the dictionary keeps, here for
# weights between 0.02 and 0.1, no bound of this kind closes: the value is then a condition of a
# local minimum, and ``rigorous`` says so.

fig, ax = plt.subplots()
weights = np.geomspace(1e-2, 10, 10)
gaps, proved = [], []
for weight in weights:
    result = fejer.minimize(problem.replace(xi=weight, nu=weight), max_iter=200, max_time=1)
    gaps.append(max(result.certificate.details["gap"], 1e-12))
    proved.append(result.certificate.rigorous)
gaps, proved = np.array(gaps), np.array(proved)
ax.loglog(weights[proved], gaps[proved], "o", label="global minimum proved")
ax.loglog(weights[~proved], gaps[~proved], "x", label="not proved")
ax.set_xlabel("xi = nu")
ax.set_ylabel("gap over n log 2")
ax.legend()

# %%
# What the atoms look like: they serve reconstruction and classification at once.

fig, axes = plt.subplots(1, 8, figsize=(9, 1.4))
for ax, atom in zip(axes, best.dictionary.T, strict=True):
    ax.imshow(atom.reshape(8, 8), cmap="RdBu", vmin=-abs(atom).max(), vmax=abs(atom).max())
    ax.axis("off")
plt.show()
