"""The table of samples that people correct in a spreadsheet: written, and read back without guessing."""

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
"""What a row is about: another value there means that rows and ids got mixed up."""
GUARDED = "=+-@'\t\r"
"""A spreadsheet takes a cell that begins so for a formula; it is written with an apostrophe in front."""
ERRORS = ("#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#N/A", "#NUM!", "#NULL!", "#SPILL!")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_LIKE_A_DATE = re.compile(r"\d{1,4}([-/.:])\d{1,2}(\1\d{1,4})?")
_DATE = re.compile(r"[\d.,:/\- ]+|\d{1,2}[-. ]+[^\W\d]{3,4}\.?([-. ]+\d{2,4})?|[^\W\d]{3,4}\.?[-. ]+\d{2,4}")
_TRUTHS = ("TRUE", "FALSE", "WAHR", "FALSCH", "VRAI", "FAUX", "VERDADERO", "FALSO", "VERO")
_STATE_LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopabcdef")
"""A spreadsheet reads digits as numbers, so the mark of a row's state has none."""
HINT = "export the table again with `annotate samples export`, or correct the cells that are named"


class DamagedCell(ValueError):
    """A cell that cannot be read without guessing; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, as somebody left it."""

    line: int
    """Of the file, from 1; a cell with line breaks makes a row of several lines."""
    cells: Mapping[str, str]
    """By column."""
    decimal_comma: bool
    """The file separates cells by semicolons or tabs, so that a comma can only be a decimal one."""
    fault: str = ""
    """Why its cells cannot be assigned to columns; empty where they can."""


def state_of(values: Mapping[str, str]) -> str:
    """A mark of what can be edited of a sample, to tell whether it changed since the table was written."""
    said = "\x1f".join(values[name] for name in EDITABLE)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:8].translate(_STATE_LETTERS)


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write a new CSV file that spreadsheets open as it is meant: UTF-8 with a mark, no cell a formula.

    Raises `UsageError` when `path` exists: it may hold somebody's corrections.
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
    """The cell so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell and cell[0] in GUARDED else cell


def unguard(cell: str) -> str:
    """The cell as it was before `guard`."""
    return cell[1:] if len(cell) > 1 and cell[0] == "'" and cell[1] in GUARDED else cell


def read_table(path: Path) -> tuple[list[Row], list[str]]:
    """The rows of a table that a spreadsheet may have saved, and warnings; empty lines are passed over.

    The separator is a comma, a semicolon or a tab; the encoding UTF-8 or, with its mark, UTF-16. Raises
    `UsageError` for a file that is no such table, naming the line.
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
            fault = _miscounted(columns, cells)
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
    """What separates the cells, and the number of the line with the names of the columns."""
    for number, line in enumerate(text.splitlines()[:5], start=1):
        if re.match(r"\"?sep=", line.strip(), re.IGNORECASE) or not line.strip(" ,;\t"):
            continue
        for delimiter in (",", ";", "\t"):
            names = [cell.strip().strip('"').lower() for cell in line.split(delimiter)]
            if "sample" in names and len(names) > 1:
                return delimiter, number
        break
    raise UsageError(
        f"{path} has no line with the names of the columns, of which one is `sample`",
        hint="`annotate samples export FILE.csv` writes such a table",
    )


def _check_columns(path: Path, columns: Sequence[str]) -> list[str]:
    """Raises `UsageError` for a name that comes twice or is a slip; warns of names that mean nothing here."""
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
    return [f"columns that mean nothing here were passed over: {', '.join(unknown)}"] if unknown else []


def _miscounted(columns: Sequence[str], cells: Sequence[str]) -> str:
    """What is wrong with the number of cells; empty where nothing is."""
    if len(cells) < len(columns) or any(cell.strip() for cell in cells[len(columns) :]):
        return (
            f"it has {len(cells)} cells, but there are {len(columns)} columns: a text with a separator or a "
            "line break in it has to stand in double quotes"
        )
    return ""


def read_seconds(cell: str, stored_us: int, decimal_comma: bool) -> int:
    """Microseconds that a cell says, `stored_us` where it says the same. Raises `DamagedCell`."""
    text = cell.strip()
    if text == seconds(stored_us):
        return stored_us
    if not _NUMBER.fullmatch(text):
        raise DamagedCell(f"{text!r} is no number of seconds")
    if "," in text:
        if not decimal_comma:
            raise DamagedCell(f"{text!r} has a comma, which may be a decimal one or not: write a point")
        text = text.replace(",", ".")
    number = float(text)
    if not math.isfinite(number) or abs(number) > 1e7:
        raise DamagedCell(f"{cell.strip()!r} is no time in a video")
    stored = round(stored_us / 1e6, 3)
    if stored and round(number, 3) == round(stored * 1000, 3):
        raise DamagedCell(
            f"{cell.strip()!r} is a thousand times {seconds(stored_us)}: a spreadsheet took the decimal "
            "point for a separator of thousands"
        )
    return stored_us if abs(number - stored) < 5e-4 else round(number * 1e6)


def read_text(cell: str, stored: str) -> str:
    """The tidied text of a cell. Raises `DamagedCell` where a spreadsheet changed it, not a person."""
    text = tidy(cell)
    if text == tidy(stored):
        return stored
    if text in ERRORS:
        raise DamagedCell(
            f"{text} is what a spreadsheet makes of a text that begins with =: write {stored!r} again"
        )
    if _damaged_number(text, stored):
        raise DamagedCell(
            f"{stored!r} became {text!r}, which a spreadsheet makes of numbers and dates: import the column "
            "as text, or correct this one by `annotate samples edit`"
        )
    if stored and text == "".join(c if c.isascii() else "?" for c in stored):
        raise DamagedCell(f"letters of {stored!r} became question marks: save the table as CSV UTF-8")
    if _is_mojibake(cell):
        raise DamagedCell(f"{text!r} is UTF-8 that was opened as another encoding: open the table as UTF-8")
    return text


def _damaged_number(text: str, stored: str) -> bool:
    """Whether a text is what spreadsheets make of another one that they take for a number, date or truth."""
    if stored.lower() in ("true", "false"):
        return text.lower() == stored.lower() or text in _TRUTHS
    if _LIKE_A_DATE.fullmatch(stored) and _DATE.fullmatch(text):
        return True
    if not _NUMBER.fullmatch(stored) or not _NUMBER.fullmatch(text):
        return False
    one, other = (float(value.replace(",", ".")) for value in (stored, text))
    return math.isclose(one, other, rel_tol=1e-3 if "e" in text.lower() else 1e-12)


def _is_mojibake(text: str) -> bool:
    """Whether a text is UTF-8 that was read as one of the encodings of western Europe."""
    if text.isascii():
        return False
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8") != text
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
    return False


def damaged_id(cell: str, ids: Sequence[str]) -> str:
    """What a spreadsheet did to the id of a sample, in words; empty where that cannot be told."""
    text = cell.strip().replace(",", ".")
    if not _NUMBER.fullmatch(text):
        return ""
    number = float(text)
    for sample_id in ids:
        if sample_id.isdigit() and math.isclose(float(sample_id), number, rel_tol=1e-4):
            return f"a spreadsheet took the id {sample_id} for a number"
        if re.fullmatch(r"\d+e\d+", sample_id) and math.isclose(float(sample_id), number, rel_tol=1e-4):
            return f"a spreadsheet took the id {sample_id} for a number"
    return "it looks like a number that a spreadsheet made of an id"
