"""How well repeated sound and repeated words are found, on real clips and planted copies.

    python -m benchmarks._ingest_repeats [--data DIR] [--quick] [--json FILE]

- repeats_sound_recall: of planted copies that must be found, coded anew (AAC 64 and 32 kbit/s, MP3), quieter,
  cut at another moment, shorter, with noise 20 dB below, and all at once; told for each beside it, also with
  noise 10 dB below, which is no longer mild and is not judged;
- repeats_sound_precision: of all pairs that are called the same sound, copies and clips against each other,
  those that are. GRID's sentences share words, speakers and rooms, as other takes of a sentence do;
- repeats_named_pairs_found: the share of real twins, which nobody planted: the same talk with noise
  (`openvna_reasr`), and two cuts of one film (`edge_`). Needs --data;
- repeats_text_recall, repeats_text_precision: of planted copies with other case and punctuation, and of
  sentences that differ by a word.

Clips of at most four seconds of the examples; with --data those of DIR/talking_videos and
DIR/speech_transcripts instead.
"""

import io
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from annotate.corpus.duplicates import SAME_SOUND, normal
from annotate.media.audio_fingerprint import audio_fingerprint, in_common
from benchmarks._bars import Bars, arguments

RATE = 16_000
SECONDS = 4
VIDEOS = Path(__file__).parent.parent / "examples" / "videos"
TWINS = (
    frozenset({"openvna_reasr_noised", "openvna_reasr_raw_yt"}),
    frozenset({"edge_no_face", "edge_face_then_none_hevc"}),
)

Wave = NDArray[np.float32]


def measure(bars: Bars, data: Path | None, quick: bool) -> None:
    """Print the tables and the bars."""
    clips = dict(_clips(data))
    if quick:
        clips = dict(sorted(clips.items())[::4])
    _sound(bars, clips, judged_twins=data is not None and not quick)
    _text(bars)


def _clips(data: Path | None) -> Iterator[tuple[str, Wave]]:
    folders = [VIDEOS] if data is None else [data / "talking_videos", data / "speech_transcripts"]
    endings = (".mpg", ".mp4", ".mov", ".wav", ".flac", ".mp3", ".aiff")
    for path in sorted(p for folder in folders for p in folder.iterdir() if p.suffix in endings):
        wave = _read(path)
        for start in range(0, len(wave), SECONDS * RATE):
            part = wave[start : start + SECONDS * RATE]
            # A second of sound at least: nothing can be recognised in silence.
            if len(part) >= 1.5 * RATE and np.sqrt(np.square(part).mean()) > 3e-3:
                yield f"{path.stem}@{start // RATE}", part


def _read(source: Path | io.BytesIO) -> Wave:
    import av

    with av.open(source if isinstance(source, io.BytesIO) else str(source), "r") as container:
        if not container.streams.audio:
            return np.zeros(0, np.float32)
        to_mono = av.AudioResampler("fltp", "mono", RATE)
        frames = [f for frame in container.decode(audio=0) for f in to_mono.resample(frame)]
        frames += to_mono.resample(None)
    parts = [frame.to_ndarray()[0] for frame in frames]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)


