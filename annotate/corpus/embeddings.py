"""Embeddings of samples while there is no model: standardised features with equal weight per modality."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.features.tokens import PAIR

WIDE = 64
"""A modality with more dimensions is reduced to this number of principal components."""
BINS = 512
"""Token ids are counted modulo this number."""


def pooled(features: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """(n, dim) mean over the frames of n arrays (frames, dim)."""
    return np.stack([frames.mean(axis=0, dtype=np.float64) for frames in features])


def counted(features: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """(n, `BINS`) log counts of the tokens in n arrays (tokens, 2), because a mean of ids is meaningless."""
    tokens = [(rows @ [PAIR, 1]).astype(np.int64) for rows in features]
    return np.stack([np.log1p(np.bincount(token_ids % BINS, minlength=BINS)) for token_ids in tokens])


def embed(modalities: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    """(n, d) from one (n, dim) array per modality: z-scored over the n samples, then scaled to the same mean
    square, so that 400 dimensions of the voice do not outweigh 30 of the face."""
    scaled = []
    for features in modalities:
        spread = features.std(axis=0)
        # In a nearly constant column, only rounding noise would be scaled up.
        flat = spread <= 1e-9 * np.maximum(np.abs(features).max(axis=0), 1e-30)
        centred = features - features.mean(axis=0)
        reduced = np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))
        if reduced.shape[1] > WIDE and len(reduced) > 1 and reduced.any():
            from sklearn.decomposition import PCA

            # For few samples, the covariance is far larger than the data: seconds for 20 texts of 2048
            # dimensions.
            solver = "full" if 2 * len(reduced) < reduced.shape[1] else "covariance_eigh"
            reduced = np.asarray(PCA(min(WIDE, len(reduced)), svd_solver=solver).fit_transform(reduced))
        size = np.sqrt((reduced**2).sum(axis=1).mean())
        scaled.append(np.asarray(reduced / (size or 1.0), dtype=np.float32))
    return np.concatenate(scaled, axis=1)
