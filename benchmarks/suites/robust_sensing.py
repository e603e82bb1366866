"""Robust sensing: outliers, over-estimated ranks, and the size of the start."""

from fejer.benchmarks.suite import Contender, Instance, Suite

MODULE = "fejer.benchmarks.instances.lowrank"

SUITE = Suite(
    name="robust-sensing",
    title="Low-rank matrices from measurements with outliers",
    instances=(
        *(
            Instance(
                "MatrixSensing",
                f"{MODULE}:sensing",
                {"d": 30, "rank": 2, "asked": asked, "count": count, "outliers": share},
                f"d 30, rank 2, asked {asked}, {count} measurements, {share:.0%} outliers",
                size=float(asked),
                family=f"rank asked for, {share:.0%} outliers",
            )
            for count, share in ((900, 0.1), (1500, 0.3))
            for asked in (2, 8, 30)
        ),
        Instance(
            "MatrixSensing",
            f"{MODULE}:sensing",
            {"d": 30, "rank": 2, "asked": 6, "count": 1500, "outliers": 0.1, "kappa": 10.0},
            "d 30, rank 2, asked 6, condition number 10, 10% outliers",
        ),
    ),
    contenders=(
        Contender("subgm"),
        Contender("subgm", {"finish": "none"}, "subgm, rank kept"),
    ),
    seeds=(0, 1),
    notes="Iterations must not depend on the rank that is asked for.",
)
