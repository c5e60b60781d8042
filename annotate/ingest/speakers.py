"""Reads the speakers and episodes of files from a table or from their paths; the table has precedence."""

import csv
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annotate.errors import UsageError
from annotate.ingest.files import SourceFile
from annotate.ingest.path_patterns import PathPattern, PatternOption, compile_pattern
from annotate.types import Turn, VideoMetadata

COLUMNS = ("file", "speaker", "episode", "start", "end")


@dataclass
class MetadataSources:
    """The table of speakers and the patterns for paths; it records which lines of the table were used."""

    table: Mapping[str, VideoMetadata] = field(default_factory=dict)
    """By normalised file name or relative path."""
    speaker_pattern: PathPattern | None = None
    episode_pattern: PathPattern | None = None
    _used: set[str] = field(default_factory=set)
    _matched: dict[str, dict[str, str]] = field(default_factory=dict)
    """By group and path: the text that the pattern matched."""

    def match(self, files: Sequence[SourceFile]) -> None:
        """Search the paths of all files for the patterns, once, before the first call of `of`.

        Raises `UsageError` or `ConfigError` for a pattern that takes too long.
        """
        for pattern in (self.speaker_pattern, self.episode_pattern):
            if pattern is not None:
                self._matched[pattern.group] = pattern.search(files)

    def of(self, file: SourceFile) -> VideoMetadata:
        """Speaker, episode and turns of `file`, each empty where it is not given."""
        listed = VideoMetadata()
        for key in (_normal(file.relative), _normal(Path(file.path).name)):
            if key in self.table:
                self._used.add(key)
                listed = self.table[key]
                break
        return VideoMetadata(
            listed.speaker or self._matched.get("speaker", {}).get(file.path, ""),
            listed.episode or self._matched.get("episode", {}).get(file.path, ""),
            listed.turns,
        )

    def unused(self) -> list[str]:
        """Names in the table that match no file, sorted."""
        return sorted(self.table.keys() - self._used)


def read_metadata(table: Path | None, speaker: PatternOption, episode: PatternOption) -> MetadataSources:
    """Read the table, and compile the patterns.

    Raises `UsageError` for a table or flag that cannot be used, `ConfigError` for such a setting.
    """
    return MetadataSources(
        _read_table(table) if table else {},
        compile_pattern(speaker, "speaker"),
        compile_pattern(episode, "episode"),
    )


def _read_table(path: Path) -> dict[str, VideoMetadata]:
    """By file name: rows with times are turns, a row without times is about the whole file."""
    table: dict[str, VideoMetadata] = {}
    hint = (
        "a CSV in UTF-8 whose first line is `file,speaker`, with `episode` if you like, "
        "and with `start,end` in seconds where speakers take turns"
    )
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            columns = list(rows.fieldnames or ())
            times = {"start", "end"} & set(columns)
            usable = (
                len(set(columns)) == len(columns)
                and set(columns) <= set(COLUMNS)
                and "file" in columns
                and ("speaker" in columns or "episode" in columns)
                and (not times or (len(times) == 2 and "speaker" in columns))
            )
            if not usable:
                listed = ", ".join(columns) or "none"
                raise UsageError(
                    f"{path} has the columns {listed}; it needs file and speaker or episode, and may have "
                    "start and end",
                    hint=hint,
                )
            for row in rows:
                where = f"{path}, line {rows.line_num}"
                cells = _cells(row, where)
                key = _normal(cells["file"].removeprefix("./"))
                old = table.get(key, VideoMetadata())
                turn = _turn(cells, where)
                table[key] = VideoMetadata(
                    _single(old.speaker, "" if turn else cells["speaker"], "speakers", cells["file"], where),
                    _single(old.episode, cells["episode"], "episodes", cells["file"], where),
                    old.turns + ((turn,) if turn else ()),
                )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint=hint) from error
    return table


def _cells(row: Mapping[str, str | None], where: str) -> dict[str, str]:
    """The stripped cells by column; empty for columns that the table does not have."""
    if None in row or any(value is None for value in row.values()):
        raise UsageError(f"{where}: it has more or fewer cells than the first line", hint="fix the line")
    cells = {name: (row.get(name) or "").replace("\0", "").strip() for name in COLUMNS}
    needed = [name for name in ("file", "speaker") if name in row and not cells[name]]
    if needed and not (needed == ["speaker"] and cells["episode"] and not cells["start"]):
        raise UsageError(f"{where}: the {needed[0]} is missing", hint="fix the line")
    return cells


def _turn(cells: Mapping[str, str], where: str) -> Turn | None:
    if not cells["start"] and not cells["end"]:
        return None
    try:
        start, end = float(cells["start"]), float(cells["end"])
    except ValueError:
        start, end = math.nan, math.nan
    if not 0 <= start < end < math.inf:
        raise UsageError(
            f"{where}: from {cells['start'] or 'nothing'!r} to {cells['end'] or 'nothing'!r} is not a valid "
            "time span",
            hint="seconds from the start of the video, the end after the start; leave both empty to name "
            "the speaker of the whole file",
        )
    return Turn(cells["speaker"], round(start * 1e6), round(end * 1e6))


def _single(old: str, new: str, word: str, file: str, where: str) -> str:
    if old and new and old != new:
        raise UsageError(f"{where}: {file} has two {word}, {old} and {new}", hint="keep one")
    return old or new


def _normal(name: str) -> str:
    """The same text for composed and decomposed accents: file systems differ there."""
    return unicodedata.normalize("NFC", name)
