"""Correct many samples in a spreadsheet: write them to a CSV file, and apply it again, all rows or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotate.corpus.no_samples import no_match
from annotate.corrections.apply import CorrectionReport
from annotate.corrections.edits import (
    CorrectionPlan,
    Decision,
    Edit,
    InvalidCorrection,
    seconds,
    tidy,
)
from annotate.corrections.plan import (
    TargetValues,
    add_edit,
    is_cut_as,
    require_disjoint,
)
from annotate.corrections.table import (
    READ_ONLY,
    DamagedCell,
    Row,
    damaged_id,
    read_seconds,
    read_table,
    read_text,
    state_of,
    write_table,
)
from annotate.errors import AnnotateError
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.steps.samples import make_corrections, sample_filter
from annotate.wording import counted, either
from db import corrections, samples
from db.engine import Session, reading
from db.models import SampleStatus
from db.samples import Listed

DECISIONS = {
    "ok": SampleStatus.OK, "accept": SampleStatus.OK, "accepted": SampleStatus.OK,
    "rejected": SampleStatus.REJECTED, "reject": SampleStatus.REJECTED,
}  # fmt: skip
"""The values that the column `status` may have."""


@dataclass(frozen=True, slots=True)
class TableReport:
    """The table that was written."""

    path: Path
    samples: int
    next: str


def export_table(
    project: Project, path: Path, *, video: str | None = None, status: str | None = None
) -> TableReport:
    """Write the samples, or those of one video or state, to the new CSV file `path`.

    Raises `UsageError` when it exists or cannot be written, `NothingToDo` when no sample matches.
    """
    with reading(project.engine) as session:
        listed = samples.listed(session, sample_filter(session, video=video, status=status))
        if not listed:
            raise no_match(session)
        reasons = samples.failures(session, [sample.id for sample in listed])
    rows = []
    for sample in listed:
        values = _values(sample)
        context = {"sample": sample.id, "video": sample.video_name, "checks": reasons.get(sample.id, "")}
        rows.append({**values, **context, "state": state_of(values)})
    write_table(path, rows)
    return TableReport(path, len(rows), f"correct it, then annotate samples apply {path}")


def _values(sample: Listed) -> dict[str, str]:
    """The editable cells of a sample."""
    return {
        "start": seconds(sample.start_us), "end": seconds(sample.end_us), "speaker": sample.speaker,
        "transcript": sample.transcript, "status": sample.status,
    }  # fmt: skip


def apply_table(
    project: Project,
    path: Path,
    *,
    by: str | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> CorrectionReport:
    """Make the corrections of a table that `export_table` wrote and somebody edited, all of them or none.

    Rows without a change have no effect, so a table may be applied again. Raises `UsageError`
    for a file that is not such a table, `AnnotateError` that names every row which cannot be applied, and
    what `correct` raises.
    """
    rows, warnings = read_table(path)
    report = make_corrections(
        project, lambda session: _plan(session, path, rows), by=by, dry_run=dry_run, progress=progress
    )
    report.warnings[:0] = warnings
    return report


def _plan(session: Session, path: Path, rows: list[Row]) -> CorrectionPlan:
    names = {_id_of(row) for row in rows if not row.fault}
    known = samples.listed_by_id(session, sorted(names))
    ids = samples.ids_like(session, "") if names - known.keys() else []
    plan, faults = CorrectionPlan(), dict[int, str]()
    lines: dict[str, int] = {}
    for row in rows:
        try:
            sample = _sample(row, known, ids, lines)
            lines[sample.id] = row.line
            edit = _edit(session, row, sample)
            if edit is None:
                plan.unchanged += 1
            else:
                add_edit(session, plan, edit)
        except (InvalidCorrection, DamagedCell) as fault:
            faults[row.line] = str(fault)
    if not faults:
        try:
            require_disjoint(session, plan)
        except InvalidCorrection as fault:
            named = [line for sample_id, line in lines.items() if sample_id in str(fault)]
            faults[min(named, default=1)] = str(fault)
    if faults:
        listed = "\n".join(f"  line {line}: {fault}" for line, fault in sorted(faults.items()))
        cannot = f"{counted(len(faults), 'row')} of {path} cannot be applied, so nothing was changed"
        raise AnnotateError(
            f"{cannot}:\n{listed}",
            hint=f"correct {either(len(faults), 'this row', 'these rows')}, then run this again",
        )
    return plan


def _id_of(row: Row) -> str:
    return row.cells["sample"].strip().lower()


def _sample(row: Row, known: Mapping[str, Listed], ids: Sequence[str], lines: Mapping[str, int]) -> Listed:
    """The sample that a row is about; `ids` are those of all samples. Raises `DamagedCell`."""
    if row.fault:
        raise DamagedCell(row.fault)
    name = _id_of(row)
    if not name:
        raise DamagedCell("it names no sample")
    if name not in known:
        why = damaged_id(name, ids)
        raise DamagedCell(f"there is no sample {row.cells['sample'].strip()!r}" + (f": {why}" if why else ""))
    if name in lines:
        raise DamagedCell(f"line {lines[name]} is about sample {name} too")
    for column, stored in zip(READ_ONLY, (known[name].video_name,), strict=True):
        try:
            value = read_text(row.cells.get(column, stored), stored)
        except DamagedCell:
            continue  # a spreadsheet rewrote it, and it is not applied
        if value != " ".join(stored.split()):
            raise DamagedCell(
                f"sample {name} is of {column} {stored!r}, not of {value!r}: were rows and ids mixed up? The "
                f"{column} cannot be changed"
            )
    return known[name]


def _edit(session: Session, row: Row, sample: Listed) -> Edit | None:
    """The change that the row asks for; None where it asks for none.

    Raises `DamagedCell`, also when the sample was changed after the table was written.
    """
    start, end = (
        read_seconds(row.cells[name], stored, row.decimal_comma) if name in row.cells else stored
        for name, stored in (("start", sample.start_us), ("end", sample.end_us))
    )
    speaker, transcript = (
        read_text(row.cells[name], stored) if name in row.cells else stored
        for name, stored in (("speaker", sample.speaker), ("transcript", sample.transcript))
    )
    status: SampleStatus | None = None
    if "status" in row.cells:
        word = row.cells["status"].strip().lower()
        if word != sample.status and word not in DECISIONS:
            raise DamagedCell(f"the status {row.cells['status'].strip()!r} is neither ok nor rejected")
        status = SampleStatus(word) if word == sample.status else DECISIONS[word]
    now = (sample.start_us, sample.end_us, sample.speaker, sample.transcript)
    if (start, end, speaker, transcript) == now and status in (None, sample.status):
        return None
    if (
        sample.status not in (SampleStatus.OK, SampleStatus.REJECTED)
        and (start, end, speaker, transcript) == now
    ):
        return None  # exported before it was replaced or removed, and not corrected since
    if sample.status == SampleStatus.RETIRED:
        wanted = TargetValues(
            (start, end), tidy(transcript), tidy(speaker), None if status is None else str(status)
        )
        if is_cut_as(session, sample.id, wanted):
            return None  # this table was applied before
    state = row.cells.get("state", "").strip().lower()
    if state and state != state_of(_values(sample)):
        author = corrections.latest_author(session, sample.id)
        raise DamagedCell(
            f"sample {sample.id} was changed{f' by {author}' if author else ''} after this table was written"
            ": export it again, and correct that"
        )
    return Edit(
        sample.id,
        transcript=None if transcript == sample.transcript else transcript,
        speaker=None if speaker == sample.speaker else speaker,
        start_us=start,
        end_us=end,
        decision=None if status in (None, sample.status)
        else Decision.ACCEPT if status == SampleStatus.OK else Decision.REJECT,
        reason=row.cells.get("reason", ""),
    )  # fmt: skip
