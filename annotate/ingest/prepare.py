"""Cuts one video into samples, in a worker process that has neither database nor settings."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from annotate.errors import MediaError
from annotate.executors.heartbeat import send_heartbeat
from annotate.ingest.corrected import PlannedCut, join_corrected
from annotate.ingest.measure import measure, observe
from annotate.ingest.voice_share import LEAST_SHARE, explain_no_voice, voice_share
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
"""Reasons of intact files that hold no utterance."""

SILENCE_DB = -60.0
SHORTEST_SECONDS = 0.3
"""Shortest usable video. A longer one may hold an utterance, and the rules of `[checks]` decide."""

SLACK_US = 50_000
"""The end of a corrected sample may lie this far behind the last frame, and is moved to it."""

Cutter = Callable[..., list[CutSample]]

OCR = "ocr"
"""Origin of a transcript that was recognised in the frames."""
VOICE_DETECTOR = "silero-vad"
"""Detects voices where the segmenter of the settings does not."""


def prepare(job: VideoJob) -> VideoOutcome:
    """Cut one video into samples, and write their files into the job's media folder.

    A video that cannot be used gives an outcome with a reason, not an exception. Raises `MediaError` with
    code ``disk-full`` when there is no room, which is no fault of the video.
    """
    facts: dict[str, object] = {}
    try:
        try:
            samples, notes = _prepare(job, job.path, facts)
        except MediaError as error:
            if error.code != "broken":
                raise
            samples, notes = _prepare_repaired(job, facts)
            facts["rescued"] = True
    except MediaError as error:
        if error.code == "disk-full":
            raise
        status = VideoStatus.REJECTED if error.code in REJECTIONS else VideoStatus.FAILED
        return VideoOutcome(job.sha256, status, error.code, _printable(f"{error}; {error.hint}"), facts, ())
    return VideoOutcome(job.sha256, VideoStatus.OK, "", "; ".join(notes), facts, tuple(samples))


def _prepare_repaired(job: VideoJob, facts: dict[str, object]) -> tuple[list[PreparedSample], list[str]]:
    """Repair the video into a temporary copy, and prepare the samples from that."""
    make_folder(job.media)
    with temporary_folder(job.media) as folder:
        repaired = repair(job.path, folder, send_heartbeat)
        try:
            return _prepare(job, repaired, facts)
        except MediaError as error:
            message = str(error).replace(str(repaired), str(job.path))
            raise MediaError(message, code=error.code, hint=error.hint) from error


def _prepare(job: VideoJob, path: Path, facts: dict[str, object]) -> tuple[list[PreparedSample], list[str]]:
    """Samples and notes of the file `path`, the job's video or its repaired copy; fills in `facts`."""
    probed = probe(path)
    facts.update(probed.facts())
    audio = decode_audio(path, send_heartbeat)
    facts.update(duration_us=audio.end_us, variable_frame_rate=varies(audio.frame_us))
    if job.only_corrected:
        transcript, left_out = None, 0
        _, voices = _speech(job, path, audio, None)
        snapped = _snap_corrected(job, audio)
        cuts = [PlannedCut(s, True, c.language) for s, c in zip(snapped, job.corrected, strict=True)]
    else:
        _check_sound(job, audio)
        transcript = _transcript(job, audio)
        if transcript is not None and transcript.origin != "asr":
            facts["transcript"] = _printable(_transcript_path(job))
        speech, voices = _speech(job, path, audio, transcript)
        segments = utterances(speech, transcript, job.plan.lengths, audio.end_us)
        if not segments and not job.corrected:
            raise _no_speech(job, probed, audio, transcript)
        facts[JOINED_SPEECH] = joined_short(speech, segments, job.plan.lengths)
        min_us = round(job.plan.lengths.min_seconds * 1e6)
        cuts, left_out = join_corrected(snap(segments, audio), job.corrected, job.taken, min_us)
    segments = [planned.segment for planned in cuts]
    files = [(SampleMedia.under(job.media, sample_id(job.sha256, s)), s) for s in segments]
    cutter, notes = _choose_cutter(job, probed, audio)
    clips = cutter(path, probed, audio, files, lambda done_us: send_heartbeat(done_us, audio.end_us))
    subtitles = [
        "" if planned.keeps_text else text
        for planned, text in zip(cuts, _read_subtitles(job, files, clips, audio), strict=True)
    ]
    segments = [replace(s, text=s.text or text) for s, text in zip(segments, subtitles, strict=True)]
    if job.plan.hide_subtitles:
        hidden = []
        for (media, _), clip in zip(files, clips, strict=True):
            send_heartbeat(audio.end_us, audio.end_us)
            hidden.append(hide_onscreen_text(media, clip))
        clips = hidden
    observed = observe(segments, [clip.frame_samples for clip in clips], voices, audio, transcript)
    observed = [replace(o, language=c.language or o.language) for o, c in zip(observed, cuts, strict=True)]
    origin = transcript.origin if transcript else ""
    origins = [OCR if text else origin for text in subtitles]
    samples = _samples(job, cuts, observed, clips, origins)
    notes += transcript.notes if transcript else ()
    if transcript and (share := voice_share(segments, voices)) < LEAST_SHARE:
        notes.append(
            f"hardly any voice is heard where the transcript has words ({share:.0%} of the time): "
            + explain_no_voice(probed, audio)
        )
    if left_out:
        notes.append("utterances left out where samples were corrected by hand")
    if not any(frame.faces for clip in clips for frame in clip.frame_samples):
        notes.append("no face seen")
    return samples, notes


