"""Adapter for query strategies that are written for modAL; they use the predictions of the round."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annotate.errors import AnnotateError, ConfigError, ModelError
from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from annotate.wording import counted
from strategies._round import RoundLearner
from strategies._scored import require_model
from strategies._several import turns

GROUP = "annotate.modal"
"""Group of the entry points that name such functions."""
Strategy = Callable[..., Any]
HINT = "modAL calls it as strategy(classifier, X, n_instances=1), and it returns (indices, metrics)"


@dataclass(frozen=True, slots=True)
class ModalOptions:
    """Options of `modal`."""

    function: str = "modAL.uncertainty.entropy_sampling"
    """`module.function`, or the name of an entry point of the group `annotate.modal`."""


@strategy("modal")
class Modal:
    """Whatever a strategy written for modAL chooses; several tasks in turn (Danka and Horvath 2018).

    `modal:FUNCTION` calls a query strategy that was written for modAL. The tasks take turns.
    """

    Options: ClassVar[type] = ModalOptions
    needs = frozenset({Requirement.MODEL, Requirement.LABELS})
    kinds = frozenset(Kind)

    def __init__(self, options: Any = None) -> None:
        """Raises `ConfigError` when there is no such function."""
        self.name = (options or ModalOptions()).function
        self.function = load_function(self.name)

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """The samples that the function chooses from those without a label, in its order.

        The function is given them in random order, so that its ties are broken at random, and numpy's global
        generator is seeded from `rng`. Scores are minus the position. Labelled samples follow at random.
        Raises `ModelError` without a model, when the function fails, or when its result is not a batch.
        """
        require_model(pool)
        queues = [self._chosen(pool, task_id, k, rng).tolist() for task_id in pool.asked()]
        chosen = np.array([s for s, _ in zip(turns(queues, k), range(k), strict=False)], dtype=np.intp)
        rest = rng.permutation(np.setdiff1d(np.arange(len(pool)), chosen))[: k - len(chosen)]
        indices = np.concatenate([chosen, rest]).astype(np.intp)
        return Selection(indices, -np.arange(len(indices), dtype=np.float64))

    def _chosen(self, pool: Pool, task_id: str, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Positions in the pool, those to ask for first in front."""
        rows = rng.permutation(np.flatnonzero(pool.missing[task_id]))
        shown = pool.of(rows)
        _require_numbers(shown, task_id)
        count = min(k, len(rows))
        state = np.random.get_state()  # what modAL's functions draw from
        np.random.seed(int(rng.integers(2**31)))
        try:
            result = self.function(RoundLearner(shown, task_id), shown.embeddings, n_instances=count)
        except AnnotateError:
            raise
        except Exception as error:
            raise ModelError(f"{self.name} failed on {task_id}: {error}", hint=HINT) from error
        finally:
            np.random.set_state(state)
        return rows[batch_of(result, count, len(rows), self.name)]


def load_function(name: str) -> Strategy:
    """The function called `name`. Raises `ConfigError` when it cannot be imported."""
    module, dot, attribute = name.rpartition(".")
    try:
        if dot:
            function = getattr(import_module(module), attribute)
        else:
            function = next(iter(entry_points(group=GROUP, name=name))).load()
    except StopIteration:
        known = ", ".join(sorted(e.name for e in entry_points(group=GROUP))) or "none"
        raise ConfigError(
            f"no strategy for modAL is called {name!r}",
            hint=f"name it module.function, such as {ModalOptions().function}; entry points: {known}",
        ) from None
    except Exception as error:
        raise ConfigError(
            f"{name} cannot be imported: {error}",
            hint="install its distribution beside annotate, or set PYTHONPATH to its folder",
        ) from error
    if not callable(function):
        raise ConfigError(f"{name} is not a function", hint=HINT)
    return function


def batch_of(result: Any, k: int, n: int, name: str) -> NDArray[np.intp]:
    """(k,) the indices that a strategy for modAL returned.

    Raises `ModelError` unless they are `k` different positions below n. A bare array of two indices is
    refused too: modAL would unpack it as (indices, metrics).
    """
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise ModelError(f"{name} did not return a pair of indices and metrics", hint=HINT)
    indices = np.atleast_1d(np.asarray(result[0]))
    if indices.ndim != 1 or (indices.dtype.kind not in "iu" and len(indices)):
        raise ModelError(f"{name} returned indices that are not integers", hint=HINT)
    if len(indices) != k:
        raise ModelError(
            f"{name} was asked for {counted(k, 'sample')} and returned {len(indices)}", hint=HINT
        )
    if len(indices) and (indices.min() < 0 or indices.max() >= n):
        raise ModelError(
            f"{name} returned positions outside the {counted(n, 'sample')} that it was given", hint=HINT
        )
    if len(np.unique(indices)) < len(indices):
        raise ModelError(f"{name} returned the same sample twice", hint=HINT)
    return indices.astype(np.intp)


def _require_numbers(pool: Pool, task_id: str) -> None:
    if not np.isfinite(pool.predictions[task_id].members).all():
        raise ModelError(
            f"the model's predictions of {task_id} are not all numbers",
            hint="train it again: `annotate train --force`",
        )
