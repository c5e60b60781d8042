"""What is planted in a generated project is there, and nothing gives it away; small probes tell."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from annotate.errors import UsageError
from annotate.learning.folds import grouped_folds
from annotate.types import Kind, Modality
from benchmarks._generated import LOUD, MARK, Plan, generate
from benchmarks._sets import Corpus, at_most, classes, scale, sequences, shares, told

T, A, V, M = (f"sentiment.{m.value}" for m in Modality)
Array = NDArray[np.float64]


def made(seed: int = 0, **said: Any) -> Corpus:
    return generate(Plan(**{"samples": 800, **said}), np.random.default_rng(seed))


def pooled(corpus: Corpus, modalities: str = "TAV") -> Array:
    """(n, dim) mean over the frames, modalities side by side."""
    found = [[frames.mean(axis=0) for frames in corpus.features[Modality(m)]] for m in modalities]
    return np.concatenate([np.array(rows, float) for rows in found], axis=1)


def explained(x: Array, y: Array) -> float:
    """Share of the second half's variance that ridge regression on the first half explains."""
    half = len(y) // 2
    centre, spread = x[:half].mean(axis=0), x[:half].std(axis=0) + 1e-9
    x = (x - centre) / spread
    said = Ridge(10.0).fit(x[:half], y[:half]).predict(x[half:])
    return float(1 - np.var(said - y[half:]) / np.var(y[half:]))


def squares(x: Array) -> Array:
    """(n, dim) -> (n, dim + dim squared) with every product of two columns."""
    return np.concatenate([x, (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)], axis=1)


def values(corpus: Corpus, task_id: str) -> Array:
    return np.array([float(corpus.labels[i, task_id].value) for i in corpus.ids()])


def same(a: Corpus, b: Corpus) -> bool:
    features = all(
        np.array_equal(x, y) for m in a.features for x, y in zip(a.features[m], b.features[m], strict=True)
    )
    return features and a.labels == b.labels and all(np.array_equal(a.truth[i], b.truth[i]) for i in a.truth)


EVERYTHING = {
    "samples": 120,
    "frames": (3, 6),
    "kinds": {A: Kind.CLASSIFICATION},
    "relatedness": 0.5,
    "raters": 3,
    "missing_labels": 0.2,
    "missing_modalities": 0.2,
    "context": True,
}


def test_the_same_seed_gives_the_same_corpus_and_another_seed_another():
    assert same(made(**EVERYTHING), made(**EVERYTHING))
    assert not same(made(**EVERYTHING), made(seed=1, **EVERYTHING))


def test_flags_of_features_and_labels_leave_the_truth_as_it_is():
    plain, planted = made(), made(planted_frame=True, frames=(4, 5), noise=1.0, raters=4, missing_labels=0.5)
    assert all(np.array_equal(plain.truth[i], planted.truth[i]) for i in plain.truth)


def test_groups_never_share_a_video_and_utterances_follow_each_other():
    corpus = made(samples=203, groups=7, videos=3)
    assert len(set(corpus.groups)) == 7
    assert len(set(corpus.videos)) == 21
    for video in set(corpus.videos):
        inside = corpus.videos == video
        assert len(set(corpus.groups[inside])) == 1
        assert corpus.starts[inside][0] == 0
        assert (np.diff(corpus.starts[inside]) > 0).all()


def test_features_have_the_frames_and_columns_asked_for():
    corpus = made(samples=60, frames=(2, 5), dims={Modality.TEXT: 11, Modality.VISION: 3}, tasks=(T, M))
    assert {m: rows[0].shape[1] for m, rows in corpus.features.items()} == {
        Modality.TEXT: 11,
        Modality.VISION: 3,
    }
    assert {len(frames) for frames in corpus.features[Modality.TEXT]} == {2, 3, 4, 5}
    assert corpus.features[Modality.TEXT][0].dtype == np.float32


def test_related_tasks_are_one_and_unrelated_ones_tell_nothing_of_each_other():
    alike, apart = made(relatedness=1.0), made(relatedness=0.0)
    assert np.allclose(alike.truth[T], alike.truth[A])
    assert explained(pooled(alike), alike.truth[M]) > 0.95
    for other in (A, V, M):
        assert abs(np.corrcoef(apart.truth[T], apart.truth[other])[0, 1]) < 0.15
        # Not by a function of it either: its direction is another.
        assert (
            explained(np.stack([apart.truth[T] ** k for k in (1, 2, 3)], axis=1), apart.truth[other]) < 0.05
        )