def _coded(wave: Wave, codec: str, container: str, kilobits: int) -> Wave:
    """Through a lossy codec at 44.1 kHz and back."""
    import av
    import soxr

    held = io.BytesIO()
    high = soxr.resample(wave, RATE, 44_100).astype(np.float32)
    with av.open(held, "w", format=container) as out:
        stream = cast("av.AudioStream", out.add_stream(codec, rate=44_100, layout="mono"))
        stream.bit_rate = kilobits * 1000
        frame = av.AudioFrame.from_ndarray(high[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44_100, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    held.seek(0)
    return _read(held)


def _noisy(wave: Wave, decibel: float) -> Wave:
    noise = np.random.default_rng(0).normal(size=len(wave)) * wave.std() * 10 ** (-decibel / 20)
    return np.asarray(wave + noise, np.float32)


COPIES: Mapping[str, Callable[[Wave], Wave]] = {
    "quieter": lambda wave: 0.2 * wave,
    "8.6 ms later": lambda wave: wave[137:],
    "105 ms later": lambda wave: wave[1677:],
    "AAC 64 kbit/s": lambda wave: _coded(wave, "aac", "mp4", 64),
    "AAC 32 kbit/s": lambda wave: _coded(wave, "aac", "mp4", 32),
    "MP3 48 kbit/s": lambda wave: _coded(wave, "libmp3lame", "mp3", 48),
    "noise at 20 dB": lambda wave: _noisy(wave, 20),
    "30 % shorter": lambda wave: wave[int(0.3 * len(wave)) + 55 :],
    "AAC, later, noise": lambda wave: _noisy(_coded(wave[99:], "aac", "mp4", 48), 20),
    "noise at 10 dB": lambda wave: _noisy(wave, 10),
}
NOT_JUDGED = ("noise at 10 dB",)


def _sound(bars: Bars, clips: Mapping[str, Wave], *, judged_twins: bool) -> None:
    began = time.process_time()
    prints = {name: audio_fingerprint(wave) for name, wave in clips.items()}
    cost = (time.process_time() - began) / sum(len(wave) / RATE for wave in clips.values())
    print(f"{len(clips)} clips; {1000 * cost:.1f} ms of CPU per second of sound\n")
    print(f"{'copy':<20} {'found':>6} {'fewest':>7} {'median':>7}  numbers that agree ({SAME_SOUND} needed)")
    found = planted = 0
    for name, change in COPIES.items():
        agreeing = [in_common(audio_fingerprint(change(wave)), prints[clip]) for clip, wave in clips.items()]
        hits = sum(count >= SAME_SOUND for count in agreeing)
        share, median = hits / len(agreeing), statistics.median(agreeing)
        print(f"{name:<20} {share:>6.2f} {min(agreeing):>7} {median:>7g}")
        if name not in NOT_JUDGED:
            found, planted = found + hits, planted + len(agreeing)
    unrelated, twins = [], dict.fromkeys(TWINS, 0)
    for one, other in combinations(sorted(prints), 2):
        pair, count = (
            frozenset({one.split("@")[0], other.split("@")[0]}),
            in_common(prints[one], prints[other]),
        )
        if pair in twins:
            twins[pair] = max(twins[pair], count)
        else:
            unrelated.append(count)
    false = sum(count >= SAME_SOUND for count in unrelated)
    named = sorted(twins.values())
    print(f"\n{len(unrelated)} unrelated pairs: at most {max(unrelated)} agree; real twins: {named}")
    bars.bar("repeats_sound_recall", found / planted, ">=", 0.95)
    bars.bar("repeats_sound_precision", found / (found + false), ">=", 0.99)
    if judged_twins:
        hits = sum(count >= SAME_SOUND for count in named)
        bars.bar("repeats_named_pairs_found", hits / len(TWINS), ">=", 1.0)
    else:
        bars.long("repeats_named_pairs_found", "needs --data and all clips")


SENTENCES = (
    "I never knew that you could do it so well", "What on earth did they tell you about me",
    "We have to go now before it gets too dark", "Don't you think it's a little bit too late for that",
    "我昨天根本不知道你在想什么事情", "他从来没有说过这样的话给我听",
    "You're the only one who can tell her that now",
)  # fmt: skip


def _text(bars: Bars) -> None:
    """Copies as another transcriber would write them; the same sentences with one word changed are none."""
    copies = [
        (s, change(s))
        for s in SENTENCES
        for change in (str.upper, lambda s: f"  {s}!?", lambda s: s.replace("'", "\u2019").replace(" ", "  "))
    ]
    other = [(s, s.replace(" you", " we").replace("他", "她").replace("昨", "今")) for s in SENTENCES]
    other = [(a, b) for a, b in [*other, *combinations(SENTENCES, 2)] if a != b]
    hits = sum(normal(a) == normal(b) for a, b in copies)
    false = sum(normal(a) == normal(b) for a, b in other)
    bars.bar("repeats_text_recall", hits / len(copies), ">=", 1.0)
    bars.bar("repeats_text_precision", hits / (hits + false), ">=", 1.0)


def main() -> int:
    """Exit code 1 when a bar is short."""
    options = arguments((__doc__ or "").split("\n", maxsplit=1)[0]).parse_args()
    bars = Bars()
    measure(bars, options.data, options.quick)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
