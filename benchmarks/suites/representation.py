"""An embedding that many tasks share, and weights of mislabelled samples: stochastic methods."""

from fejer.benchmarks.suite import Contender, Instance, Suite

HERE = "fejer.benchmarks.instances.bilevel"

SUITE = Suite(
    name="representation",
    title="Representations shared by tasks, and cleaning: stochastic bilevel methods",
    instances=(
        Instance("Bilevel", f"{HERE}:representation", {}, "embedding of 30 words, 20 tasks"),
        Instance(
            "DataHyperCleaning",
            f"{HERE}:digits_cleaning",
            {"n_train": 300, "n_val": 200},
            "300 digits, half relabelled",
        ),
    ),
    contenders=(
        Contender("bo-rep", {"steps": 2000, "batch": 128, "eta": 0.01}),
        Contender("soba", {"steps": 2000, "batch": 128}),
        Contender("penalty", {"order": 1}, "penalty, one-sided"),
        Contender("hoag"),
    ),
    seeds=(0,),
    tol=1e-3,
    max_time=20.0,
    repeats=1,
    notes="Read the objective against work: stochastic methods come near, and end uncertified.",
)
