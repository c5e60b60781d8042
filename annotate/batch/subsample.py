"""Keeps the pool that a strategy ranks within a limit, however many samples there are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from annotate.batch.opening import make_strategy
from annotate.progress import Progress
from annotate.types import Pool
from db.batches import Candidate

SHARD = 65_536
"""Number of samples that are predicted at once."""
DRAWN_BY = "power:bald"
"""The strategy that draws by information gain in nats; ranks would not be comparable between shards."""
DRAWN_ALONE = "power:entropy"
"""The same for a model with one member."""
IN_NATS = {"bald": {"combine": "sum"}, "entropy": {"combine": "sum"}}


def subsample(
    candidates: Sequence[Candidate], limit: int | None, rng: np.random.Generator,
    pool_of: Callable[[Sequence[Candidate]], Pool] | None, options: Mapping[str, Mapping[str, Any]],
    progress: Progress,
) -> list[Candidate]:  # fmt: skip
    """At most `limit` of the candidates, in their order; all of them if there are no more.

    With `pool_of`, which predicts some of them, they are drawn by information gain, shard by shard, so that
    only one number per sample stays in memory. Without it all are equally likely. `options` are those of
    strategies.
    """
    if limit is None or len(candidates) <= limit:
        return list(candidates)
    if pool_of is None:
        kept = rng.permutation(len(candidates))[:limit]
        return [candidates[i] for i in np.sort(kept)]
    keys = rng.gumbel(size=len(candidates))  # samples that the model cannot rank are equally likely
    with progress.bar("looking through the pool", len(candidates)) as bar:
        for start in range(0, len(candidates), SHARD):
            shard = candidates[start : start + SHARD]
            pool = pool_of(shard)
            if not pool.unknown():
                is_ensemble = any(len(p.members) > 1 for p in pool.predictions.values())
                name = DRAWN_BY if is_ensemble else DRAWN_ALONE
                drawn = make_strategy(name, {**options, **IN_NATS}).select(pool, len(shard), rng)
                keys[start + drawn.indices] = drawn.scores
            bar.advance(len(shard))
    kept = np.argpartition(-keys, limit - 1)[:limit]
    return [candidates[i] for i in np.sort(kept)]
