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
class Parts:
    """The candidates by what they may be asked for; ordered by sample id."""

    active: list[Candidate]
    """Train samples that were never audited: what the strategy may choose from."""
    audit: list[Candidate]
    """Train samples that never served the strategy: what the audit is drawn from. Nearly all are in both."""
    holdout: list[Candidate]
    """Valid and test samples."""

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> "Parts":
        """Divide the candidates. A sample that comes back keeps the role it had: an audit sample that
        became active would be asked and never learned from, and the other way round it is no fresh draw."""
        train = [c for c in candidates if c.split is Split.TRAIN]
        return cls(
            active=[c for c in train if Role.AUDIT not in c.roles],
            audit=[c for c in train if Role.ACTIVE not in c.roles],
            holdout=[c for c in candidates if c.split is not Split.TRAIN],
        )


@dataclass(frozen=True, slots=True)
class Draws:
    """The uniform draws of a batch, and what they leave to the strategy."""

    audit: list[Choice]
    holdout: list[Choice]
    active: int
    """How many samples the strategy is to choose."""
    pool: list[Candidate]
    """From which."""


def draw(
    n: int, parts: Parts, *, holdout_share: float, audit_share: float, rng: np.random.Generator
) -> Draws:
    """Divide `n` samples by the shares; a part that runs dry leaves its room to the others."""
    holdout = min(_rounded(n * holdout_share), len(parts.holdout))
    audit = _draw(parts.audit, _audit_quota(n, n - holdout, parts, audit_share), Role.AUDIT, rng)
    audited = {choice.candidate.sample_id for choice in audit}
    pool = [c for c in parts.active if c.sample_id not in audited]
    active = min(n - holdout - len(audit), len(pool))
    holdout = min(n - len(audit) - active, len(parts.holdout))
    return Draws(audit, _draw_holdout(parts.holdout, holdout, rng), active, pool)


def _audit_quota(n: int, room: int, parts: Parts, share: float) -> int:
    """The audit's share of `n`, at least one; never the last train sample of a batch, nor more of the train
    pool than its share of the train questions: a tiny pool is there to learn from first."""
    if not parts.active:
        return min(room, len(parts.audit))
    if share == 0 or room < 2:
        return 0
    wanted = max(1, _rounded(n * share))
    train = len(parts.active)
    fair = ceil(train * wanted / room)
    return min(wanted, fair, len(parts.audit), room - 1, train - 1)


def _rounded(share: float) -> int:
    """Half a sample counts as one."""
    return floor(share + 0.5)


def _draw_holdout(part: Sequence[Candidate], k: int, rng: np.random.Generator) -> list[Choice]:
    """`k` samples of valid and test in proportion to what is left of them; one of each from two on."""
    if k == 1:
        return _draw(part, 1, Role.HOLDOUT, rng)
    valid = [c for c in part if c.split is Split.VALID]
    test = [c for c in part if c.split is Split.TEST]
    share = _valid_share(k, len(valid), len(test))
    drawn = _draw(valid, share, Role.HOLDOUT, rng) + _draw(test, k - share, Role.HOLDOUT, rng)
    return [drawn[i] for i in rng.permutation(len(drawn))]


def _valid_share(k: int, valid: int, test: int) -> int:
    """How many of `k` != 1 held-out samples are drawn from `valid` samples, the rest from `test`."""
    least = max(k - test, min(1, valid, k))
    most = min(valid, k - min(1, test, k))
    return min(max(_rounded(k * valid / max(valid + test, 1)), least), most)


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
