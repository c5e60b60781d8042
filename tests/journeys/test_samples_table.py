"""The table of corrections: edits are applied, what a spreadsheet damaged is refused with its line."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from annotate.errors import AnnotateError, NothingToDo, UsageError
from annotate.project import Project
from annotate.steps.samples import edit
from annotate.steps.samples_table import apply_table, export_table
from db import models
from db.engine import reading, writing
from tests.conftest import RunAnnotate
from tests.support.factories import add_sample, add_video

Cells = list[list[str]]
TEXTS = ("hello", "007", "=1+1", "'tis so", "1-2", "你好，世界", 'twelve, "and" more', "true")


@pytest.fixture
def table(project: Project, tmp_path: Path) -> Path:
    """A table of samples with texts that spreadsheets damage."""
    with writing(project.engine) as session:
        video = add_video(session, "talk", speaker="01")
        for number, said in enumerate(TEXTS):
            add_sample(session, video, start=3.0 * number + 1.234, text=said)
    export_table(project, tmp_path / "samples.csv")
    return tmp_path / "samples.csv"


def cells(path: Path) -> Cells:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def save(
    path: Path, rows: Cells, *, delimiter: str = ",", encoding: str = "utf-8-sig", ends: str = "\r\n"
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=ends).writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))


def change(path: Path, line: int, column: str, value: str) -> Cells:
    rows = cells(path)
    rows[line - 1][rows[0].index(column)] = value
    return rows


def transcripts(project: Project) -> list[str]:
    with reading(project.engine) as session:
        rows = session.scalars(select(models.Sample).order_by(models.Sample.start_us))
        return [row.transcript for row in rows]


def test_a_table_that_nobody_changed_changes_nothing(project: Project, table: Path) -> None:
    assert cells(table)[3][5] == "'=1+1", "no spreadsheet runs it as a formula"
    for delimiter, encoding, ends in (
        (",", "utf-8", "\n"),
        (";", "utf-8-sig", "\r\n"),
        ("\t", "utf-16", "\r\n"),
    ):
        rows = cells(table)
        save(
            table.with_name("copy.csv"),
            [*rows, [""] * len(rows[0])],
            delimiter=delimiter,
            encoding=encoding,
            ends=ends,
        )
        report = apply_table(project, table.with_name("copy.csv"))
        assert (report.changed, report.unchanged, report.changes) == (0, len(TEXTS), [])
    assert transcripts(project) == list(TEXTS)


def test_corrections_of_any_spreadsheet_are_made(project: Project, table: Path) -> None:
    rows = change(table, 2, "transcript", "  Hello,\nthere ")
    rows[3][rows[0].index("speaker")] = "anna"
    rows[4][rows[0].index("status")], rows[4][rows[0].index("reason")] = "rejected", "noise"
    for row in rows[1:]:
        row[2], row[3] = row[2].replace(".", ","), row[3].replace(".", ",").rstrip("0")
    rows = [["sep=;"] + [""] * (len(rows[0]) - 1), rows[0], *reversed(rows[1:])]
    save(table, rows, delimiter=";")
    shown = apply_table(project, table, dry_run=True)
    assert transcripts(project) == list(TEXTS)
    report = apply_table(project, table, by="anna")
    assert sorted((c.field, c.new) for c in report.changes) == [
        ("speaker", "anna"), ("status", "rejected by hand"), ("transcript", "Hello, there"),
    ]  # fmt: skip
    assert shown.changes == report.changes
    assert (report.changed, report.unchanged, report.author) == (3, len(TEXTS) - 3, "anna")
    assert transcripts(project)[0] == "Hello, there"
    assert apply_table(project, table).changed == 0


DAMAGE: list[tuple[int, str, str, str]] = [
    (3, "transcript", "7", "became '7', as spreadsheets convert"),
    (4, "transcript", "#NAME?", "#NAME? is what spreadsheets make"),
    (6, "transcript", "02. Jan", "became '02. Jan'"),
    (6, "transcript", "1/2", "became '1/2'"),
    (7, "transcript", "?????", "became question marks"),
    (7, "transcript", "你好".encode().decode("cp1252"), "opened as another encoding"),
    (9, "transcript", "TRUE", "became 'TRUE'"),
    (2, "speaker", "1", "'01' became '1'"),
    (2, "start", "1234", "thousand times 1.234"),
    (2, "start", "1,3", "may be a decimal comma or not"),
    (2, "start", "01. Mrz", "is not a number of seconds"),
    (2, "start", "", "is not a number of seconds"),
    (2, "end", "nan", "is not a number of seconds"),
    (2, "sample", "1.23457E+15", "looks like a number that a spreadsheet made from an id"),
    (2, "sample", "", "names no sample"),
    (2, "status", "maybe", "neither ok nor rejected"),
    (2, "status", "rejected", "without a reason"),
    (2, "video", "other", "were rows and ids mixed up"),
    (2, "speaker", "", "cannot be empty"),
]


@pytest.mark.parametrize(("line", "column", "value", "words"), DAMAGE, ids=[f"{d[1]}-{d[2]}" for d in DAMAGE])
def test_what_a_spreadsheet_damaged_is_refused_with_its_line(
    project: Project, table: Path, line: int, column: str, value: str, words: str
) -> None:
    rows = change(table, line, column, value)
    rows[-2][rows[0].index("transcript")] = "a good correction"
    save(table, rows)
    with pytest.raises(AnnotateError) as caught:
        apply_table(project, table)
    assert f"line {line}: " in str(caught.value)
    assert words in str(caught.value)
    assert transcripts(project) == list(TEXTS), "all rows or none"


def test_an_id_that_became_a_number_is_named(project: Project, table: Path) -> None:
    with writing(project.engine) as session:
        video = session.scalars(select(models.Video)).one()
        for name in ("0012345678901234", "1234567e89012345"[:8] + "00000012"):
            session.add(models.Sample(
                id=name, video_sha256=video.sha256, start_us=90_000_000, end_us=92_000_000, status="ok",
                split=None, media_sha256={},
            ))  # fmt: skip
    for damaged, whole in (("12345678901234", "0012345678901234"), ("1.23457E+13", "0012345678901234")):
        save(table, change(table, 2, "sample", damaged))
        with pytest.raises(AnnotateError, match=f"read the id {whole} as a number"):
            apply_table(project, table)
        save(table, change(table, 2, "sample", cells(table)[2][0]))


def test_every_bad_row_is_named(project: Project, table: Path) -> None:
    rows = change(table, 2, "start", "x")
    rows[4][rows[0].index("end")] = "99999"
    rows[5] = rows[5][:3]
    rows.append(rows[6])
    save(table, rows)
    with pytest.raises(AnnotateError) as caught:
        apply_table(project, table)
    assert "4 rows of" in str(caught.value)
    for line in (2, 5, 6, len(rows)):
        assert f"line {line}: " in str(caught.value)
    assert "line 7 is about sample" in str(caught.value)


def test_a_sample_that_was_corrected_after_the_export_is_refused(project: Project, table: Path) -> None:
    first = cells(table)[1][0]
    save(table, change(table, 2, "transcript", "from the table"))
    edit(project, first, transcript="meanwhile", by="bert")
    with pytest.raises(
        AnnotateError, match=r"line 2: sample .* was changed by bert after this table was written"
    ):
        apply_table(project, table)
    assert transcripts(project)[0] == "meanwhile"


def _without_sample(rows: Cells) -> Cells:
    return [row[1:] for row in rows]


def _slip(rows: Cells) -> Cells:
    return [[*rows[0][:5], "transcipt", *rows[0][6:]], *rows[1:]]


def _twice(rows: Cells) -> Cells:
    return [[*rows[0], "start"], *([*row, ""] for row in rows[1:])]


def _only_ids(rows: Cells) -> Cells:
    return [row[:2] for row in rows]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (_without_sample, "no line with the names of the columns"),
        (_slip, "a column 'transcipt'"),
        (_twice, "the column 'start' twice"),
        (_only_ids, "corrects nothing"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(
    project: Project, table: Path, broken: Callable[[Cells], Cells], words: str
) -> None:
    save(table, broken(cells(table)))
    with pytest.raises(UsageError, match=words):
        apply_table(project, table)


def test_other_encodings_and_spreadsheet_files_are_refused(project: Project, table: Path) -> None:
    table.write_bytes("sample;transcript\r\nx;naïve\r\n".encode("cp1252"))
    with pytest.raises(UsageError, match="line 2: it is not UTF-8"):
        apply_table(project, table)
    table.write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageError, match="not CSV"):
        apply_table(project, table)
    with pytest.raises(UsageError, match="cannot be read"):
        apply_table(project, table.with_name("none.csv"))


def test_an_export_never_overwrites_a_file_and_says_when_nothing_fits(project: Project, table: Path) -> None:
    with pytest.raises(UsageError, match="may hold corrections"):
        export_table(project, table)
    with pytest.raises(NothingToDo):
        export_table(project, table.with_name("none.csv"), status="rejected")
    assert not table.with_name("none.csv").exists()


def test_the_command_line_names_lines_and_applies(
    project: Project, table: Path, annotate: RunAnnotate
) -> None:
    save(table, change(table, 2, "start", "x"))
    done = annotate("samples", "apply", str(table), cwd=project.root)
    assert (done.returncode, "line 2: 'x' is not a number of seconds" in done.stderr) == (1, True)
    save(table, change(table, 2, "start", "1.234"))
    save(table, change(table, 2, "transcript", "changed"))
    done = annotate("samples", "apply", str(table), "--json", cwd=project.root)
    assert json.loads(done.stdout)["changed"] == 1
