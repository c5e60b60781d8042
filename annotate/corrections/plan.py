"""Plans the changes of corrections by hand, and refuses invalid ones; writes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from annotate.corrections.edits import (
    Change,
    CorrectionPlan,
    Decision,
    Edit,
    InvalidCorrection,
    NewSample,
    SourcedText,
    seconds,
    span_text,
    tidy,
)
from annotate.segmenters.words import TimedWords, joined, pieces, with_words
from annotate.types import Cue, Segment
from annotate.wording import counted
from db import checks, corrections, models
from db.engine import Session
from db.models import BY_HAND, INACTIVE, SampleStatus, VideoOrigin

LEAST_US = 100_000
"""Minimum length of a sample in microseconds."""
MILLISECOND_US = 1_000
NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class TargetValues:
    """The values that a sample should have."""

    span: tuple[int, int]
    """Start and end in microseconds, before they are moved to frames."""
    transcript: str
    speaker: str
    status: str | None
    """None means any status."""


def is_cut_as(session: Session, sample_id: str, target: TargetValues) -> bool:
    """Whether a retired sample was replaced by one with exactly the target values that is still in use."""
    video = session.get_one(models.Sample, sample_id).video_sha256
    return any(
        sample_id in row.predecessors
        and row.status not in INACTIVE
        and target.span in corrections.spans_asked_for(session, row.id)
        and (tidy(row.transcript), tidy(speaker_of(session, row))) == (target.transcript, target.speaker)
        and target.status in (None, row.status)
        for row in corrections.of_video(session, video)
    )


def require_active(row: models.Sample | None, sample_id: str) -> models.Sample:
    """The sample `row`. Raises `InvalidCorrection` if it cannot be corrected."""
    if row is None:
        raise InvalidCorrection(f"there is no sample {sample_id}")
    if row.status == SampleStatus.RETIRED:
        raise InvalidCorrection(
            f"sample {sample_id} was replaced by another cut: `annotate samples show {sample_id}`"
        )
    if row.status == SampleStatus.REMOVED:
        raise InvalidCorrection(
            f"the video of sample {sample_id} was removed: `annotate remove --undo VIDEO` first"
        )
    return row


def speaker_of(session: Session, row: models.Sample) -> str:
    """The speaker that was named or guessed for the sample, or named for its video; empty if unknown."""
    video = session.get_one(models.Video, row.video_sha256)
    return row.speaker or ("" if video.speaker == video.sha256 else video.speaker)


def add_edit(session: Session, plan: CorrectionPlan, edit: Edit) -> None:
    """Add one edit to the plan. Raises `InvalidCorrection`, with the plan unchanged, if it cannot be made."""
    row = require_active(session.get(models.Sample, edit.sample_id), edit.sample_id)
    text = None if edit.transcript is None else tidy(edit.transcript)
    text = None if text == row.transcript else text
    speaker = _new_speaker(session, row, edit.speaker)
    # Differences below a millisecond do not count.
    new_times = _moved(row.start_us, edit.start_us), _moved(row.end_us, edit.end_us)
    span = None if new_times == (row.start_us, row.end_us) else new_times
    if span is not None:
        require_span(session, row, *span)
    decision = edit.decision
    if decision is not None and decision.accepted is checks.decision(session, row.id):
        decision = None
    if decision in (Decision.ACCEPT, Decision.REJECT) and not edit.reason.strip():
        raise InvalidCorrection(f"sample {row.id} cannot be {decision} without a reason")
    changes = list(_changes(session, row, text, speaker, span, decision))
    if not changes:
        plan.unchanged += 1
        return
    plan.changes += changes
    plan.reasons[row.id] = edit.reason.strip()
    if span is None:
        plan.texts |= {} if text is None else {row.id: text}
        plan.speakers |= {} if speaker is None else {row.id: speaker}
        plan.decisions |= {} if decision is None else {row.id: decision}
        return
    # The corrected text, else the words within the new times, else the same text.
    new_text = _within(row, span) if text is None else SourcedText(Segment(*span, text, text), BY_HAND)
    plan.cuts.append(
        NewSample(
            row.video_sha256, (row.id,), new_text,
            row.speaker if speaker is None else speaker,
            row.speaker_origin if speaker is None else BY_HAND,
            decision, edit.reason.strip(),
        )
    )  # fmt: skip


def _new_speaker(session: Session, row: models.Sample, requested: str | None) -> str | None:
    if requested is None:
        return None
    name, known = tidy(requested), speaker_of(session, row)
    if name == known:
        return None
    if not name:
        raise InvalidCorrection(f"the speaker of sample {row.id} cannot be empty: it is {known!r}")
    if len(name) > NAME_LENGTH:
        raise InvalidCorrection(
            f"the speaker of sample {row.id} has {len(name)} characters, more than {NAME_LENGTH}"
        )
    return name


def _moved(old_us: int, new_us: int | None) -> int:
    return old_us if new_us is None or abs(new_us - old_us) < MILLISECOND_US else new_us


def require_span(session: Session, row: models.Sample, start_us: int, end_us: int) -> None:
    """Raise `InvalidCorrection` unless the interval can be a sample of the same video."""
    video = session.get_one(models.Video, row.video_sha256)
    if video.origin == VideoOrigin.IMPORTED:
        raise InvalidCorrection(
            f"sample {row.id} was imported without its video, so it cannot be cut otherwise"
        )
    if start_us < 0 or end_us - start_us < LEAST_US:
        raise InvalidCorrection(
            f"sample {row.id} would last from {seconds(start_us)} to {seconds(end_us)} s; a sample starts at "
            f"0 or later and lasts {LEAST_US / 1e6:g} s or more"
        )
    length = video.facts.get("duration_us")
    if isinstance(length, int) and end_us > length + LEAST_US // 2:
        raise InvalidCorrection(
            f"sample {row.id} would end at {seconds(end_us)} s, but its video ends at {seconds(length)} s"
        )


def _changes(
    session: Session, row: models.Sample, text: str | None, speaker: str | None,
    span: tuple[int, int] | None, decision: Decision | None,
) -> Iterator[Change]:  # fmt: skip
    if text is not None:
        yield Change(row.id, "transcript", row.transcript, text)
    if speaker is not None:
        yield Change(row.id, "speaker", speaker_of(session, row), speaker)
    if span is not None:
        for name, old, new in zip(("start", "end"), (row.start_us, row.end_us), span, strict=True):
            if old != new:
                yield Change(row.id, name, seconds(old), seconds(new))
    if decision is not None:
        yield Change(row.id, "status", row.status, decision.value)


def _within(row: models.Sample, span: tuple[int, int]) -> SourcedText:
    own = corrections.segment_of(row)
    cue = Cue(own.start_us, own.end_us, own.text, own.raw, own.speaker, own.words)
    held = TimedWords(tuple(pieces([cue]))).among(span) if own.words else []
    if not own.words or len(held) == len(own.words):
        return SourcedText(replace(own, start_us=span[0], end_us=span[1]), row.transcript_origin)
    return SourcedText(with_words(Segment(*span), held), row.transcript_origin if held else "")


def add_split(
    session: Session,
    plan: CorrectionPlan,
    sample_id: str,
    at_us: Sequence[int],
    texts: Sequence[str],
    reason: str,
) -> None:
    """Add the split of a sample to the plan. Raises `InvalidCorrection`."""
    row = require_active(session.get(models.Sample, sample_id), sample_id)
    edges = [row.start_us, *sorted(set(at_us)), row.end_us]
    if any(not row.start_us < at < row.end_us for at in at_us):
        raise InvalidCorrection(
            f"sample {row.id} lasts from {span_text((row.start_us, row.end_us))}: split it between "
            "these times"
        )
    parts = list(pairwise(edges))
    for start, end in parts:
        require_span(session, row, start, end)
    if texts and len(texts) != len(parts):
        given = counted(len(texts), "transcript")
        raise InvalidCorrection(
            f"sample {row.id} becomes {counted(len(parts), 'sample')}, and --transcript gives {given}"
        )
    if not texts and row.transcript and not row.words:
        raise InvalidCorrection(
            f"it is unknown which words of sample {row.id} come before the cut: give --transcript "
            f"{len(parts)} times; its text is {row.transcript!r}"
        )
    for number, span in enumerate(parts):
        text = tidy(texts[number]) if texts else None
        new = SourcedText(Segment(*span, text, text), BY_HAND) if text is not None else _within(row, span)
        plan.cuts.append(
            NewSample(row.video_sha256, (row.id,), new, row.speaker, row.speaker_origin, None, reason.strip())
        )
        plan.changes.append(Change(row.id, "split", span_text((edges[0], edges[-1])), span_text(span)))


def add_merge(
    session: Session,
    plan: CorrectionPlan,
    sample_ids: Sequence[str],
    text: str | None,
    speaker: str | None,
    reason: str,
) -> None:
    """Add the merge of several samples to the plan. Raises `InvalidCorrection`."""
    rows = [require_active(session.get(models.Sample, name), name) for name in dict.fromkeys(sample_ids)]
    if len(rows) < 2:
        raise InvalidCorrection("name two samples or more to merge")
    rows.sort(key=lambda row: row.start_us)
    if len({row.video_sha256 for row in rows}) > 1:
        raise InvalidCorrection("samples of several videos cannot be merged")
    span = rows[0].start_us, max(row.end_us for row in rows)
    require_span(session, rows[0], *span)
    names = dict.fromkeys(speaker_of(session, row) for row in rows)
    if speaker is None and len(names) > 1:
        raise InvalidCorrection(
            f"the samples have different speakers ({', '.join(map(repr, names))}): say --speaker NAME"
        )
    named = tidy(speaker) if speaker is not None else ""
    origins = {row.transcript_origin for row in rows if row.transcript}
    if text is not None:
        whole = Segment(*span, tidy(text), tidy(text))
    else:
        parts = [corrections.segment_of(row) for row in rows if row.transcript]
        timed = all(part.words for part in parts)
        whole = Segment(
            *span,
            joined(part.text for part in parts),
            joined(part.raw or part.text for part in parts),
            words=tuple(word for part in parts for word in part.words) if timed else (),
        )
    origin = BY_HAND if text is not None or len(origins) > 1 else next(iter(origins), "")
    plan.cuts.append(
        NewSample(
            rows[0].video_sha256, tuple(row.id for row in rows), SourcedText(whole, origin),
            named or rows[0].speaker, BY_HAND if named else rows[0].speaker_origin, None, reason.strip(),
        )
    )  # fmt: skip
    plan.changes += [
        Change(row.id, "merge", span_text((row.start_us, row.end_us)), span_text(span)) for row in rows
    ]


def require_disjoint(session: Session, plan: CorrectionPlan) -> None:
    """Raise `InvalidCorrection` if two samples of a video would overlap.

    Rejected samples that nobody corrected give way: a new sample that overlaps one replaces it.
    """
    replaced = {name for cut in plan.cuts for name in cut.predecessors}
    for sha256 in dict.fromkeys(cut.video for cut in plan.cuts):
        kept = [
            row
            for row in corrections.of_video(session, sha256)
            if row.status not in INACTIVE and row.id not in replaced
        ]
        touched = plan.texts.keys() | plan.speakers.keys() | plan.decisions.keys()
        weak = {r.id for r in kept if r.status == SampleStatus.REJECTED and not r.by_hand} - touched
        cuts = [cut for cut in plan.cuts if cut.video == sha256]
        for number, cut in enumerate(plan.cuts):
            if cut.video != sha256:
                continue
            overlapped = [r for r in kept if _overlap(cut.span, (r.start_us, r.end_us))]
            if kept_row := next((r for r in overlapped if r.id not in weak), None):
                raise InvalidCorrection(
                    f"the new cut of {', '.join(cut.predecessors)} ({span_text(cut.span)}) overlaps sample "
                    f"{kept_row.id} ({span_text((kept_row.start_us, kept_row.end_us))}): change that one, "
                    "too, or merge them"
                )
            plan.cuts[number] = replace(cut, predecessors=(*cut.predecessors, *(r.id for r in overlapped)))
        for first, second in pairwise(sorted(cuts, key=lambda cut: cut.span)):
            if _overlap(first.span, second.span):
                raise InvalidCorrection(
                    f"the new cuts of {', '.join(first.predecessors)} ({span_text(first.span)}) and of "
                    f"{', '.join(second.predecessors)} ({span_text(second.span)}) overlap"
                )


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
