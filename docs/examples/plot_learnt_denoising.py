"""
Denoising learnt on two photographs
===================================

Total-variation denoising has a weight and a smoothing. Patches that are known with and without
noise teach both: the upper level is the squared error, the lower level is the denoising itself.
Every step of the learning is certified to improve the true error, although no denoising is ever
solved exactly.
"""

import matplotlib.pyplot as plt
import numpy as np

import fejer
from fejer.benchmarks.instances.bilevel import photograph_denoising
from fejer.benchmarks.instances.pictures import CREDIT

problem = photograph_denoising(4, 48)
start = np.array([-5.0, -3.0])
result = fejer.minimize(problem, start, method="maid", tol=2e-2, max_iter=150, max_time=6.0)


def psnr(picture, clean):
    """Peak signal-to-noise ratio in decibels; white is 1."""
    return -10 * np.log10(np.mean((picture - clean) ** 2))


# %%
# Weight and smoothing are used on patches that they were not learnt on.
other = photograph_denoising(2, 96, seed=7)
denoised = other.y(result.x).reshape(other.clean.shape)
little = other.y(start).reshape(other.clean.shape)
print(f"learnt log weight and log smoothing {result.x.round(3)}, {result.certificate}")
print(f"PSNR noisy {psnr(other.noisy, other.clean):.2f} dB, start {psnr(little, other.clean):.2f}")
print(f"PSNR learnt {psnr(denoised, other.clean):.2f} dB")
assert psnr(denoised, other.clean) > psnr(other.noisy, other.clean) + 3

fig, axes = plt.subplots(2, 4, figsize=(11, 5.8))
columns = {"clean": other.clean, "noisy": other.noisy, "at the start": little, "learnt": denoised}
for column, (name, pictures) in zip(axes.T, columns.items(), strict=True):
    for ax, picture, clean in zip(column, pictures, other.clean, strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
        ax.set_axis_off()
        if name != "clean":
            ax.set_title(f"{name}, {psnr(picture, clean):.1f} dB", fontsize=9)
axes[0, 0].set_title("clean", fontsize=9)
fig.text(0.01, 0.01, CREDIT, fontsize=6)
plt.show()
