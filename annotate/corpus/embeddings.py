"""Where samples lie to each other while no model exists: standardised features, each modality alike."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.features.tokens import PAIR

WIDE = 64
"""A modality with more dimensions is reduced to so many principal components."""
BINS = 512
"""Tokens whose numbers are alike in what is left when divided by it are counted together."""


def pooled(features: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """(n, dim) mean over the frames of n arrays (frames, dim)."""
    return np.stack([frames.mean(axis=0, dtype=np.float64) for frames in features])


def counted(features: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """(n, `BINS`) how often tokens occur in n arrays (tokens, 2): the mean of their numbers says nothing."""
    numbers = [(rows @ [PAIR, 1]).astype(np.int64) for rows in features]
    return np.stack([np.log1p(np.bincount(found % BINS, minlength=BINS)) for found in numbers])


def embed(modalities: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    """(n, d) from one (n, dim) array per modality: z-scored over the n samples, then brought to the
    same mean square, so that 400 numbers on the voice do not drown 30 on the face."""
    return np.concatenate([_alike(_narrow(_standardised(part))) for part in modalities], axis=1)


def _standardised(part: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = part.std(axis=0)
    # A column that hardly moves would be blown up to pure rounding noise.
    flat = spread <= 1e-9 * np.maximum(np.abs(part).max(axis=0), 1e-30)
    return np.where(flat, 0.0, (part - part.mean(axis=0)) / np.where(flat, 1.0, spread))


def _narrow(part: NDArray[np.float64]) -> NDArray[np.float64]:
    if part.shape[1] <= WIDE or len(part) < 2 or not part.any():
        return part
    from sklearn.decomposition import PCA

    # Of few samples the covariance is far larger than they are: seconds for 20 texts of 2048 numbers.
    solver = "full" if 2 * len(part) < part.shape[1] else "covariance_eigh"
    return np.asarray(PCA(min(WIDE, len(part)), svd_solver=solver).fit_transform(part))


def _alike(part: NDArray[np.float64]) -> NDArray[np.float32]:
    size = np.sqrt((part**2).sum(axis=1).mean())
    return np.asarray(part / (size or 1.0), dtype=np.float32)
