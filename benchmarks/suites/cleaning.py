"""Weights of training samples and penalties, chosen on validation data: handwritten digits."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

HERE = "fejer.benchmarks.instances.bilevel"

SUITE = Suite(
    name="cleaning",
    title="Mislabelled digits, and penalties of a classifier of digits",
    instances=(
        Instance(
            "DataHyperCleaning",
            f"{HERE}:digits_cleaning",
            {},
            "900 digits, half relabelled",
        ),
        Instance(
            "MultinomialBilevel", f"{HERE}:digits_penalties", {}, "10 penalties, one for each digit"
        ),
        Instance(
            "MultinomialBilevel",
            f"{HERE}:digits_penalties",
            {"mode": "scalar"},
            "one penalty for all digits",
        ),
    ),
    contenders=(
        Contender("maid"),
        Contender("maid", {"inner": "nesterov"}, "maid, accelerated gradients below"),
        Contender("hoag"),
        Contender("penalty"),
    ),
    peers=(
        Peer(
            "GridSearchCV, 30 penalties",
            "fejer.benchmarks.peers.grid_search:one_penalty",
            "sklearn",
            (1e-4, 1e-6),
            "scikit-learn",
            ("MultinomialBilevel",),
        ),
    ),
    seeds=(0,),
    tol=1e-3,
    max_time=20.0,
    repeats=1,
    notes=(
        "Sample weights are judged in the weights themselves: flat ends of the sigmoid count. A "
        "grid finds no stationary point; with ten penalties it finds the best one for all."
    ),
)
