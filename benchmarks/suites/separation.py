"""Separation of two classes: normalised steps, plain ones and perceptrons."""

from fejer.benchmarks.suite import Contender, Instance, Suite

SUITE = Suite(
    name="separation",
    title="Separation of two classes",
    instances=tuple(
        Instance(
            "Separation",
            params={"n": n, "d": d, "margin": margin},
            label=f"{n} points in {d} dimensions, margin {margin:g}",
        )
        for n, d, margin in ((900, 50, 0.3), (1000, 5, 0.05), (5000, 20, 0.1))
    ),
    contenders=(
        Contender("nlr-gd"),
        Contender("nlr-gd", {"step": 100.0}),
        Contender("lr-gd"),
        Contender("lr-gd", {"step": 1e4}),
        Contender("batch-perceptron"),
        Contender("n-batch-perceptron"),
        Contender("perceptron"),
    ),
    notes="The normalised methods have the better worst case, not the better typical case: on "
    "Gaussian data large plain steps need fewer iterations.",
)
