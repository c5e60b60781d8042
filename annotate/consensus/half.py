"""Which answers of a question with several answers at least half of the raters ticked."""

from collections import Counter
from collections.abc import Mapping
from math import fsum

from annotate.registry import aggregator
from annotate.types import Aggregate, Dimension, Kind


@aggregator("half")
class Half:
    """Every answer that at least half of the raters ticked; possibly none, which is a valid label.

    The distribution holds, for every answer, the share of the raters who ticked it; these shares do not sum
    to one. The confidence is the share of the raters who agree with the label about an answer, averaged
    over the answers.
    """

    kinds = frozenset({Kind.MULTILABEL})
    rule = "every answer that at least half of the raters ticked, perhaps none"
    per_sample = True

    def fit_predict(
        self, dimension: Dimension, votes: Mapping[str, Mapping[int, str]]
    ) -> dict[str, Aggregate]:
        """See `annotate.protocols.Aggregator`."""
        labels = {}
        for sample_id, answers in votes.items():
            if answers:
                counts = Counter(alias for answer in answers.values() for alias in dimension.ticked(answer))
                shares = {a.alias: counts[a.alias] / len(answers) for a in dimension.answers}
                value = dimension.joined([alias for alias, share in shares.items() if share >= 0.5])
                agreement = fsum(max(share, 1 - share) for share in shares.values()) / len(shares)
                labels[sample_id] = Aggregate(value, shares, agreement, len(answers))
        return labels
