"""Bilevel problems whose levels are least squares."""

from fejer.benchmarks.suite import Contender, Instance, Suite

SUITE = Suite(
    name="bilevel-quadratic",
    title="Bilevel problems with quadratic levels",
    instances=(
        Instance(
            "RidgeBilevel",
            "fejer.benchmarks.instances.tables:diabetes_ridge",
            {},
            "two ridge penalties, diabetes",
        ),
        Instance(
            "RidgeBilevel",
            params={"n_train": 100, "n_val": 100, "n_features": 20, "mode": "feature"},
            label="20 ridge penalties, random",
        ),
        *(
            Instance(
                "QuadraticBilevel",
                params={"n": n, "m": 2 * n, "rows": 10 * n},
                label=f"least squares, n = {n}",
                size=float(n),
                family="least squares",
            )
            for n in (4, 16, 64)
        ),
    ),
    contenders=(
        Contender("hoag"),
        Contender("hoag", {"rule": "published"}, "hoag, as published"),
    ),
    max_time=5.0,
)
