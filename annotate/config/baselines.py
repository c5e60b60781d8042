"""The baselines of CH-SIMS as presets of `[train]`, and how changes are merged into settings."""

from collections.abc import Mapping
from typing import Any

Changes = Mapping[str, Any]
"""Keys of `[train]` with their values; `options` by plug-in, as in the file."""

PRESETS: Mapping[str, Changes] = {
    "mlf-dnn": {
        "hidden": 32,
        "batch_size": 32,
        "learning_rate": 2e-3,
        "weight_decay": 0.0,
        "dropout": 0.3,
        "patience": 8,
        "encoder": "mean-pool",
        "fusion": "concat",
        "sharing": "hard",
        "weighting": "fixed",
        "regression_head": "mean",
        "options": {
            "text": {"inner": 64},
            "audio": {"inner": 32},
            "vision": {"inner": 64},
            "hard": {"trunk": False},
            "concat": {"layers": 2},
            "fixed": {"M": 0.6, "T": 0.2, "A": 0.8, "V": 0.8},
            "mean": {"bend": 0.0},
        },
    },
    "mtfn": {
        "hidden": 64,
        "batch_size": 64,
        "learning_rate": 5e-3,
        "weight_decay": 0.0,
        "dropout": 0.2,
        "patience": 8,
        "encoder": "mean-pool",
        "fusion": "tensor",
        "sharing": "hard",
        "weighting": "fixed",
        "regression_head": "mean",
        "options": {
            "text": {"inner": 256},
            "audio": {"inner": 32},
            "vision": {"inner": 256},
            "hard": {"trunk": False},
            "tensor": {"size": 20},
            "fixed": {"M": 0.6, "T": 0.4, "A": 0.0, "V": 1.0},
            "mean": {"bend": 0.0},
        },
    },
    "mlmf": {
        "hidden": 64,
        "batch_size": 128,
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "dropout": 0.3,
        "patience": 8,
        "encoder": "mean-pool",
        "fusion": "low-rank",
        "sharing": "hard",
        "weighting": "fixed",
        "regression_head": "mean",
        "options": {
            "text": {"inner": 256},
            "audio": {"inner": 32},
            "vision": {"inner": 256},
            "hard": {"trunk": False},
            "low-rank": {"size": 64, "rank": 3},
            "fixed": {"M": 0.2, "T": 1.0, "A": 0.4, "V": 0.8},
            "mean": {"bend": 0.0},
        },
    },
}
"""The multi-task baselines of CH-SIMS (Yu et al. 2020; hyper-parameters as MMSA 2.2.1 has them for it): what
an inner layer is as wide as, the width behind the fusion, dropout, loss weights, absolute error, no decay."""


def merge(changes: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `settings` with `changes` applied; nested tables are merged in the same way."""
    merged = dict(settings)
    for key, value in changes.items():
        old = merged.get(key)
        nested = isinstance(value, Mapping) and isinstance(old, Mapping)
        merged[key] = merge(value, old) if nested and isinstance(old, Mapping) else value
    return merged
