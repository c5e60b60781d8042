"""Keeps the pool that a strategy looks at within bounds, however many samples there are."""

from collections.abc import Sequence

import numpy as np

from annotate.batch.opening import open_strategy
from annotate.batch.pool import look
from annotate.progress import Progress
from annotate.project import Project
from annotate.protocols import QueryStrategy
from annotate.types import Need
from db.batches import Candidate

SHARD = 65_536
"""Samples that are predicted at once."""
DRAWN_BY = "power:bald"
"""The strategy that draws by what a sample would tell, in nats: ranks of different shards say nothing."""
DRAWN_ALONE = "power:entropy"
"""The same where one network has nobody to disagree with."""
IN_NATS = {"bald": {"combine": "sum"}, "entropy": {"combine": "sum"}}


def narrow(
    project: Project, candidates: Sequence[Candidate], strategy: QueryStrategy, *, limit: int,
    round_id: int | None, device: str | None, rng: np.random.Generator, progress: Progress,
) -> list[Candidate]:  # fmt: skip
    """At most `limit` of them, in their order; all when there are no more.

    For a strategy that needs a model they are drawn by what each would tell, shard by shard, so that only
    one number per sample stays in memory; for another one by chance, each alike.
    """
    if len(candidates) <= limit:
        return list(candidates)
    if round_id is None or Need.MODEL not in strategy.needs:
        kept = rng.permutation(len(candidates))[:limit]
        return [candidates[i] for i in np.sort(kept)]
    keys = rng.gumbel(size=len(candidates))  # of what the model cannot rank: by chance, each alike
    options = project.settings.batch.options | IN_NATS
    with progress.bar("looking through the pool", len(candidates)) as bar:
        for start in range(0, len(candidates), SHARD):
            shard = candidates[start : start + SHARD]
            pool = look(project, round_id, [c.sample_id for c in shard], device).pool(project, shard, [])
            if not pool.unknown():
                several = any(len(p.members) > 1 for p in pool.predictions.values())
                name = DRAWN_BY if several else DRAWN_ALONE
                drawn = open_strategy(name, options).select(pool, len(shard), rng)
                keys[start + drawn.indices] = drawn.scores
            bar.advance(len(shard))
    kept = np.argpartition(-keys, limit - 1)[:limit]
    return [candidates[i] for i in np.sort(kept)]
