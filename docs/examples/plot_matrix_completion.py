"""
Which missing entries can be known?
===================================

A matrix of rank 3 is completed from a random part of its entries. ``success`` says that the fit
cannot be improved; ``recovered`` says that the entries that nobody saw are determined too. The two
part company when there is too little data: the fit is still perfect, the completion is wrong.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 50))
order = rng.permutation(X.size)
freedom = 3 * (60 + 50 - 3)

# %%
# Fit and error against the number of entries, in units of the degrees of freedom.

ratios = np.linspace(0.8, 6, 27)
fits, errors, recovered = [], [], []
for ratio in ratios:
    rows, cols = np.divmod(order[: int(ratio * freedom)], 50)
    problem = fejer.MatrixCompletion(rows, cols, X[rows, cols], X.shape, rank=3)
    result = fejer.minimize(problem, method="als", tol=1e-10, max_iter=500)
    fits.append(result.certificate.details["fit"])
    errors.append(np.linalg.norm(np.asarray(result.matrix) - X) / np.linalg.norm(X))
    recovered.append(result.recovered)
fits, errors, recovered = map(np.array, (fits, errors, recovered))

fig, ax = plt.subplots()
ax.semilogy(ratios, fits, "s-", color="0.7", label="observed entries")
ax.semilogy(ratios[recovered], errors[recovered], "o", label="all entries, recovered")
ax.semilogy(ratios[~recovered], errors[~recovered], "x", label="all entries, not recovered")
ax.set_xlabel("entries / degrees of freedom")
ax.set_ylabel("relative error")
ax.legend()

# %%
# One row with two entries cannot be completed to rank 3; all others can, and the result knows it.

rows, cols = np.divmod(order[:1200], 50)
scarce = (rows == 7) & (np.cumsum(rows == 7) > 2)
rows, cols = rows[~scarce], cols[~scarce]
problem = fejer.MatrixCompletion(rows, cols, X[rows, cols], X.shape, rank=3)
result = fejer.minimize(problem, method="als", tol=1e-10)
known = result.identified(*np.divmod(np.arange(X.size), 50)).reshape(X.shape)
off = np.abs(np.asarray(result.matrix) - X)
print(f"recovered: {result.recovered}, rows that are not determined: {np.where(~known.any(1))[0]}")
print(f"largest error there {off[~known].max():.1e}, elsewhere {off[known].max():.1e}")

# %%
# A perfect fit that is wrong: two groups of users, two groups of films, and between the groups no
# more than five ratings, fewer than the nine that would tie the two factorisations together. All
# ratings are matched, each group is right, and what one group would say of the other
# group's films is invented. Counting entries does not see it; the tangent space does.

first, second = rng.permutation(750)[:560], rng.permutation(750)[:560]
i = np.concatenate([first // 25, 30 + second // 25, np.arange(5)])
j = np.concatenate([first % 25, 25 + second % 25, 25 + 4 * np.arange(5)])
problem = fejer.MatrixCompletion(i, j, X[i, j], X.shape, rank=3)
result = fejer.minimize(problem, tol=1e-9)
off = np.abs(np.asarray(result.matrix) - X)
print(f"success: {result.success}, fit {result.certificate.details['fit']:.0e}")
print(f"recovered: {result.recovered} (level {result.recovery})")
print(f"error inside the groups {off[:30, :25].max():.0e}, between them {off[:30, 25:].max():.1f}")

# %%
# With noise the nuclear norm chooses the rank, and the duality gap proves the solution.

noisy = X[rows, cols] + 0.3 * rng.standard_normal(rows.size)
problem = fejer.MatrixCompletion(rows, cols, noisy, X.shape, rank=30, reg=1.0)
path = fejer.path(problem, reg=8, method="als", ratio=0.03)
distance = [np.linalg.norm(np.asarray(r.matrix) - X) / np.linalg.norm(X) for r in path.results]
ranks = [(r.singular_values > 1e-6).sum() for r in path.results]

fig, ax = plt.subplots()
ax.loglog(path.values, distance, "o-")
for reg, height, rank in zip(path.values, distance, ranks, strict=True):
    ax.annotate(str(rank), (reg, height), xytext=(0, 6), textcoords="offset points", ha="center")
ax.set_xlabel("reg (numbers: rank of the solution)")
ax.set_ylabel("relative error of all entries")
plt.show()
