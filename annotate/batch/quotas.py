"""Divides a batch between the query strategy, the audit and the held-out splits, and draws the latter."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from annotate.types import Role, Split
from db.batches import Candidate


@dataclass(frozen=True, slots=True)
class Choice:
    """A sample that goes into the batch."""

    candidate: Candidate
    role: Role
    score: float = 0.0
    inclusion_probability: float | None = None
    """Of a uniform draw; None where the strategy chose."""


@dataclass(frozen=True, slots=True)
class Strata:
    """The candidates by what they may be asked for; ordered by sample id."""

    active: list[Candidate]
    """Train samples that were never audited: what the strategy may choose from."""
    audit: list[Candidate]
    """Train samples that never served the strategy: what the audit is drawn from. Nearly all are in both."""
    holdout: list[Candidate]
    """Valid and test samples."""

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> "Strata":
        """Divide the candidates. A sample that comes back keeps the role it had: an audit sample that
        became active would be asked and never learned from, and the other way round it is no fresh draw."""
        train = [c for c in candidates if c.split is Split.TRAIN]
        return cls(
            active=[c for c in train if Role.AUDIT not in c.roles],
            audit=[c for c in train if Role.ACTIVE not in c.roles],
            holdout=[c for c in candidates if c.split is not Split.TRAIN],
        )


@dataclass(frozen=True, slots=True)
class UniformDraws:
    """The uniform draws of a batch, and what they leave to the strategy."""

    audit: list[Choice]
    holdout: list[Choice]
    active: int
    """How many samples the strategy is to choose."""
    pool: list[Candidate]
    """From which."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Samples of the batches so far, each counted once."""

    active: int = 0
    audit: int = 0
    holdout: int = 0


LARGE_ENOUGH = 5
"""From this size on a batch is large enough to be divided by itself."""


def draw(
    n: int,
    strata: Strata,
    *,
    before: Counts,
    holdout_share: float,
    audit_share: float,
    rng: np.random.Generator,
) -> UniformDraws:
    """Divide `n` samples so that all batches together follow the shares; a part that runs dry leaves its
    room to the others."""
    candidates = {c.sample_id for part in (strata.active, strata.audit, strata.holdout) for c in part}
    quotas = quotas_of(
        min(n, len(candidates)), before, holdout_share=holdout_share, audit_share=audit_share,
        audit_first=n >= LARGE_ENOUGH and before.audit == 0,
    )  # fmt: skip
    holdout = min(quotas.holdout, len(strata.holdout))
    audits = _audit_quota(n, n - holdout, quotas.audit, strata, before, audit_share)
    audit = _draw(strata.audit, audits, Role.AUDIT, rng)
    audited = {choice.candidate.sample_id for choice in audit}
    pool = [c for c in strata.active if c.sample_id not in audited]
    active = min(n - holdout - len(audit), len(pool))
    holdout = min(n - len(audit) - active, len(strata.holdout))
    return UniformDraws(audit, _draw_holdout(strata.holdout, holdout, rng), active, pool)


def quotas_of(
    n: int, before: Counts, *, holdout_share: float, audit_share: float, audit_first: bool = False
) -> Counts:
    """How many of the next `n` samples each part should get.

    The samples are given out one by one by the rule of Tijdeman 1980 ("The chairman assignment problem"),
    which keeps every part within 3/4 of a sample of its share at any moment: of the strata that are owed
    at least 1/4, the one that would first be owed more than 3/4. What a part is owed from before counts
    up to one sample either way: more comes from a part that ran dry, and its room was given away.
    `audit_first` gives the first of them to the audit, if it has a share.
    """
    audit_share = min(audit_share, 1 - holdout_share)
    shares = (1 - holdout_share - audit_share, audit_share, holdout_share)
    counts = (before.active, before.audit, before.holdout)
    owed = [min(max(s * sum(counts) - k, -1.0), 1.0) for s, k in zip(shares, counts, strict=True)]
    given = [0, 0, 0]
    for position in range(n):
        owed = [o + s for o, s in zip(owed, shares, strict=True)]
        due = [i for i in range(3) if owed[i] >= 0.25 and shares[i] > 0]
        turn = min(due, key=lambda i: (0.75 - owed[i]) / shares[i]) if due else owed.index(max(owed))
        if position == 0 and audit_first and audit_share > 0:
            turn = 1
        owed[turn] -= 1
        given[turn] += 1
    return Counts(*given)


def _audit_quota(n: int, room: int, wanted: int, strata: Strata, before: Counts, share: float) -> int:
    """How many audit samples of `wanted` fit into `room`: never the last train sample, nor more of the train
    pool than their share of the train questions: a tiny pool is there to learn from first. A batch of some
    size, and the first of any, asks for something to learn from."""
    if not strata.active:
        return min(room, len(strata.audit))
    if share == 0 or room == 0:
        return 0
    learn = 1 if n >= LARGE_ENOUGH or before.active == 0 else 0
    train = sum(bool(c.passes) for c in strata.active) or len(
        strata.active
    )  # what is asked again was learned
    fair = ceil(train * wanted / room)
    return min(wanted, fair, len(strata.audit), room - learn, train - 1)


def _draw_holdout(part: Sequence[Candidate], k: int, rng: np.random.Generator) -> list[Choice]:
    """`k` samples of valid and test in proportion to what is left of them; one of each from two on."""
    if k == 1:
        return _draw(part, 1, Role.HOLDOUT, rng)
    valid = [c for c in part if c.split is Split.VALID]
    test = [c for c in part if c.split is Split.TEST]
    # At least one of each where there is one; half a sample is rounded up.
    fewest = max(k - len(test), min(1, len(valid), k))
    most = min(len(valid), k - min(1, len(test), k))
    from_valid = min(max(floor(k * len(valid) / max(len(part), 1) + 0.5), fewest), most)
    drawn = _draw(valid, from_valid, Role.HOLDOUT, rng) + _draw(test, k - from_valid, Role.HOLDOUT, rng)
    return [drawn[i] for i in rng.permutation(len(drawn))]


def _draw(part: Sequence[Candidate], k: int, role: Role, rng: np.random.Generator) -> list[Choice]:
    chance = k / len(part) if part else 0.0
    return [Choice(part[i], role, 0.0, chance) for i in rng.permutation(len(part))[:k]]


def in_rank_order(
    active: Sequence[Choice], others: Sequence[Choice], rng: np.random.Generator
) -> list[Choice]:
    """Everything by rank: the strategy's order kept, the others at places drawn by chance, so that
    nobody can tell from a question's place why it is asked."""
    places = rng.permutation(len(active) + len(others)) < len(active)
    first, second = iter(active), iter(others)
    return [next(first) if is_active else next(second) for is_active in places]
