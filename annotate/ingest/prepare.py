"""Makes samples of one video: what a worker process does, without database and settings."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from annotate.errors import MediaError
from annotate.executors._alive import alive
from annotate.ingest.corrected import Cut, join_corrected
from annotate.ingest.measure import measure, observe
from annotate.ingest.voice_share import LEAST_SHARE, sound_at_fault, voice_share
from annotate.media.audio import DecodedAudio, decode_audio, loudest
from annotate.media.audio_fingerprint import audio_fingerprint
from annotate.media.blur import hide_onscreen_text
from annotate.media.cut import CutSample, cut, snap, varies
from annotate.media.keyframes import keyframes
from annotate.media.probe import Probe, probe
from annotate.media.reading import read_subtitles
from annotate.media.remux import cannot_copy, copy
from annotate.media.repair import repair
from annotate.permissions import make_folder
from annotate.registry import SEGMENTERS, TRANSCRIBERS
from annotate.segmenters.postprocess import joined_short, utterances
from annotate.speakers.guess import guess_speakers, is_numbered
from annotate.temporary import temporary_folder
from annotate.transcripts.read import read_transcript
from annotate.transcripts.tables import is_whole_clip
from annotate.transcripts.usable import MAX_US, usable
from annotate.types import (
    GUESSED,
    JOINED_SPEECH,
    Footage,
    Observed,
    PreparedSample,
    SampleMedia,
    Segment,
    Speech,
    Transcript,
    VideoJob,
    VideoOutcome,
    VideoStatus,
    sample_id,
)

REJECTIONS = frozenset(
    {"no-video", "no-audio", "silent", "too-short", "long-utterance", "no-speech", "no-cues"}
)
"""Reasons that are no fault of the file: it simply holds no utterance."""

SILENCE_DB = -60.0
SHORTEST_SECONDS = 0.3
"""Of a video: what is longer may hold a cry, and the rules of `[checks]` decide on it."""

SLACK_US = 50_000
"""A corrected end may lie so far behind the last picture: it is moved there."""

Cutter = Callable[..., list[CutSample]]

OCR = "ocr"
"""Origin of a transcript that was read off the pictures."""
LISTENER = "silero-vad"
"""Hears voices where the segmenter of the settings does not listen."""


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
    make_folder(job.media)
    with temporary_folder(job.media) as folder:
        rescued = repair(job.path, folder, alive)
        try:
            return _prepare(job, rescued, facts)
        except MediaError as error:
            message = str(error).replace(str(rescued), str(job.path))
            raise MediaError(message, code=error.code, hint=error.hint) from error


def _prepare(job: VideoJob, path: Path, facts: dict[str, object]) -> tuple[list[PreparedSample], list[str]]:
    """Samples and notes of the file `path`, the job's video or its rescued copy; fills in `facts`."""
    found = probe(path)
    facts.update(found.facts())
    heard = decode_audio(path, alive)
    facts.update(duration_us=heard.end_us, variable_frame_rate=varies(heard.frame_us))
    if job.only_corrected:
        transcript, left_out = None, 0
        _, voices = _speech(job, path, heard, None)
        cuts = [Cut(s, True, c.language) for s, c in zip(_snapped(job, heard), job.corrected, strict=True)]
    else:
        _check_sound(job, heard)
        transcript = _transcript(job, heard)
        if transcript is not None and transcript.origin != "asr":
            facts["transcript"] = _printable(_transcript_path(job))
        speech, voices = _speech(job, path, heard, transcript)
        found_utterances = utterances(speech, transcript, job.plan.lengths, heard.end_us)
        if not found_utterances and not job.corrected:
            raise _nothing_said(job, found, heard, transcript)
        facts[JOINED_SPEECH] = joined_short(speech, found_utterances, job.plan.lengths)
        least_us = round(job.plan.lengths.min_seconds * 1e6)
        cuts, left_out = join_corrected(snap(found_utterances, heard), job.corrected, job.taken, least_us)
    segments = [one.segment for one in cuts]
    wanted = [(SampleMedia.under(job.media, sample_id(job.sha256, s)), s) for s in segments]
    how, notes = _how_to_cut(job, found, heard)
    made = how(path, found, heard, wanted, lambda done_us: alive(done_us, heard.end_us))
    read = ["" if c.keeps_text else t for c, t in zip(cuts, _read(job, wanted, made, heard), strict=True)]
    segments = [replace(s, text=s.text or text) for s, text in zip(segments, read, strict=True)]
    if job.plan.hide_subtitles:
        made = _hidden(wanted, made, heard)
    seen = observe(segments, [c.frame_samples for c in made], voices, heard, transcript)
    seen = [replace(o, language=c.language or o.language) for o, c in zip(seen, cuts, strict=True)]
    origin = transcript.origin if transcript else ""
    guessed = _guessed(job, seen)
    samples = [
        replace(_sample(job, o, m, OCR if text else origin, g), keeps_text=c.keeps_text)
        for o, m, g, c, text in zip(seen, made, guessed, cuts, read, strict=True)
    ]
    notes += transcript.notes if transcript else ()
    if transcript and (share := voice_share(segments, voices)) < LEAST_SHARE:
        notes.append(
            f"hardly any voice is heard where the transcript has words ({share:.0%} of the time): "
            + sound_at_fault(found, heard)
        )
    if left_out:
        notes.append("utterances left out where samples were corrected by hand")
    if not any(g.faces for c in made for g in c.frame_samples):
        notes.append("no face seen")
    return samples, notes


