"""Unconstrained features: global gaps of a model of the last layer, with and without anchor."""

from fejer.benchmarks.suite import Contender, Instance, Suite

SUITE = Suite(
    name="features",
    title="Unconstrained features and neural collapse",
    instances=(
        *(
            Instance(
                "UnconstrainedFeatures",
                params={
                    "n_classes": classes,
                    "per_class": each,
                    "dim": dim,
                    "reg_w": 5e-3 if each < 500 else 5e-4,
                    "reg_h": 1e-3 if each < 500 else 1e-4,
                },
                label=f"{classes} classes of {each}, features of length {dim}",
                size=float(classes * each),
                family="no anchor",
            )
            for classes, each, dim in ((4, 10, 6), (10, 100, 64), (20, 500, 64))
        ),
        *(
            Instance(
                "UnconstrainedFeatures",
                params={"n_classes": 4, "per_class": 50, "dim": 16, "beta": beta},
                label=f"4 classes of 50, anchor of weight {beta:g}",
            )
            for beta in (1.0, 0.1, 0.01, 0.001)
        ),
    ),
    contenders=(
        Contender("als"),
        Contender("als", {"start": "random"}, "als, random start"),
    ),
    seeds=(0, 1),
    notes="Without an anchor the minimum is known in closed form, and every certificate is a gap "
    "to it. With one the gap closes where the anchor is strong or weak; in between the value is "
    "a condition of a local minimum, and is not marked rigorous.",
)
