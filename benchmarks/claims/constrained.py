"""Equality constraints, sketches, approximate Hessians and graphs: published figures."""

from __future__ import annotations

from ._constrained_graphs import (
    graph_orderings,
    graph_refit,
    graph_rival,
    graph_speed,
    level_costs,
    unscaled_noise,
)
from ._constrained_hessians import hessian_rates, newton_speed, sampled_rows
from ._constrained_sketches import (
    control,
    logistic_on_a_sphere,
    practical_sketches,
    published_gaussian,
    published_sketches,
    quadratic_steps,
    sketched_rates,
)
from ._constrained_table import false_successes
from ._constrained_targets import (
    conserved_errors,
    conserved_mass,
    imitation_queries,
    surrogate_batches,
    surrogate_gradients,
)

__all__ = [
    "conserved_errors",
    "conserved_mass",
    "control",
    "false_successes",
    "graph_orderings",
    "graph_refit",
    "graph_rival",
    "graph_speed",
    "hessian_rates",
    "imitation_queries",
    "level_costs",
    "logistic_on_a_sphere",
    "newton_speed",
    "practical_sketches",
    "published_gaussian",
    "published_sketches",
    "quadratic_steps",
    "sampled_rows",
    "sketched_rates",
    "surrogate_batches",
    "surrogate_gradients",
    "unscaled_noise",
]
