"""Dimensions and tasks that tests share, and short ways to make others."""

from annotate.types import Answer, Dimension, Kind, Modality, Task


def regression(name: str, *values: float) -> Dimension:
    """A scale with the given answers; each alias is its number without a needless fraction, such as `-1`."""
    return Dimension(name, Kind.REGRESSION, tuple(Answer(value, f"{value:g}") for value in values))


def classification(name: str, *classes: str) -> Dimension:
    """One class of several; each alias is the class."""
    return Dimension(name, Kind.CLASSIFICATION, tuple(Answer(label, label) for label in classes))


def multilabel(name: str, *labels: str) -> Dimension:
    """Any number of labels; each alias is the label."""
    return Dimension(name, Kind.MULTILABEL, tuple(Answer(label, label) for label in labels))


SENTIMENT = regression("sentiment", -1.0, 0.0, 1.0)
EMOTION = classification("emotion", "angry", "happy", "sad")
THEMES = multilabel("themes", "work", "family", "money")
SENTIMENT_TASKS = tuple(Task(SENTIMENT, modality) for modality in Modality)
"""Sentiment of each modality, in the order of `Modality`."""
