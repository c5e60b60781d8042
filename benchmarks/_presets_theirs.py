"""Train one of MMSA's own multi-task networks on a feature file and print what it says of test, as JSON.

Run as a process of its own, with MMSA on the path:

    _presets_theirs.py FILE mlf_dnn|mtfn|mlmf --seeds N --epochs N --widest N

The networks, the loader and every hyper-parameter are MMSA's; the loop is ours, because those of
2.2.1 read a name before it is given. Its optimizer and its end are those of MMSA's trainers.
"""

import argparse
import copy
import importlib
import importlib.machinery
import json
import math
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

Batch = dict[str, Any]

TASKS = "MTAV"
SUBNETS = ("text", "audio", "video")
HELD = ("output_range", "output_shift", "fusion_weights", "fusion_bias")
"""What MMSA's trainers give a learning rate of 0."""
LEAST_FALL = 1e-6
"""Of the valid loss, for an epoch to count as better."""


def bare_packages() -> Path:
    """MMSA without its `__init__` files, which import every model with all they need; the folder of MMSA."""
    spec = importlib.machinery.PathFinder.find_spec("MMSA")
    assert spec is not None
    folder = Path(next(iter(spec.submodule_search_locations or ())))
    for name, place in (("", ""), (".models", "models"), (".models.multiTask", "models/multiTask")):
        package = types.ModuleType(f"MMSA{name}")
        package.__path__ = [str(folder / place)]
        sys.modules[f"MMSA{name}"] = package
    return folder


def settings(folder: Path, name: str, file: Path, widest: int) -> types.SimpleNamespace:
    """What MMSA's configuration says of the network on CH-SIMS, no encoder wider than `widest`."""
    said = json.loads((folder / "config" / "config_regression.json").read_text())[name]
    found = types.SimpleNamespace(**said["commonParams"], **said["datasetParams"]["sims"])
    found.hidden_dims = [min(width, widest) for width in found.hidden_dims]
    found.text_out = min(getattr(found, "text_out", widest), widest)
    found.train_mode, found.dataset_name, found.custom_feature = "regression", "sims", str(file)
    found.use_bert, found.feature_T, found.feature_A, found.feature_V = False, "", "", ""
    found.feature_dims = [0, 0, 0]
    return found


def whole(dataset: Any) -> Batch:
    """A split in one piece: much faster to divide than what MMSA's loader gives sample by sample."""
    return next(iter(torch.utils.data.DataLoader(dataset, batch_size=len(dataset))))


def divided(split: Batch, order: Tensor, size: int) -> Iterator[Batch]:
    """In that order, the last batch perhaps smaller."""
    for at in torch.split(order, size):
        found = {key: split[key][at] for key in ("text", "audio", "vision")}
        yield found | {"labels": {key: split["labels"][key][at] for key in TASKS}}


def make_optimizer(net: nn.Module, args: types.SimpleNamespace, decay: float) -> torch.optim.Optimizer:
    """A decay for each sub-network, another for the rest."""
    named = dict(net.named_parameters())
    groups = []
    for modality in SUBNETS:
        own = [named.pop(n) for n in list(named) if n.startswith(f"{modality}_subnet")]
        groups.append({"params": own, "weight_decay": getattr(args, f"{modality}_weight_decay")})
    groups.append({"params": [p for n, p in named.items() if n not in HELD]})
    return torch.optim.Adam(groups, lr=args.learning_rate, weight_decay=decay)


def loss_of(net: nn.Module, args: types.SimpleNamespace, batch: Batch) -> Tensor:
    """Absolute errors, weighed and summed."""
    said = net(batch["text"], batch["audio"], batch["vision"])
    errors = [getattr(args, m) * nn.functional.l1_loss(said[m], batch["labels"][m]) for m in TASKS]
    return torch.stack(errors).sum()


def train(
    net: nn.Module, args: types.SimpleNamespace, data: dict[str, Batch], decay: float, most: int
) -> int:
    """In place, to the weights of the epoch whose valid loss was lowest, which is given back."""
    optimizer = make_optimizer(net, args, decay)
    valid = list(divided(data["valid"], torch.arange(len(data["valid"]["id"])), args.batch_size))
    best, best_epoch, kept = math.inf, 0, copy.deepcopy(net.state_dict())
    for epoch in range(1, most + 1):
        net.train()
        order = torch.randperm(len(data["train"]["id"]))
        for batch in divided(data["train"], order, args.batch_size):
            optimizer.zero_grad()
            loss_of(net, args, batch).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            watched = sum(float(loss_of(net, args, batch)) for batch in valid) / len(valid)
        if watched <= best - LEAST_FALL:
            best, best_epoch, kept = watched, epoch, copy.deepcopy(net.state_dict())
        if epoch - best_epoch >= args.early_stop:
            break
    net.load_state_dict(kept)
    return best_epoch


def main() -> None:
    """Of each seed: the best epoch, and by id what the network says of M."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("name")
    for option in ("--seeds", "--epochs", "--widest"):
        parser.add_argument(option, type=int, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    args = settings(bare_packages(), given.name, given.file, given.widest)
    network = getattr(
        importlib.import_module(f"MMSA.models.multiTask.{given.name.upper()}"), given.name.upper()
    )
    loader = importlib.import_module("MMSA.data_loader").MMDataset
    data = {split: whole(loader(vars(args), mode=split)) for split in ("train", "valid", "test")}
    # The trainer of MTFN never hands the decay on that its configuration has for the rest.
    decay = 0.0 if given.name == "mtfn" else args.weight_decay
    found = []
    for seed in range(given.seeds):
        torch.manual_seed(seed)
        net = network(args)
        epoch = train(net, args, data, decay, given.epochs)
        with torch.no_grad():
            said = net(*(data["test"][key] for key in ("text", "audio", "vision")))["M"][:, 0]
        found.append({"epoch": epoch, "said": dict(zip(data["test"]["id"], said.tolist(), strict=True))})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
