"""The mean of the answers to a question with a scale."""

from collections.abc import Mapping
from math import fsum

from annotate.registry import aggregator
from annotate.types import Aggregate, Dimension, Kind


@aggregator("mean")
class Mean:
    """The arithmetic mean of the raters' answers.

    The distribution is the mean of the raters' distributions: an answer between two points of the scale (an
    imported mean) is shared between them in inverse proportion to its distance. The confidence is the largest
    share in the distribution.
    """

    kinds = frozenset({Kind.REGRESSION})
    rule = "the mean of the raters' answers"
    per_sample = True

    def fit_predict(
        self, dimension: Dimension, votes: Mapping[str, Mapping[int, str]]
    ) -> dict[str, Aggregate]:
        """See `annotate.protocols.Aggregator`."""
        return {sample_id: _mean(dimension, answers) for sample_id, answers in votes.items() if answers}


def _mean(dimension: Dimension, answers: Mapping[int, str]) -> Aggregate:
    numbers = [number for answer in answers.values() if (number := dimension.number(answer)) is not None]
    around = [dimension.near(number) for number in numbers]
    shares = {
        a.alias: fsum(part.get(a.alias, 0.0) for part in around) / len(around) for a in dimension.answers
    }
    given = {alias: share for alias, share in shares.items() if share}
    return Aggregate(fsum(numbers) / len(numbers), given, max(given.values()), len(answers))
