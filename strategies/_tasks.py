"""Which tasks a strategy that looks at whole samples has to go by."""

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ModelError
from annotate.types import Pool


def asked_tasks(pool: Pool) -> list[str]:
    """Ids of the tasks that are asked, sorted; none where every label is known.

    Raises `ModelError` without predictions, or when none are of a task that is asked.
    """
    if len(pool) and not pool.predictions:
        raise ModelError("this query strategy needs a model", hint="run `annotate train` first")
    if pool.unknown():
        raise ModelError(
            "the model knows none of the tasks that are asked",
            hint="until they have labels choose one that needs no model, such as `--strategy herding`",
        )
    return pool.asked()


def wanted_rows(pool: Pool) -> NDArray[np.bool_]:
    """(n,) where the label of a task that is asked is missing."""
    return np.any([np.zeros(len(pool), bool), *(pool.missing[t] for t in pool.asked())], axis=0)
