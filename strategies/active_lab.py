"""Ask again, or ask something new: whichever answer is in more doubt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, TaskPrediction, Votes
from strategies._ensemble import Scores, by_mean
from strategies._scored import ScoredStrategy

LEAST = 1e-6
"""Weight of a rater or model that is no better than always giving the commonest answer."""
Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trust:
    """Weights of the raters and the model, by their agreement (Goh, Tkachenko and Mueller 2022, CROWDLAB)."""

    raters: Counts
    """(raters,) weight of each."""
    model: float
    right: float
    """Share of the answers that equal the majority answer."""

    @property
    def mean(self) -> float:
        """Weight of one further rater."""
        return float(self.raters.mean()) if len(self.raters) else 1.0


@strategy("active-lab")
class ActiveLab(ScoredStrategy):
    """Least confident answers, of new samples and of asked ones (ActiveLab, Goh and Mueller 2023).

    Classification only. The score is minus the confidence after one more answer that is not known yet:
    the weighted mean of the model's probability, of what each given answer says, and of 1 / classes.
    Raters and the model are weighted by their agreement (CROWDLAB; Goh, Tkachenko and Mueller 2022). This
    strategy, and wrappers around it, rank questions that were answered before among new ones, see asking
    again. The paper uses a model that did not learn from the answers; here the model did, so it doubts
    them less.
    """

    kinds = frozenset({Kind.CLASSIFICATION})
    needs = frozenset({Requirement.MODEL, Requirement.LABELS, Requirement.VOTES})

    def score(self, prediction: TaskPrediction, pool: Pool) -> Scores:
        """(n,) minus the confidence in the consensus after one more answer, whose value is unknown (section
        3).

        For a sample that nobody answered yet, only the model and the unknown answer count.
        """
        task_id = prediction.task.id
        votes = pool.votes.get(task_id, _no_votes())
        trust = trust_in(prediction, pool)
        classes = prediction.members.shape[2]
        chance = trust.mean / classes
        sure = by_mean(prediction, lambda probs: probs.max(axis=1))
        scores = -(chance + trust.model * sure) / (trust.mean + trust.model)
        if len(votes.rows):
            rows, place = np.unique(votes.rows, return_inverse=True)
            evidence = _evidence(votes, place, len(rows), classes, trust)
            weight = np.bincount(place, trust.raters[votes.raters], len(rows)) + trust.model
            agreed = (evidence + trust.model * prediction.of(rows).probs).max(axis=1)
            scores[rows] = -(chance + agreed) / (trust.mean + weight)
        return scores


def trust_in(prediction: TaskPrediction, pool: Pool) -> Trust:
    """Weights estimated from all answers to candidates and labelled samples.

    If no sample has two answers, every rater has weight one.
    """
    votes, probs = _all_votes(prediction, pool)
    people = int(votes.raters.max(initial=-1)) + 1
    rows, place = np.unique(votes.rows, return_inverse=True)
    classes = prediction.members.shape[2]
    counts = np.zeros((len(rows), classes))
    np.add.at(counts, (place, votes.answers), 1)
    answers = counts.sum(axis=1)
    if not (answers > 1).any():
        return Trust(np.ones(people), 1.0, 1.0)
    several = counts[answers > 1]
    model = probs[rows[answers > 1]]
    most = (several + 0.5 * model).argmax(axis=1)  # the model breaks ties
    right = float((several[np.arange(len(most)), most] / several.sum(axis=1)).mean())
    usual = float((most == counts.sum(axis=0).argmax()).mean())
    agree = _agreement(votes, place, counts, people)
    model_right = float((model.argmax(axis=1) == most).mean())
    better = (1 - np.append(agree, model_right)) / max(1 - usual, LEAST)
    weights = np.maximum(1 - better, LEAST)
    return Trust(weights[:-1], float(weights[-1] * np.sqrt(answers.mean())), right)


def _agreement(votes: Votes, place: NDArray[np.intp], counts: Counts, people: int) -> Counts:
    """(raters,) share of the other answers to the same samples that agree; the mean if there are none."""
    others = counts.sum(axis=1)[place] - 1
    alike = counts[place, votes.answers] - 1
    met = np.bincount(votes.raters, others, people)
    same = np.bincount(votes.raters, alike, people)
    return np.where(met > 0, same / np.maximum(met, 1), same.sum() / met.sum())


def _evidence(votes: Votes, place: NDArray[np.intp], n: int, classes: int, trust: Trust) -> Counts:
    """(n, classes) sum over the answers of the likelihood of each class times the weight of the rater."""
    weights = trust.raters[votes.raters]
    wrong = (1 - trust.right) / max(classes - 1, 1)
    evidence = np.zeros((n, classes))
    np.add.at(evidence, (place, votes.answers), weights * (trust.right - wrong))
    return evidence + wrong * np.bincount(place, weights, n)[:, None]


def _all_votes(prediction: TaskPrediction, pool: Pool) -> tuple[Votes, NDArray[np.float32]]:
    """All answers, and the (rows, classes) probabilities that their rows refer to."""
    task_id = prediction.task.id
    here, there = pool.votes.get(task_id, _no_votes()), pool.known.votes.get(task_id, _no_votes())
    rows = np.unique(here.rows)
    parts, answers = [prediction.of(rows).probs], [here.of(rows)]
    known = pool.known.predictions.get(task_id)
    if known is not None and len(there.rows):
        parts.append(known.probs)
        answers.append(Votes(there.rows + len(rows), there.raters, there.answers))
    joined = (np.concatenate([getattr(v, part) for v in answers]) for part in ("rows", "raters", "answers"))
    return Votes(*joined), np.concatenate(parts)


def _no_votes() -> Votes:
    none = np.zeros(0, dtype=np.intp)
    return Votes(none, none, none)
