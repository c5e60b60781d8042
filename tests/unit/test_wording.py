"""Numbers in messages agree with their nouns and verbs."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from annotate.wording import counted, either
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("number", "noun", "plural", "text"),
    [
        (1, "question", "", "1 question"), (0, "question", "", "0 questions"), (2, "batch", "", "2 batches"),
        (1, "open question", "", "1 open question"), (3, "entry", "entries", "3 entries"),
        (1, "entry", "entries", "1 entry"), (1234, "pass", "", "1234 passes"),
    ],
)  # fmt: skip
def test_a_number_has_the_right_form_of_its_noun(number: int, noun: str, plural: str, text: str) -> None:
    assert counted(number, noun, plural) == text


def test_a_verb_agrees_with_its_number() -> None:
    assert [either(n, "is", "are") for n in (0, 1, 2)] == ["are", "is", "are"]


NOUNS = (
    "samples|questions|videos|files|transcripts|answers|labels|raters|groups|speakers|annotations|batches|rounds|"
    "utterances|rows|links|rules|attempts|seeds|strategies"
)
NO_COUNTS = ("rate", "url", "dest", "options.rows", "n")
"""Values in front of such a word that count nothing, or never just one thing."""
BARE = re.compile(rf" ((labelled|open|other|rejected|test|train|valid|withdrawn) )?({NOUNS})\b")


def messages() -> Iterator[tuple[str, ast.FormattedValue, str]]:
    """Each place where the product writes a value in front of a text: where, the value, the text."""
    for folder in ("annotate", "db", "exporters", "strategies"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                for value, after in pairwise(node.values) if isinstance(node, ast.JoinedStr) else ():
                    if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
                        yield f"{path.relative_to(ROOT)}:{value.lineno}", value, str(after.value)


def test_no_message_puts_a_number_before_a_plural_without_asking_whether_it_is_one() -> None:
    bare = [
        f"{where} {ast.unparse(value)}{text}"
        for where, value, text in messages()
        if not ast.unparse(value.value).startswith(("counted(", "either("))
        and not ast.unparse(value.value).isupper()
        and ast.unparse(value.value) not in NO_COUNTS
        and BARE.match(text)
    ]
    assert bare == []
