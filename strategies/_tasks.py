"""Which tasks a strategy that looks at whole samples has to go by."""

from annotate.errors import ModelError
from annotate.types import Pool


def asked_tasks(pool: Pool) -> list[str]:
    """Ids of the tasks that are asked, sorted; none where every label is known.

    Raises `ModelError` without predictions, or with none of a present task.
    """
    if len(pool) and not pool.predictions:
        raise ModelError("this query strategy needs a model", hint="run `annotate train` first")
    if len(pool) and not set(pool.missing) & set(pool.predictions):
        raise ModelError("the model knows none of the present tasks", hint="annotate train")
    return pool.asked()
