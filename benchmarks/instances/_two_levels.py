"""Functions of both levels of published examples, as objects that pickle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Coupled", "Quadratic", "Response"]


@dataclass(frozen=True)
class Quadratic:
    """The function ``1/2 w'Pw + q'w + c`` of w = (x, y), with its derivatives, as one object."""

    P: Any
    q: Any
    c: float = 0.0

    def value(self, x, y):
        """Return the value."""
        w = np.append(x, y)
        return 0.5 * w @ self.P @ w + self.q @ w + self.c

    def in_x(self, x, y):
        """Return the gradient in x."""
        return (self.P @ np.append(x, y) + self.q)[: x.size]

    def in_y(self, x, y):
        """Return the gradient in y."""
        return (self.P @ np.append(x, y) + self.q)[x.size :]

    def second(self, x, y):
        """Return the derivatives of the gradient in y."""
        return self.P[x.size :]


@dataclass(frozen=True)
class Coupled:
    """The functions of `coupled`, as one object."""

    n: int

    def upper(self, x, y):
        """Return F."""
        return 0.5 * np.sum((x - y[self.n :]) ** 2) + 0.5 * np.sum((y[: self.n] - 1) ** 2)

    def upper_in_x(self, x, y):
        """Return its gradient in x."""
        return x - y[self.n :]

    def upper_in_y(self, x, y):
        """Return its gradient in y."""
        return np.append(y[: self.n] - 1, y[self.n :] - x)

    def lower(self, x, y):
        """Return f."""
        return 0.5 * np.sum(y[: self.n] ** 2) - x @ y[: self.n] + np.sum(y[self.n :])

    def lower_in_x(self, x, y):
        """Return its gradient in x."""
        return -y[: self.n]

    def lower_in_y(self, x, y):
        """Return its gradient in y."""
        return np.append(y[: self.n] - x, np.ones(self.n))

    def second(self, x, y):
        """Return the derivatives of the gradient in y."""
        from scipy.sparse import coo_array

        i = np.arange(self.n)
        values = np.repeat([-1.0, 1.0], self.n)
        return coo_array(
            (values, (np.append(i, i), np.append(i, i + self.n))), (2 * self.n, 3 * self.n)
        )


@dataclass(frozen=True)
class Response:
    """The functions of `linear_response`, as one object."""

    c: Any
    d: Any

    def upper(self, x, y):
        """Return F."""
        return np.sin(self.c @ x + self.d @ y) + np.log1p(np.sum((x + y) ** 2))

    def _parts(self, x, y):
        wave = np.cos(self.c @ x + self.d @ y)
        return wave, 2 * (x + y) / (1 + np.sum((x + y) ** 2))

    def upper_in_x(self, x, y):
        """Return its gradient in x."""
        wave, pull = self._parts(x, y)
        return wave * self.c + pull

    def upper_in_y(self, x, y):
        """Return its gradient in y."""
        wave, pull = self._parts(x, y)
        return wave * self.d + pull

    def lower(self, x, y):
        """Return f."""
        return 0.5 * np.sum((x - y) ** 2)

    def lower_in_x(self, x, y):
        """Return its gradient in x."""
        return x - y

    def lower_in_y(self, x, y):
        """Return its gradient in y."""
        return y - x

    def second(self, x, y):
        """Return the derivatives of the gradient in y."""
        return np.hstack([-np.eye(x.size), np.eye(x.size)])
