"""Matrix completion: photographs with missing pixels, and planted matrices."""

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

SWEEPS = (1 / 8, 1 / 16, 1 / 32, 1 / 64)

SUITE = Suite(
    name="completion",
    title="Matrix completion",
    instances=(
        *(
            Instance(
                "MatrixCompletion",
                "fejer.benchmarks.instances.pictures:damaged_photograph",
                {"name": name, "reduce": reduce, "rank": 20},
                f"photograph {name}, half of the pixels missing, reduced by {reduce}",
            )
            for name, reduce in (("flower", 8), ("china", 8), ("flower", 4))
        ),
        *(
            Instance(
                "MatrixCompletion",
                "fejer.benchmarks.instances.lowrank:hidden_digits",
                {"reg": reg},
                f"digits, half of the pixels hidden, reg {reg:g}",
            )
            for reg in (200.0, 50.0)
        ),
        *(
            Instance(
                "MatrixCompletion",
                params={"m": n, "n": n, "rank": 4, "reg": reg, "noise": 0.01 if reg else 0.0},
                label=f"planted rank 4, {n} x {n}, reg {reg:g}",
                size=0.0 if reg else float(n),
                family="planted, reg 0",
            )
            for n, reg in ((100, 0.0), (200, 0.0), (400, 0.0), (200, 2.0))
        ),
    ),
    contenders=(
        Contender("altmin"),
        Contender("als"),
        Contender("als", {"start": "random"}, "als, random start"),
    ),
    peers=(
        Peer("cmfrec Cholesky", "fejer.benchmarks.peers.cmfrec:cholesky", "cmfrec", SWEEPS),
        Peer("cmfrec CG", "fejer.benchmarks.peers.cmfrec:cg", "cmfrec", SWEEPS),
    ),
    seeds=(0, 1),
    memory=True,
    notes="cmfrec has no tolerance and computes in single precision: it is given 8, 16, 32 and 64 "
    "sweeps. A photograph is not of low rank; nothing is recovered there, and none is claimed.",
)
