"""Construction: every bad field is named by an error of ours."""

import numpy as np
import pytest

import fejer

Q = fejer.QuadraticBilevel.random()
QUADRATIC = {"A1": Q.A1.dense, "b1": Q.b1, "A2": Q.A2.dense, "A3": Q.A3.dense, "b2": Q.b2}
R = fejer.RidgeBilevel.random()
RIDGE = {
    "X_train": R.X_train.dense,
    "y_train": R.y_train,
    "X_val": R.X_val.dense,
    "y_val": R.y_val,
}


def with_entry(array, value):
    array = np.array(array)
    array.flat[1] = value
    return array


MATRICES = {
    "nan": lambda A: with_entry(A, np.nan),
    "infinite": lambda A: with_entry(A, np.inf),
    "complex": lambda A: A.astype(complex),
    "text": lambda A: A.astype(str),
    "a text": lambda A: "matrix",
    "None": lambda A: None,
    "a vector": lambda A: A[0],
    "empty": lambda A: A[:0],
    "three dimensions": lambda A: A[None],
    "ragged": lambda A: [[1.0], [1.0, 2.0]],
    "too large": lambda A: 1e150 * A,
    "too small": lambda A: 1e-150 * A,
}
VECTORS = {
    "nan": lambda b: with_entry(b, np.nan),
    "infinite": lambda b: with_entry(b, -np.inf),
    "complex": lambda b: b + 1j,
    "text": lambda b: "vector",
    "None": lambda b: None,
    "too long": lambda b: np.append(b, 0.0),
    "too short": lambda b: b[:-1],
    "a column": lambda b: b[:, None],
    "empty": lambda b: b[:0],
    "too large": lambda b: 1e150 * b,
}


def rows():
    for cls, good in ((fejer.QuadraticBilevel, QUADRATIC), (fejer.RidgeBilevel, RIDGE)):
        for field, data in good.items():
            for what, spoil in (MATRICES if data.ndim == 2 else VECTORS).items():
                yield pytest.param(
                    cls, good, field, spoil(data), id=f"{cls.__name__}-{field}-{what}"
                )


@pytest.mark.parametrize(("cls", "good", "field", "value"), list(rows()))
def test_data(cls, good, field, value):
    with pytest.raises(fejer.ProblemError, match=field):
        cls(**{**good, field: value})


@pytest.mark.parametrize(
    ("cls", "field", "value", "named"),
    [
        (fejer.QuadraticBilevel, "A2", Q.A2.dense[:, :-1], "A2"),
        (fejer.QuadraticBilevel, "A3", Q.A3.dense[:-1], "A3"),
        (fejer.QuadraticBilevel, "A2", np.ones((30, 6)), "A2: expected full column rank"),
        (fejer.QuadraticBilevel, "A2", np.zeros((30, 6)), "A2: expected full column rank"),
        (fejer.QuadraticBilevel, "scale", 0.0, "scale"),
        (fejer.QuadraticBilevel, "scale", -1.0, "scale"),
        (fejer.QuadraticBilevel, "scale", np.nan, "scale"),
        (fejer.QuadraticBilevel, "scale", True, "scale"),
        (fejer.RidgeBilevel, "X_val", R.X_val.dense[:, :-1], "X_val"),
        (fejer.RidgeBilevel, "scale", np.inf, "scale"),
        (fejer.RidgeBilevel, "scale", "1", "scale"),
        (fejer.RidgeBilevel, "lower", 4.0, "upper"),
        (fejer.RidgeBilevel, "lower", -np.inf, "lower"),
        (fejer.RidgeBilevel, "lower", -1e3, "lower"),
        (fejer.RidgeBilevel, "lower", None, "lower"),
        (fejer.RidgeBilevel, "upper", -12.0, "upper"),
        (fejer.RidgeBilevel, "upper", np.nan, "upper"),
        (fejer.RidgeBilevel, "upper", 1e3, "upper"),
        (fejer.RidgeBilevel, "mode", "column", "mode"),
        (fejer.RidgeBilevel, "mode", None, "mode"),
        (fejer.RidgeBilevel, "mode", 3, "mode"),
        (fejer.RidgeBilevel, "mode", [0, 1], "mode"),
        (fejer.RidgeBilevel, "mode", [0, 0, 2, 2, 2, 2, 2, 2], "mode"),
        (fejer.RidgeBilevel, "mode", [-1, 0, 0, 0, 0, 0, 0, 0], "mode"),
        (fejer.RidgeBilevel, "mode", [-1] * 8, "mode"),
        (fejer.RidgeBilevel, "mode", [0.5, 0, 0, 0, 0, 0, 0, 1], "mode"),
        (fejer.RidgeBilevel, "mode", [np.nan] * 8, "mode"),
        (fejer.RidgeBilevel, "mode", ["a"] * 8, "mode"),
    ],
)
def test_fields(cls, field, value, named):
    good = QUADRATIC if cls is fejer.QuadraticBilevel else RIDGE
    with pytest.raises(fejer.ProblemError, match=named):
        cls(**{**good, field: value})


def test_fewer_rows_than_columns_below():
    with pytest.raises(fejer.ProblemError, match="A2: expected full column rank"):
        fejer.QuadraticBilevel(np.ones((2, 3)), [1, 2], np.eye(3)[:2], np.ones((2, 1)), [0, 0])


@pytest.mark.parametrize(
    "options",
    [
        {"rule": "new"},
        {"decrease": "slow"},
        {"inner": "lbfgs"},
        {"eps0": 0.0},
        {"eps0": 2},
        {"eps": 1},
    ],
)
def test_options(options):
    with pytest.raises(fejer.OptionError, match="hoag"):
        fejer.minimize(Q, method="hoag", options=options)
