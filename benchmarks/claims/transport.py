"""Optimal transport: published figures, and the costs of iterations beside POT's."""

from __future__ import annotations

from ._transport_maps import (
    accurate_maps,
    gap_gradients,
    gap_of_optimal_maps,
    gap_of_others,
    learnt_maps,
    learnt_maps_for_distances,
    map_fits,
)
from ._transport_newton import (
    assignment,
    factors,
    hilbert,
    iteration_ratios,
    newton_growth,
    over_eta,
)
from ._transport_plans import (
    gap_left,
    hidden,
    limits,
    quadratic_evaluations,
    routing,
    smoothness,
)
from ._transport_speed import lazy_pass, log_pass, memory, scaling_pass

__all__ = [
    "accurate_maps",
    "assignment",
    "factors",
    "gap_gradients",
    "gap_left",
    "gap_of_optimal_maps",
    "gap_of_others",
    "hidden",
    "hilbert",
    "iteration_ratios",
    "lazy_pass",
    "learnt_maps",
    "learnt_maps_for_distances",
    "limits",
    "log_pass",
    "map_fits",
    "memory",
    "newton_growth",
    "over_eta",
    "quadratic_evaluations",
    "routing",
    "scaling_pass",
    "smoothness",
]
