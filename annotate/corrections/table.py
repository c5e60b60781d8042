"""Writes the table of samples that people correct in a spreadsheet, and reads it back without guessing."""

import csv
import hashlib
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from annotate.corrections.edits import seconds, tidy
from annotate.errors import UsageError

COLUMNS = ("sample", "video", "start", "end", "speaker", "transcript", "status", "reason", "checks", "state")
EDITABLE = ("start", "end", "speaker", "transcript", "status")
READ_ONLY = ("video",)
"""Columns that must not change; another value there means that rows and ids were mixed up."""
GUARDED = "=+-@'\t\r"
"""A cell that begins with one of these is a formula to spreadsheets; an apostrophe in front prevents it."""
ERRORS = ("#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#N/A", "#NUM!", "#NULL!", "#SPILL!")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_LIKE_A_DATE = re.compile(r"\d{1,4}([-/.:])\d{1,2}(\1\d{1,4})?")
_DATE = re.compile(r"[\d.,:/\- ]+|\d{1,2}[-. ]+[^\W\d]{3,4}\.?([-. ]+\d{2,4})?|[^\W\d]{3,4}\.?[-. ]+\d{2,4}")
_TRUTHS = ("TRUE", "FALSE", "WAHR", "FALSCH", "VRAI", "FAUX", "VERDADERO", "FALSO", "VERO")
_STATE_LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopabcdef")
"""Digits are replaced by letters in the hash of a row's state, because spreadsheets read them as numbers."""
HINT = "export the table again with `annotate samples export`, or correct the cells that are named"


class DamagedCell(ValueError):
    """A cell cannot be read without guessing; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a corrected table."""

    line: int
    """Its first line in the file, from 1; a cell may contain line breaks."""
    cells: Mapping[str, str]
    """Cells by column."""
    decimal_comma: bool
    """Whether cells are separated by semicolons or tabs, so that a comma is a decimal separator."""
    fault: str = ""
    """Why its cells cannot be assigned to columns; empty if they can."""


