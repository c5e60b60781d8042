"""How well ingest hears where people speak, beside silero-vad's own way with the same network.

- segmentation_gain_ami, segmentation_gain_tenvad: mean frame F1 over the files of DIR/speech_segments, inside
  their annotated regions, of our speech segments as they are heard, before length rules and padding, less
  that of silero-vad's `get_speech_timestamps` with its own defaults. What is left under ingest's own limits,
  which drop short speech on purpose and pad the rest, is told beside it.
"""

import csv
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.segmenters._postprocess import utterances
from annotate.segmenters.silero_vad import SileroVad
from annotate.types import Footage, LengthRules, Segment, Speech
from benchmarks._bars import Bars

SAMPLE_RATE = 16_000
Wave = NDArray[np.float32]


def official_network() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from silero_vad import load_silero_vad

        return load_silero_vad()


@dataclass(frozen=True)
class Reference:
    """One file of manual speech segments; all in seconds."""

    name: str
    wave: Wave
    region: tuple[float, float]
    spans: list[tuple[float, float]]


def references(folder: Path) -> Iterator[Reference]:
    import soundfile

    with (folder / "segments.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (folder / "annotated_region.csv").open(newline="", encoding="utf-8") as file:
        regions = list(csv.DictReader(file))
    for row in regions:
        wave, rate = soundfile.read(folder / row["file"], dtype="float32")
        assert rate == SAMPLE_RATE and wave.ndim == 1, row["file"]
        spans = [(float(r["start"]), float(r["end"])) for r in rows if r["file"] == row["file"]]
        region = float(row["annotated_from"]), float(row["annotated_to"])
        yield Reference(row["file"], wave, region, spans)


def heard_spans(wave: Wave) -> list[tuple[float, float]]:
    """Speech as the segmenter hears it: no length rules, no padding."""
    return _seconds(_heard(wave).segments)


def ingest_spans(wave: Wave) -> list[tuple[float, float]]:
    """What ingest would cut with its default limits and padding."""
    return _seconds(utterances(_heard(wave), None, LengthRules(), len(wave) * 1_000_000 // SAMPLE_RATE))


def _heard(wave: Wave) -> Speech:
    return SileroVad().segment(Footage(wave, len(wave) * 1_000_000 // SAMPLE_RATE), LengthRules())


def _seconds(segments: Sequence[Segment]) -> list[tuple[float, float]]:
    return [(s.start_us / 1e6, s.end_us / 1e6) for s in segments]


def official_spans(network: Any, wave: Wave) -> list[tuple[float, float]]:
    import torch
    from silero_vad import get_speech_timestamps

    found = get_speech_timestamps(torch.from_numpy(wave), network)
    return [(f["start"] / SAMPLE_RATE, f["end"] / SAMPLE_RATE) for f in found]


def frame_f1(found: Sequence[tuple[float, float]], reference: Reference) -> float:
    """Of frames of 10 ms in the annotated region."""
    first, last = reference.region
    times = np.arange(round((last - first) * 100)) / 100 + first + 0.005
    said, true = (covered(spans, times) for spans in (found, reference.spans))
    return float(2 * (said & true).sum() / max(said.sum() + true.sum(), 1))


def covered(spans: Sequence[tuple[float, float]], times: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside = np.zeros(len(times), bool)
    for start, end in spans:
        inside |= (times >= start) & (times < end)
    return inside


def boundary_error(found: Sequence[tuple[float, float]], reference: Reference) -> list[float]:
    """Seconds from each true start and end to the nearest found one."""
    return [
        min(abs(span[side] - other[side]) for other in found)
        for span in reference.spans
        for side in (0, 1)
        if found
    ]


def measure(bars: Bars, data: Path | None, quick: bool) -> None:
    """All bars of this file."""
    names = {"ami": lambda n: not n.startswith("tenvad"), "tenvad": lambda n: n.startswith("tenvad")}
    if data is None or not (data / "speech_segments").is_dir():
        for name in names:
            bars.long(f"segmentation_gain_{name}", "needs --data with speech_segments")
        return
    network, found = official_network(), list(references(data / "speech_segments"))
    for name, belongs in names.items():
        part = [r for r in found if belongs(r.name)]
        sides = {
            "ours": [heard_spans(r.wave) for r in part],
            "silero-vad": [official_spans(network, r.wave) for r in part],
            "ours under ingest's limits": [ingest_spans(r.wave) for r in part],
        }
        scores = {side: mean_f1(spans, part) for side, spans in sides.items()}
        for side, spans in sides.items():
            errors = [e for s, r in zip(spans, part, strict=True) for e in boundary_error(s, r)]
            print(
                f"{name}, {len(part)} files, {side}: mean frame F1 {scores[side]:.3f}, "
                f"median boundary error {1000 * np.median(errors):.0f} ms"
            )
        bars.bar(f"segmentation_gain_{name}", scores["ours"] - scores["silero-vad"], ">=", 0.0)


def mean_f1(spans: Sequence[Sequence[tuple[float, float]]], part: Sequence[Reference]) -> float:
    return float(np.mean([frame_f1(s, r) for s, r in zip(spans, part, strict=True)]))
