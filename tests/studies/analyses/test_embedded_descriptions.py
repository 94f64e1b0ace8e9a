"""Reference: the counted lengths against matrices that are really built."""

import numpy as np
import pytest

from studies.analyses import embedded_descriptions
from theory.bounds import theorem2_mapping_bits
from theory.languages import lengths


@pytest.mark.parametrize("net", ["s-conv", "d-conv", "s-local"])
def test_counts_are_those_of_the_built_matrices(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_descriptions, "IMAGE", (2, 16, 12))
    found = embedded_descriptions.embedded(net, 2)
    values, first = [], 1
    for layer, word in embedded_descriptions.layers_of(net, 2):
        if word.kind == "conv":
            weight = np.arange(first, first + np.prod(layer.weight_shape)).reshape(layer.weight_shape)
            values.append(np.asarray(layer.matrix(weight)).ravel())
        else:
            weight = np.arange(first, first + layer.local_dimension)
            values.append(np.concatenate([weight, np.zeros(np.prod(layer.shape) - len(weight), dtype=int)]))
        first += weight.size
    flat = np.concatenate(values)
    labels, counts = np.unique(flat[flat != 0], return_counts=True)
    assert (found.weights, found.nonzeros) == (len(flat), np.count_nonzero(flat))
    assert len(labels) <= found.shared_values  # taps that never meet the image are named all the same
    assert found.theorem2 == theorem2_mapping_bits(found.nonzeros, found.shared_values, found.weights)
    counted = lengths.support(len(flat), found.nonzeros) + lengths.log2_arrangements(counts)
    assert found.counted == pytest.approx(counted, rel=1e-9)


def test_a_structure_word_costs_tens_of_bits_where_the_generic_map_costs_millions() -> None:
    for net, channels in embedded_descriptions.NETS:
        found = embedded_descriptions.embedded(net, channels)
        assert 20 * found.layers < found.structure < 60 * found.layers
        assert found.theorem2 > found.counted > 10**6 * found.structure / found.layers


def test_trained_nets_lie_between() -> None:
    nets = embedded_descriptions.trained()
    assert len(nets) == 6
    assert all(net.best <= net.counted + 5 < net.theorem2 for net in nets)
