"""What `train.balance` makes of labels, and that weight 2 is the same as standing there twice."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from annotate.learning.batches import Batch, Origin
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.losses import task_losses
from annotate.learning.members import Members
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.predict import predict
from annotate.learning.prepared import TrainingSet, prepare
from annotate.learning.sample_weights import PRIOR_VOTES, Votes, Weigher
from annotate.learning.tensors import Inputs
from annotate.learning.trainer import evaluate, fit
from annotate.registry import HEADS, WEIGHTINGS
from annotate.types import Label, Modality, Task
from tests.support.dimensions import EMOTION, SENTIMENT, multilabel

T, A, V, M = Modality
THEMES = multilabel("themes", "work", "family")
SCALE, CLASSES, TICKS = Task(SENTIMENT, T), Task(EMOTION, M), Task(THEMES, A)
TASKS = (SCALE, CLASSES, TICKS)
ALL = ("class", "group", "raters")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def say(task: Task, *votes: float | str) -> Label:
    """What these raters agree on, one answer each; several ticks are joined by a bar."""
    if task is TICKS:
        shares = {a.alias: float(np.mean([a.alias in v.split("|") for v in votes])) for a in THEMES.answers}
        return Label(
            "", task.id, THEMES.joined([a for a, s in shares.items() if s >= 0.5]), shares, len(votes)
        )
    aliases = [f"{v:g}" if task is SCALE else v for v in votes]
    shares = {alias: aliases.count(alias) / len(votes) for alias in dict.fromkeys(aliases)}
    value = float(np.mean(votes)) if task is SCALE else max(shares, key=shares.get)
    return Label("", task.id, value, shares, len(votes))


def weigh(task, balance, labels, groups=None, train=None):
    known = [x for x in labels if x is not None]
    weigher = Weigher.fit(task, balance, known if train is None else train)
    return weigher.weights(labels, groups or ["one"] * len(labels))


# -- what each rule gives -------------------------------------------------------------------------


def test_without_balance_every_label_counts_one_and_no_label_nothing():
    assert weigh(SCALE, (), [say(SCALE, 0.0), None, say(SCALE, 1.0)]).tolist() == [1.0, 0.0, 1.0]


def test_every_class_counts_the_same_and_the_mean_is_one():
    labels = [say(CLASSES, c) for c in ("angry", "angry", "angry", "sad")] + [None]
    found = weigh(CLASSES, ("class",), labels)
    assert found == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2, 0])


def test_the_frequency_is_that_of_train_also_for_valid_labels():
    train = [say(CLASSES, c) for c in ("angry", "angry", "angry", "sad")]
    valid = [say(CLASSES, c) for c in ("angry", "sad", "happy")]
    found = weigh(CLASSES, ("class",), valid, train=train)
    assert found[1] == pytest.approx(3 * found[0])
    assert found[2] == found[1]  # as if it had been seen once


@pytest.mark.parametrize("task", [SCALE, TICKS])
def test_scales_and_several_answers_have_no_classes(task):
    votes = (0.0, 0.0, 1.0) if task is SCALE else ("work", "work", "family")
    assert weigh(task, ("class",), [say(task, v) for v in votes]).tolist() == [1, 1, 1]


def test_every_group_counts_the_same_by_the_labels_that_it_has():
    labels = [say(SCALE, 0.0)] * 4 + [None]
    found = weigh(SCALE, ("group",), labels, ["a", "a", "a", "b", "b"])
    assert found == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2, 0])  # b has one label, the other is missing


def test_the_variances_are_those_of_the_analysis_of_variance():
    # Two raters each; sums of squares within: 0, .5, 2, .5 with one degree of freedom each.
    labels = [say(SCALE, *v) for v in ((1, 1), (1, 0), (1, -1), (-1, 0))]
    votes = Votes.fit(SCALE, labels)
    assert votes.within == pytest.approx(3 / 4)
    means = np.array([1, 0.5, 0, -0.5])
    assert votes.between == pytest.approx((2 * means.var(ddof=1) - 3 / 4) / 2)


def test_a_label_counts_by_how_many_raters_it_has_and_how_far_they_agree():
    agreed, split, alone, many = (
        say(SCALE, 1, 1, 1), say(SCALE, 1, -1, 0), say(SCALE, 1), say(SCALE, *[1, 0] * 4),
    )  # fmt: skip
    others = [say(SCALE, -1, -1, 0), say(SCALE, 0, 1, 1)]
    found = weigh(SCALE, ("raters",), [agreed, split, alone, many, *others])
    assert found[0] > found[1] > found[2] and found[3] > found[1]
    assert found.mean() == pytest.approx(1)
    votes = Votes.fit(SCALE, [agreed, split, alone, many, *others])
    assert votes.weight(alone) == pytest.approx(1 / (votes.between + votes.within))
    noise = (PRIOR_VOTES * votes.within + 0) / (PRIOR_VOTES + 2)
    assert votes.weight(agreed) == pytest.approx(1 / (votes.between + noise / 3))


@pytest.mark.parametrize("task", [CLASSES, TICKS])
def test_split_votes_count_less_whatever_the_kind_of_answer(task):
    words = ("angry", "sad") if task is CLASSES else ("work", "family|work")
    one, other = words
    labels = [say(task, *v) for v in ((one,), (one, one), (one, other), (other, other))]
    found = weigh(task, ("raters",), labels)
    assert found[1] == pytest.approx(found[3])
    assert found[1] > found[2] > found[0]


@pytest.mark.parametrize(
    "labels",
    [
        [say(SCALE, 0.0), say(SCALE, 1.0)],  # one rater each
        [say(SCALE, 1, 0), say(SCALE, 1.0)],  # one label with two
        [say(SCALE, 1, 1), say(SCALE, 0, 0)],  # all agree
        [Label("", SCALE.id, 0.3, {}, 5), Label("", SCALE.id, 0.1, {}, 5)],  # nobody knows who said what
        [Label("", SCALE.id, 0.3, {"x": 1.0}, 5)] * 2,
    ],
)
def test_where_nothing_is_known_about_raters_labels_count_the_same(labels):
    assert weigh(SCALE, ("raters",), labels).tolist() == [1.0, 1.0]


def test_raters_who_agree_no_more_than_by_chance_count_by_their_number():
    labels = [say(CLASSES, "angry", "sad"), say(CLASSES, "sad", "angry"), say(CLASSES, "sad")]
    found = weigh(CLASSES, ("raters",), labels)
    assert Votes.fit(CLASSES, labels).between == 0
    assert np.isfinite(found).all() and found[0] > found[2]


def test_the_rules_multiply():
    votes = (("angry",), ("angry", "angry"), ("sad", "angry"), ("sad", "sad"))
    labels = [say(CLASSES, *v) for v in votes]
    groups = ["a", "a", "a", "b"]
    alone = [weigh(CLASSES, (rule,), labels, groups) for rule in ALL]
    product = np.prod(alone, axis=0)
    assert weigh(CLASSES, ALL, labels, groups) == pytest.approx(product / product.mean())


def test_no_labels_give_no_weights():
    assert weigh(CLASSES, ALL, [None, None]).tolist() == [0, 0]
    assert weigh(CLASSES, ALL, []).tolist() == []


# -- what they do ---------------------------------------------------------------------------------

PLAIN = ModelConfig(hidden=8, dropout=0.0, members=1, epochs=8, patience=20, batch_size=64)
HEADS_OF = {SCALE: ("mean", "gaussian", "ordinal"), CLASSES: ("softmax",), TICKS: ("sigmoid",)}


def batch(n=12, seed=0):
    """n samples; every head's labels are numbers between 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    values = {m.value: torch.randn(n, 1, 4, generator=generator) for m in (T, A, V)}
    masks = {m: torch.ones(n, 1, dtype=torch.bool) for m in values}
    net = MultiTaskNet(dict.fromkeys((T, A, V), 4), TASKS, PLAIN)
    targets = {t.id: torch.rand(n, net.head(t).width(t), generator=generator) for t in TASKS}
    known = {t.id: torch.rand(n, generator=generator) < 0.8 for t in TASKS}
    return Batch(
        Inputs(values, masks, torch.arange(n), torch.zeros(n, dtype=torch.long)),
        targets, known, {i: k.float() for i, k in known.items()},
    )  # fmt: skip


