"""Promises every query strategy keeps. A new file in strategies/ is tested here unasked."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotate.batch.choosing import choose
from annotate.batch.opening import make_strategy
from annotate.errors import AnnotateError, ModelError
from annotate.protocols import QueryStrategy
from annotate.registry import STRATEGIES
from annotate.types import Dimension, Kind, Modality, Pool, Requirement, Selection, Task, TaskPrediction
from strategies._scored import ScoredStrategy
from tests.support.dimensions import SENTIMENT, THEMES
from tests.support.pools import EMOTION, make_pool, plant_one_unsure
from tests.support.soak import strategy_examples

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
    return make_strategy(request.param)


def select(strategy: QueryStrategy, pool: Pool, k: int = 10, seed: int = 0) -> Selection:
    return choose(strategy, "it", pool, k, np.random.default_rng(seed))


def same(first: Selection, second: Selection) -> bool:
    return bool((first.indices == second.indices).all() and (first.scores == second.scores).all())


def chosen_of(strategy: QueryStrategy, pool: Pool, k: int, seed: int) -> Selection | None:
    """None where it ranks no task of this kind, and says so."""
    kinds = {pool.predictions[t].task.dimension.kind for t in pool.asked()}
    if (
        Requirement.MODEL not in strategy.needs
        or not kinds
        or kinds & strategy.kinds
        or not len(pool)
        or k < 1
    ):
        return select(strategy, pool, k, seed)
    with pytest.raises(ModelError, match="only") as caught:
        select(strategy, pool, k, seed)
    assert "fit" in caught.value.hint
    return None


@given(pool=pools, k=st.integers(0, 40), seed=st.integers(0, 100))
@settings(max_examples=strategy_examples())
@pytest.mark.parametrize("name", STRATEGIES.names())
def test_any_pool_gives_k_different_samples_best_first_and_the_same_for_the_same_seed(
    name: str, pool: Pool, k: int, seed: int
) -> None:
    strategy = make_strategy(name)
    chosen = chosen_of(strategy, pool, k, seed)
    if chosen is None:
        return
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
    if Requirement.MODEL in strategy.needs:
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
        pool.known,
        {task_id: np.ones_like(representation) for task_id, representation in pool.representations.items()},
        {word: np.arange(200) for word in pool.groups},
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


def test_it_reads_nothing_that_it_does_not_say_it_needs(strategy: QueryStrategy) -> None:
    """The loop hands over no more than that: what is read all the same is never there."""
    pool = make_pool(labelled=20, dimensions=(SENTIMENT, EMOTION))
    bare = pool
    if Requirement.LABELS not in strategy.needs:
        bare = replace(bare, known=replace(bare.known, predictions={}, labels={}))
    if Requirement.REPRESENTATIONS not in strategy.needs:
        bare = replace(bare, representations={}, known=replace(bare.known, representations={}))
    assert same(select(strategy, pool), select(strategy, bare))


def test_what_the_model_knows_nothing_of_is_not_ranked_by_chance(strategy: QueryStrategy) -> None:
    pool = make_pool(dimensions=(SENTIMENT, EMOTION))
    known = {t: np.zeros(len(pool), dtype=bool) for t in pool.missing}
    pool = replace(pool, missing=known | {"themes.M": np.ones(len(pool), dtype=bool)})
    if Requirement.MODEL not in strategy.needs:
        assert len(select(strategy, pool).indices) == 10
        return
    with pytest.raises(ModelError, match="predicts none of the tasks that are asked") as caught:
        select(strategy, pool)
    assert "no model" in caught.value.hint


DIMENSIONS = {dimension.kind: dimension for dimension in (SENTIMENT, EMOTION, THEMES)}


def uncertainty_rankings() -> list[tuple[str, Kind]]:
    """Each strategy that states that it ranks by uncertainty, with each kind of task that it ranks."""
    opened = {name: make_strategy(name) for name in STRATEGIES.names()}
    ranking = {n: s for n, s in opened.items() if getattr(s, "ranks_by_uncertainty", False)}
    return [(name, kind) for name, strategy in ranking.items() for kind in Kind if kind in strategy.kinds]


@pytest.mark.parametrize(("name", "kind"), uncertainty_rankings())
def test_an_unsure_sample_comes_before_every_sure_one(name: str, kind: Kind) -> None:
    """Sure of each answer in turn, and of a multilabel task of each set of answers: a formula for one kind
    often takes some of these for doubt when it is given another kind."""
    pool, unsure = plant_one_unsure(DIMENSIONS[kind])
    for seed in range(5):
        assert select(make_strategy(name), pool, len(pool), seed).indices[0] == unsure


def test_a_formula_for_classes_claims_no_other_kind() -> None:
    class Gini(ScoredStrategy):
        """Gini impurity, 1 - sum of squared probabilities, which only rows that sum to one make sense of."""

        def score(self, prediction: TaskPrediction, pool: Pool) -> np.ndarray:
            return 1 - (prediction.probs.astype(np.float64) ** 2).sum(axis=1)

    assert Gini().kinds == {Kind.CLASSIFICATION}
    pool, unsure = plant_one_unsure(EMOTION)
    assert select(Gini(), pool, 1).indices[0] == unsure
    pool, unsure = plant_one_unsure(THEMES)
    with pytest.raises(ModelError, match="only"):
        select(Gini(), pool, 1)
    claiming = Gini()
    claiming.kinds = frozenset(Kind)
    assert select(claiming, pool, 1).indices[0] != unsure, "the contract test would not notice"


def test_its_description_fits_one_line_and_stands_first(strategy: QueryStrategy) -> None:
    line = (type(strategy).__doc__ or "").split("\n")[0]
    assert 20 < len(line) <= 110
    assert line.endswith(".")
