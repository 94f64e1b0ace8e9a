"""Self-delimiting codes for the parts of a description of a net: what they are, how long, and back.

Every code is a small frozen object with `.length(x)` in bits, `.ideal(x)`, `.encode(x) -> Bits` and `.decode(bits) ->
(x, rest)`; see `theory.codes.code.Code`. All arithmetic is in integers: the same bits on every machine.
"""

from theory.codes.adaptive_supports import AdaptiveSupport
from theory.codes.adaptive_symbols import EntropyCoded
from theory.codes.arithmetic import ArithmeticDecoder, ArithmeticEncoder
from theory.codes.bits import Bits
from theory.codes.code import Code
from theory.codes.gaps import GapSubset, subset_code
from theory.codes.integers import EliasDelta, EliasGamma, EliasOmega, Uniform
from theory.codes.multisets import Multiset, sorted_units_saving
from theory.codes.packing import pack, unpack
from theory.codes.structures import KINDS, LayerStructure, Structure
from theory.codes.subsets import EnumeratedSubset, log2_binomial
from theory.codes.supports import BulkSupport, Support, WindowSupport
from theory.codes.theorem2 import LabelMap, Theorem2Map
from theory.codes.values import OwnValues, SharedValues

__all__ = [
    "KINDS",
    "AdaptiveSupport",
    "ArithmeticDecoder",
    "ArithmeticEncoder",
    "Bits",
    "BulkSupport",
    "Code",
    "EliasDelta",
    "EliasGamma",
    "EliasOmega",
    "EntropyCoded",
    "EnumeratedSubset",
    "GapSubset",
    "LabelMap",
    "LayerStructure",
    "Multiset",
    "OwnValues",
    "SharedValues",
    "Structure",
    "Support",
    "Theorem2Map",
    "Uniform",
    "WindowSupport",
    "log2_binomial",
    "pack",
    "sorted_units_saving",
    "subset_code",
    "unpack",
]