def twice(found: Batch, row: int) -> Batch:
    """The same, with one row standing there twice."""
    more = found.take(torch.tensor([*range(len(found)), row]))
    return replace(more, inputs=more.inputs._replace(video=torch.arange(len(more))))


def doubled(found: Batch, row: int) -> Batch:
    """The same, with one row counting twice."""
    factor = torch.ones(len(found))
    factor[row] = 2
    return replace(found, weights={i: w * factor for i, w in found.weights.items()})


def losses_and_gradients(found: Batch, config: ModelConfig):
    torch.manual_seed(1)
    net = MultiTaskNet(dict.fromkeys((T, A, V), 4), TASKS, config)
    losses, _ = task_losses([net.head(t) for t in TASKS], net(found.inputs), found)
    losses.sum().backward()
    return losses.detach(), [p.grad for p in net.parameters()]


@pytest.mark.parametrize("name", HEADS.names())
def test_a_row_with_weight_2_is_a_row_that_stands_there_twice_for_every_head(name):
    config = replace(PLAIN, **{f"{HEADS.get(name).kind.value}_head": name})
    torch.manual_seed(0)
    one = batch()
    if name == "ordinal":  # its labels are wider
        one = replace(one, targets={**one.targets, SCALE.id: torch.rand(12, 2)})
    (a, by_twice), (b, by_double), (c, _) = (
        losses_and_gradients(x, config) for x in (twice(one, 3), doubled(one, 3), one)
    )
    assert torch.allclose(a, b, atol=1e-6, rtol=0)
    for x, y in zip(by_twice, by_double, strict=True):
        assert (x is None and y is None) or torch.allclose(x, y, atol=1e-6, rtol=0)
    assert not torch.allclose(a, c, atol=1e-4)  # the weight does something


