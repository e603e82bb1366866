"""Equality-constrained test problems of Hock and Schittkowski (1981), with known minima.

Functions are analytic, so that a complex step gives their derivatives to rounding.
"""

import numpy as np

import fejer

R2 = np.sqrt(2.0)


def array(*entries):
    return np.array(entries)


# number: (objective, constraints, start, minimum)
TABLE = {
    6: (
        lambda x: (1 - x[0]) ** 2,
        lambda x: array(10 * (x[1] - x[0] ** 2)),
        [-1.2, 1],
        0.0,
    ),
    7: (
        lambda x: np.log(1 + x[0] ** 2) - x[1],
        lambda x: array((1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4),
        [2, 2],
        -np.sqrt(3),
    ),
    26: (
        lambda x: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 4,
        lambda x: array((1 + x[1] ** 2) * x[0] + x[2] ** 4 - 3),
        [-2.6, 2, 2],
        0.0,
    ),
    27: (
        lambda x: 0.01 * (x[0] - 1) ** 2 + (x[1] - x[0] ** 2) ** 2,
        lambda x: array(x[0] + x[2] ** 2 + 1),
        [2, 2, 2],
        0.04,
    ),
    28: (
        lambda x: (x[0] + x[1]) ** 2 + (x[1] + x[2]) ** 2,
        lambda x: array(x[0] + 2 * x[1] + 3 * x[2] - 1),
        [-4, 1, 1],
        0.0,
    ),
    39: (
        lambda x: -x[0],
        lambda x: array(x[1] - x[0] ** 3 - x[2] ** 2, x[0] ** 2 - x[1] - x[3] ** 2),
        [2, 2, 2, 2],
        -1.0,
    ),
    40: (
        lambda x: -x[0] * x[1] * x[2] * x[3],
        lambda x: array(x[0] ** 3 + x[1] ** 2 - 1, x[0] ** 2 * x[3] - x[2], x[3] ** 2 - x[1]),
        [0.8, 0.8, 0.8, 0.8],
        -0.25,
    ),
    42: (
        lambda x: np.sum((x - array(1, 2, 3, 4)) ** 2),
        lambda x: array(x[0] - 2, x[2] ** 2 + x[3] ** 2 - 2),
        [1, 1, 1, 1],
        28 - 10 * R2,
    ),
    46: (
        lambda x: (x[0] - x[1]) ** 2 + (x[2] - 1) ** 2 + (x[3] - 1) ** 4 + (x[4] - 1) ** 6,
        lambda x: array(
            x[0] ** 2 * x[3] + np.sin(x[3] - x[4]) - 1, x[1] + x[2] ** 4 * x[3] ** 2 - 2
        ),
        [R2 / 2, 1.75, 0.5, 2, 2],
        0.0,
    ),
    47: (
        lambda x: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 3 + (x[2] - x[3]) ** 4 + (x[3] - x[4]) ** 4,
        lambda x: array(
            x[0] + x[1] ** 2 + x[2] ** 3 - 3, x[1] - x[2] ** 2 + x[3] - 1, x[0] * x[4] - 1
        ),
        [2, R2, -1, 2 - R2, 0.5],
        0.0,
    ),
    48: (
        lambda x: (x[0] - 1) ** 2 + (x[1] - x[2]) ** 2 + (x[3] - x[4]) ** 2,
        lambda x: array(np.sum(x) - 5, x[2] - 2 * (x[3] + x[4]) + 3),
        [3, 5, -3, 2, -2],
        0.0,
    ),
    49: (
        lambda x: (x[0] - x[1]) ** 2 + (x[2] - 1) ** 2 + (x[3] - 1) ** 4 + (x[4] - 1) ** 6,
        lambda x: array(x[0] + x[1] + x[2] + 4 * x[3] - 7, x[2] + 5 * x[4] - 6),
        [10, 7, 2, -3, 0.8],
        0.0,
    ),
    50: (
        lambda x: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 2 + (x[2] - x[3]) ** 4 + (x[3] - x[4]) ** 2,
        lambda x: array(*(x[i] + 2 * x[i + 1] + 3 * x[i + 2] - 6 for i in range(3))),
        [35, -31, 11, 5, -5],
        0.0,
    ),
    51: (
        lambda x: (x[0] - x[1]) ** 2 + (x[1] + x[2] - 2) ** 2 + (x[3] - 1) ** 2 + (x[4] - 1) ** 2,
        lambda x: array(x[0] + 3 * x[1] - 4, x[2] + x[3] - 2 * x[4], x[1] - x[4]),
        [2.5, 0.5, 2, -1, 0.5],
        0.0,
    ),
    52: (
        lambda x: (
            (4 * x[0] - x[1]) ** 2 + (x[1] + x[2] - 2) ** 2 + (x[3] - 1) ** 2 + (x[4] - 1) ** 2
        ),
        lambda x: array(x[0] + 3 * x[1], x[2] + x[3] - 2 * x[4], x[1] - x[4]),
        [2, 2, 2, 2, 2],
        1859 / 349,
    ),
    77: (
        lambda x: (
            (x[0] - 1) ** 2
            + (x[0] - x[1]) ** 2
            + (x[2] - 1) ** 2
            + (x[3] - 1) ** 4
            + (x[4] - 1) ** 6
        ),
        lambda x: array(
            x[0] ** 2 * x[3] + np.sin(x[3] - x[4]) - 2 * R2,
            x[1] + x[2] ** 4 * x[3] ** 2 - 8 - R2,
        ),
        [2, 2, 2, 2, 2],
        0.24150513,
    ),
    78: (
        lambda x: x[0] * x[1] * x[2] * x[3] * x[4],
        lambda x: array(
            np.sum(x**2) - 10, x[1] * x[2] - 5 * x[3] * x[4], x[0] ** 3 + x[1] ** 3 + 1
        ),
        [-2, 1.5, 2, -1, -1],
        -2.91970041,
    ),
    79: (
        lambda x: (
            (x[0] - 1) ** 2
            + (x[0] - x[1]) ** 2
            + (x[1] - x[2]) ** 2
            + (x[2] - x[3]) ** 4
            + (x[3] - x[4]) ** 4
        ),
        lambda x: array(
            x[0] + x[1] ** 2 + x[2] ** 3 - 2 - 3 * R2,
            x[1] - x[2] ** 2 + x[3] + 2 - 2 * R2,
            x[0] * x[4] - 2,
        ),
        [2, 2, 2, 2, 2],
        0.0787768209,
    ),
}


def complex_step(function):
    """The derivative, exact to rounding: rows are outputs, the last axis are coordinates."""

    def derivative(x):
        columns = [function(x + 1e-30j * e) for e in np.eye(x.size)]
        return np.stack([np.imag(column) / 1e-30 for column in columns], axis=-1)

    return derivative


def problem(number, derivatives=True, **fields):
    f, c, x0, _ = TABLE[number]
    grad, jac = (complex_step(f), complex_step(c)) if derivatives else (None, None)
    return fejer.EqualityNLP(f, grad, c, jac, x0, **fields)
