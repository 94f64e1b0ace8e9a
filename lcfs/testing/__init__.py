"""Verify embeddings of convolutions, ours and other people's: Hypothesis strategies and assertions. Needs hypothesis.

>>> import torch, lcfs
>>> from hypothesis import given, settings
>>> from lcfs.testing import assert_embeds, assert_nested, conv_nets
>>> @settings(max_examples=5, deadline=None)
... @given(conv_nets())
... def test_my_converter(case):
...     mine = lcfs.embed(case.model, "fc", case.image)  # your converter in its place
...     assert_embeds(case.model, mine, case.image)
>>> test_my_converter()
>>> small, large = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Conv2d(1, 4, 5, padding=2)
>>> assert_nested(small, large, image=(1, 8, 8))  # each 3×3 convolution is a 5×5 one
"""

from lcfs.testing.controls import assert_only_embeds
from lcfs.testing.embeds import assert_embeds
from lcfs.testing.nested import assert_nested
from lcfs.testing.rounding import forward_error_bound
from lcfs.testing.strategies import Case, conv_layers, conv_nets, convolutions

__all__ = [
    "Case",
    "assert_embeds",
    "assert_nested",
    "assert_only_embeds",
    "conv_layers",
    "conv_nets",
    "convolutions",
    "forward_error_bound",
]