def _snapped(job: VideoJob, heard: DecodedAudio) -> list[Segment]:
    """The corrected samples with their ends at pictures.

    Raises `MediaError` with code ``outside`` where one ends after the video.
    """
    for one in job.corrected:
        if one.segment.end_us > heard.end_us + SLACK_US:
            raise MediaError(
                f"{job.path} ends at {heard.end_us / 1e6:.3f} s, before {one.segment.end_us / 1e6:.3f} s",
                code="outside",
                hint="give an end inside the video",
            )
    inside = [replace(c.segment, end_us=min(c.segment.end_us, heard.end_us)) for c in job.corrected]
    return snap(inside, heard)


def _how_to_cut(job: VideoJob, found: Probe, heard: DecodedAudio) -> tuple[Cutter, list[str]]:
    """The way that the plan asks for, or else the exact one, and what is odd about it."""
    notes = [] if found.sound_tracks == 1 else ["has several sound tracks: the default one was taken"]
    if job.plan.cut != "copy":
        return cut, notes
    if why := "subtitles are hidden" if job.plan.hide_subtitles else cannot_copy(found, heard):
        return cut, [*notes, f"not copied but encoded anew: {why}"]
    return copy, notes


def _read(
    job: VideoJob,
    wanted: Sequence[tuple[SampleMedia, Segment]],
    made: Sequence[CutSample],
    heard: DecodedAudio,
) -> list[str]:
    """What is burnt into the pictures of each sample that has no transcript; empty for the others."""
    texts = []
    for (media, segment), sample in zip(wanted, made, strict=True):
        lettered = any(frame.onscreen_text for frame in sample.frame_samples)
        if not job.plan.read_subtitles or segment.text or not lettered:
            texts.append("")
            continue
        alive(heard.end_us, heard.end_us)
        texts.append(read_subtitles(media.clip))
    return texts


def _hidden(
    wanted: Sequence[tuple[SampleMedia, Segment]], made: Sequence[CutSample], heard: DecodedAudio
) -> list[CutSample]:
    """The same, without the text that was seen in them, in their silent clips."""
    hidden = []
    for (media, _), sample in zip(wanted, made, strict=True):
        alive(heard.end_us, heard.end_us)
        hidden.append(hide_onscreen_text(media, sample))
    return hidden


def _check_sound(job: VideoJob, heard: DecodedAudio) -> None:
    seconds = heard.end_us / 1e6
    if seconds < SHORTEST_SECONDS:
        raise MediaError(
            f"{job.path} lasts {seconds:.2f} s",
            code="too-short",
            hint=f"nothing is said in less than {SHORTEST_SECONDS:g} s; copy or export it whole",
        )
    level = loudest(heard.wave)
    if level < SILENCE_DB:
        raise MediaError(
            f"the sound of {job.path} is silence ({level:.0f} dB at its loudest)",
            code="silent",
            hint="check that the right audio track was exported",
        )


