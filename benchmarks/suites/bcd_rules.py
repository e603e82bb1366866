"""Rules of block coordinate descent, and forests against conjugate gradients."""

from fejer.benchmarks.suite import Contender, Instance, Suite

MODULE = "fejer.benchmarks.instances.sparse"


def _blocks(rule: str, partition: str, update: str) -> Contender:
    options = {"selection": rule, "partition": partition, "update": update, "block_size": 5}
    kind = "any blocks" if partition == "variable" else f"blocks by {partition}"
    return Contender(
        "bcd", options, f"{rule}, {kind}, {update}", problems=("BoxLeastSquares", "SparseLogistic")
    )


def _forest(rule: str, partition: str) -> Contender:
    options = {"selection": rule, "partition": partition, "update": "message-passing"}
    label = f"forests, {partition}, {rule}"
    return Contender("bcd", options, label, problems=("LabelPropagation",))


SUITE = Suite(
    name="bcd-rules",
    title="Rules of block coordinate descent",
    instances=(
        Instance("BoxLeastSquares", f"{MODULE}:scaled_squares", {"n": 300, "p": 100}, "squares"),
        Instance(
            "BoxLeastSquares",
            f"{MODULE}:nonnegative_squares",
            {"n": 200, "p": 1000, "lam": 5000.0},
            "nonnegative, l1",
        ),
        Instance("LabelPropagation", f"{MODULE}:moon_labels", label="two moons"),
        Instance("LabelPropagation", f"{MODULE}:lattice_labels", label="lattice"),
    ),
    contenders=(
        *(
            _blocks(rule, partition, "newton")
            for rule in ("cyclic", "random", "gs", "gsl", "gsd", "gsq", "gs-q")
            for partition in ("variable", "sort")
        ),
        _blocks("gs-q", "variable", "gradient"),
        _blocks("gsl", "variable", "gradient"),
        Contender("bcd", label="single coefficients, in turns"),
        Contender("bcd", {"selection": "gs"}, "single coefficients, gs"),
        *(_forest(rule, "variable") for rule in ("gs", "random")),
        *(_forest("cyclic", partition) for partition in ("sort", "order")),
        Contender("conjugate-gradient", problems=("LabelPropagation",)),
    ),
    seeds=(1, 2),
    rates=True,
    notes="An iteration is one block or one forest. Greedy rules win per iteration and need not "
    "win per second: each looks at the whole gradient.",
)