def test_in_between_tasks_have_something_in_common():
    corpus = made(relatedness=0.7)
    assert 0.3 < np.corrcoef(corpus.truth[T], corpus.truth[A])[0, 1] < 0.9


def test_unrelated_tasks_are_each_bent_but_there_to_be_found():
    corpus = made(relatedness=0.0, samples=1600, feature_noise=0.1)
    x = pooled(corpus, "T")
    for task_id, bent in ((T, 0.6), (V, 0.9), (M, 0.9)):
        assert explained(x, corpus.truth[task_id]) < 0.1
        assert explained(squares(x), corpus.truth[task_id]) > bent


def test_with_views_of_its_own_a_modality_says_nothing_of_another_ones_task():
    corpus = made(own_view=True, relatedness=0.0, samples=1600)
    assert explained(squares(pooled(corpus, "V")), corpus.truth[V]) > 0.8
    assert explained(squares(pooled(corpus, "TA")), corpus.truth[V]) < 0.1


def test_levels_go_from_a_line_to_what_no_product_explains():
    corpus = made(task_levels=True, samples=1600, feature_noise=0.1)
    x = pooled(corpus, "T")
    assert explained(x, corpus.truth[T]) > 0.95
    assert explained(x, corpus.truth[A]) < 0.1
    assert explained(squares(x), corpus.truth[A]) > 0.6
    assert explained(x, corpus.truth[V]) < 0.1
    assert explained(squares(x), corpus.truth[V]) > 0.9
    assert explained(squares(x), corpus.truth[M]) < 0.7


def waves(x: Array) -> Array:
    return np.column_stack([x, *(f(k * x) for k in (2, 4, 6) for f in (np.sin, np.cos))])


def test_the_chain_is_easy_in_its_order_and_not_in_another():
    corpus = made(causal_chain=True, samples=1600)
    # In standard deviations, as the waves are made.
    t, a, v, m = (2.5 * corpus.truth[i] for i in (T, A, V, M))
    audio, vision = pooled(corpus, "A"), pooled(corpus, "V")
    assert explained(np.column_stack([waves(t[:, None]), audio]), a) > 0.9
    assert explained(np.column_stack([waves(a[:, None]), vision]), v) > 0.9
    assert explained(np.stack([t, a, v], axis=1), m) > 0.95
    assert explained(np.column_stack([waves(t[:, None]), vision]), v) < 0.7
    for later in (a, v):
        assert explained(waves(later[:, None]), t) < 0.5
    assert explained(pooled(corpus), m) < 0.5


def test_an_interaction_is_found_by_products_across_modalities_only():
    corpus = made(interaction=True, samples=1600)
    views = [pooled(corpus, m) for m in "TAV"]
    assert explained(np.concatenate([squares(view) for view in views], axis=1), corpus.truth[M]) < 0.1
    assert explained(squares(np.concatenate(views, axis=1)), corpus.truth[M]) > 0.7
    assert explained(views[0], corpus.truth[T]) > 0.9


def test_context_needs_the_neighbours_of_the_same_video():
    corpus = made(context=True, videos=20)
    x = pooled(corpus)
    follows = corpus.videos[1:] == corpus.videos[:-1]
    before, behind = np.zeros_like(x), np.zeros_like(x)
    before[1:][follows], behind[:-1][follows] = x[:-1][follows], x[1:][follows]
    assert explained(x, corpus.truth[M]) < 0.5
    assert explained(np.concatenate([x, before, behind], axis=1), corpus.truth[M]) > 0.9


