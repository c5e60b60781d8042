"""Recognises burnt-in subtitles (OCR), so that clips without a transcript get one.

The recogniser is the small PP-OCRv6 model (Chinese, English and other scripts). The package `rapidocr` runs
it and includes its weights; nothing is downloaded.
"""

from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from annotate.media.frames import gray
from annotate.media.onscreen_text import lines
from annotate.types import Box

if TYPE_CHECKING:
    import av

EVERY_SECONDS = 0.5
_LEAST_SCORE = 0.6
"""Confidence below which a reading is a guess."""
_SAME_TEXT = 0.6
"""Similarity (Ratcliff and Obershelp) above which two readings show the same subtitle."""
_MARGIN = 0.15
"""Margin around a cropped line, as a share of its height."""


def read_subtitles(clip: Path) -> str:
    """The subtitles in the lower part of a clip, each once, in order; empty if there are none."""
    import av

    readings: list[tuple[float, str]] = []
    due = 0.0
    with av.open(str(clip)) as source:
        source.streams.video[0].codec_context.thread_count = 1
        for frame in source.decode(video=0):
            if (frame.time or 0.0) >= due:
                due = (frame.time or 0.0) + EVERY_SECONDS
                if reading := _read(frame):
                    readings.append(reading)
    # Of successive readings of one subtitle, the one with the highest score is kept.
    kept: list[tuple[float, str]] = []
    for score, text in readings:
        if kept and SequenceMatcher(None, kept[-1][1], text, autojunk=False).ratio() >= _SAME_TEXT:
            kept[-1] = max(kept[-1], (score, text))
        else:
            kept.append((score, text))
    return _joined([text for _, text in kept])


def _read(frame: "av.VideoFrame") -> tuple[float, str] | None:
    """(mean score, text) of the lines of one frame, from the top; None if nothing can be read."""
    boxes = lines(gray(frame.reformat(format="yuv420p")))
    if not boxes:
        return None
    picture = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    height, width = picture.shape[:2]
    scores, texts = [], []
    for line in _in_reading_order(boxes):
        margin = _MARGIN * line.height * height
        top, bottom = line.top * height - margin, (line.top + line.height) * height + margin
        left, right = line.left * width - margin, (line.left + line.width) * width + margin
        crop = picture[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1]
        result = _reader()(np.ascontiguousarray(crop), use_det=False, use_cls=False, use_rec=True)
        for text, score in zip(result.txts or (), result.scores or (), strict=True):
            if score >= _LEAST_SCORE and (words := " ".join(text.split())):
                texts.append(words)
                scores.append(float(score))
    return (sum(scores) / len(scores), _joined(texts)) if texts else None


def _in_reading_order(boxes: Sequence[Box]) -> list[Box]:
    """The lines row by row from the top, those side by side from the left."""
    rows: list[list[Box]] = []
    for line in sorted(boxes, key=lambda b: b.top + b.height / 2):
        middle = line.top + line.height / 2
        if rows and middle < rows[-1][0].top + rows[-1][0].height:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda b: b.left)]


def _joined(texts: Sequence[str]) -> str:
    """The texts joined by spaces, except between Chinese or Japanese characters."""
    made = texts[0] if texts else ""
    for before, text in pairwise(texts):
        made += text if before[-1] > "\u2e80" and text[0] > "\u2e80" else f" {text}"
    return made


@cache
def _reader() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            # Worker processes share the processor already.
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Global.log_level": "critical",
        }
    )
