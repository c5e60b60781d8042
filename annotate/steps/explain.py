"""Explain one video: its samples, the measurement of every check, and the reasons for rejections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotate.corpus.lookup import one_video
from annotate.project import Project
from annotate.types import JOINED_SPEECH
from db import explain as known
from db import models
from db.engine import reading
from db.models import INACTIVE
from db.videos import CUT_FROM, detail_at
from db.videos import video as video_of

TEXT_SHOWN = 40
"""Characters of a transcript."""
REMOVED = "somebody removed it; `annotate remove --undo VIDEO` restores it with its samples and labels"


@dataclass(frozen=True, slots=True)
class ExplainReport:
    """One video and its samples, as the database knows them."""

    video: str
    sha256: str
    status: str
    reason: str
    """Why it has no sample; empty when it has."""
    detail: str
    transcript: str
    """The transcript file; empty where none was given."""
    speaker: str
    episode: str
    split: str
    rules: Mapping[str, str]
    """By check: the values that pass."""
    samples: Sequence[Mapping[str, Any]]
    """Times and text, status and reasons, and a column per check; None where nothing could be measured.
    `joined` lists speech, in seconds, that was too short for a sample of its own and became part of this."""


def explain(project: Project, name: str) -> ExplainReport:
    """Everything about the video called `name`: a path, a file name or a prefix of a sha256.

    Reads the database only. Raises `UnknownName` for an unknown video, `UsageError` when several
    match.
    """
    with reading(project.engine) as session:
        one = one_video(session, name)
        if not one.sha256:
            reason = known.unreadable(session, one.path)
            return ExplainReport(
                one.path, "", "failed", reason, "it could not be read", "", "", "", "", {}, []
            )
        row = video_of(session, one.sha256)
        assert row is not None
        samples, joined = known.samples(session, one.sha256), row.facts.get(JOINED_SPEECH, ())
        verdicts = known.verdicts(session, [sample.id for sample in samples])
        return ExplainReport(
            video=one.path,
            sha256=one.sha256,
            status="removed" if row.removed_at else row.status,
            reason=row.reason,
            detail=REMOVED if row.removed_at else detail_at(one.path, row.detail, row.facts.get(CUT_FROM)),
            transcript=str(row.facts.get("transcript", "")),
            speaker="" if row.speaker == row.sha256 else row.speaker,
            episode=row.episode,
            split=row.split or "",
            rules={check: rule.describe() for check, rule in project.settings.rules().items()},
            samples=[_sample(sample, verdicts[sample.id], joined) for sample in samples],
        )


def _sample(
    sample: models.Sample, verdicts: Sequence[models.SampleCheck], joined: Sequence[Sequence[int]]
) -> dict[str, Any]:
    text = sample.transcript
    return {
        "sample": sample.id,
        "start": round(sample.start_us / 1e6, 2),
        "end": round(sample.end_us / 1e6, 2),
        "seconds": round((sample.end_us - sample.start_us) / 1e6, 2),
        "text": text if len(text) <= TEXT_SHOWN else f"{text[: TEXT_SHOWN - 1]}…",
        "speaker": sample.speaker,
        "status": sample.status,
        "split": sample.split or "",
        "reasons": "; ".join(f"{row.name}: {row.reason}" for row in verdicts if not row.passed),
        "joined": ", ".join(
            f"{start / 1e6:.2f} to {end / 1e6:.2f}"
            for start, end in joined
            if sample.start_us <= (start + end) // 2 < sample.end_us and sample.status not in INACTIVE
        ),
    } | {row.name: row.word or row.value for row in verdicts}
