"""Draft docstring."""

import argparse
import json
import math
import platform
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lcfs import data
from lcfs.certificates import Certificate, certify
from lcfs.certificates.description import encode
from lcfs.certificates.quantized_predictors import QuantizedPredictor
from lcfs.certificates.report import print_certificate
from lcfs.checkpoints import write_text_atomically
from lcfs.errors import InputError
from lcfs.front_end import front_end
from lcfs.quantized import Architecture, QuantizedNet
from lcfs.runs import Run
from theory.bounds import occam_binomial, test_set_bound

DELTA = 0.05
_BATCH = 500


@dataclass(frozen=True)
class Config:
    """One run. Same configuration, same machine: same net, also if it was interrupted."""

    quantized: Architecture = field(default_factory=Architecture)
    data: str = "cifar10"
    data_dir: str | None = None
    epochs: int = 60
    batch_size: int = 128
    learning_rate: float = 0.03
    """Peak of Adam's learning rate, in levels; warmed up over 300 steps, then a cosine."""
    bit_price: float = 4.5e-5
    """Nats of cross-entropy that a bit of description may cost; one percent of error is worth some 700 bits."""
    price_until: float = 0.3
    """Part of the training over which the price rises from 0."""
    hardening: tuple[float, float] = (0.2, 0.7)
    """Parts of the training between which real weights turn into integers."""
    bf16: bool = True
    """Train with products in bfloat16; what is certified is computed in float64."""
    seed: int = 0


PRESETS = {"24-quinary": Config(bit_price=9e-5)}


@dataclass(frozen=True)
class Outcome:
    """What a run ends with, on the training set alone; `lcfs certify` recounts it in float64."""

    bits: int
    train_errors: int
    bound: float


def train(config: Config, path: Path) -> Outcome:
    """Train, or continue, the run in the directory `path`; a finished run is only read.

    Raises:
        InputError: `path` holds another run, or the data is not there.
    """
    run = _open(config, path)
    if (summary := run.summary()) is not None:
        return Outcome(**summary["outcome"])
    dataset = data.load(config.data, folder=config.data_dir)
    torch.manual_seed(config.seed)
    net = QuantizedNet(config.quantized, dataset.image_shape[0], dataset.classes)
    optimizer = torch.optim.Adam(net.parameters(), lr=config.learning_rate, betas=(0.9, 0.999))
    features = _features(dataset.train.images, torch.bfloat16 if config.bf16 else torch.float32)
    first = _restore(run, net, optimizer)
    for epoch in range(first, config.epochs):
        begun = time.process_time()
        loss, error = _train_epoch(config, epoch, net, optimizer, features, dataset.train.labels)
        record = {"epoch": epoch + 1, "train/loss": loss, "train/error": error}
        record |= {"bits": _bits(net, dataset.image_shape, dataset.classes), "cpu_seconds": time.process_time() - begun}
        run.log(record)
        run.save_checkpoint(
            epoch + 1, {"epoch": epoch + 1, "model": net.state_dict(), "optimizer": optimizer.state_dict()}
        )
        print(json.dumps(record), flush=True)
    outcome = _outcome(net, dataset)
    run.write_summary({"status": "finished", "outcome": asdict(outcome), "metrics": {}, "tags": {}})
    return outcome


def price_bits(net: QuantizedNet) -> Tensor:
    """Bits of all tensors at the current frequencies of their levels, linear between neighbouring levels.

    Of a level that occurs c times among n of A levels, −log2 (c + ½) / (n + A/2) bits: what the adaptive code charges
    for one more. Differentiable in the latent weights.
    """
    total = torch.zeros(())
    for name, tensor in net.specification.items():
        bound, latent = tensor.bound, net.latent[name]
        symbols = (latent.detach().round().clamp(-bound, bound) + bound).long()
        counts = torch.bincount(symbols.flatten(), minlength=2 * bound + 1)
        cost = -torch.log2((counts + 0.5) / (symbols.numel() + bound + 0.5))
        below = latent.detach().floor().clamp(-bound, bound - 1)
        above = (latent - below).clamp(0, 1)
        i = (below + bound).long()
        total = total + (cost[i] * (1 - above) + cost[i + 1] * above).sum()
    return total


