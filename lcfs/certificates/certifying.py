"""lcfs certify: from a trained net to a certificate."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from lcfs import data
from lcfs.certificates.certificate import Certificate, claimed
from lcfs.certificates.coarsening import Coarsening, coarsen
from lcfs.certificates.evidence import Sample, compare_errors, count_errors
from lcfs.config import TrainConfig
from lcfs.descriptions.encoded import Encoded, decode, encode
from lcfs.descriptions.float_nets import FloatPredictor, ten_thousandths
from lcfs.descriptions.quantized_nets import QuantizedPredictor
from lcfs.errors import InputError
from lcfs.nets.folding import fold_batchnorm
from lcfs.nets.quantized import Architecture, QuantizedNet
from lcfs.reading import load_state
from lcfs.runs import Run
from lcfs.runs.checkpoints import load_into
from lcfs.runs.nets import net_of
from lcfs.runs.quantized_run import QuantizedRun
from theory.codes import Bits
from theory.verdicts import Verdict, all_bounds, judge

AS_TRAINED = Coarsening()
_CAUTION = 4.0  # so that nobody who verifies counts more errors


@dataclass(frozen=True)
class Attempt:
    """One candidate: how the net was coarsened, what its description comes to, and the verdict on it."""

    how: Coarsening
    bits: int
    train_errors: int
    verdict: Verdict


def certify(
    run: str | Path,
    *,
    checkpoint: str | Path | None = None,
    data_dir: str | Path | None = None,
    delta: float = 0.05,
    candidates: Iterable[Coarsening] = (AS_TRAINED,),
    on_attempt: Callable[[Attempt], None] | None = None,
) -> Certificate:
    """Encode the net of a run, decode it, count the errors of the *decoded* net, and bound its error.

    Args:
        run: a run directory of `lcfs train`, or of a quantized net; its config.json names net and data.
        checkpoint: a state dict of that net to take instead of the run's newest checkpoint.
        data_dir: folder of the data set, as for `lcfs.data.load`. The sample is its whole training set, images that the
            run set aside for validation included: nothing that chooses among images needs to be billed.
        delta: the bounds fail with at most this probability, in (0, 0.5], fixed before the data are looked at.
        candidates: ways of pruning and quantizing; the one with the least bound is certified, or, where
            all are vacuous, the one that lacks the fewest images. All are hypotheses of the same prefix-free code, so
            looking at several costs nothing. A quantized net is taken as it is.
        on_attempt: called after each of several candidates, whose errors are compared in float32.

    Raises:
        InputError: no such run, a checkpoint that is not of this net, BatchNorm without running statistics, data that
            is not there, delta out of range, a quantized net to be coarsened.
    """
    opened = Run.open(Path(run))
    path = Path(checkpoint) if checkpoint is not None else opened.newest_checkpoint()
    if isinstance(opened, QuantizedRun):
        if tuple(candidates) != (AS_TRAINED,):
            raise InputError(
                f"{run} holds a quantized net, which is certified as it is: leave densities and values out"
            )
        quantized = opened.quantized()
        dataset = data.load(quantized.data, folder=data_dir or quantized.data_dir)
        return certify_quantized(quantized.architecture, load_state(path), dataset, delta=delta, origin=str(path))
    config = opened.config()
    _check_sample(config, path)
    dataset = data.load(config.data, folder=data_dir or config.data_dir)
    return certify_state(
        config, load_state(path), dataset, delta=delta, candidates=candidates, on_attempt=on_attempt, origin=str(path)
    )


def certify_state(
    config: TrainConfig,
    state: dict[str, Tensor],
    dataset: data.Dataset,
    *,
    delta: float = 0.05,
    candidates: Iterable[Coarsening] = (AS_TRAINED,),
    on_attempt: Callable[[Attempt], None] | None = None,
    origin: str = "the state dict",
) -> Certificate:
    """The same for a state dict and a data set in memory; `config` says which net and which data they are."""
    check_delta(delta)
    if config.random_labels:
        raise InputError(
            f"{origin} was trained on random labels, of which a certificate cannot speak: train on real ones"
        )
    predictor = _predictor(config, dataset)
    arrays = _folded(config, state, dataset, origin)
    ways = tuple(candidates)
    if not ways:
        raise ValueError("certify needs at least one candidate")
    encoded = [encode(predictor, coarsen(arrays, how)) for how in ways]
    best = 0
    if len(ways) > 1:
        attempts = [_attempt(how, one, dataset, delta, on_attempt) for how, one in zip(ways, encoded, strict=True)]
        best = min(range(len(ways)), key=lambda i: _rank(attempts[i]))
    return issue(encoded[best].bits, dataset, delta)


def _attempt(
    how: Coarsening,
    encoded: Encoded,
    dataset: data.Dataset,
    delta: float,
    on_attempt: Callable[[Attempt], None] | None,
) -> Attempt:
    """What a candidate comes to, its errors counted in float32."""
    decoded = decode(encoded.bits)
    errors = compare_errors(decoded, dataset.train)
    bits = len(encoded.bits)
    verdict = judge(errors, bits, len(dataset.train), delta=delta, classes=dataset.classes)
    attempt = Attempt(how, bits, errors, verdict)
    if on_attempt:
        on_attempt(attempt)
    return attempt


def _rank(attempt: Attempt) -> tuple[float, float, int]:
    """The better a candidate the less: images that it lacks, then its bound, then its bits."""
    return attempt.verdict.samples_needed, attempt.verdict.bound, attempt.bits


def certify_quantized(
    architecture: Architecture,
    state: dict[str, Tensor],
    dataset: data.Dataset,
    *,
    delta: float = 0.05,
    origin: str = "the state dict",
) -> Certificate:
    """The same for the state dict of a `QuantizedNet`, trained on all training images of the data set."""
    check_delta(delta)
    net = QuantizedNet(architecture, dataset.image_shape[0], dataset.classes)
    load_into(net, state, origin=origin, wanted="this quantized net")
    predictor = QuantizedPredictor(architecture, dataset.image_shape, dataset.classes)
    return issue(encode(predictor, net.integers()).bits, dataset, delta)


def check_delta(delta: float) -> None:
    """Raises InputError unless delta lies in (0, ½]: a bound that fails more often than not says nothing."""
    if not 0 < delta <= 0.5:
        raise InputError(f"delta must lie in (0, 0.5], got {delta:g}")


def issue(description: Bits, dataset: data.Dataset, delta: float = 0.05) -> Certificate:
    """The certificate of the net that bits stand for, on all images of a data set.

    Raises:
        InputError: delta out of range, a part of the images set aside, other images than those of a known name.
        ValueError: bits that stand for no net.
    """
    check_delta(delta)
    decoded = decode(description)
    train, test = Sample.of(dataset, "train"), Sample.of(dataset, "test")
    (errors,) = count_errors(decoded, dataset.train, (_CAUTION,))
    (test_errors,) = count_errors(decoded, dataset.test, (_CAUTION,))
    return Certificate(
        description=description,
        language=decoded.language,
        language_bits=decoded.encode().language_bits,
        ledger=decoded.ledger,
        train=train,
        train_errors=errors,
        test=test,
        test_errors=test_errors,
        delta=float(delta),
        bounds=claimed(all_bounds(errors, len(description), train.images, delta)),
    )


def _check_sample(config: TrainConfig, path: Path) -> None:
    """Raises InputError for a run on data of which a certificate would not know how they were chosen."""
    if config.data not in data.DATASETS:
        raise InputError(
            f"{path} was trained on {config.data}, and only nets for {', '.join(data.DATASETS)} are certified"
        )
    if config.samples:
        raise InputError(
            f"{path} was trained on {config.samples:,} signals of the stream, whose number and seed are billed "
            "nowhere; train on the frozen set, with --samples 0"
        )


def _predictor(config: TrainConfig, dataset: data.Dataset) -> FloatPredictor:
    return FloatPredictor(
        config.architecture,
        config.base_channels,
        config.kernel_size,
        dataset.image_shape,
        dataset.classes,
        ten_thousandths(dataset.mean),
        ten_thousandths(dataset.std),
        config.seed if config.permute_pixels else None,
    )


def _folded(config: TrainConfig, state: dict[str, Tensor], dataset: data.Dataset, origin: str) -> dict[str, np.ndarray]:
    """Arrays of the net with BatchNorm folded away, float32."""
    model = net_of(config, state, dataset.image_shape, dataset.classes, origin=origin)
    return {name: tensor.float().numpy() for name, tensor in fold_batchnorm(model).state_dict().items()}
