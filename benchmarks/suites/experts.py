"""Filters for denoising, learnt on photographs."""

from fejer.benchmarks.suite import Contender, Instance, Suite

SUITE = Suite(
    name="experts",
    title="Fields of experts learnt on photographs",
    instances=(
        Instance(
            "FieldOfExperts",
            "fejer.benchmarks.instances.bilevel:photograph_experts",
            {"size": 32},
            "8 filters of 5 x 5, 4 patches of 32 x 32",
        ),
        Instance(
            "FieldOfExperts",
            "fejer.benchmarks.instances.bilevel:photograph_experts",
            {"images": 2, "size": 16, "experts": 2, "side": 3},
            "2 filters of 3 x 3, 2 patches of 16 x 16",
        ),
    ),
    contenders=(
        Contender("hoag"),
        Contender("maid"),
        Contender("maid", {"inner": "nesterov"}, "maid, accelerated gradients below"),
    ),
    seeds=(0,),
    tol=1e-3,
    max_time=30.0,
    repeats=1,
    notes="Filters, weights and smoothing have a common scale: read the objective, not its end.",
)
