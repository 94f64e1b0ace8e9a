"""What a trained net achieves: errors, non-zeros, description lengths and bounds."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lcfs import data
from lcfs.analysis.counts import summarize_state
from lcfs.analysis.mask_locality import MaskLocality, mask_locality
from lcfs.augmentation import augment
from lcfs.descriptions.counted import Report, report
from lcfs.nets.architectures import weights
from lcfs.ranks.ranks import ALONE, Ranks
from lcfs.training.sharding import gathered, nonzeros

_BATCH = 1000


@dataclass(frozen=True)
class Result:
    """What a run ends with; errors and accuracies in [0, 1], train error without augmentation in evaluation mode."""

    train_error: float
    test_accuracy: float
    nonzeros: dict[str, int]
    weights: dict[str, int]
    report: Report
    locality: MaskLocality | None = None


@torch.no_grad()
def evaluate(
    model: nn.Module, dataset: data.Dataset, split: str, permutation: Tensor | None = None, ranks: Ranks = ALONE
) -> tuple[float, float]:
    """(error in [0, 1], mean cross-entropy in nats) on a split: each image once, unaugmented, evaluation mode.

    The images are shared out among `ranks`, each of which has the net and gets the result.
    """
    images: data.ImageSet = getattr(dataset, split)
    was_training = model.training
    model.eval()
    wrong = torch.zeros((), dtype=torch.int64, device=images.images.device)
    loss = torch.zeros((), dtype=torch.float64, device=images.images.device)
    for x, y in zip(images.images.split(_BATCH), images.labels.split(_BATCH), strict=True):
        logits = model(augment.normalize(ranks.own(x), dataset.mean, dataset.std, permutation)).float()
        wrong += (logits.argmax(1) != ranks.own(y)).sum()
        loss += F.cross_entropy(logits, ranks.own(y), reduction="sum")
    model.train(was_training)
    return ranks.sum(wrong).item() / len(images), ranks.sum(loss).item() / len(images)


def measure(model: nn.Module, dataset: data.Dataset, permutation: Tensor | None = None, ranks: Ranks = ALONE) -> Result:
    """The measurements a run ends with; after training, on the test set among others. `ranks` as in `evaluate`."""
    train_error, _ = evaluate(model, dataset, "train", permutation, ranks)
    test_error, _ = evaluate(model, dataset, "test", permutation, ranks)
    state, counts = gathered(model.state_dict(), ranks), nonzeros(named_weights(model), ranks)
    return ranks.from_first(
        lambda: Result(
            train_error=train_error,
            test_accuracy=1 - test_error,
            nonzeros=counts,
            weights={name: tensor.numel() for name, tensor in named_weights(model).items()},
            report=report(
                summarize_state(state),
                train_error=train_error,
                samples=len(dataset.train),
                classes=dataset.classes,
            ),
            locality=mask_locality(state, dataset.image_shape, permutation=permutation),
        )
    )


def summary(result: Result) -> dict[str, Any]:
    """summary.json of a finished run: `final/*`, `bound/*`, `bits/*` and `locality/*` metrics."""
    metrics: dict[str, float] = {
        "final/train_error": result.train_error,
        "final/test_accuracy": result.test_accuracy,
        "final/nonzeros": sum(result.nonzeros.values()),
        "final/weights": sum(result.weights.values()),
    }
    if result.report.distinct_values is not None:
        metrics["final/distinct_values"] = result.report.distinct_values
    metrics |= {f"final/nonzeros/{name}": count for name, count in result.nonzeros.items()}
    metrics |= {f"bits/{language.name}": language.bits for language in result.report.languages}
    metrics |= {f"bound/{bound.language}/{bound.bound}": bound.value for bound in result.report.bounds}
    if result.locality is not None:
        metrics["locality/mask_radius_px"] = result.locality.radius
        metrics["locality/random_mask_radius_px"] = result.locality.random
    return {"status": "finished", "metrics": metrics, "tags": {}, "samples": result.report.samples}


def named_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weight arrays that the paper counts, by the names of their layers."""
    return {name.removesuffix(".weight"): parameter.detach() for name, parameter in weights(model)}
