"""Makes samples of one video: what a worker process does, without database and settings."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.errors import MediaError
from annotate.executors.process import alive
from annotate.media.cut import CutSample, cut, snap, varies
from annotate.media.probe import probe
from annotate.media.rescue import FOLDER, rescue
from annotate.media.sound import SAMPLE_RATE, Heard, listen, loudest, loudness, piece
from annotate.media.subtitles import read_subtitles
from annotate.registry import SEGMENTERS
from annotate.segmenters._postprocess import pad
from annotate.types import (
    Check,
    PreparedSample,
    SampleMedia,
    Segment,
    VideoJob,
    VideoOutcome,
    VideoStatus,
    sample_id,
)

REJECTIONS = frozenset({"no-video", "no-audio", "silent", "too-short", "no-speech", "no-cues"})
"""Reasons that are no fault of the file: it simply holds no utterance."""

SILENCE_DB = -60.0
_LEAST_SPEECH = 0.25


def prepare(job: VideoJob) -> VideoOutcome:
    """Cut one video into samples; finished files lie in the job's media folder.

    A video that cannot be used is an outcome with a reason, never an exception. Raises `MediaError` with code
    ``disk-full`` when there is no room, which is no fault of the video.
    """
    facts: dict[str, object] = {}
    try:
        try:
            samples, notes = _prepare(job, job.path, facts)
        except MediaError as error:
            if error.code != "broken":
                raise
            samples, notes = _prepare_rescued(job, facts)
            facts["rescued"] = True
    except MediaError as error:
        if error.code == "disk-full":
            raise
        status = VideoStatus.REJECTED if error.code in REJECTIONS else VideoStatus.FAILED
        return VideoOutcome(job.sha256, status, error.code, _printable(f"{error}; {error.hint}"), facts, ())
    return VideoOutcome(job.sha256, VideoStatus.OK, "", "; ".join(notes), facts, tuple(samples))


def _prepare_rescued(job: VideoJob, facts: dict[str, object]) -> tuple[list[PreparedSample], list[str]]:
    """The same from a copy that lives as long as the cutting."""
    copies = job.media / FOLDER
    copies.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=copies) as folder:
        return _prepare(job, rescue(job.path, Path(folder)), facts)


def _prepare(job: VideoJob, path: Path, facts: dict[str, object]) -> tuple[list[PreparedSample], list[str]]:
    """Samples and notes of the file `path`, the job's video or its rescued copy; fills in `facts`."""
    found = probe(path)
    facts.update(found.facts())
    heard = listen(path, alive)
    facts.update(duration_us=heard.end_us, variable_frame_rate=varies(heard.picture_us))
    _check_sound(job, heard)
    utterances, speech, notes = _utterances(job, heard)
    segments = snap(pad(utterances, round(job.pad_seconds * 1e6), heard.end_us), heard)
    wanted = [(SampleMedia.under(job.media, sample_id(job.sha256, s)), s) for s in segments]
    made = cut(path, found, heard, wanted, alive)
    samples = [
        _sample(job, s, c, checks)
        for s, c, checks in zip(segments, made, _checks(heard.wave, speech, segments), strict=True)
    ]
    if not any(c.face.passed for c in made):
        notes.append("no face seen")
    return samples, notes


def _check_sound(job: VideoJob, heard: Heard) -> None:
    seconds = heard.end_us / 1e6
    if seconds < job.min_seconds:
        raise MediaError(
            f"{job.path} lasts {seconds:.2f} s",
            code="too-short",
            hint=f"ingest.min_seconds asks for {job.min_seconds:g} s",
        )
    level = loudest(heard.wave)
    if level < SILENCE_DB:
        raise MediaError(
            f"the sound of {job.path} is silence ({level:.0f} dB at its loudest)",
            code="silent",
            hint="check that the right audio track was exported",
        )


def _utterances(job: VideoJob, heard: Heard) -> tuple[list[Segment], list[Segment], list[str]]:
    """Where the utterances are, where speech was heard, and what is to be said about the subtitles.

    The segmenter listens once: what it takes for utterances is the speech, unless subtitles tell them.
    """
    if job.sidecar is None:
        found = _by_ear(job, heard.wave)
        return found, found, []
    subtitles = read_subtitles(job.sidecar, heard.end_us, max_seconds=max(60.0, job.max_seconds))
    if not subtitles.segments:
        raise MediaError(
            f"{job.sidecar} holds no usable cue" + "".join(f"; {note}" for note in subtitles.notes),
            code="no-cues",
            hint="mend it, or take it away to have the speech found by ear",
        )
    speech = SEGMENTERS.get(job.segmenter)(min_seconds=0.1, max_seconds=60.0).segment(heard.wave)
    return list(subtitles.segments), speech, list(subtitles.notes)


def _by_ear(job: VideoJob, wave: NDArray[np.float32]) -> list[Segment]:
    """Utterances by ear. The limits are those of the finished clip, so room is left for the padding."""
    padding = 2 * job.pad_seconds
    least = max(0.1, job.min_seconds - padding)
    most = max(2 * least, job.max_seconds - padding)
    found = SEGMENTERS.get(job.segmenter)(min_seconds=least, max_seconds=most).segment(wave)
    if not found:
        raise MediaError(
            f"no speech of {job.min_seconds:g} s or more was heard in {job.path}",
            code="no-speech",
            hint="a subtitle file of the same name beside the video says where the utterances are",
        )
    return found


def _checks(
    wave: NDArray[np.float32], speech: Sequence[Segment], segments: Sequence[Segment]
) -> list[tuple[Check, Check]]:
    """How loud each sample is, and how much of it is speech."""
    return [(_loudness_check(wave, s), _speech_check(speech, s)) for s in segments]


def _loudness_check(wave: NDArray[np.float32], segment: Segment) -> Check:
    level = loudness(piece(wave, SAMPLE_RATE, (segment.start_us, segment.end_us)))
    passed = level > SILENCE_DB
    return Check("loudness", round(level, 2), passed, "" if passed else "nothing to hear")


def _speech_check(speech: Sequence[Segment], segment: Segment) -> Check:
    common = sum(max(0, min(h.end_us, segment.end_us) - max(h.start_us, segment.start_us)) for h in speech)
    share = common / (segment.end_us - segment.start_us)
    passed = share >= _LEAST_SPEECH
    return Check("speech", round(share, 4), passed, "" if passed else "little speech heard")


def _sample(
    job: VideoJob, segment: Segment, cut_sample: CutSample, checks: tuple[Check, Check]
) -> PreparedSample:
    return PreparedSample(
        id=sample_id(job.sha256, segment),
        segment=segment,
        transcript_origin="subtitles" if segment.text else "",
        media_sha256=cut_sample.sha256,
        checks=(cut_sample.face, *checks),
    )


def _printable(text: str) -> str:
    """Without the lone surrogates that stand for undecodable bytes in file names: no database takes them."""
    return text.encode("utf-8", "backslashreplace").decode()