def _transcript(job: VideoJob, heard: DecodedAudio) -> Transcript | None:
    """What is said, as far as somebody wrote it down, or a machine can.

    Raises `MediaError` with code ``no-cues`` when what was written cannot be used.
    """
    shown = _transcript_path(job)
    written = job.transcript or (
        read_transcript(job.sidecar, job.path, job.plan.transcripts, name=shown) if job.sidecar else None
    )
    if written is None:
        return _transcribed(job, heard)
    transcript = usable(written, heard.end_us)
    if not transcript.cues:
        if written.cues and all(is_whole_clip(cue) for cue in written.cues) and heard.end_us > MAX_US:
            raise MediaError(
                f"{job.path} lasts {heard.end_us / 1e6:.0f} s, and {shown} gives its text without times: "
                f"one utterance lasts at most {MAX_US // 1_000_000} s",
                code="long-utterance",
                hint="give start and end of each utterance, or cut the video into clips",
            )
        raise MediaError(
            f"{shown} holds no usable cue" + "".join(f"; {note}" for note in transcript.notes),
            code="no-cues",
            hint="mend it, or take it away to have the speech found by ear",
        )
    return transcript


def _transcript_path(job: VideoJob) -> str:
    """What its owner calls the file that the transcript is read from; empty when there is none."""
    if job.transcript is not None:
        return job.transcript.file
    return job.sidecar_source or (str(job.sidecar) if job.sidecar else "")


def _transcribed(job: VideoJob, heard: DecodedAudio) -> Transcript | None:
    """What a machine hears; None when none is set up."""
    how = job.plan.transcribing
    if not how.model:
        return None
    engine = TRANSCRIBERS.get(how.engine)(model=how.model, language=how.language, device=how.device)
    return usable(engine.transcribe(heard.wave, alive), heard.end_us)


def _speech(
    job: VideoJob, path: Path, heard: DecodedAudio, transcript: Transcript | None
) -> tuple[Speech, Speech]:
    """What becomes utterances, and where voices are heard; by ear they are the same, found once."""
    plan = job.plan
    footage = Footage(heard.wave, heard.end_us, transcript, partial(keyframes, path, alive))

    def run(name: str) -> Speech:
        return SEGMENTERS.get(name)(preset=plan.vad_preset).segment(footage, plan.lengths)

    found = run(plan.segmenter)
    # Windows and scenes say nothing about voices, which the checks ask for.
    voices = run(LISTENER) if found.meant else found
    if transcript is None or transcript.origin == "asr":
        return found, voices
    return run(plan.segmenter_with_transcript), voices


def _nothing_said(
    job: VideoJob, found: Probe, heard: DecodedAudio, transcript: Transcript | None
) -> MediaError:
    """No utterance by ear. Where a transcript says that somebody talks, the sound is at fault."""
    hint = "a transcript of the same name beside the video says where the utterances are"
    if transcript:
        hint = (
            f"its transcript has words, but no voice is heard: {sound_at_fault(found, heard)}; "
            "play it, and export it again with the right sound"
        )
    return MediaError(
        f"no voice was found in {job.path}",
        code="no-speech",
        hint=hint,
    )


def _guessed(job: VideoJob, seen: Sequence[Observed]) -> list[str]:
    """Who talks in each sample, told by ear; all empty when the transcript names anybody."""
    if not job.plan.guess_speakers or any(o.segment.speaker for o in seen):
        return [""] * len(seen)
    return guess_speakers([o.wave for o in seen])


def _sample(
    job: VideoJob, observed: Observed, cut_sample: CutSample, origin: str, guessed: str
) -> PreparedSample:
    segment = observed.segment
    speaker = segment.speaker or guessed
    named = segment.speaker and not is_numbered(segment.speaker)
    return PreparedSample(
        id=sample_id(job.sha256, segment),
        segment=segment,
        transcript_origin=origin if segment.text else "",
        media_sha256=cut_sample.sha256,
        measures=measure(observed),
        audio_fingerprint=audio_fingerprint(observed.wave),
        speaker=speaker,
        speaker_origin="transcript" if named else GUESSED if speaker else "",
    )


def _printable(text: str) -> str:
    """Without the lone surrogates that stand for undecodable bytes in file names: no database takes them."""
    return text.encode("utf-8", "backslashreplace").decode()
