"""Whether training costs more than it has to: members side by side, the trainer's loop, a round over a pool.

    python -m benchmarks.training [--quick] [--only NAME] [--threads N] [--device NAME] [--json FILE]

NAME: `ensemble`, `loop`, `round` or `memory`. Data are generated: tasks T, A, V and M, the default config.
What is compared runs in turns in this process, medians of the turns; torch has N threads (2 by default),
of which the trainer takes one, since sums must not depend on the machine. Ratios are of CPU seconds of the
process, so that a busy machine does not speak, and on a GPU of wall seconds; wall seconds are printed beside.
Writing steps down counts as part of a training, importing what does it does not (the first turn).

`ensemble` and `loop` train every network for the same number of epochs, none stops early, on 1 000 train and
200 valid samples. The plain loop is what one would write by hand for one such network: the module called as
it is, a mean over the labels, AdamW in one pass, `clip_grad_norm_`, the valid loss after every epoch, a copy
of the best weights. `round` is `fit_ensemble` with its early stopping and `predict` for the whole pool,
features read included; the plain loop beside it trains one network for as many epochs, then passes once over
the pool. `wide` has features as wide as common extractors', the others a dozen columns each. `memory` is the
peak of a process that predicts 80 000 samples less that of one that predicts 20 000, over what the further
answers themselves take.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import numpy as np
import torch
from torch import Tensor

from annotate.learning.batches import CHUNK, Batch, make_inputs, read_pooled
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.device import repeatable
from annotate.learning.ensemble import fit_ensemble, fit_members
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet, encoder_class
from annotate.learning.predict import predict
from annotate.learning.prepared import Prepared, prepare
from annotate.learning.tensors import Output
from annotate.types import Modality
from benchmarks._bars import Bars, arguments
from benchmarks._generated import Plan, generate
from benchmarks._sets import Corpus, Rows, sample_id

NARROW = Plan().dims
WIDE = {Modality.TEXT: 768, Modality.AUDIO: 88, Modality.VISION: 35}
MEMBERS = 5
SIDE_BY_SIDE = {"cpu": 2.0, "cuda": 1.3}
"""Times one member that five may take."""
ROUND, LOOP, ANSWERS = 3.0, 0.9, 2.0
LABELLED, POOL = 2_000, 20_000
POOLS = (20_000, 80_000)
FRAMES = 20
"""Of a sample of the pool whose memory is measured."""


@dataclass(frozen=True)
class Setup:
    """How to measure."""

    device: str
    repeats: int
    epochs: int

    def seconds(self, job: Callable[[], object]) -> tuple[float, float]:
        """(CPU, wall) seconds of the job; on a GPU the wall says both."""
        started, cpu = time.perf_counter(), time.process_time()
        job()
        if self.device != "cpu":
            torch.cuda.synchronize()
        wall = time.perf_counter() - started
        return (time.process_time() - cpu if self.device == "cpu" else wall), wall

    def compare(self, jobs: Mapping[str, Callable[[], object]], what: str) -> dict[str, float]:
        """Median seconds of each, in turns; the first turn is not counted."""
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
        for turn in range(self.repeats + 1):
            for name, job in jobs.items():
                measured = self.seconds(job)
                found[name] += [measured] if turn else []
        for name, took in found.items():
            cpu, wall = (median(seconds[i] for seconds in took) for i in (0, 1))
            print(f"{what:<14}{name:<14}{cpu:8.2f} s CPU {wall:8.2f} s wall", flush=True)
        return {name: median(cpu for cpu, _ in took) for name, took in found.items()}


def corpus(samples: int, dims: Mapping[Modality, int], frames: tuple[int, int] = (1, 1)) -> Corpus:
    return generate(Plan(samples=samples, dims=dims, frames=frames), np.random.default_rng(0))


def prepared(setup: Setup, dims: Mapping[Modality, int], samples: int = 1_000) -> Prepared:
    """Those samples for train and a fifth as many for valid, and nobody stops early."""
    made = corpus(samples + samples // 5, dims)
    config = ModelConfig(epochs=setup.epochs, patience=setup.epochs)
    ids = made.ids()
    return prepare(made.training_set(ids[:samples], ids[samples:]), config, setup.device)


def plain_loop(given: Prepared, epochs: int, seed: int = 0) -> MultiTaskNet:
    """Train one network as one would by hand."""
    config, train = given.config, given.train
    net = given.network(seed).to(given.device)
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    best, best_weights = float("inf"), net.state_dict()
    for _ in range(epochs):
        net.train()
        for rows in torch.split(torch.randperm(len(train)), config.batch_size):
            batch = train.take(rows.to(given.device))
            loss = plain_loss(net, net(batch.inputs), batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
        if given.valid is not None:
            net.eval()
            with torch.no_grad():
                loss = plain_loss(net, net(given.valid.inputs), given.valid)
            if float(loss) < best:
                best = float(loss)
                best_weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net.load_state_dict(best_weights)
    return net.eval()


def plain_loss(net: MultiTaskNet, output: Output, batch: Batch) -> Tensor:
    """The mean over the tasks of the mean over the labels."""
    losses = []
    for task in net.tasks:
        known = batch.known[task.id].float()
        found = net.head(task).loss(output.heads[task.id], batch.targets[task.id])
        losses.append((found * known).sum() / known.sum().clamp(min=1))
    return torch.stack(losses).mean()


def plain_round(pool: Corpus, given: Prepared, epochs: int) -> None:
    """One network, then one pass over the pool."""
    with repeatable(0, given.device):
        net = plain_loop(given, epochs)
        pool_frames = {m: encoder_class(m, given.config).pool_frames for m in pool.features}
        ids = pool.ids()
        with torch.no_grad():
            for start in range(0, len(ids), CHUNK):
                rows = read_pooled(pool.read, pool_frames, ids[start : start + CHUNK])
                net(make_inputs(rows, given.standardisers))


def ensemble(setup: Setup, bars: Bars) -> None:
    """Five members against one."""
    for name, dims in (("narrow", NARROW), ("wide", WIDE)):
        given = prepared(setup, dims)
        jobs = {f"{k} members": partial(fit_members, given, range(k)) for k in (1, MEMBERS)}
        took = setup.compare(jobs, f"ensemble {name}")
        one, five = took.values()
        bars.bar(f"ensemble-of-{MEMBERS}-{name}", five / one, "<=", SIDE_BY_SIDE[setup.device[:4]])


def loop(setup: Setup, bars: Bars) -> None:
    """The trainer with one member against the loop written by hand."""
    for name, dims in (("narrow", NARROW), ("wide", WIDE)):
        given = prepared(setup, dims)

        def by_hand(given: Prepared = given) -> None:
            with repeatable(0, given.device):
                plain_loop(given, setup.epochs)

        took = setup.compare({"plain": by_hand, "trainer": partial(fit_members, given, [0])}, f"loop {name}")
        bars.bar(f"throughput-{name}", took["plain"] / took["trainer"], ">=", LOOP)


def a_round(setup: Setup, bars: Bars) -> None:
    """Train the default ensemble and predict the pool, against one network by hand."""
    labelled, pool = corpus(LABELLED, NARROW), corpus(POOL, NARROW)
    ids = labelled.ids()
    training_set = labelled.training_set(ids[LABELLED // 5 :], ids[: LABELLED // 5])
    config = ModelConfig()

    def ours() -> Checkpoint:
        checkpoint = fit_ensemble(training_set, config, seed=0, device=setup.device)
        predict(checkpoint, pool.read, pool.ids(), setup.device, pool.origins)
        return checkpoint

    epochs = max(fitted.epochs for fitted in ours().fitted)

    def plain() -> None:
        plain_round(pool, prepare(training_set, config, setup.device), epochs)

    took = replace(setup, repeats=min(setup.repeats, 3)).compare({"plain": plain, "ours": ours}, "round")
    bars.figures["round-epochs"] = epochs
    bars.bar("round", took["ours"] / took["plain"], "<=", ROUND)


def memory(setup: Setup, bars: Bars) -> None:
    """What further samples of a pool take, over what their answers take."""
    found = [_peak(setup, count) for count in POOLS]
    (few, answers_of_few), (many, answers_of_many) = found
    more = POOLS[1] - POOLS[0]
    print(
        f"memory: peak {few / 2**20:.0f} and {many / 2**20:.0f} MiB, {(many - few) / more:.0f} B per sample"
    )
    bars.bar("memory", (many - few) / (answers_of_many - answers_of_few), "<=", ANSWERS)


def _peak(setup: Setup, count: int) -> tuple[int, int]:
    command = [sys.executable, "-m", "benchmarks.training", "--predict", str(count), "--device", setup.device]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(said[-2]), int(said[-1])


def predict_many(count: int, device: str) -> None:
    """Print this process's peak memory and the bytes of the answers; features are made when they are read."""
    import resource

    labelled = corpus(100, WIDE, (FRAMES, FRAMES))
    ids = labelled.ids()
    training_set = labelled.training_set(ids[20:], ids[:20])
    checkpoint = fit_ensemble(training_set, ModelConfig(epochs=1), seed=0, device=device)

    def read(modality: Modality, sample_ids: Sequence[str]) -> Rows:
        return [labelled.features[modality][int(i) % len(labelled)].copy() for i in sample_ids]

    output = predict(checkpoint, read, [sample_id(i) for i in range(count)], device)
    said, fused = output.predictions, output.embeddings
    arrays = [a for p in said.values() for a in (p.members, p.mean, p.epistemic, p.aleatoric)]
    unit = 1 if sys.platform == "darwin" else 1024
    print(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        fused.nbytes + sum(a.nbytes for a in arrays),
    )


PARTS: dict[str, Callable[[Setup, Bars], None]] = {
    "ensemble": ensemble,
    "loop": loop,
    "round": a_round,
    "memory": memory,
}


def main() -> int:
    """Measure the parts that were asked for."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch outside the trainer")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--predict", type=int, help="predict so many samples and print the peak of memory")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.predict:
        predict_many(options.predict, options.device)
        return 0
    bars = Bars()
    setup = Setup(options.device, *((2, 10) if options.quick else (5, 40)))
    for name, part in PARTS.items():
        if options.only not in (None, name):
            continue
        if options.quick and name in ("round", "memory"):
            bars.long(name, "a whole training, a whole pool")
        else:
            part(setup, bars)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
