"""Random monotone operators, many at a time, and compiled ones."""

import numpy as np

import fejer


class Blocks:
    """Many affine operators of norm 1 at once: what does not mix them treats each by itself."""

    def __init__(self, count=500, size=6, cocoercive=False, seed=0):
        rng = np.random.default_rng(seed)
        S = rng.standard_normal((count, size, size)) * rng.uniform(0, 1, (count, 1, 1)) ** 3
        K = rng.standard_normal((count, size, size))
        # Ranks vary, and a third of the operators are skew: rotations.
        S[:, : size // 2] *= rng.integers(0, 2, (count, 1, 1))
        S *= (np.arange(count) % 3 > 0)[:, None, None]
        M = np.swapaxes(S, 1, 2) @ S / size
        if not cocoercive:
            M = M + 0.3 * (K - np.swapaxes(K, 1, 2))
        else:
            M = M + 1e-3 * np.eye(size)
        M /= np.linalg.norm(M, 2, axis=(1, 2))[:, None, None]
        self.M, self.zero = M, rng.standard_normal((count, size))
        kind = "cocoercive" if cocoercive else "monotone"
        self.problem = fejer.MonotoneInclusion(self.F, count * size, kind=kind, lipschitz=1.0)

    def F(self, z):
        d = z.reshape(self.zero.shape) - self.zero
        return np.einsum("bij,bj->bi", self.M, d).ravel()

    def sizes(self, z):
        """||F|| of each operator."""
        return np.linalg.norm(self.F(z).reshape(self.zero.shape), axis=1)

    @property
    def radii(self):
        return np.linalg.norm(self.zero, axis=1)


def affine(n=6, seed=0, sym=1.0):
    """M = sym * psd + skew, b, the norm and the zero."""
    rng = np.random.default_rng(seed)
    S, K = rng.standard_normal((2, n, n))
    M = sym * S @ S.T / n + 0.4 * (K - K.T)
    b = rng.standard_normal(n)
    return M, b, float(np.linalg.norm(M, 2)), np.linalg.solve(M, b)


def compiled_affine(M, b):
    """The same, and the projection on [-0.5, 0.5], for kernels."""
    import numba

    @numba.njit("void(f8[::1], f8[::1])")
    def F(z, out):
        for i in range(M.shape[0]):
            t = -b[i]
            for j in range(M.shape[1]):
                t += M[i, j] * z[j]
            out[i] = t
        z[:] = 1e9  # rude

    @numba.njit("void(f8[::1], f8, f8[::1])")
    def resolvent(v, eta, out):
        for j in range(v.size):
            out[j] = min(max(v[j], -0.5), 0.5)

    return F, resolvent
