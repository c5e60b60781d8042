"""Which tasks a strategy that ranks whole samples takes into account."""

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ModelError
from annotate.types import Pool


def asked_tasks(pool: Pool) -> list[str]:
    """Ids of the asked tasks, sorted; empty if every label is known.

    Raises `ModelError` without predictions, or when there are none for any asked task.
    """
    if len(pool) and not pool.predictions:
        raise ModelError("this query strategy needs a model", hint="run `annotate train` first")
    if pool.unknown():
        raise ModelError(
            "the model predicts none of the tasks that are asked",
            hint="until they have labels, choose a strategy that needs no model: `--strategy herding`",
        )
    return pool.asked()


def wanted_rows(pool: Pool) -> NDArray[np.bool_]:
    """(n,) whether the label of an asked task is missing."""
    return np.any([np.zeros(len(pool), bool), *(pool.missing[t] for t in pool.asked())], axis=0)
