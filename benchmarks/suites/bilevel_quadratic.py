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
        Instance(
            "QuadraticBilevel",
            "fejer.benchmarks.instances.bilevel:published_quadratic",
            {},
            "published instance, condition number 1e8",
        ),
    ),
    contenders=(
        Contender("maid"),
        Contender("maid", {"bound": "published"}, "maid, published bounds"),
        Contender("maid", {"fixed": True, "eps0": 1e-3, "delta0": 1e-3}, "maid, accuracy fixed"),
        Contender("hoag"),
        Contender("hoag", {"rule": "published"}, "hoag, as published"),
        Contender("penalty"),
        Contender("penalty", {"order": 1}, "penalty, one-sided"),
    ),
    max_time=5.0,
    notes=(
        "The published instance is not solved by any first-order method: read its curve of the "
        "objective, not its accuracy."
    ),
)
