"""The page a rater sees in one pass, as Label Studio's labelling configuration."""

from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from annotate.errors import ConfigError
from annotate.types import AND, Answer, Dimension, Kind, Modality

HOTKEY_ROWS = ("123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Hotkeys: the first dimension has the digits, the next ones the rows of letters, further ones none."""

NOTHING = Answer(f"{AND}none{AND}", "none of these")
"""A choice on the page of multilabel dimensions that distinguishes "none" from a missing answer. No answer of
the project has its alias, because none may contain `AND`."""

CONTRADICTION = "contradiction"
"""Suffix of the name of a control that is never filled in, see `_refuse_contradictions`."""

INSTRUCTIONS = {
    Modality.TEXT: "Judge the words alone. Do not guess at the voice.",
    Modality.AUDIO: "Judge the voice alone. The words do not count.",
    Modality.VISION: "No sound. Judge face and gesture alone.",
    Modality.MULTIMODAL: "Judge picture, voice and words together.",
}
OWN_KEYS = "{play}Enter submits and opens the next one. Ctrl+Space skips."
"""For servers started by `annotate studio up`, which have shorter hotkeys, see `server.KEYMAP`."""
USUAL_KEYS = "{play}Ctrl+Enter submits and opens the next one. Ctrl+Space skips."

# Class names with lsf- are Label Studio's own; without these rules, the page is merely less compact.
STYLE = """
.an-grid { display: flex; gap: 32px; align-items: flex-start; }
.an-media { flex: 1 1 auto; min-width: 0; max-width: 960px; }
.an-form { flex: 0 0 300px; }
.an-task h3 { font-size: 19px; margin: 6px 0 10px 0 !important; }
.an-keys h3 { font-size: 14px; font-weight: 400; color: #666; }
.an-quote { margin: 6px 0 12px 0; padding: 10px 4px; background: #f4f4f2; border-radius: 6px; }
.an-quote * { font-size: 21px !important; line-height: 1.5 !important; color: #222; }
.an-form h3 { font-size: 19px; margin: 6px 0 10px 0 !important; }
.an-form .lsf-choices + h3 { margin-top: 20px !important; }
.an-form .lsf-choice { margin: 0; }
.an-form .lsf-choice__checkbox { padding: 4px 0; font-size: 16px; }
.an-form .lsf-hint { top: 0; margin-left: 8px; font-size: 14px; font-weight: 400; color: #666; }
.lsf-sidepanels__wrapper { display: none; }
.lsf-sidepanels { padding-right: 0 !important; }
"""


def labeling_config(modality: Modality, dimensions: Sequence[Dimension], *, own_server: bool = True) -> str:
    """The XML of one pass: the modalities on the left, one control per dimension on the right.

    Controls have the name of their dimension in every pass. The data of the questions must contain `text`
    (T, M), `audio` (A) or `video` (V, M). `own_server` decides which hotkeys are explained. Raises
    `ConfigError` when two answers cannot be distinguished.
    """
    root = Element("View")
    SubElement(root, "Style").text = STYLE
    grid = SubElement(root, "View", className="an-grid")
    shown = _media(grid, modality, own_server)
    form = SubElement(grid, "View", className="an-form")
    rows = [*HOTKEY_ROWS, *[""] * len(dimensions)]
    for dimension, row in zip(dimensions, rows, strict=False):
        _question(form, dimension, shown, row)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def _media(grid: Element, modality: Modality, own_server: bool) -> str:
    """Add the media of the pass; returns the name of the tag that raters judge."""
    column = SubElement(grid, "View", className="an-media")
    _note(column, "an-task", INSTRUCTIONS[modality])
    if modality in (Modality.TEXT, Modality.MULTIMODAL):
        quote = SubElement(column, "View", className="an-quote")
        SubElement(quote, "Text", name="text", value="$text")
    if modality is Modality.AUDIO:
        SubElement(column, "Audio", name="audio", value="$audio", height="140")
    if modality is Modality.VISION:
        SubElement(column, "Video", name="video", value="$video", height="380", muted="true")
    if modality is Modality.MULTIMODAL:
        SubElement(column, "Video", name="video", value="$video", height="340")
    play = ""
    if modality is not Modality.TEXT:
        usual = "Ctrl+P" if modality is Modality.AUDIO else "Ctrl+Alt+Space"
        play = f"{'Space' if own_server else usual} plays and pauses. "
    _note(column, "an-keys", (OWN_KEYS if own_server else USUAL_KEYS).format(play=play))
    return {Modality.TEXT: "text", Modality.AUDIO: "audio"}.get(modality, "video")


def _note(parent: Element, look: str, text: str) -> None:
    SubElement(SubElement(parent, "View", className=look), "Header", value=text, size="4")


def choices_of(dimension: Dimension) -> tuple[Answer, ...]:
    """The choices on the page: the answers, and `NOTHING` for a multilabel dimension."""
    return (*dimension.answers, *([NOTHING] if dimension.kind is Kind.MULTILABEL else []))


def _question(form: Element, dimension: Dimension, shown: str, row: str) -> None:
    offered = choices_of(dimension)
    _require_distinct(dimension.name, offered)
    hotkeys = row[: len(offered)] if len(offered) <= len(row) else ""
    word = dimension.name.replace("_", " ")
    keys = f" (keys {hotkeys[0]} to {hotkeys[-1]})" if hotkeys else ""
    several = dimension.kind is Kind.MULTILABEL
    header = f"{word.capitalize()}: all that apply" if several else word.capitalize()
    SubElement(form, "Header", value=header, size="4")
    choices = SubElement(
        form, "Choices", name=dimension.name, toName=shown,
        choice="multiple" if several else "single-radio", layout="vertical",
        required="true", requiredMessage=f"Answer {word}{keys}, or skip with Ctrl+Space.",
    )  # fmt: skip
    for position, answer in enumerate(offered):
        choice = SubElement(choices, "Choice", value=answer.label, alias=answer.alias)
        if hotkeys:
            choice.set("hotkey", hotkeys[position])
    if several:
        _refuse_contradictions(form, dimension, shown)


def _refuse_contradictions(form: Element, dimension: Dimension, shown: str) -> None:
    """Let the page refuse `NOTHING` together with an answer, just as it refuses an empty form.

    Label Studio has no rules between choices, but it checks that a required control has a value if the views
    around it are visible. So a hidden control that cannot be filled in is required, within views that are
    visible while both kinds of choices are ticked.
    """
    both = form
    for values in ([NOTHING], dimension.answers):
        # Label Studio finds answers by value or label in a list with commas, so names with commas are
        # useless.
        names = [
            next((name for name in (answer.alias, answer.label) if "," not in name), "") for answer in values
        ]
        both = SubElement(
            both, "View", visibleWhen="choice-selected", whenTagName=dimension.name,
            whenChoiceValue=",".join(filter(None, names)),
        )  # fmt: skip
    both.set("style", "display: none")
    word = dimension.name.replace("_", " ")
    SubElement(
        both, "Rating", name=f"{dimension.name}-{CONTRADICTION}", toName=shown, maxRating="1",
        required="true",
        requiredMessage=f"{word.capitalize()}: untick {NOTHING.label!r}, or the other answers.",
    )  # fmt: skip


def _require_distinct(dimension: str, offered: Sequence[Answer]) -> None:
    """Raise `ConfigError` for ambiguous answers, which Label Studio looks up by label or alias."""
    owner: dict[str, str] = {}
    for answer in offered:
        for name in (answer.alias, answer.label):
            if owner.setdefault(name, answer.alias) != answer.alias or not name.strip():
                raise ConfigError(
                    f"two answers to {dimension} are known as {name!r}",
                    hint="give every answer its own value and label in annotate.toml",
                )
    if len({a.alias for a in offered}) < len(offered):
        raise ConfigError(
            f"two values of {dimension} look the same when written with six digits",
            hint="round the values in annotate.toml",
        )
