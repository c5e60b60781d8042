"""Features of a pretrained image model."""

import numpy as np
from numpy.typing import NDArray

from annotate.features._frames import frames
from annotate.features._pretrained import Pretrained
from annotate.registry import extractor
from annotate.types import Modality, SampleSource

_PER_SECOND = 2
_WIDTH = 640


@extractor("hf-vision")
class HfVision(Pretrained):
    """Last layer of a pretrained image encoder, averaged, 2 rows per second (CLIP; Radford et al. 2021)."""

    modality = Modality.VISION
    revision = "1"

    def hidden(self, source: SampleSource) -> NDArray[np.float32] | None:
        """(frames, dim), or None for a clip without frames."""
        import torch

        config = self._json("config.json")
        side = int(config.get("image_size") or config["vision_config"]["image_size"])
        rows = [
            # Frame by frame, so that memory does not grow with the length of the clip.
            self.network(torch.from_numpy(self._pixels(picture, side))[None]).last_hidden_state.mean(dim=1)
            for picture in frames(source.media.silent, _PER_SECOND, _WIDTH, "rgb24")
        ]
        return torch.cat(rows).numpy() if rows else None

    def _pixels(self, picture: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
        """(3, side, side): the middle square, scaled and normalised as the model requires."""
        import cv2

        height, width = picture.shape[:2]
        edge = min(height, width)
        top, left = (height - edge) // 2, (width - edge) // 2
        square = np.ascontiguousarray(picture[top : top + edge, left : left + edge])
        small = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        preprocessor = self._json("preprocessor_config.json")
        mean, std = (np.array(preprocessor.get(key, [0.5] * 3)) for key in ("image_mean", "image_std"))
        return np.ascontiguousarray(((small - mean) / std).transpose(2, 0, 1), np.float32)
