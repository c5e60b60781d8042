"""What every extractor promises, whoever wrote it: run over the registry, on real footage."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from annotate.errors import ConfigError, MediaError
from annotate.registry import EXTRACTORS
from annotate.types import UNIMODAL, Modality, SampleMedia, SampleSource
from tests.conftest import ROOT
from tests.support.needs import cannot

PRETRAINED = {"hf-text", "hf-tokens", "hf-audio", "hf-vision"}
MakeSource = Callable[..., SampleSource]
FROM_FILES = [n for n in EXTRACTORS.names() if EXTRACTORS.get(n)().modality is not Modality.TEXT]
WITH_ABSENCE = [n for n in EXTRACTORS.names() if n != "hf-vision"]
"""A clip always has a picture, and `hf-vision` does not look for a face."""


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory, example_videos: Path) -> SampleSource:
    """One utterance of the example footage: its picture as it is, its sound at 16 kHz."""
    video = example_videos / "grid_bbaf2n.mpg"
    wav = tmp_path_factory.mktemp("talking") / "talking.wav"
    resampler, parts = av.AudioResampler("s16", "mono", 16_000), []
    with av.open(str(video)) as container:
        for frame in container.decode(audio=0):
            parts += [part.to_ndarray().ravel() for part in resampler.resample(frame)]
    soundfile.write(wav, np.concatenate(parts), 16_000)
    return SampleSource("0" * 16, SampleMedia(video, wav, video), "Bin blue at F two now!")


@pytest.fixture(scope="module")
def absent(tmp_path_factory: pytest.TempPathFactory) -> SampleSource:
    """Two seconds of grey without a face, without a sound, without a word."""
    folder = tmp_path_factory.mktemp("absent")
    soundfile.write(folder / "a.wav", np.zeros(32_000, np.int16), 16_000)
    with av.open(str(folder / "v.mp4"), "w") as container:
        stream = container.add_stream("libx264", 25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(50):
            picture = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 128, np.uint8), "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return SampleSource("1" * 16, SampleMedia(folder / "v.mp4", folder / "a.wav", folder / "v.mp4"), "  \n ")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By extractor: a tiny model with random weights, saved as its makers would."""
    if find_spec("transformers") is None:
        cannot("no transformers: pip install -e '.[pretrained]'")
    from tests.support.tiny_models import save_audio_model, save_text_model, save_vision_model

    folder = tmp_path_factory.mktemp("models")
    made = {
        "hf-text": save_text_model, "hf-tokens": save_text_model,
        "hf-audio": save_audio_model, "hf-vision": save_vision_model,
    }  # fmt: skip
    return {name: str(save(folder / name)) for name, save in made.items()}


@pytest.fixture(params=EXTRACTORS.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(name: str, request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("models")[name] if name in PRETRAINED else ""


def test_it_gives_finite_frames_of_its_width(name: str, model: str, talking: SampleSource) -> None:
    extractor = EXTRACTORS.get(name)(model=model)
    found = extractor.extract(talking)
    assert extractor.modality in UNIMODAL
    assert found.dtype == np.float32 and found.ndim == 2
    assert len(found) >= 1 and found.shape[1] == extractor.dim
    assert np.isfinite(found).all() and found.any()


def test_it_gives_the_same_numbers_again(name: str, model: str, talking: SampleSource) -> None:
    first, second = EXTRACTORS.get(name)(model=model), EXTRACTORS.get(name)(model=model)
    assert first.version == second.version
    np.testing.assert_array_equal(first.extract(talking), second.extract(talking))


@pytest.mark.parametrize("name", WITH_ABSENCE, indirect=True)
def test_an_absent_modality_is_a_single_row_of_zeros(name: str, model: str, absent: SampleSource) -> None:
    extractor = EXTRACTORS.get(name)(model=model)
    np.testing.assert_array_equal(extractor.extract(absent), np.zeros((1, extractor.dim), np.float32))


@pytest.mark.parametrize("name", FROM_FILES, indirect=True)
def test_a_damaged_clip_is_a_media_error_that_names_the_file(name: str, model: str, tmp_path: Path) -> None:
    extractor = EXTRACTORS.get(name)(model=model)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no media file")
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        extractor.extract(SampleSource("2" * 16, SampleMedia(broken, broken, broken), "hello"))


@pytest.mark.parametrize("name", FROM_FILES, indirect=True)
def test_a_missing_clip_is_a_media_error(name: str, model: str, tmp_path: Path) -> None:
    extractor = EXTRACTORS.get(name)(model=model)
    gone = tmp_path / "gone.mp4"
    with pytest.raises(MediaError, match=r"gone\.mp4"):
        extractor.extract(SampleSource("2" * 16, SampleMedia(gone, gone, gone), "hello"))


def test_its_description_is_one_line_with_its_source(name: str) -> None:
    line = EXTRACTORS.descriptions()[name]
    assert line.endswith(".") and any(c.isdigit() for c in line)


def test_finding_it_loads_no_heavy_package() -> None:
    code = (
        "import sys; from annotate.registry import EXTRACTORS; "
        "[EXTRACTORS.get(n)() for n in EXTRACTORS.names()]; "
        "print([m for m in ('torch', 'transformers', 'cv2', 'av') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(PRETRAINED))
def test_a_pretrained_extractor_without_a_model_says_which_key_is_empty(name: str) -> None:
    extractor = EXTRACTORS.get(name)()
    with pytest.raises(ConfigError, match=f"features.{extractor.modality.word}_model is empty") as caught:
        _ = extractor.version
    assert "annotate.toml" in caught.value.hint


@pytest.mark.parametrize("name", sorted(PRETRAINED))
def test_other_weights_make_another_extractor(name: str, models: dict[str, str]) -> None:
    folder = Path(models[name])
    before = EXTRACTORS.get(name)(model=models[name]).version
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        assert EXTRACTORS.get(name)(model=models[name]).version != before
    finally:
        weights.write_bytes(content)
    assert EXTRACTORS.get(name)(model=models[name]).version == before


def test_weights_that_are_pickles_are_refused(models: dict[str, str], tmp_path: Path) -> None:
    config = json.loads((Path(models["hf-text"]) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(ConfigError, match="safetensors"):
        _ = EXTRACTORS.get("hf-text")(model=str(tmp_path)).version


def test_damaged_weights_are_named(models: dict[str, str], talking: SampleSource, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(models["hf-text"], folder)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ConfigError, match="damaged"):
        EXTRACTORS.get("hf-text")(model=str(folder)).extract(talking)


def test_pretrained_extractors_say_how_to_install_what_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotate.pretrained.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="transformers") as caught:
        _ = EXTRACTORS.get("hf-text")(model=str(tmp_path)).version
    assert "pip install -e '.[pretrained]'" in caught.value.hint
