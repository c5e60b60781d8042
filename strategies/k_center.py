"""Cover the pool: always the sample farthest from everything asked so far."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Need, Pool, Selection
from strategies._distance import finite, nearest_squared, squared


@strategy("k-center")
class KCenter:
    """Farthest from all that is labelled or chosen, so that the pool is covered (Sener and Savarese 2018)."""

    needs: frozenset[Need] = frozenset()
    kinds = frozenset(Kind)

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Greedy, exact; the score is the distance to the nearest labelled or chosen sample.

        With nothing labelled it starts at the sample nearest the mean, whose score is the distance to
        the farthest sample. Raises `FeatureError` when an embedding is not a number.
        """
        # Shuffled, because `argmax` takes the first of equals.
        order = rng.permutation(len(pool))
        points = finite(pool.embeddings[order])
        distance = nearest_squared(points, finite(pool.known.embeddings))
        chosen: list[int] = []
        scores: list[float] = []
        for _ in range(min(k, len(pool))):
            new = _farthest(points, distance)
            start = np.isinf(distance[new])
            scores.append(distance[new])
            np.minimum(distance, squared(points, points[new]), out=distance)
            if start:
                scores[-1] = distance.max()
            distance[new] = -1
            chosen.append(new)
        return Selection(order[chosen].astype(np.intp), np.sqrt(scores))


def _farthest(points: NDArray[np.float32], distance: NDArray[np.float64]) -> int:
    if np.isinf(distance).all():
        return int(np.argmin(squared(points, points.mean(axis=0, dtype=np.float64))))
    return int(np.argmax(distance))
