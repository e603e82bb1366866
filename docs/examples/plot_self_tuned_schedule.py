"""
A schedule that nobody wrote
============================

A network for digits has dropout, noisy inputs and shifted inputs. None of these can be
differentiated in the training loss, the shift is an integer, and the best values change as training
goes on. Self-tuning learns how the weights answer to small changes of them, and moves them by the
validation loss while the network trains: one training run, and a schedule comes out of it. The
picture shows the schedule, and the loss beside that of runs whose hyperparameters stay what they
were, at the same number of training gradients.
"""

import matplotlib.pyplot as plt
import numpy as np

from fejer.benchmarks.instances.bilevel import digits_network
from fejer.driver import Run

STEPS, EVERY, LENGTH = 900, 30, 0.3

problem = digits_network()
options = {"steps": STEPS, "warm": 24, "absolute_step": LENGTH, "upper_step": 0.02}
run = Run(problem, method="self-tuning", options=options, tol=0.0)
run.open()
path, losses, steps = [], [], range(EVERY, STEPS + 1, EVERY)
for k in steps:
    while run.state.nit < k:
        run.forward(k)
    path.append(run.state.x.copy())
    losses.append(problem.F(run.state.x, run.state.base))


def fixed(x):
    """Train with hyperparameters that stay, by the same steps; the losses on the way."""
    still, y, push = digits_network(), np.array(problem.y0), np.zeros(problem.y0.size)
    found = []
    for k in range(1, 2 * STEPS + 1):
        push = 0.9 * push + LENGTH * still.grad_y_f(x, y)
        y = y - 0.1 * push
        if k % (2 * EVERY) == 0:
            found.append(still.F(x, y))
    return found


start, end = fixed(problem.x0), fixed(path[-1])
print(f"validation loss at the end: self-tuned {losses[-1]:.3f}, hyperparameters of the start")
print(f"{start[-1]:.3f}, those that self-tuning ended with, from the start on {end[-1]:.3f}")

# %%
path = np.array(path)
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
left.plot(steps, 1 / (1 + np.exp(-path[:, 0])), label="dropout of pixels")
left.plot(steps, 1 / (1 + np.exp(-path[:, 1])), label="dropout of hidden units")
left.plot(steps, np.exp(path[:, 2]), label="noise of the inputs")
left.plot(steps, path[:, 3], label="shift in pixels, to be rounded")
left.axvline(24, color="0.7", lw=0.8)
left.set(xlabel="iteration", title="The schedule (tuned from the grey line on)")
left.legend(fontsize=8)
right.plot(steps, losses, label="self-tuned")
right.plot(steps, start, label="values of the start, fixed")
right.plot(steps, end, label="values of the end, fixed")
right.set(xlabel="iteration", title="Validation loss", yscale="log")
right.legend(fontsize=8)
plt.show()
