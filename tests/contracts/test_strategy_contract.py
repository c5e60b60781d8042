"""Promises every query strategy keeps. A new file in strategies/ is tested here unasked."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotate.errors import AnnotateError
from annotate.protocols import QueryStrategy
from annotate.registry import STRATEGIES
from annotate.types import Answer, Dimension, Kind, Modality, Pool, Selection, Task, TaskPrediction

SENTIMENT = Dimension("sentiment", Kind.REGRESSION, tuple(Answer(v, f"{v:g}") for v in (-1.0, 0.0, 1.0)))
EMOTION = Dimension(
    "emotion", Kind.CLASSIFICATION, tuple(Answer(v, v) for v in ("anger", "happy", "sad", "calm"))
)
THEMES = Dimension("themes", Kind.MULTILABEL, tuple(Answer(v, v) for v in ("work", "family", "money")))


def predict(task: Task, n: int, rng: np.random.Generator, members: int = 3) -> TaskPrediction:
    answers = len(task.dimension.answers)
    if task.dimension.kind is Kind.MULTILABEL:
        # Rows sum to anything, and certainty is not rare.
        probs = rng.random((members, n, answers)).round(1).astype(np.float32)
        mean = (probs.mean(axis=0) >= 0.5).sum(axis=1)
    else:
        probs = rng.dirichlet(np.ones(answers), (members, n)).astype(np.float32).reshape(members, n, answers)
        mean = rng.normal(size=n) if task.dimension.kind is Kind.REGRESSION else rng.integers(answers, size=n)
    return TaskPrediction(
        task,
        probs,
        mean.astype(np.float32),
        rng.exponential(size=n).astype(np.float32),
        rng.exponential(size=n).astype(np.float32),
    )


def make_pool(
    n: int = 50, seed: int = 0, dimensions: tuple[Dimension, ...] = (SENTIMENT, EMOTION, THEMES),
    labelled: int = 5, share_missing: float = 1.0, with_model: bool = True, width: int = 6,
) -> Pool:  # fmt: skip
    rng = np.random.default_rng(seed)
    tasks = [Task(dimension, modality) for dimension in dimensions for modality in Modality]
    return Pool(
        np.array([f"{i:016x}" for i in range(n)], dtype=np.str_),
        {task.id: predict(task, n, rng) for task in tasks} if with_model else {},
        {task.id: rng.random(n) < share_missing for task in tasks},
        rng.normal(size=(n, width)).astype(np.float32),
        rng.normal(size=(labelled, width)).astype(np.float32),
    )


pools = st.builds(
    make_pool,
    n=st.integers(0, 30),
    seed=st.integers(0, 10_000),
    dimensions=st.sampled_from([(SENTIMENT,), (EMOTION,), (THEMES,), (SENTIMENT, EMOTION, THEMES)]),
    labelled=st.sampled_from([0, 1, 7]),
    share_missing=st.sampled_from([0.0, 0.3, 1.0]),
)


@pytest.fixture(params=STRATEGIES.names())
def strategy(request: pytest.FixtureRequest) -> QueryStrategy:
    return STRATEGIES.get(request.param)()


def select(strategy: QueryStrategy, pool: Pool, k: int = 10, seed: int = 0) -> Selection:
    return strategy.select(pool, k, np.random.default_rng(seed))


def same(first: Selection, second: Selection) -> bool:
    return bool((first.indices == second.indices).all() and (first.scores == second.scores).all())


@given(pool=pools, k=st.integers(0, 40), seed=st.integers(0, 100))
@settings(max_examples=40)
@pytest.mark.parametrize("name", STRATEGIES.names())
def test_any_pool_gives_k_different_samples_best_first_and_the_same_for_the_same_seed(
    name: str, pool: Pool, k: int, seed: int
) -> None:
    strategy = STRATEGIES.get(name)()
    chosen = select(strategy, pool, k, seed)
    assert len(chosen.indices) == len(chosen.scores) == min(k, len(pool))
    assert len(set(chosen.indices.tolist())) == len(chosen.indices)
    assert set(chosen.indices.tolist()) <= set(range(len(pool)))
    assert np.isfinite(chosen.scores).all()
    assert (np.diff(chosen.scores) <= 0).all()
    assert same(chosen, select(strategy, pool, k, seed))


@pytest.mark.parametrize("dimension", [SENTIMENT, EMOTION, THEMES])
def test_nonsense_from_the_model_or_the_extractor_is_an_error_not_a_choice(
    strategy: QueryStrategy, dimension: Dimension
) -> None:
    pool = make_pool()
    task_id = Task(dimension, Modality.TEXT).id
    prediction = pool.predictions[task_id]
    broken = {
        name: np.full_like(getattr(prediction, name), np.nan)
        for name in ("members", "mean", "epistemic", "aleatoric")
    }
    pool = replace(
        pool,
        predictions={**pool.predictions, task_id: replace(prediction, **broken)},
        embeddings=np.full_like(pool.embeddings, np.nan),
    )
    try:
        select(strategy, pool)
    except AnnotateError as error:
        assert error.hint
    else:
        # Only who looks at neither may go on.
        assert same(select(strategy, pool), select(strategy, make_pool()))


def test_needing_a_model_is_declared_and_its_absence_explained(strategy: QueryStrategy) -> None:
    pool = make_pool(with_model=False, labelled=0)
    if strategy.needs_model:
        with pytest.raises(AnnotateError, match="needs a model") as caught:
            select(strategy, pool)
        assert "annotate train" in caught.value.hint
    else:
        assert len(select(strategy, pool).indices) == 10


def test_samples_without_any_difference_are_chosen_by_chance_and_not_by_position(
    strategy: QueryStrategy,
) -> None:
    pool = make_pool(n=200, labelled=0)
    first = np.zeros(200, dtype=np.intp)
    alike = Pool(
        pool.sample_ids,
        {
            task_id: TaskPrediction(
                p.task, p.members[:, first], p.mean[first], p.epistemic[first], p.aleatoric[first]
            )
            for task_id, p in pool.predictions.items()
        },
        {task_id: np.ones(200, dtype=bool) for task_id in pool.missing},
        np.zeros_like(pool.embeddings),
        pool.labelled_embeddings,
    )
    positions = np.concatenate([select(strategy, alike, 20, seed).indices for seed in range(10)])
    # Mean of 200 uniform draws from 0..199: 99.5 +- 4.1.
    assert abs(positions.mean() - 99.5) < 17
    assert len(set(positions.tolist())) > 100


def test_the_order_of_the_tasks_does_not_matter(strategy: QueryStrategy) -> None:
    pool = make_pool()
    turned = replace(
        pool,
        predictions=dict(reversed(pool.predictions.items())),
        missing=dict(reversed(pool.missing.items())),
    )
    assert (select(strategy, pool).indices == select(strategy, turned).indices).all()


def test_its_description_fits_one_line_and_stands_first(strategy: QueryStrategy) -> None:
    line = (type(strategy).__doc__ or "").split("\n")[0]
    assert 20 < len(line) <= 110
    assert line.endswith(".")
