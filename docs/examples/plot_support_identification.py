"""
The moment when the support is known
====================================

A proximal method on a sparse problem has two lives. At first it finds out which coefficients are
zero; from then on it works on the others as if there were no penalty. The number
``identified_at`` of a result is the border, and it is marked on each curve below.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer

problem = fejer.SparseLogistic.random(200, 100, ratio=0.1, correlation=0.6)
best = fejer.minimize(problem, tol=1e-14)

METHODS = {
    "prox-newton": {},
    "bcd": {},
    "fista": {},
    "ista": {},
}
figure, axis = plt.subplots(figsize=(6.5, 4))
for method, options in METHODS.items():
    steps = list(fejer.steps(problem, method, options=options, max_iter=400, tol=1e-12))
    nit = np.array([s.nit for s in steps])
    excess = np.maximum([s.fun - best.fun for s in steps], 1e-15 * best.fun)
    (line,) = axis.semilogy(nit + 1, excess, label=method)
    at = steps[-1].state.identified_at
    axis.plot(at + 1, excess[at], "o", color=line.get_color())
axis.set(xscale="log", xlabel="iterations + 1 (of bcd: sweeps)", ylabel="$F(w_k) - F^*$")
axis.legend(title="dot: pattern identified")
figure.tight_layout()

# %%
# When must it happen? Let delta be the least distance of a zero coefficient's gradient from the
# border of [-lam, lam], at the solution. Within ``delta / (2 L)`` of the solution a proximal
# gradient step cannot change the pattern any more. The ball is small, and the pattern is known
# long before it is entered: the theorem is safe, not sharp.

lasso = fejer.Lasso.random(60, 40, correlation=0.5)
solution = fejer.minimize(lasso, method="cd-anderson", tol=1e-13).x
X = lasso.X.toarray()
c = X.T @ (np.array(lasso.y) - X @ solution)
delta = (lasso.lam - np.abs(c))[solution == 0].min()
radius = delta / (2 * np.linalg.norm(X, 2) ** 2)

steps = list(fejer.steps(lasso, "ista", max_iter=2000, tol=1e-12))
distance = np.array([np.linalg.norm(s.x - solution) for s in steps])
known = steps[-1].state.identified_at
entered = int(np.argmax(distance <= radius))

figure, axis = plt.subplots(figsize=(6.5, 3.6))
axis.semilogy(distance)
axis.axhline(radius, color="0.5", linestyle="--", label="radius of the theorem")
axis.plot(known, distance[known], "o", label=f"identified: iteration {known}")
axis.plot(entered, distance[entered], "s", label=f"ball entered: iteration {entered}")
axis.set(xlabel="iterations of ista", ylabel="$||w_k - w^*||$", ylim=(1e-8, None))
axis.legend()
figure.tight_layout()
plt.show()
