"""English grammar for messages: numbers with the right form of their noun and verb."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number with its noun in the right form: ``1 question``, ``2 questions``.

    `noun` may be several words of which the last one changes. `plural` is needed where adding an s (or es
    after s, x, ch or sh) to `noun` gives no word.
    """
    suffix = "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{number} {noun if number == 1 else plural or noun + suffix}"


def either(number: int, one: str, several: str) -> str:
    """The word that agrees with the number, such as ``is`` or ``are``."""
    return one if number == 1 else several
