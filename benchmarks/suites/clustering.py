"""Few-shot clustering with a graph."""

from fejer.benchmarks.suite import Contender, Instance, Suite

SUITE = Suite(
    name="clustering",
    title="Clustering with a graph",
    instances=tuple(
        Instance(
            "LaplacianClustering",
            params={"n": n, "d": 8, "n_classes": 5, "spread": 0.6, "prototypes": prototypes},
            label=f"{n} points, {prototypes}",
            size=float(n),
            family=prototypes,
        )
        for prototypes in ("means", "modes")
        for n in (200, 800, 3200)
    ),
    contenders=(
        Contender("bound-optimiser"),
        Contender("bound-optimiser", {"inner": 20}, "bound-optimiser, 20 updates of S"),
        Contender("bound-optimiser", {"delta": 0.0}, "bound-optimiser without damping"),
    ),
    seeds=(0, 1),
    notes="Without damping the iteration is the published one; it may go round in circles.",
)
