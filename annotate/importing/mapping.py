"""The meaning of the columns and arrays of a corpus, from flags, from a small TOML file, or from both."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from annotate.errors import UsageError
from annotate.types import UNIMODAL, Modality

MODALITIES = {word: m for m in Modality for word in (m.value.lower(), m.word)} | {
    "video": Modality.VISION, "face": Modality.VISION, "visual": Modality.VISION, "voice": Modality.AUDIO,
    "all": Modality.MULTIMODAL,
}  # fmt: skip
"""Names of modalities in cells, in lower case."""


@dataclass(frozen=True, slots=True)
class TableMap:
    """Names of columns and arrays; empty where there is none."""

    id: str = ""
    """Column of sample ids; without one, the number of the row from 0."""
    video: str = ""
    """Column of videos; without one, each sample is a video of its own."""
    speaker: str = ""
    split: str = ""
    text: str = ""
    start: str = ""
    """Seconds from the start of the video."""
    end: str = ""
    rater: str = ""
    """Column of the raters who gave the answers of a row."""
    votes: bool = False
    """Whether each row is the answer of one unknown rater."""
    modality: str = ""
    """Column of the modalities that the answers of a row are about."""
    feature: Mapping[str, str] = field(default_factory=dict)
    """By ``text``, ``audio``, ``vision``: name of the array."""
    feature_id: str = ""
    """Array of the sample id of each row of the other arrays; without one, they are in the table's order."""
    cut_padding: bool = False
    """Whether to drop frames of zeros at both ends."""
    length: Mapping[str, str] = field(default_factory=dict)
    """By modality: array with the number of frames without padding."""
    label: Mapping[str, str] = field(default_factory=dict)
    """Column by task (``sentiment.M``), or by dimension where a column has the modality."""
    value: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By dimension: our answer for each word of the corpus."""
    count: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By task or dimension, as `label`: for each answer, the column that counts its votes."""

    def columns(self) -> list[str]:
        """All columns that are named."""
        single = (self.id, self.video, self.speaker, self.split, self.text, self.start, self.end)
        counted = (column for columns in self.count.values() for column in columns.values())
        return [c for c in (*single, self.rater, self.modality, *self.label.values(), *counted) if c]

    def describes_samples(self) -> bool:
        """Whether it names anything about samples besides their answers."""
        columns = (self.video, self.speaker, self.split, self.text, self.start, self.end)
        return any(columns) or bool(self.feature)


def read_map(path: Path | None, flags: Mapping[str, Any]) -> TableMap:
    """The map of the file, overridden by the flags: strings, and lists of ``KEY=NAME``.

    Raises `UsageError` for a file or flag that cannot be read, and for a key that does not exist.
    """
    base = _read_file(path) if path is not None else TableMap()
    single: dict[str, Any] = {
        key: value for key, value in flags.items() if isinstance(value, str | bool) and value
    }
    feature = {**base.feature, **_pairs("--feature", flags.get("feature", ()))}
    length = {**base.length, **_pairs("--length", flags.get("length", ()))}
    modalities = [m.word for m in UNIMODAL]
    for flag, arrays in (("feature", feature), ("length", length)):
        if unknown := next((word for word in arrays if word not in modalities), None):
            raise UsageError(
                f"{flag} names {unknown!r}", hint=f"known: {', '.join(modalities)}; as in --{flag} audio=KEY"
            )
    return replace(
        base,
        **single,
        feature=feature,
        length=length,
        label={**base.label, **_pairs("--label", flags.get("label", ()))},
        value=_nested(base.value, "--value DIMENSION:THEIRS=OURS", flags.get("value", ())),
        count=_nested(base.count, "--count TASK:ANSWER=COLUMN", flags.get("count", ())),
    )


def _pairs(flag: str, texts: Sequence[str]) -> dict[str, str]:
    """``KEY=NAME`` as a mapping."""
    split = [text.partition("=") for text in texts]
    for key, equals, name in split:
        if not (key and equals and name):
            raise UsageError(f"{flag} {key}{equals}{name} cannot be read", hint=f"say {flag} KEY=NAME")
    pairs = {key.strip(): name.strip() for key, _, name in split}
    for key, _, name in split:
        if pairs[key.strip()] != name.strip():
            raise UsageError(
                f"{flag} names {key.strip()!r} twice: {name.strip()} and {pairs[key.strip()]}",
                hint="name it once",
            )
    return pairs


def _nested(
    base: Mapping[str, Mapping[str, str]], form: str, texts: Sequence[str]
) -> dict[str, dict[str, str]]:
    """`base` with ``OUTER:INNER=VALUE`` texts added; `form` is the flag with the form of its value."""
    flag = form.partition(" ")[0]
    merged = {outer: dict(inner) for outer, inner in base.items()}
    for key, value in _pairs(flag, texts).items():
        outer, colon, inner = key.partition(":")
        if not colon:
            raise UsageError(f"{flag} {key}={value} cannot be read", hint=f"say {form}")
        merged.setdefault(outer, {})[inner] = value
    return merged


def _read_file(path: Path) -> TableMap:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", hint="see docs/import.md for an example"
        ) from error
    known = {f.name: f.default for f in fields(TableMap)}
    for key, value in content.items():
        if key not in known:
            close = get_close_matches(key, known, n=1)
            raise UsageError(
                f"{path}: unknown key {key!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}",
            )
        deep = key in ("value", "count")
        if isinstance(known[key], bool) and not isinstance(value, bool):
            raise UsageError(
                f"{path}: {key} has to be true or false", hint="see docs/import.md for an example"
            )
        if not isinstance(known[key], bool) and not _fits(value, text=known[key] == "", deep=deep):
            shape = (
                "a name in quotes" if known[key] == "" else f"a table, as in [{key}{'.NAME' if deep else ''}]"
            )
            raise UsageError(f"{path}: {key} has to be {shape}", hint="see docs/import.md for an example")
    return TableMap(**content)


def _fits(value: object, *, text: bool, deep: bool) -> bool:
    if text:
        return isinstance(value, str)
    if not isinstance(value, dict):
        return False
    return all(_fits(inner, text=not deep, deep=False) for inner in value.values())
