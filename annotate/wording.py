"""English grammar for messages: numbers with the right form of their noun and verb."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number with its noun in the right form: ``1 question``, ``2 questions``.

    `noun` may be several words of which the last one changes. `plural` is needed where adding an s (or es
    after s, x, ch or sh) to `noun` gives no word.
    """
    return f"{number} {noun if number == 1 else plural or _plural(noun)}"


def either(number: int, one: str, several: str) -> str:
    """The word that agrees with the number, such as ``is`` or ``are``."""
    return one if number == 1 else several


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
