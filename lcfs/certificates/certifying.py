"""lcfs certify: from a trained net to a certificate."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from lcfs import data
from lcfs.architectures import build
from lcfs.certificates.certificate import Certificate, all_bounds
from lcfs.certificates.coarsening import Coarsening, coarsen
from lcfs.certificates.description import decode, encode
from lcfs.certificates.evidence import Sample, count_errors
from lcfs.certificates.predictors import Predictor, ten_thousandths
from lcfs.certificates.structures import structures_of
from lcfs.checkpoints import load_state
from lcfs.config import TrainConfig
from lcfs.errors import InputError
from lcfs.folding import fold_batchnorm
from lcfs.runs import Run

AS_TRAINED = Coarsening()


@dataclass(frozen=True)
class Attempt:
    """One candidate: how the net was coarsened, what its description comes to, and the bound."""

    how: Coarsening
    bits: int
    train_errors: int
    bound: float


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
        run: a run directory of `lcfs train`; its config.json names net and data.
        checkpoint: a state dict of that net to take instead of the run's newest checkpoint.
        data_dir: folder of the data set, as for `lcfs.data.load`.
        delta: the bounds fail with at most this probability, in (0, 1).
        candidates: ways of pruning and quantizing; the one with the least Occam–binomial bound is certified. All are
            hypotheses of the same prefix-free code, so looking at several costs nothing.
        on_attempt: called after each candidate.

    Raises:
        InputError: no such run, a checkpoint that is not of this net, BatchNorm without running statistics, data that
            is not there, delta out of range.
    """
    config = Run.open(Path(run)).config()
    path = Path(checkpoint) if checkpoint is not None else Run.open(Path(run)).newest_checkpoint()
    dataset = data.load(config.data, folder=data_dir or config.data_dir, validation=config.validation, seed=config.seed)
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
    if not 0 < delta < 1:
        raise InputError(f"delta must lie in (0, 1), got {delta:g}")
    predictor = _predictor(config, dataset)
    arrays = _folded(config, state, dataset, origin)
    structures = structures_of(config.architecture, config.base_channels, dataset.image_shape)
    found: list[tuple[Attempt, Certificate]] = []
    for how in candidates:
        encoded = encode(predictor, coarsen(arrays, how), structures)
        decoded = decode(encoded.bits)
        errors = count_errors(decoded.net, decoded, dataset.train)
        values = all_bounds(errors, len(encoded.bits), len(dataset.train), delta)
        attempt = Attempt(how, len(encoded.bits), errors, values["occam_binomial"])
        if on_attempt:
            on_attempt(attempt)
        certificate = Certificate(
            description=encoded.bits,
            language=encoded.language,
            language_bits=encoded.language_bits,
            ledger=encoded.ledger,
            train=Sample.of(dataset, "train", config.validation, config.seed),
            train_errors=errors,
            test=Sample.of(dataset, "test", config.validation, config.seed),
            test_errors=count_errors(decoded.net, decoded, dataset.test),
            delta=delta,
            bounds=values,
        )
        found.append((attempt, certificate))
    if not found:
        raise ValueError("certify needs at least one candidate")
    return min(found, key=lambda pair: (pair[0].bound, pair[0].bits))[1]


def _predictor(config: TrainConfig, dataset: data.Dataset) -> Predictor:
    return Predictor(
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
    model = build(
        config.architecture,
        base_channels=config.base_channels,
        image=dataset.image_shape,
        classes=dataset.classes,
        kernel_size=config.kernel_size,
    )
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{origin} is no checkpoint of this {config.architecture} ({reason}); check --run") from error
    return {name: tensor.float().numpy() for name, tensor in fold_batchnorm(model).state_dict().items()}
