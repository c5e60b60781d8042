"""The most frequent of the answers to a question with one answer."""

from collections import Counter
from collections.abc import Mapping

from annotate.registry import aggregator
from annotate.types import Aggregate, Dimension, Kind


@aggregator("majority")
class Majority:
    """The most frequent answer; of equally frequent ones the first in the order of the settings.

    The distribution holds the share of the raters who gave each answer, and the confidence is the share of
    the most frequent one.
    """

    kinds = frozenset({Kind.CLASSIFICATION})
    rule = "the most frequent answer"
    per_sample = True

    def fit_predict(
        self, dimension: Dimension, votes: Mapping[str, Mapping[int, str]]
    ) -> dict[str, Aggregate]:
        """See `annotate.protocols.Aggregator`."""
        labels = {}
        for sample_id, answers in votes.items():
            if answers:
                counts = Counter(answers.values())
                shares = {
                    a.alias: counts[a.alias] / len(answers) for a in dimension.answers if counts[a.alias]
                }
                most_frequent = max(shares, key=shares.__getitem__)  # `max` keeps the first of equals
                labels[sample_id] = Aggregate(most_frequent, shares, shares[most_frequent], len(answers))
        return labels
