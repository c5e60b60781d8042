"""How well ingest tells apart the voices of one video, where nobody named them.

- speakers_purity: share of the samples whose speaker is the most frequent of their group;
- speakers_pairwise_f1: of the statement "these two samples are the same person's", over all pairs of samples
  of one video;
- speakers_real_time_share: CPU seconds / seconds of sound, on one core.

The videos: each AMI file of DIR/speech_segments, cut at its turns by hand (those of a second or more, at
most a fifth of it under another voice), and DIR/joined_videos' five speakers, cut by ingest itself. How many
voices were found and how many there are is told for each. The threshold was chosen on other
recordings: single speakers of DIR/speech_transcripts, the sonnet and the TEN-VAD files, pieces of one to five
of them put together at random. The speakers of the GRID clips are not known: nothing is measured on them.
"""

import csv
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from annotate.media.audio import decode_audio
from annotate.segmenters.postprocess import utterances
from annotate.segmenters.silero_vad import SileroVad
from annotate.speakers.guess import guess_speakers
from annotate.types import Footage, LengthRules
from benchmarks._bars import Bars

RATE = 16_000
MIN_SECONDS, MAX_OVERLAP = 1.0, 0.2
EXAMPLE = Path(__file__).parent.parent / "examples" / "videos" / "autoeditor_voice_noface_42s.mp4"
Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """The samples of one video, and who talks in them."""

    name: str
    waves: list[Wave]
    speakers: list[str]


def measure(bars: Bars, data: Path | None, quick: bool) -> None:
    """Print the table and the bars; without data, the cost alone."""
    if data is None:
        bars.long("speakers_purity", "needs --data")
        bars.long("speakers_pairwise_f1", "needs --data")
    else:
        compare(bars, [*meetings(data / "speech_segments"), joined(data / "joined_videos")])
    bars.bar("speakers_real_time_share", real_time_share(2 if quick else 10), "<=", 1 / 500)


def compare(bars: Bars, scenes: Sequence[Scene]) -> None:
    pure = total = both = said = true = 0
    for scene in scenes:
        found = guess_speakers(scene.waves)
        same = [[a == b for a, b in combinations(names, 2)] for names in (found, scene.speakers)]
        own = sum(
            Counter(s for s, f in zip(scene.speakers, found, strict=True) if f == name).most_common(1)[0][1]
            for name in set(found)
        )
        agreed = sum(f and t for f, t in zip(*same, strict=True))
        print(
            f"{scene.name}: {len(found)} samples, {len(set(found))} voices found of "
            f"{len(set(scene.speakers))}, purity {own / len(found):.2f}, "
            f"pairs {agreed} right of {sum(same[0])} said and {sum(same[1])} true"
        )
        pure, total = pure + own, total + len(found)
        both, said, true = both + agreed, said + sum(same[0]), true + sum(same[1])
    bars.bar("speakers_purity", pure / total, ">=", 0.8)
    bars.bar("speakers_pairwise_f1", 2 * both / max(said + true, 1), ">=", 0.7)


def meetings(folder: Path) -> Iterator[Scene]:
    with (folder / "segments.csv").open(encoding="utf-8") as stream:
        turns = [row for row in csv.DictReader(stream) if row["speaker"]]
    for name in sorted({row["file"] for row in turns}):
        spans = [(float(r["start"]), float(r["end"]), r["speaker"]) for r in turns if r["file"] == name]
        kept = [span for span in spans if _clear(span, spans)]
        if len(kept) > 1:
            wave, rate = soundfile.read(folder / name, dtype="float32")
            assert rate == RATE, name
            yield Scene(
                name, [wave[int(a * RATE) : int(b * RATE)] for a, b, _ in kept], [who for *_, who in kept]
            )


def _clear(span: tuple[float, float, str], spans: Sequence[tuple[float, float, str]]) -> bool:
    start, end, who = span
    covered = sum(max(0.0, min(end, b) - max(start, a)) for a, b, other in spans if other != who)
    return end - start >= MIN_SECONDS and covered <= MAX_OVERLAP * (end - start)


def joined(folder: Path) -> Scene:
    name = "five_speakers_gap1.5s.mp4"
    with (folder / "reference.csv").open(encoding="utf-8") as stream:
        clips = [row for row in csv.DictReader(stream) if row["file"] == name]
    heard = decode_audio(folder / name)
    rules = LengthRules()
    speech = SileroVad(preset="near").segment(Footage(heard.wave, heard.end_us), rules)
    waves, speakers = [], []
    for segment in utterances(speech, None, rules, heard.end_us):
        middle = (segment.start_us + segment.end_us) / 2e6
        waves.append(heard.wave[segment.start_us * RATE // 10**6 : segment.end_us * RATE // 10**6])
        speakers.append(next(c["clip"] for c in clips if float(c["start"]) <= middle <= float(c["end"])))
    return Scene(name, waves, speakers)


def real_time_share(minutes: int) -> float:
    """CPU seconds per second of sound, in samples of five seconds."""
    voice = decode_audio(EXAMPLE).wave[: 15 * RATE]
    waves = [np.roll(voice, 997 * n)[: 5 * RATE] for n in range(12 * minutes)]
    began = time.process_time()
    guess_speakers(waves)
    return (time.process_time() - began) / (60 * minutes)


if __name__ == "__main__":
    from benchmarks._bars import arguments

    options = arguments(__doc__ or "").parse_args()
    printed = Bars()
    measure(printed, options.data, options.quick)
    raise SystemExit(printed.done(options.json))
