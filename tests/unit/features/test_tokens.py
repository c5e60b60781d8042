"""Tokens are kept as numbers, in their order, whatever the script, and survive the way through a shard."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from annotate.corpus.embeddings import counted, embed
from annotate.feature_store import FeatureStore
from annotate.features.tokens import MOST, PAIR, rows_of
from annotate.features.word_ids import WordIds
from annotate.types import Modality, SampleMedia, SampleSource
from tests.support.needs import cannot


def source(text: str) -> SampleSource:
    return SampleSource("0" * 16, SampleMedia.under(Path(), "0" * 16), text)


def numbers(text: str) -> list[int]:
    rows = WordIds().extract(source(text))
    return [int(high) * PAIR + int(low) for high, low in rows]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Why did you not tell me?", 7),
        ("I don't know", 3),
        ("我真的很生气！", 7),
        ("今日は hello", 4),
        ("ไม่", 3),
        ("🙂", 1),
        ("\ud800", 1),
    ],
)
def test_words_are_counted_where_spaces_are_written_and_characters_elsewhere(text: str, count: int) -> None:
    assert len(numbers(text)) == count
    assert all(0 < number < MOST for number in numbers(text))


def test_a_word_has_the_same_number_everywhere_and_another_word_another() -> None:
    first, second, third = numbers("Good, good bad")[0], numbers("ＧＯＯＤ")[0], numbers("bad")[0]
    assert first == second != third
    assert numbers("good bad") == numbers("bad good")[::-1]


def test_numbers_survive_sixteen_bits(tmp_path: Path) -> None:
    rows = rows_of([1, PAIR - 1, PAIR, 30_521, MOST - 1])
    shard = FeatureStore(tmp_path).write(Modality.TEXT, "word-ids@0", [("0" * 16, rows)])
    assert (tmp_path / shard.path).stat().st_size < 600
    np.testing.assert_array_equal(FeatureStore(tmp_path).read(shard.path, [0])[0], rows)


def test_before_there_is_a_model_texts_of_the_same_words_lie_together() -> None:
    texts = ["I am so happy today", "today I am very happy", "the train leaves at nine", "at nine it leaves"]
    places = embed([counted([WordIds().extract(source(text)) for text in texts])])
    near, far = (float(np.linalg.norm(places[0] - places[i])) for i in (1, 2))
    assert near < far


def test_the_tokens_of_a_model_are_one_more_than_its_own(tmp_path: Path) -> None:
    if find_spec("transformers") is None:
        cannot("no transformers: pip install -e '.[pretrained]'")
    from annotate.features.hf_tokens import HfTokens
    from tests.support.tiny_models import WORDS, save_text_model

    rows = HfTokens(str(save_text_model(tmp_path / "m"))).extract(source("blue now"))
    expected = [WORDS.index(w) + 1 for w in ("[CLS]", "blue", "now", "[SEP]")]
    assert (rows @ [PAIR, 1]).tolist() == expected
