"""
Mislabelled digits, found by a few clean ones
=============================================

Half of 300 training digits were relabelled at random. 200 clean ones decide how much each training
sample counts: the lower level trains a classifier on weighted samples, the upper level is its loss
on the clean digits. What the weights say of the labels can be compared with the truth, which the
method never sees.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer
from fejer.benchmarks.instances.bilevel import digits, digits_cleaning

problem = digits_cleaning(300, 200)
result = fejer.minimize(problem, method="hoag", tol=1e-2, max_iter=60, max_time=6.0)
weights = 1 / (1 + np.exp(-result.x))

# %%
# The split and the labels of `digits_cleaning`, drawn once more for the truth.
X, labels = digits()
order = np.random.default_rng(0).permutation(labels.size)
truth = labels[order[:300]]
wrong = problem.y_train != truth
test, wanted = X[order[500:]], labels[order[500:]]


def accuracy(y):
    """Share of other digits that the coefficients name rightly."""
    return np.mean(problem.labels[np.argmax(test @ y.reshape(-1, 10), axis=1)] == wanted)


before = accuracy(problem.y(problem.initial_point()))
after = accuracy(result.y)
print(f"{wrong.sum()} labels are wrong; mean weight of right ones {weights[~wrong].mean():.2f},")
print(f"of wrong ones {weights[wrong].mean():.2f}; {result.certificate}")
print(f"accuracy on {wanted.size} other digits: {before:.3f} with equal weights, {after:.3f} now")
assert after > before and weights[~wrong].mean() > weights[wrong].mean() + 0.2

fig = plt.figure(figsize=(9.5, 5.2), layout="constrained")
left, right = fig.subfigures(1, 2, width_ratios=(1, 1.15))
ax = left.subplots()
bins = np.linspace(0, 1, 21)
ax.hist(weights[~wrong], bins, alpha=0.7, label="right labels")
ax.hist(weights[wrong], bins, alpha=0.7, label="wrong labels")
ax.set(xlabel="learnt weight", ylabel="training samples", title="Weights, 1/2 at the start")
ax.legend()
axes = right.subplots(3, 4)
right.suptitle("The smallest weights: given label, and what it was", fontsize=10)
for ax, i in zip(axes.ravel(), np.argsort(weights, kind="stable"), strict=False):
    ax.imshow(problem.X_train.dense[i, :64].reshape(8, 8), cmap="gray_r")
    ax.set_title(f"{problem.y_train[i]:.0f}, was {truth[i]:.0f}", fontsize=9)
    ax.axis("off")
plt.show()