def state_of(values: Mapping[str, str]) -> str:
    """A hash of the editable values of a sample, which shows whether it changed after the table was
    written."""
    values_text = "\x1f".join(values[name] for name in EDITABLE)
    return (
        hashlib.sha256(values_text.encode("utf-8", "surrogatepass")).hexdigest()[:8].translate(_STATE_LETTERS)
    )


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write a new CSV file that spreadsheets open correctly: UTF-8 with byte order mark, and no formulas.

    Raises `UsageError` when `path` exists, because it may hold corrections.
    """
    try:
        with path.open("x", encoding="utf-8-sig", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            writer.writerows([guard(row.get(name, "")) for name in COLUMNS] for row in rows)
    except FileExistsError as error:
        raise UsageError(
            f"{path} exists, and may hold corrections", hint="name another file, or move it away"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="name another file") from error


def guard(cell: str) -> str:
    """The cell in a form that no spreadsheet reads as a formula."""
    return f"'{cell}" if cell and cell[0] in GUARDED else cell


def unguard(cell: str) -> str:
    """The cell as it was before `guard`."""
    return cell[1:] if len(cell) > 1 and cell[0] == "'" and cell[1] in GUARDED else cell


def read_table(path: Path) -> tuple[list[Row], list[str]]:
    """The rows of a table that a spreadsheet may have saved, and warnings; empty lines are skipped.

    The separator is a comma, a semicolon or a tab; the encoding is UTF-8 or, with byte order mark, UTF-16.
    Raises `UsageError` with the line for a file that is not such a table.
    """
    text = _text(path)
    delimiter, header_line = _delimiter(path, text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    columns: list[str] = []
    warnings: list[str] = []
    before = 0
    try:
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in cells) or line < header_line:
                continue
            if not columns:
                columns = [cell.strip().lower() for cell in cells]
                warnings += _check_columns(path, columns)
                continue
            fault = ""
            if len(cells) < len(columns) or any(cell.strip() for cell in cells[len(columns) :]):
                fault = (
                    f"it has {len(cells)} cells, but there are {len(columns)} columns: a text that "
                    "contains a separator or a line break has to be in double quotes"
                )
            named = zip(columns, cells, strict=False)
            values = {} if fault else {name: unguard(cell) for name, cell in named if name}
            rows.append(Row(line, values, delimiter != ",", fault))
    except csv.Error as error:
        raise UsageError(f"{path}, line {before + 1}: {error}", hint=HINT) from error
    return rows, warnings


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="name a CSV file") from error
    if raw.startswith(b"PK"):
        raise UsageError(f"{path} is a spreadsheet file, not CSV", hint="save it as CSV UTF-8 first")
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageError(
            f"{path}, line {line}: it is not UTF-8, so its letters cannot be read without guessing",
            hint="save it as 'CSV UTF-8' in the spreadsheet program",
        ) from error


def _delimiter(path: Path, text: str) -> tuple[str, int]:
    """The separator of the cells, and the number of the line with the names of the columns."""
    for number, line in enumerate(text.splitlines()[:5], start=1):
        if re.match(r"\"?sep=", line.strip(), re.IGNORECASE) or not line.strip(" ,;\t"):
            continue
        for delimiter in (",", ";", "\t"):
            names = [cell.strip().strip('"').lower() for cell in line.split(delimiter)]
            if "sample" in names and len(names) > 1:
                return delimiter, number
        break
    raise UsageError(
        f"{path} has no line with the names of the columns, which include `sample`",
        hint="`annotate samples export FILE.csv` writes such a table",
    )


def _check_columns(path: Path, columns: Sequence[str]) -> list[str]:
    """Warnings about unknown columns. Raises `UsageError` for duplicate and misspelt names."""
    named = [name for name in columns if name]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise UsageError(f"{path} has the column {twice[0]!r} twice", hint="keep one of them")
    unknown = [name for name in named if name not in COLUMNS]
    for name in unknown:
        if close := get_close_matches(name, COLUMNS, n=1, cutoff=0.75):
            raise UsageError(f"{path} has a column {name!r}", hint=f"did you mean {close[0]!r}?")
    if not set(named) & set(EDITABLE):
        raise UsageError(
            f"{path} has none of the columns {', '.join(EDITABLE)}, so it corrects nothing", hint=HINT
        )
    return [f"unknown columns were ignored: {', '.join(unknown)}"] if unknown else []


def read_seconds(cell: str, stored_us: int, decimal_comma: bool) -> int:
    """The time in a cell in microseconds; `stored_us` if it is unchanged. Raises `DamagedCell`."""
    text = cell.strip()
    if text == seconds(stored_us):
        return stored_us
    if not _NUMBER.fullmatch(text):
        raise DamagedCell(f"{text!r} is not a number of seconds")
    if "," in text:
        if not decimal_comma:
            raise DamagedCell(f"{text!r} has a comma, which may be a decimal comma or not: write a point")
        text = text.replace(",", ".")
    number = float(text)
    if not math.isfinite(number) or abs(number) > 1e7:
        raise DamagedCell(f"{cell.strip()!r} is not a time in a video")
    stored = round(stored_us / 1e6, 3)
    if stored and round(number, 3) == round(stored * 1000, 3):
        raise DamagedCell(
            f"{cell.strip()!r} is a thousand times {seconds(stored_us)}: a spreadsheet read the decimal "
            "point as a thousands separator"
        )
    return stored_us if abs(number - stored) < 5e-4 else round(number * 1e6)


def read_text(cell: str, stored: str) -> str:
    """The tidied text of a cell. Raises `DamagedCell` if a spreadsheet changed it, not a person."""
    text = tidy(cell)
    if text == tidy(stored):
        return stored
    if text in ERRORS:
        raise DamagedCell(
            f"{text} is what spreadsheets make of a text that begins with =: write {stored!r} again"
        )
    if _damaged_number(text, stored):
        raise DamagedCell(
            f"{stored!r} became {text!r}, as spreadsheets convert numbers and dates: import the column "
            "as text, or correct this one by `annotate samples edit`"
        )
    if stored and text == "".join(c if c.isascii() else "?" for c in stored):
        raise DamagedCell(f"letters of {stored!r} became question marks: save the table as CSV UTF-8")
    if _is_mojibake(cell):
        raise DamagedCell(f"{text!r} is UTF-8 that was opened as another encoding: open the table as UTF-8")
    return text


def _damaged_number(text: str, stored: str) -> bool:
    """Whether a spreadsheet converts `stored`, read as a number, date or truth value, to `text`."""
    if stored.lower() in ("true", "false"):
        return text.lower() == stored.lower() or text in _TRUTHS
    if _LIKE_A_DATE.fullmatch(stored) and _DATE.fullmatch(text):
        return True
    if not _NUMBER.fullmatch(stored) or not _NUMBER.fullmatch(text):
        return False
    one, other = (float(value.replace(",", ".")) for value in (stored, text))
    return math.isclose(one, other, rel_tol=1e-3 if "e" in text.lower() else 1e-12)


def _is_mojibake(text: str) -> bool:
    """Whether a text is UTF-8 that was decoded as a western European encoding."""
    if text.isascii():
        return False
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8") != text
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
    return False


def damaged_id(cell: str, ids: Sequence[str]) -> str:
    """A message about what a spreadsheet did to the id of a sample; empty if unknown."""
    text = cell.strip().replace(",", ".")
    if not _NUMBER.fullmatch(text):
        return ""
    number = float(text)
    for sample_id in ids:
        if sample_id.isdigit() and math.isclose(float(sample_id), number, rel_tol=1e-4):
            return f"a spreadsheet read the id {sample_id} as a number"
        if re.fullmatch(r"\d+e\d+", sample_id) and math.isclose(float(sample_id), number, rel_tol=1e-4):
            return f"a spreadsheet read the id {sample_id} as a number"
    return "it looks like a number that a spreadsheet made from an id"