def test_a_planted_frame_is_all_there_is_and_the_mean_drowns_it():
    corpus = made(planted_frame=True, frames=(12, 16))
    sequences_ = corpus.features[Modality.TEXT]
    marked = [np.flatnonzero(frames[:, 0] == MARK) for frames in sequences_]
    assert all(len(at) == 1 for at in marked)
    assert len({int(at[0]) for at in marked}) > 8
    planted = np.array([frames[at[0]] for frames, at in zip(sequences_, marked, strict=True)], float)
    others = np.concatenate([np.delete(f, at, axis=0) for f, at in zip(sequences_, marked, strict=True)])
    assert explained(planted, corpus.truth[T]) > 0.8
    assert explained(pooled(corpus), corpus.truth[T]) < 0.1
    assert np.std(others[:, 1:]) == pytest.approx(LOUD, rel=0.05)


@pytest.mark.parametrize("frames", [(6, 6), (7, 7)])
def test_where_order_matters_the_set_of_frames_says_nothing_of_the_sign(frames: tuple[int, int]):
    corpus = made(order_matters=True, frames=frames)
    stacked = np.array(corpus.features[Modality.TEXT], float)
    first, last = stacked[:, :3].mean(axis=1), stacked[:, -3:].mean(axis=1)
    unordered = np.concatenate([stacked.mean(axis=1), stacked.max(axis=1), stacked.std(axis=1)], axis=1)
    assert explained(first, corpus.truth[T]) > 0.9
    assert explained(first - last, corpus.truth[T]) > 0.9
    assert explained(first + last, corpus.truth[T]) < 0.1
    assert explained(unordered, corpus.truth[T]) < 0.1


def test_labels_and_modalities_are_missing_as_often_as_asked_and_no_sample_is_left_with_nothing():
    corpus = made(
        samples=4000,
        missing_labels={A: 0.6, M: 0.1},
        missing_modalities={Modality.AUDIO: 0.3, Modality.TEXT: 0.5},
    )
    known = {t.id: np.mean([(i, t.id) in corpus.labels for i in corpus.ids()]) for t in corpus.tasks}
    assert known == {T: 1.0, A: pytest.approx(0.4, abs=0.03), V: 1.0, M: pytest.approx(0.9, abs=0.02)}
    empty = {m: np.array([len(f) == 0 for f in rows]) for m, rows in corpus.features.items()}
    assert empty[Modality.TEXT].mean() == pytest.approx(0.5, abs=0.03)
    assert empty[Modality.AUDIO].mean() == pytest.approx(0.3, abs=0.03)
    assert not empty[Modality.VISION].any()
    hard = made(samples=4000, missing_modalities=0.6)
    empty = {m: np.array([len(f) == 0 for f in rows]) for m, rows in hard.features.items()}
    assert not np.all(list(empty.values()), axis=0).any()
    assert all(0.45 < share.mean() < 0.62 for share in empty.values())


def test_noise_is_that_of_the_task_in_standard_deviations_of_its_truth():
    corpus = made(samples=3000, noise={T: 0.2, M: 0.5})
    for task_id, noise in ((T, 0.2), (M, 0.5), (A, 0.0)):
        inside = np.abs(corpus.truth[task_id]) < 0.5
        error = (values(corpus, task_id) - corpus.truth[task_id])[inside]
        assert error.std() / 0.4 == pytest.approx(noise, abs=0.04)


def test_raters_disagree_and_their_shares_are_the_distribution():
    corpus = made(samples=300, raters=5, noise=0.5, kinds={A: Kind.CLASSIFICATION})
    regression, classification = corpus.labels["000000", T], corpus.labels["000000", A]
    for label in (regression, classification):
        assert label.raters == 5
        assert sum(label.distribution.values()) == pytest.approx(1)
        assert all(
            (5 * share) % 1 < 1e-9 or (5 * share) % 1 > 1 - 1e-9 for share in label.distribution.values()
        )
    mean = sum(float(alias) * share for alias, share in regression.distribution.items())
    assert float(regression.value) == pytest.approx(mean)
    assert classification.distribution[str(classification.value)] == max(classification.distribution.values())
    assert np.mean([len(corpus.labels[i, T].distribution) > 1 for i in corpus.ids()]) > 0.5


def test_classes_are_of_equal_size_and_right_without_noise():
    corpus = made(samples=900, kinds={T: Kind.CLASSIFICATION}, noise=0.0)
    words = [a.value for a in corpus.task(T).dimension.answers]
    found = [words.index(corpus.labels[i, T].value) for i in corpus.ids()]
    assert found == corpus.truth[T].tolist()
    assert np.bincount(found).tolist() == [300, 300, 300]


