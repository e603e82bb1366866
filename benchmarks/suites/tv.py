"""Total-variation denoising learnt on photographs."""

from fejer.benchmarks.suite import Contender, Instance, Suite

HERE = "fejer.benchmarks.instances.bilevel:photograph_denoising"

SUITE = Suite(
    name="tv",
    title="Weight and smoothing of total-variation denoising, learnt on photographs",
    instances=(
        Instance("TVDenoising", HERE, {}, "24 patches of 96 x 96"),
        *(
            Instance(
                "TVDenoising",
                HERE,
                {"images": 4, "size": size},
                f"4 patches of {size} x {size}",
                size=4.0 * size * size,
                family="pixels",
            )
            for size in (16, 32, 64)
        ),
    ),
    contenders=(
        Contender("maid"),
        Contender("maid", {"inner": "nesterov"}, "maid, accelerated gradients below"),
        Contender("hoag"),
    ),
    seeds=(0,),
    tol=1e-3,
    max_time=30.0,
    repeats=1,
    notes="Seconds are of one thread; a unit of work is a gradient or a product with H.",
)