def _snap_corrected(job: VideoJob, audio: DecodedAudio) -> list[Segment]:
    """The corrected samples with their ends moved to frames.

    Raises `MediaError` with code ``outside`` where one ends after the video.
    """
    for corrected in job.corrected:
        end_us = corrected.segment.end_us
        if end_us > audio.end_us + SLACK_US:
            raise MediaError(
                f"{job.path} ends at {audio.end_us / 1e6:.3f} s, before {end_us / 1e6:.3f} s",
                code="outside",
                hint="give an end inside the video",
            )
    inside = [replace(c.segment, end_us=min(c.segment.end_us, audio.end_us)) for c in job.corrected]
    return snap(inside, audio)


def _choose_cutter(job: VideoJob, probed: Probe, audio: DecodedAudio) -> tuple[Cutter, list[str]]:
    """The cutter that the plan asks for, or the exact one where that does not work, and notes about it."""
    notes = [] if probed.sound_tracks == 1 else ["has several sound tracks: the default one was taken"]
    if job.plan.cut != "copy":
        return cut, notes
    if why := "subtitles are hidden" if job.plan.hide_subtitles else cannot_copy(probed, audio):
        return cut, [*notes, f"not copied but encoded anew: {why}"]
    return copy, notes


def _read_subtitles(
    job: VideoJob,
    files: Sequence[tuple[SampleMedia, Segment]],
    clips: Sequence[CutSample],
    audio: DecodedAudio,
) -> list[str]:
    """The text that is burnt into the frames of each sample without a transcript; empty for the others."""
    texts = []
    for (media, segment), clip in zip(files, clips, strict=True):
        shows_text = any(frame.onscreen_text for frame in clip.frame_samples)
        if not job.plan.read_subtitles or segment.text or not shows_text:
            texts.append("")
            continue
        send_heartbeat(audio.end_us, audio.end_us)
        texts.append(read_subtitles(media.clip))
    return texts


def _check_sound(job: VideoJob, audio: DecodedAudio) -> None:
    seconds = audio.end_us / 1e6
    if seconds < SHORTEST_SECONDS:
        raise MediaError(
            f"{job.path} lasts {seconds:.2f} s",
            code="too-short",
            hint=f"nobody says anything in less than {SHORTEST_SECONDS:g} s; copy or export the whole video",
        )
    level = loudest(audio.wave)
    if level < SILENCE_DB:
        raise MediaError(
            f"the sound of {job.path} is silence ({level:.0f} dB at its loudest)",
            code="silent",
            hint="check that the right audio track was exported",
        )


