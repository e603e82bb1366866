"""Ordered classes with a rare one."""

from fejer.benchmarks.suite import Contender, Instance, Suite

MODULE = "fejer.benchmarks.instances.ordinal"

SUITE = Suite(
    name="ordinal",
    title="Ordered classes with a rare one",
    instances=(
        Instance(
            "OrdinalRegression",
            f"{MODULE}:cut_diabetes_problem",
            {"ratio": 0.1},
            "diabetes, cut at 50, 80 and 95 per cent",
        ),
        *(
            Instance(
                "OrdinalRegression",
                f"{MODULE}:rare_problem",
                {"n": n, "ratio": 0.1},
                f"rare last class, {n} samples",
                size=float(n),
                family="rare",
            )
            for n in (1000, 4000, 16000)
        ),
        Instance(
            "OrdinalRegression",
            f"{MODULE}:rare_problem",
            {"n": 2500, "ratio": 0.01},
            "rare last class, 2500 samples, lam 0.01 of lam_max",
        ),
    ),
    contenders=(
        Contender("prox-newton"),
        Contender("prox-newton", {"accuracy": 1e-6}, "prox-newton, models to 1e-6"),
    ),
    seeds=(0, 1),
    all_solved=True,
    notes="The published solver of this model is an R package; no library of Python has it.",
)