@pytest.mark.parametrize(
    "said",
    [
        {"samples": 10, "groups": 10, "videos": 2},
        {"relatedness": 1.5},
        {"missing_labels": 1.0},
        {"missing_modalities": {Modality.TEXT: -0.1}},
        {"frames": (3, 2)},
        {"planted_frame": True},
        {"order_matters": True, "planted_frame": True, "frames": (4, 6)},
        {"causal_chain": True, "tasks": (T, A, M)},
        {"interaction": True, "dims": {Modality.TEXT: 4}, "tasks": (T, M)},
        {"own_view": True, "dims": {Modality.TEXT: 4}},
        {"interaction": True, "causal_chain": True},
        {"kinds": {T: Kind.MULTILABEL}},
    ],
)
def test_what_cannot_be_made_is_refused_with_the_way_out(said: dict[str, Any]):
    with pytest.raises(UsageError) as refused:
        Plan(**said)
    assert refused.value.hint


def test_grouped_folds_split_no_group_and_are_about_equal():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60).astype(str), rng.integers(1, 30, 60))
    folds = grouped_folds(groups, 5, np.random.default_rng(1))
    again, other = (grouped_folds(groups, 5, np.random.default_rng(seed)) for seed in (1, 2))
    assert sorted(np.concatenate(folds).tolist()) == list(range(len(groups)))
    assert sum(len(set(groups[fold])) for fold in folds) == 60
    assert max(map(len, folds)) - min(map(len, folds)) <= 0.05 * len(groups)
    assert all(np.array_equal(a, b) for a, b in zip(folds, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(folds, other, strict=True))


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(UsageError, match="3 groups"):
        grouped_folds(np.array(["a", "b", "c"]), 4, np.random.default_rng(0))


def test_rows_are_subsampled_by_whole_units_and_always_the_same():
    units = np.repeat(np.arange(50), 10)
    taken = at_most(units, 105)
    assert np.array_equal(taken, at_most(units, 105))
    assert len(taken) == 100
    assert len(set(units[taken])) == 10
    assert np.array_equal(at_most(units, 500), np.arange(500))


def test_the_shares_of_a_mean_have_that_mean():
    task = scale("sentiment", (-2, -1, 0, 1, 2), Modality.MULTIMODAL)
    for value in (-2.0, -0.4, 0.0, 1.75, 2.0):
        found = shares(task, value)
        assert sum(found.values()) == pytest.approx(1)
        assert sum(float(alias) * share for alias, share in found.items()) == pytest.approx(value)
    assert shares(classes("emotion", ["sad", "happy"], Modality.TEXT), "sad") == {"sad": 1.0}


def test_padding_is_no_frame():
    padded = np.zeros((2, 4, 3))
    padded[0, 1:3] = 1
    assert [frames.shape for frames in sequences(padded)] == [(2, 3), (0, 3)]


def test_a_corpus_reads_in_the_order_asked_and_leaves_samples_without_labels_out():
    corpus = made(samples=40, missing_labels=0.5, missing_modalities={Modality.VISION: 0.4})
    asked = ["000007", "000003"]
    assert all(
        np.array_equal(got, corpus.features[Modality.TEXT][row])
        for got, row in zip(corpus.read(Modality.TEXT, asked), (7, 3), strict=True)
    )
    assert [origin.video for origin in corpus.origins(asked)] == [corpus.videos[7], corpus.videos[3]]
    assert corpus.origins(asked)[0].group == corpus.groups[7]
    task = corpus.task(T)
    known = [i for i in corpus.ids() if (i, T) in corpus.labels]
    training_set = corpus.training_set(corpus.ids()[:20][::-1], corpus.ids()[20:], [task])
    assert [*training_set.train, *training_set.valid] == known
    assert training_set.tasks == (task,)
    assert list(training_set.extractors) == [Modality.TEXT, Modality.AUDIO, Modality.VISION]


def test_told_labels_stand_at_the_position_of_their_sample():
    task = classes("emotion", ["sad", "happy"], Modality.TEXT)
    assert told(task, ["sad", "happy"])["000001", task.id].value == "happy"
