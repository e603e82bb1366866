"""
A hypergradient that is wrong, and a bound that says so
=======================================================

The gradient of a validation loss in the penalties needs the solution of the training problem. If
training stops early, a number comes out all the same: here it is wrong by up to ten times its size,
for hundreds of steps, and nothing in it shows. The error bound that comes with every hypergradient
of this library does show it, at any stage. Its first order is computed, by two linear systems, and
only the second is a worst case: far above the error while training is young, it falls like the
square of the training residual, faster than the published bound, to below the hypergradient itself,
and then its sign can be relied on.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import fejer

data = load_digits(n_class=4)
X = data.data / 16.0
problem = fejer.MultinomialBilevel(
    X[:300], data.target[:300], X[300:600], data.target[300:600], mode="class", mu0=1e-4
)
x = np.full(problem.size, -8.0)
truth = fejer.hypergradient(problem, x, 1e-12)
print(f"true hypergradient {truth.value.round(5)}, known to {truth.error:.1e}")

# %%
# Train by accelerated gradients, and look at what is known after each step.
constants = problem.constants(x)
root = np.sqrt(constants.mu / constants.lipschitz)
momentum = (1 - root) / (1 + root)
y = before = problem.lower_start()
steps, errors, bounds, published = [], [], [], []
for k in range(2001):
    if k in {0, 1, 2, 3, 5, 8} or k % 10 == 0:
        known = problem.assess(x, y)
        steps.append(max(k, 0.7))
        errors.append(np.linalg.norm(known.gradient - truth.value))
        bounds.append(known.error)
        published.append(known.published_error)
    following = y - problem.lower_gradient(x, y) / constants.lipschitz
    y = following + momentum * (following - before)
    before = following

size = np.linalg.norm(truth.value)
early = [k for k, error in zip(steps, errors, strict=True) if error > 0.5 * size]
print(f"wrong by more than half of its size up to step {max(early, default=0):.0f}")
assert all(error <= bound for error, bound in zip(errors, bounds, strict=True))

fig, ax = plt.subplots(figsize=(7, 4.5))
ax.loglog(steps, np.array(published) / size, "C7--", label="published bound")
ax.loglog(steps, np.array(bounds) / size, "C0", label="bound of this library")
ax.loglog(steps, np.array(errors) / size, "C3", label="true error")
ax.axhline(1.0, color="k", lw=0.5)
ax.set(xlabel="training steps", ylabel="error over the size of the hypergradient")
ax.set_title("Classifier of four digits, one penalty for each class", fontsize=10)
ax.legend()
plt.show()
