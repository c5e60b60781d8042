"""Messages about what is cut, rejected, removed or without a transcript, with the remedies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from annotate.config.settings import Settings
from annotate.corpus.splits import some
from annotate.ingest.files import SourceFile
from annotate.types import Modality
from annotate.wording import counted, either

TRANSCRIPT, LETTERING, SPEECH = "transcript", "burnt-in-text", "speech"
"""Checks whose rejections have remedies of their own."""

RECHECK = "annotate recheck"


@dataclass(frozen=True, slots=True)
class CutCounts:
    """How many samples of the named videos were cut, were rejected, and have no transcript."""

    samples: int
    """All that were cut, including rejected ones."""
    rejected: int
    by_check: Mapping[str, int]
    """Rejected samples by check; one may have broken several rules."""
    without_transcript: int
    """Samples in use without a transcript."""


def missing_transcripts(settings: Settings, files: Sequence[SourceFile]) -> list[str]:
    """Lines to show before `files` are cut: how many lack a transcript, what follows, and the remedies.

    Empty when every file has a transcript, or a transcriber is set.
    """
    missing = sum(not file.has_transcript for file in files)
    if not missing or settings.transcribe.model:
        return []
    what = "what is cut from them" + (" and shows no subtitles" if settings.ingest.read_subtitles else "")
    later = "use one of these before raters are asked, because it cuts the videos again"
    if _demands_transcript(settings):
        consequence = (
            f"the rule `transcript` in [checks] of annotate.toml will reject {what}, unless you use one of "
            "these ways out (Ctrl-C stops this run; nothing is lost):"
        )
    elif Modality.TEXT in settings.passes:
        consequence = (
            f"{what} takes part, but is not asked in the text pass, and has no text features. To have the "
            f"words, {later}:"
        )
    else:
        consequence = (
            f"{what} takes part without words: no text features, no text in exports. To have the words, "
            f"{later}:"
        )
    return [
        f"no transcript was found for {missing} of {counted(len(files), 'file')}, and no transcriber is set "
        "(transcribe.model is empty)",
        consequence,
        *(f"  {remedy}" for remedy in _transcript_remedies(settings)),
    ]


def _demands_transcript(settings: Settings) -> bool:
    rule = settings.checks.get(TRANSCRIPT)
    return rule is not None and rule.min is not None and rule.min > 0


def _transcript_remedies(settings: Settings) -> list[str]:
    remedies = [
        "annotate ingest VIDEOS --transcripts DIR-OR-TABLE (or files such as talk.srt beside talk.mp4)"
    ]
    if not settings.transcribe.model:
        remedies.append(
            'transcribe.model = "FOLDER-OR-NAME" in annotate.toml, then annotate ingest VIDEOS: a machine '
            "writes down what is said (needs the extra `asr`: pip install -e '.[asr]' in the checkout)"
        )
    if not settings.ingest.read_subtitles:
        remedies.append(
            "ingest.read_subtitles = true in annotate.toml, then annotate ingest VIDEOS: subtitles that are "
            "burnt into the pictures are read"
        )
    if _demands_transcript(settings):
        remedies.append(f"remove the rule `transcript` from [checks] in annotate.toml, then {RECHECK}")
    return remedies


def summary(cut: CutCounts, settings: Settings) -> str:
    """One line, such as ``73 cut, 73 rejected: transcript missing 73, burnt-in text 24``."""
    words = {LETTERING: "burnt-in text"}
    if _demands_transcript(settings) and (settings.checks[TRANSCRIPT].min or 0) <= 1:
        words[TRANSCRIPT] = "transcript missing"
    reasons = ", ".join(
        f"{words.get(check, check)} {n}"
        for check, n in sorted(cut.by_check.items(), key=lambda item: (-item[1], item[0]))
    )
    return f"{cut.samples} cut, {cut.rejected} rejected{f': {reasons}' if reasons else ''}"


def ways_out(cut: CutCounts, settings: Settings) -> list[str]:
    """What the user can do about samples that were rejected, or have no transcript; a sentence each."""
    ways = []
    if cut.by_check.get(TRANSCRIPT) and _demands_transcript(settings):
        ways += [f"transcript: {remedy}" for remedy in _transcript_remedies(settings)]
    elif cut.without_transcript and not settings.transcribe.model:
        count = cut.without_transcript
        unasked = f" and {either(count, 'is', 'are')} not asked in the text pass"
        ways.append(
            f"{counted(count, 'sample')} {either(count, 'has', 'have')} no transcript"
            + (unasked if Modality.TEXT in settings.passes else "")
            + f": {'; or '.join(_transcript_remedies(settings))}"
        )
    if cut.by_check.get(LETTERING) and settings.ingest.hide_subtitles:
        ways.append(
            f"{LETTERING}: subtitles are hidden, but the rule {LETTERING} still rejects samples that had "
            f"some: remove it from [checks] in annotate.toml, then {RECHECK}"
        )
    elif cut.by_check.get(LETTERING):
        ways.append(
            f"{LETTERING}: set ingest.hide_subtitles = true in annotate.toml (blurs the text in the silent "
            f"clip) and remove the rule {LETTERING} from [checks], then annotate ingest VIDEOS; or do "
            "without these"
        )
    if cut.by_check.get(SPEECH):
        ways.append(
            f"{SPEECH}: hardly any voice is heard in these; check that the videos have the right sound "
            'track and that it is loud enough; for microphones across the room, set ingest.vad_preset = "far"'
        )
    if others := sorted(cut.by_check.keys() - {TRANSCRIPT, LETTERING, SPEECH}):
        ways.append(
            f"{', '.join(others)}: annotate explain VIDEO shows what was measured; change or remove "
            f"the rule in [checks] or [repeats] of annotate.toml, then {RECHECK}"
        )
    return ways


def still_asked(questions: int) -> list[str]:
    """A warning when raters can still answer questions about rejected samples."""
    if not questions:
        return []
    return [
        f"{counted(questions, 'question')} about rejected samples "
        f"{either(questions, 'is', 'are')} open in Label "
        f"Studio, and {either(questions, 'stays', 'stay')} there: answers are stored, and count when the "
        "rules accept those samples again"
    ]


def still_removed(paths: list[str]) -> str:
    """A warning that the videos at `paths` stay removed."""
    count = len(paths)
    return (
        f"{counted(count, 'video')} {either(count, 'was', 'were')} removed by hand and "
        f"{either(count, 'stays', 'stay')} out (annotate remove --undo VIDEO): {some(paths)}"
    )
