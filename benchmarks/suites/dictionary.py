"""Supervised dictionaries: global gaps, and the published steps beside ours."""

from fejer.benchmarks.suite import Contender, Instance, Suite

MODULE = "fejer.benchmarks.instances.lowrank"

SUITE = Suite(
    name="dictionary",
    title="Supervised dictionary learning",
    instances=(
        *(
            Instance(
                "SupervisedDictionary",
                f"{MODULE}:digits",
                {"first": 3, "second": 8, "rank": 8, "model": model, "xi": 1.0},
                f"digits 3 and 8, 8 atoms, {model}",
            )
            for model in ("filter", "feature")
        ),
        *(
            Instance(
                "SupervisedDictionary",
                params={"p": p, "n": n, "rank": 5, "covariates": 2, "model": model},
                label=f"planted, {p} x {n}, {model}",
            )
            for p, n, model in (
                (50, 300, "filter"),
                (200, 1000, "filter"),
                (200, 1000, "feature"),
            )
        ),
    ),
    contenders=(
        Contender("bcd-dictionary"),
        Contender("lpgd"),
        Contender("lpgd", {"memory": 0}, "lpgd, no memory"),
        Contender("lpgd", {"memory": 0, "step": "plain"}, "lpgd, as published"),
    ),
    seeds=(0, 1),
    max_time=20.0,
    repeats=1,
    notes="A certificate marked rigorous bounds the distance to the global minimum of the "
    "non-convex problem.",
)
