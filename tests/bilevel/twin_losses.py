"""Twins of the classes with smooth, not quadratic lower levels: dense, in long doubles."""

import numpy as np

from tests.bilevel.twin import LONG, dense, solve


def newton(slope, hessian, y):
    """Minimise a strongly convex function by damped Newton steps, to the end of long doubles."""
    for _ in range(200):
        g = slope(y)
        step = solve(hessian(y), g)
        size, length = np.linalg.norm(g.astype(float)), LONG(1)
        while length > 1e-6 and np.linalg.norm(slope(y - length * step).astype(float)) > size:
            length /= 2
        y = y - length * step
        if np.linalg.norm(step.astype(float)) <= 1e-17 * (1 + np.linalg.norm(y.astype(float))):
            break
    return y


def softmax(T):
    E = np.exp(T - T.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


class Classifier:
    """Multinomial regression; two classes with labels -1, 1 and one vector are the binary one."""

    def __init__(self, problem):
        self.problem = problem
        self.A, self.V = dense(problem.X_train), dense(problem.X_val)
        self.binary = not hasattr(problem, "labels")
        self.names = np.array([-1.0, 1.0]) if self.binary else problem.labels
        self.K = len(self.names)
        m, mode = self.A.shape[1], problem.mode
        width = 1 if self.binary else self.K
        columns = np.repeat(np.arange(m), width)
        if not isinstance(mode, str):
            self.g = np.asarray(mode)[columns]
        else:
            choices = {"scalar": 0 * columns, "feature": columns, "weight": np.arange(m * width)}
            choices["class"] = np.tile(np.arange(width), m)
            self.g = choices[mode]
        self.columns = columns

    def spread(self, y):
        """Coefficients of all classes."""
        return np.stack([0 * y, y], axis=1) if self.binary else y.reshape(-1, self.K)

    def fold(self, G):
        return G[:, 1] if self.binary else G.reshape(-1)

    def one_hot(self, labels):
        return (np.asarray(labels)[:, None] == self.names).astype(LONG)

    def loss(self, X, labels, y):
        T = X @ self.spread(y)
        top = T.max(axis=1)
        total = np.log(np.exp(T - top[:, None]).sum(axis=1)) + top
        return (total - (T * self.one_hot(labels)).sum(axis=1)).mean()

    def slope(self, X, labels, y):
        R = softmax(X @ self.spread(y)) - self.one_hot(labels)
        return self.fold(X.T @ R / len(X))

    def hessian(self, X, y):
        P = softmax(X @ self.spread(y))
        if self.binary:
            return X.T @ ((P[:, 0] * P[:, 1])[:, None] * X) / len(X)
        m, K = X.shape[1], self.K
        H = np.zeros((m, K, m, K), dtype=LONG)
        for j in range(K):
            for k in range(K):
                w = P[:, j] * ((j == k) - P[:, k])
                H[:, j, :, k] = X.T @ (w[:, None] * X) / len(X)
        return H.reshape(m * K, m * K)

    def truth(self, x):
        """Phi, its gradients in x and in the penalties, and y*(x)."""
        problem = self.problem
        p = np.exp(np.asarray(x, dtype=LONG))[self.g] + LONG(problem.mu0)
        y = newton(
            lambda y: self.slope(self.A, problem.y_train, y) + p * y,
            lambda y: self.hessian(self.A, y) + np.diag(p),
            np.zeros(len(self.g), dtype=LONG),
        )
        q = solve(self.hessian(self.A, y) + np.diag(p), self.slope(self.V, problem.y_val, y))
        by_penalty = np.zeros(len(x), dtype=LONG)
        np.add.at(by_penalty, self.g, -y * q)
        fun = self.loss(self.V, problem.y_val, y)
        return fun, np.exp(np.asarray(x, LONG)) * by_penalty, by_penalty, y

    def sizes(self):
        squares = (self.A.astype(float) ** 2).mean(axis=0)[self.columns] / 4
        parts = [squares[(self.g == k) & (squares > 0)] for k in range(self.g.max() + 1)]
        return np.array([np.median(part) for part in parts])

    def weights(self, x):
        """dp/dt."""
        s, p = self.sizes(), np.exp(x)
        return (p + s) ** 2 / s

    def value(self, x):
        problem, s, p = self.problem, self.sizes(), np.exp(x)
        fun, _, slope, y = self.truth(x)
        null = float(self.loss(self.V, problem.y_val, 0 * y))
        unit = min(null, max(float(fun), 1e-6 * null))
        low, high = (np.exp(b) / (np.exp(b) + s) for b in (problem.lower, problem.upper))
        t = p / (p + s)
        moved = np.clip(t - (slope * self.weights(x)).astype(float) / unit, low, high)
        return float(np.linalg.norm(t - moved)) / problem.scale


class Cleaning(Classifier):
    """Sample weights sigma(x)."""

    def __init__(self, problem):
        self.problem = problem
        self.A, self.V = dense(problem.X_train), dense(problem.X_val)
        self.binary, self.names = False, problem.labels
        self.K = len(self.names)

    def weights(self, x):
        """dPhi/dt is what `truth` returns."""
        return 1.0

    def truth(self, x):
        """Phi, its gradients in x and in the weights, and y*(x)."""
        problem, A, n = self.problem, self.A, len(self.A)
        s = 1 / (1 + np.exp(-np.asarray(x, dtype=LONG)))
        wanted, mu0 = self.one_hot(problem.y_train), LONG(problem.mu0)
        rooted = A * np.sqrt(s)[:, None]

        def slope(y):
            R = s[:, None] * (softmax(A @ self.spread(y)) - wanted)
            return (A.T @ R / n).reshape(-1) + mu0 * y

        def hessian(y):
            P, m = softmax(A @ self.spread(y)), A.shape[1]
            H = np.zeros((m, self.K, m, self.K), dtype=LONG)
            for j in range(self.K):
                for k in range(self.K):
                    w = P[:, j] * ((j == k) - P[:, k])
                    H[:, j, :, k] = rooted.T @ (w[:, None] * rooted) / n
            return H.reshape(m * self.K, m * self.K) + mu0 * np.eye(m * self.K)

        y = newton(slope, hessian, np.zeros(A.shape[1] * self.K, dtype=LONG))
        q = solve(hessian(y), self.slope(self.V, problem.y_val, y))
        R = softmax(A @ self.spread(y)) - wanted
        by_weight = -((A @ self.spread(q)) * R).sum(axis=1) / n
        return self.loss(self.V, problem.y_val, y), s * (1 - s) * by_weight, by_weight, y

    def value(self, x):
        problem = self.problem
        fun, _, slope, y = self.truth(x)
        null = float(self.loss(self.V, problem.y_val, 0 * y))
        unit = min(null, max(float(fun), 1e-6 * null))
        low, high = (1 / (1 + np.exp(-b)) for b in (problem.lower, problem.upper))
        t = 1 / (1 + np.exp(-x))
        moved = np.clip(t - slope.astype(float) / unit, low, high)
        return float(np.linalg.norm(t - moved)) / problem.scale
