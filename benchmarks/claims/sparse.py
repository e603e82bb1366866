"""Sparse models and block coordinate descent: published figures and bars of speed.

Figures called "earlier" are those of a first implementation on the same recipes of data.
"""

from __future__ import annotations

from ._sparse_clusters import clustering_time, unlabelled_digits
from ._sparse_hidden import hidden_units
from ._sparse_hostile import false_successes
from ._sparse_models import (
    envelope_prox,
    envelope_sparsity,
    few_shot,
    lloyd,
    margins,
    rare_class,
    rare_diabetes,
    rare_growth,
    separation_counts,
)
from ._sparse_rules import (
    active_sets,
    gradient_classes,
    gradient_labels,
    gradient_logistic,
    gradient_squares,
    matrix_classes,
    matrix_squares,
    message_passing,
    partitions,
)
from ._sparse_speed import (
    cyclic_sweeps,
    finite_termination,
    forests,
    greedy_iteration,
    heap,
    identification,
    superlinear,
)

__all__ = [
    "active_sets",
    "clustering_time",
    "cyclic_sweeps",
    "envelope_prox",
    "envelope_sparsity",
    "false_successes",
    "few_shot",
    "finite_termination",
    "forests",
    "gradient_classes",
    "gradient_labels",
    "gradient_logistic",
    "gradient_squares",
    "greedy_iteration",
    "heap",
    "hidden_units",
    "identification",
    "lloyd",
    "margins",
    "matrix_classes",
    "matrix_squares",
    "message_passing",
    "partitions",
    "rare_class",
    "rare_diabetes",
    "rare_growth",
    "separation_counts",
    "superlinear",
    "unlabelled_digits",
]
