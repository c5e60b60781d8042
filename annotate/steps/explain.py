"""Tell what became of one video: its samples, what every check measured, and the reasons."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from annotate.errors import NothingToDo, UnknownName, UsageError
from annotate.project import Project
from annotate.steps._ingest_files import storable
from annotate.types import Rule
from db import explain as known
from db import models
from db.engine import reading
from db.explain import FoundVideo
from db.videos import video as video_of

TEXT_SHOWN = 40
"""Characters of a transcript."""
LISTED = 5


@dataclass(frozen=True, slots=True)
class ExplainReport:
    """One video and its samples, as the database knows them."""

    video: str
    sha256: str
    status: str
    reason: str
    """Why it has no sample; empty when it has."""
    detail: str
    speaker: str
    episode: str
    split: str
    rules: Mapping[str, str]
    """By check: what passes."""
    samples: Sequence[Mapping[str, Any]]
    """Times and text, status and reasons, and a column per check; None where it could not be told."""


def explain(project: Project, name: str) -> ExplainReport:
    """Everything about the video called `name`: a path, a file name or the beginning of a sha256.

    Reads the database only. Raises `UnknownName` for a video that was never seen, `UsageError` when several
    fit.
    """
    with reading(project.engine) as session:
        # Not resolved: a link is known by its own path.
        path = storable(name if "://" in name else os.path.abspath(name))  # noqa: PTH100
        found = known.find(session, storable(name), path)
        if len(found) != 1:
            raise _several(name, found) if found else _unknown(name, known.names(session))
        (one,) = found
        if not one.sha256:
            reason = known.unreadable(session, one.path)
            return ExplainReport(one.path, "", "failed", reason, "it could not be read", "", "", "", {}, [])
        row = video_of(session, one.sha256)
        assert row is not None
        samples = known.samples(session, one.sha256)
        verdicts = known.verdicts(session, [sample.id for sample in samples])
        return ExplainReport(
            video=one.path,
            sha256=one.sha256,
            status=row.status,
            reason=row.reason,
            detail=row.detail,
            speaker="" if row.speaker == row.sha256 else row.speaker,
            episode=row.episode,
            split=row.split or "",
            rules={check: _rule(rule) for check, rule in project.settings.rules().items()},
            samples=[_sample(sample, verdicts[sample.id]) for sample in samples],
        )


def _sample(sample: models.Sample, verdicts: Sequence[models.SampleCheck]) -> dict[str, Any]:
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
    } | {row.name: row.word or row.value for row in verdicts}


def _rule(rule: Rule) -> str:
    if rule.allow:
        return " or ".join(rule.allow)
    if rule.min is None or rule.max is None:
        return f">= {rule.min:g}" if rule.min is not None else f"<= {rule.max:g}"
    return f"{rule.min:g} to {rule.max:g}"


def _unknown(name: str, names: Sequence[str]) -> UnknownName | NothingToDo:
    if not names:
        return NothingToDo("no video was ingested yet", hint="annotate ingest FOLDER-WITH-VIDEOS")
    stem = Path(name).stem
    close = get_close_matches(stem, names, n=3, cutoff=0.5)
    close = close or [known for known in names if stem and stem.lower() in known.lower()][:3]
    hint = "name its path, its file name, or the beginning of its sha256"
    if close:
        hint = f"did you mean {' or '.join(map(repr, close))}?"
    return UnknownName(f"no video is called {name!r}", hint=hint)


def _several(name: str, found: Sequence[FoundVideo]) -> UsageError:
    listed = ", ".join(f"{one.path} ({one.sha256[:12]})" for one in found[:LISTED])
    more = ", ..." if len(found) > LISTED else ""
    return UsageError(
        f"{len(found)} videos are called {name!r}: {listed}{more}",
        hint="name the whole path, or the beginning of the sha256",
    )
