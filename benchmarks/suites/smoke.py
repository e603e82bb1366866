"""Every family for a moment: does anything break, and is everything certified?"""

from dataclasses import replace

from fejer.benchmarks.suite import Contender, Instance, Peer, Suite

from . import constrained, fixed_point, lasso, linear, transport

LASSO, MAP, PROGRAM, BILEVEL = (
    ("Lasso",),
    ("FixedPoint",),
    ("LinearProgram",),
    ("QuadraticBilevel",),
)


def _rivals(suite: Suite, *problems: str) -> tuple[Peer, ...]:
    return tuple(replace(peer, problems=problems) for peer in suite.peers)


SUITE = Suite(
    name="smoke",
    title="Every family for a moment",
    instances=(
        Instance("EntropicOT", params={"n": 60}, label="transport, n = 60"),
        Instance("Lasso", params={"n": 100, "p": 200}, label="Lasso, 100 x 200"),
        Instance("FixedPoint", params={"n": 50}, label="affine map, n = 50"),
        Instance("LinearProgram", params={"m": 20, "n": 40}, label="linear program, 20 x 40"),
        Instance("MatrixCompletion", label="completion, 30 x 20"),
        Instance("QuadraticBilevel", label="bilevel, n = 4"),
        Instance("EqualityNLP", params={"n": 16, "m": 4}, label="constrained, n = 16"),
    ),
    contenders=(
        Contender("sinkhorn", problems=("EntropicOT",)),
        Contender("bcd", problems=LASSO),
        Contender("fista", problems=LASSO),
        Contender("anderson", problems=MAP),
        Contender("halpern", problems=MAP),
        Contender("highs", problems=PROGRAM),
        Contender("pdhg", problems=PROGRAM),
        Contender("als", problems=("MatrixCompletion",)),
        Contender("hoag", problems=BILEVEL),
        Contender("alm", problems=("EqualityNLP",)),
    ),
    peers=(
        *_rivals(transport.SUITE, "EntropicOT"),
        *_rivals(lasso.SUITE, *LASSO),
        *_rivals(fixed_point.SUITE, *MAP),
        *_rivals(linear.SUITE, *PROGRAM),
        *_rivals(constrained.SUITE, "EqualityNLP"),
    ),
    seeds=(0, 1, 2),
    max_time=5.0,
    repeats=5,
    rates=True,
    all_solved=True,
    notes="Instances are tiny: what this suite says of speed concerns fixed costs.",
)