def _train_epoch(
    config: Config,
    epoch: int,
    net: QuantizedNet,
    optimizer: torch.optim.Optimizer,
    features: Tensor,
    labels: Tensor,
) -> tuple[float, float]:
    """(mean cross-entropy in nats, error) of the net in training."""
    steps = len(labels) // config.batch_size
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(config.seed * 100_003 + epoch))
    batches = order[: steps * config.batch_size].view(steps, config.batch_size)
    total, wrong = 0.0, 0
    net.train()
    for step, batch in enumerate(batches, start=epoch * steps):
        progress = step / (config.epochs * steps)
        rate = config.learning_rate * min(1, step / 300 + 0.05) * (1 + math.cos(math.pi * progress)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        net.hardness = _ramp(progress, *config.hardening)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
            logits = net.classify(features[batch])
        loss = F.cross_entropy(logits.float(), labels[batch])
        optimizer.zero_grad()
        (loss + config.bit_price * _ramp(progress, 0, config.price_until) * price_bits(net)).backward()
        optimizer.step()
        net.clip()
        total += loss.item()
        wrong += int((logits.argmax(1) != labels[batch]).sum())
    return total / steps, wrong / (steps * config.batch_size)


def _ramp(x: float, start: float, stop: float) -> float:
    """0 up to start, 1 from stop on, linear between."""
    return min(max((x - start) / (stop - start), 0.0), 1.0) if stop > start else float(x >= stop)


def _features(images: Tensor, dtype: torch.dtype) -> Tensor:
    """All features, channels last: what the convolutions read fastest."""
    parts = [front_end(part).to(dtype, memory_format=torch.channels_last) for part in images.split(_BATCH)]
    return torch.cat(parts)


def _bits(net: QuantizedNet, image: tuple[int, int, int], classes: int) -> int:
    """Length of the description, written out."""
    return len(encode(QuantizedPredictor(net.architecture, image, classes), net.levels()).bits)


@torch.no_grad()
def _outcome(net: QuantizedNet, dataset: data.Dataset) -> Outcome:
    net.eval()
    images, labels = dataset.train.images, dataset.train.labels
    batches = zip(images.split(_BATCH), labels.split(_BATCH), strict=True)
    errors = sum(int((net(x).argmax(1) != y).sum()) for x, y in batches)
    bits = _bits(net, dataset.image_shape, dataset.classes)
    return Outcome(bits, errors, occam_binomial(errors, bits, len(labels), DELTA))


def _open(config: Config, path: Path) -> Run:
    """The run directory, new or the one of this very configuration."""
    file, text = path / "config.json", json.dumps(asdict(config), indent=1) + "\n"
    if file.exists():
        if file.read_text() != text:
            raise InputError(f"{path} holds a run of another configuration; choose another --out")
    else:
        path.mkdir(parents=True, exist_ok=True)
        write_text_atomically(text, file)
    return Run.open(path)


def _restore(run: Run, net: QuantizedNet, optimizer: torch.optim.Optimizer) -> int:
    """Epochs done so far; net and optimizer as they were then."""
    state = run.load_checkpoint()
    if state is None:
        return 0
    net.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["epoch"]


def record(run: Run, certificate: Certificate, command: str) -> dict[str, Any]:
    """What is kept of a run beside its certificate: numbers, configuration, cost and machine."""
    c, epochs = certificate, run.metrics()
    config = json.loads((run.path / "config.json").read_text())
    config.pop("data_dir")
    return {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "hardware": {"cpu": _cpu(), "threads": torch.get_num_threads(), "torch": torch.__version__},
        "cpu_seconds": round(sum(epoch["cpu_seconds"] for epoch in epochs)),
        "bits": c.bits,
        "language_bits": c.language_bits,
        "train_errors": c.train_errors,
        "train_error": c.train_errors / c.train.images,
        "test_errors": c.test_errors,
        "test_error": c.test_errors / c.test.images,
        "delta": c.delta,
        "bounds": c.bounds,
        "test_set_bound": test_set_bound(c.test_errors, c.test.images, c.delta),
        "config": config,
        "epochs": epochs,
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    """Train one preset, say what it comes to, and certify it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="run directory, new or to be continued")
    parser.add_argument("--data-dir", help="folder of CIFAR-10; by default as for lcfs train")
    parser.add_argument("--preset", choices=PRESETS, default="24-quinary")
    parser.add_argument("--certificate", type=Path, help="certificate to write, as lcfs certify does")
    parser.add_argument("--record", type=Path, help="record to write beside the certificate")
    arguments = parser.parse_args()
    outcome = train(replace(PRESETS[arguments.preset], data_dir=arguments.data_dir), arguments.out)
    print(f"{outcome.bits:,} bits, {outcome.train_errors:,} training errors: bound {outcome.bound:.4f}")
    if arguments.certificate:
        made = certify(arguments.out, data_dir=arguments.data_dir, delta=DELTA)
        made.write(arguments.certificate)
        print_certificate(arguments.certificate, made)
        if arguments.record:
            command = f"python -m studies.tiny_certificate --preset {arguments.preset} --data-dir DIR --out RUN"
            found = record(Run.open(arguments.out), made, command)
            write_text_atomically(json.dumps(found, indent=1) + "\n", arguments.record)


if __name__ == "__main__":
    main()
