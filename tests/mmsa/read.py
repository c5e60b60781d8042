"""Read a feature file with MMSA's data loader and with pandas, and print what they saw as JSON.

Run by a test as a process of its own, with MMSA on the path: ``read.py FILE sims|mosi``.
"""

import importlib.machinery
import json
import sys
import types
from pathlib import Path

import pandas as pd
import torch

# MMSA's `__init__` imports every model with all they need; the loader itself needs torch and NumPy only.
spec = importlib.machinery.PathFinder.find_spec("MMSA")
assert spec is not None
package = types.ModuleType("MMSA")
package.__path__ = list(spec.submodule_search_locations or ())
sys.modules["MMSA"] = package

from MMSA.data_loader import MMDataLoader, MMDataset  # noqa: E402


def arguments(path: Path, corpus: str) -> dict[str, object]:
    """As MMSA's configuration of LF-DNN has them, for a file given as `custom_feature`."""
    return {
        "dataset_name": corpus, "custom_feature": str(path), "use_bert": False, "need_data_aligned": False,
        "need_normalized": False, "feature_T": "", "feature_A": "", "feature_V": "",
        "feature_dims": [768, 33, 709], "seq_lens": [39, 400, 55], "batch_size": 4,
    }  # fmt: skip


def main(path: Path, corpus: str) -> None:
    """Print lengths, ids, labels and feature sizes of each split."""
    loaders, told = MMDataLoader(arguments(path, corpus), 0), {}
    for split, content in pd.read_pickle(path).items():
        dataset = MMDataset(arguments(path, corpus), mode=split)
        batches = list(loaders[split])
        told[split] = {
            "n": len(dataset),
            "batched": sum(len(batch["id"]) for batch in batches),
            "pandas": len(content["id"]),
            "ids": list(dataset.ids),
            "labels": {key: values.tolist() for key, values in dataset.labels.items()},
            "audio_lengths": list(dataset.audio_lengths),
            "vision_lengths": list(dataset.vision_lengths),
            "dims": list(dataset.get_feature_dim()),
            "finite": all(
                bool(torch.isfinite(batch[key]).all())
                for batch in batches
                for key in ("text", "audio", "vision")
            ),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