def _transcript(job: VideoJob, audio: DecodedAudio) -> Transcript | None:
    """The transcript that people wrote, or else one of the transcriber if it is set.

    Raises `MediaError` with code ``no-cues`` or ``long-utterance`` when a written one cannot be used.
    """
    shown = _transcript_path(job)
    written = job.transcript or (
        read_transcript(job.sidecar, job.path, job.plan.transcripts, name=shown) if job.sidecar else None
    )
    if written is None:
        settings = job.plan.transcribing
        if not settings.model:
            return None
        transcriber = TRANSCRIBERS.get(settings.engine)(
            model=settings.model, language=settings.language, device=settings.device
        )
        return usable(transcriber.transcribe(audio.wave, send_heartbeat), audio.end_us)
    transcript = usable(written, audio.end_us)
    if not transcript.cues:
        if written.cues and all(is_whole_clip(cue) for cue in written.cues) and audio.end_us > MAX_US:
            raise MediaError(
                f"{job.path} lasts {audio.end_us / 1e6:.0f} s, and {shown} gives its text without times: "
                f"one utterance lasts at most {MAX_US // 1_000_000} s",
                code="long-utterance",
                hint="give start and end of each utterance, or cut the video into clips",
            )
        raise MediaError(
            f"{shown} holds no usable cue" + "".join(f"; {note}" for note in transcript.notes),
            code="no-cues",
            hint="fix it, or move it away to find speech by voice activity detection",
        )
    return transcript


def _transcript_path(job: VideoJob) -> str:
    """The user's name for the file that the transcript is read from; empty without one."""
    if job.transcript is not None:
        return job.transcript.file
    return job.sidecar_source or (str(job.sidecar) if job.sidecar else "")


def _speech(
    job: VideoJob, path: Path, audio: DecodedAudio, transcript: Transcript | None
) -> tuple[Speech, Speech]:
    """The spans that utterances are made of, and those with voice activity, which may be the same."""
    plan = job.plan
    footage = Footage(audio.wave, audio.end_us, transcript, partial(keyframes, path, send_heartbeat))

    def run(name: str) -> Speech:
        return SEGMENTERS.get(name)(preset=plan.vad_preset).segment(footage, plan.lengths)

    speech = run(plan.segmenter)
    # Windows and scenes say nothing about voices, which the checks need to know.
    voices = run(VOICE_DETECTOR) if speech.meant else speech
    if transcript is None or transcript.origin == "asr":
        return speech, voices
    return run(plan.segmenter_with_transcript), voices


def _no_speech(
    job: VideoJob, probed: Probe, audio: DecodedAudio, transcript: Transcript | None
) -> MediaError:
    """The error for a video without voice activity; its hint depends on whether a transcript has words."""
    hint = "a transcript of the same name beside the video says where the utterances are"
    if transcript:
        hint = (
            f"its transcript has words, but no voice is heard: {explain_no_voice(probed, audio)}; "
            "play it, and export it again with the right sound"
        )
    return MediaError(f"no voice was found in {job.path}", code="no-speech", hint=hint)


def _samples(
    job: VideoJob,
    cuts: Sequence[PlannedCut],
    observed: Sequence[Observed],
    clips: Sequence[CutSample],
    origins: Sequence[str],
) -> list[PreparedSample]:
    """The samples with their measurements. Where the transcript names no speaker, voices are clustered.

    `origins` says where the text of each sample comes from.
    """
    guesses = [""] * len(observed)
    if job.plan.guess_speakers and not any(o.segment.speaker for o in observed):
        guesses = guess_speakers([o.wave for o in observed])
    samples = []
    for planned, o, clip, origin, guess in zip(cuts, observed, clips, origins, guesses, strict=True):
        speaker = o.segment.speaker or guess
        named = o.segment.speaker and not is_numbered(o.segment.speaker)
        samples.append(
            PreparedSample(
                id=sample_id(job.sha256, o.segment),
                segment=o.segment,
                transcript_origin=origin if o.segment.text else "",
                media_sha256=clip.sha256,
                measures=measure(o),
                audio_fingerprint=audio_fingerprint(o.wave),
                speaker=speaker,
                speaker_origin="transcript" if named else GUESSED if speaker else "",
                keeps_text=planned.keeps_text,
            )
        )
    return samples


def _printable(text: str) -> str:
    """The text with the lone surrogates of undecodable file names escaped; no database stores them."""
    return text.encode("utf-8", "backslashreplace").decode()
