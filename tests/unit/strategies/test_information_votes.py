"""Asking again against asking something new, against the paper's formula one sample at a time."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.batch.opening import make_strategy
from annotate.types import LabeledSet, Modality, Task, Votes
from strategies.active_lab import trust_in
from tests.support.pools import EMOTION, make_pool, predict

TASK = Task(EMOTION, Modality.AUDIO)
CLASSES = 4


def pool_with(n, votes, known_votes=(), m=0, seed=0):
    """`votes` are (row, rater, answer)."""
    rng = np.random.default_rng(seed)
    said, of_known = predict(TASK, n, rng), predict(TASK, m, rng)
    known = LabeledSet(
        np.zeros((m, 6), np.float32), {}, {TASK.id: of_known}, {TASK.id: np.zeros(m)},
        {TASK.id: made(known_votes)},
    )  # fmt: skip
    return replace(
        make_pool(n, dimensions=(), labelled=0), predictions={TASK.id: said},
        missing={TASK.id: np.ones(n, bool)}, known=known, votes={TASK.id: made(votes)},
    )  # fmt: skip


def made(votes):
    columns = np.array(list(votes), dtype=np.intp).reshape(-1, 3).T
    return Votes(*columns)


def by_hand(pool):
    """Goh and Mueller 2023, section 3, with the weights of CROWDLAB, in loops."""
    probs = pool.predictions[TASK.id].probs.astype(float)
    known = pool.known.predictions[TASK.id].probs.astype(float)
    answers, model = {}, {}
    for side, votes, chances in (("new", pool.votes, probs), ("known", pool.known.votes, known)):
        for row, rater, answer in zip(
            votes[TASK.id].rows, votes[TASK.id].raters, votes[TASK.id].answers, strict=True
        ):
            answers.setdefault((side, row), []).append((rater, answer))
            model[side, row] = chances[row]
    raters = sorted({r for given in answers.values() for r, _ in given})
    several = {i: given for i, given in answers.items() if len(given) > 1}
    right, weights, model_weight = 1.0, dict.fromkeys(raters, 1.0), 1.0
    if several:
        most = {}
        for i, given in several.items():
            counts = Counter(a for _, a in given)
            most[i] = max(counts, key=lambda a: (counts[a], model[i][a]))
        right = np.mean([np.mean([a == most[i] for _, a in given]) for i, given in several.items()])
        all_answers = Counter(a for given in answers.values() for _, a in given)
        usual = min(a for a, c in all_answers.items() if c == max(all_answers.values()))
        baseline = max(1 - np.mean([most[i] == usual for i in several]), 1e-6)
        met, same = Counter(), Counter()
        for given in several.values():
            for j, (rater, answer) in enumerate(given):
                others = given[:j] + given[j + 1 :]
                met[rater] += len(others)
                same[rater] += sum(a == answer for _, a in others)
        mean = sum(same.values()) / sum(met.values())
        for r in raters:
            agree = same[r] / met[r] if met[r] else mean
            weights[r] = max(1 - (1 - agree) / baseline, 1e-6)
        accuracy = np.mean([np.argmax(model[i]) == most[i] for i in several])
        size = np.sqrt(np.mean([len(given) for given in answers.values()]))
        model_weight = max(1 - (1 - accuracy) / baseline, 1e-6) * size
    one_more = np.mean([weights[r] for r in raters]) if raters else 1.0
    found = []
    for row in range(len(probs)):
        given = answers.get(("new", row), [])
        total = model_weight * probs[row]
        for rater, answer in given:
            says = np.full(CLASSES, (1 - right) / (CLASSES - 1))
            says[answer] = right
            total = total + weights[rater] * says
        weight = model_weight + sum(weights[r] for r, _ in given)
        found.append(-(one_more / CLASSES + total.max()) / (one_more + weight))
    return found


@given(seed=st.integers(0, 10_000), people=st.integers(1, 5))
def test_the_score_is_that_of_the_paper(seed, people):
    rng = np.random.default_rng(seed)

    def draw(n):
        asked = [(row, rater) for row in range(n) for rater in range(people) if rng.random() < 0.4]
        return [(row, rater, rng.choice([row % CLASSES, rng.integers(CLASSES)])) for row, rater in asked]

    # Numbers of raters have no gaps, as the step would give them.
    votes, known_votes = draw(8), [*draw(10), *((0, rater, 1) for rater in range(people))]
    known_votes = list({(row, rater): (row, rater, answer) for row, rater, answer in known_votes}.values())
    pool = pool_with(8, votes, known_votes, 10, seed)
    scores = make_strategy("active-lab").score(pool.predictions[TASK.id], pool)
    assert scores == pytest.approx(by_hand(pool), abs=1e-6)


def split_and_agreed():
    """Two raters who mostly agree; of candidate 0 they contradict each other, of candidate 1 they agree."""
    known = [(row, rater, row % CLASSES) for row in range(40) for rater in (0, 1)]
    return pool_with(3, [(0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 2)], known, 40)


def test_what_raters_contradict_each_other_about_is_asked_again_and_what_they_agree_on_is_not():
    pool = split_and_agreed()
    order = make_strategy("active-lab").select(pool, 3, np.random.default_rng(0)).indices.tolist()
    assert order.index(0) < order.index(1)
    assert order[-1] == 1


def test_a_rater_who_answers_by_chance_counts_less():
    rng = np.random.default_rng(0)
    known = [(row, rater, row % CLASSES) for row in range(60) for rater in (0, 1)]
    known += [(row, 2, int(rng.integers(CLASSES))) for row in range(60)]
    pool = pool_with(1, [], known, 60)
    trust = trust_in(pool.predictions[TASK.id], pool)
    assert trust.raters[2] < 0.5 * trust.raters[:2].min()
    assert trust.raters[0] == trust.raters[1]


def test_without_answers_of_people_the_least_sure_sample_comes_first():
    pool = pool_with(30, [])
    chosen = make_strategy("active-lab").select(pool, 30, np.random.default_rng(0)).indices.tolist()
    assert (
        chosen
        == make_strategy("least-confidence").select(pool, 30, np.random.default_rng(0)).indices.tolist()
    )


def test_votes_follow_their_samples():
    pool = split_and_agreed()
    rows = np.array([2, 0])
    some = pool.of(rows).votes[TASK.id]
    assert (some.rows.tolist(), some.raters.tolist(), some.answers.tolist()) == ([1, 1], [0, 1], [0, 1])
    assert len(pool.of(np.zeros(0, np.intp)).votes[TASK.id].rows) == 0