@pytest.mark.parametrize(
    ("weighting", "how"),
    [*((name, "in the batch") for name in WEIGHTINGS.names()), ("fixed", "beside it")],
)
def test_a_whole_training_cannot_tell_weight_2_from_twice(weighting, how):
    one, row = batch(), 3
    config = replace(PLAIN, weighting=weighting)
    factor = torch.ones(1, len(one))
    factor[0, row] = 2
    found = []
    for train, weights in (
        (twice(one, row), None),
        (doubled(one, row), None) if how == "in the batch" else (one, factor),
        (one, None),
    ):
        torch.manual_seed(2)
        members = Members([MultiTaskNet(dict.fromkeys((T, A, V), 4), TASKS, config)])
        fit(members, train, None, config, [torch.Generator().manual_seed(0)], sample_weights=weights)
        found.append(torch.cat([w.flatten() for w in members.weights().values()]))
    assert torch.allclose(found[0], found[1], atol=1e-6, rtol=0)
    assert not torch.allclose(found[0], found[2], atol=1e-4)


def test_the_valid_loss_is_weighted_too():
    one = batch()
    members = Members([MultiTaskNet(dict.fromkeys((T, A, V), 4), TASKS, PLAIN)])
    plain, by_double, by_twice = (evaluate(members, x)[0] for x in (one, doubled(one, 3), twice(one, 3)))
    assert torch.allclose(by_double, by_twice, atol=1e-6)
    assert not torch.allclose(by_double, plain, atol=1e-4)


# -- through the settings -------------------------------------------------------------------------


def corpus(n=60, seed=0) -> TrainingSet:
    """One class in six is rare and hard to tell from the other; speakers are of very different size."""
    rng = np.random.default_rng(seed)
    ids = [f"{i:04d}" for i in range(n)]
    rare = np.arange(n) % 6 == 0
    frames = {m: [np.array([[r + 0.8 * rng.normal(), 1.0]], np.float32) for r in rare] for m in (T, A, V)}
    values = ["sad" if r else "angry" for r in rare]
    labels = {
        (s, CLASSES.id): replace(say(CLASSES, v), sample_id=s) for s, v in zip(ids, values, strict=True)
    }
    return TrainingSet(
        (CLASSES,), ids[:40], ids[40:], labels, lambda m, wanted: [frames[m][int(s)] for s in wanted],
        {m: m.word for m in (T, A, V)},
        lambda wanted: [Origin(s, 0, "big" if int(s) > 10 else s) for s in wanted],
    )  # fmt: skip


def test_balance_stands_in_the_weights_of_train_and_valid():
    made = prepare(corpus(), replace(PLAIN, balance=("class", "group")), "cpu")
    plain = prepare(corpus(), PLAIN, "cpu")
    for part in ("train", "valid"):
        weights = getattr(made, part).weights[CLASSES.id]
        assert weights.mean().item() == pytest.approx(1, abs=1e-6)
        assert weights.std() > 0.1
        assert (getattr(plain, part).weights[CLASSES.id] == 1).all()


def test_balanced_classes_make_the_rare_one_be_said_more_often():
    training_set, found = corpus(), {}
    for balance in ((), ("class",)):
        config = replace(PLAIN, epochs=30, learning_rate=1e-2, balance=balance)
        made = fit_ensemble(training_set, config, seed=0, device="cpu")
        predicted = predict(
            made, training_set.read, training_set.train, origins=training_set.origins
        ).predictions
        found[balance] = float(predicted[CLASSES.id].probs[:, 2].mean())
    assert found["class",] > 1.2 * found[()]
