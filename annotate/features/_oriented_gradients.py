"""Histograms of oriented gradients (Dalal and Triggs 2005) of one small picture."""

import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""Side of the picture in pixels."""
_BLOCK, _CELL, _BINS = 32, 16, 9
"""Sides of a block and of a cell in pixels; directions between 0 and 180 degrees. Blocks do not overlap."""
SIZE = (SIDE // _CELL) ** 2 * _BINS
_CLIP = 0.2
"""Largest share of one number in its block before the block is normalised again."""


def _cell_weights() -> NDArray[np.float32]:
    """(cells, pixels) along one side: linear between the centres of cells, Gaussian from the middle of the
    block, nothing from the neighbouring block."""
    pixels = np.arange(_BLOCK)
    place = (pixels + 0.5) / _CELL - 0.5
    linear = np.maximum(0, 1 - np.abs(place - np.arange(_BLOCK // _CELL)[:, None]))
    sigma = _BLOCK / 4
    gaussian = np.exp(-((pixels - _BLOCK / 2) ** 2) / (2 * sigma**2))
    return np.kron(np.eye(SIDE // _BLOCK), linear * gaussian).astype(np.float32)


_WEIGHTS = _cell_weights()


def oriented_gradients(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(SIZE,) block by block, in it cell by cell, both column by column, and then direction by direction.

    Equals to 1e-6 what `HOGDescriptor((64, 64), (32, 32), (32, 32), (16, 16), 9)` of OpenCV 4 computes.
    OpenCV 5 has that class only in its contrib distribution (opencv/opencv#25198).
    """
    import cv2

    edged = np.pad(picture.astype(np.float32), 1, mode="reflect")
    right = edged[1:-1, 2:] - edged[1:-1, :-2]
    down = edged[2:, 1:-1] - edged[:-2, 1:-1]
    length, angle = cv2.cartToPolar(right, down)
    # A direction and its opposite count as one; the vote is shared between the two nearest bins.
    place = angle * np.float32(_BINS / np.pi) - np.float32(0.5)
    away = np.abs(place % _BINS - np.arange(_BINS, dtype=np.float32)[:, None, None])
    votes = length * np.maximum(0, 1 - np.minimum(away, _BINS - away))
    cells = _WEIGHTS @ votes @ _WEIGHTS.T  # (bin, row, column)
    each = _BLOCK // _CELL
    blocks = cells.reshape(_BINS, SIDE // _BLOCK, each, SIDE // _BLOCK, each).transpose(3, 1, 4, 2, 0)
    flat = blocks.reshape(-1, each * each * _BINS)
    flat = flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 0.1 * flat.shape[1])
    clipped = np.minimum(flat, _CLIP)
    normalised = clipped / (np.linalg.norm(clipped, axis=1, keepdims=True) + 1e-3)
    return np.asarray(normalised.ravel(), np.float32)
