"""Numbers in messages agree with their nouns and verbs."""

import pytest

from annotate.wording import counted, either


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
