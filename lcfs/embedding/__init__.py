"""CONV ⊂ LOCAL ⊂ FC for layers and whole nets: embedding, and the way back by orthogonal projection."""

from lcfs.embedding.nets import embed
from lcfs.embedding.projecting import ArrayProjection, NetProjection, project
from lcfs.embedding.sparse import SparseLinear

__all__ = ["ArrayProjection", "NetProjection", "SparseLinear", "embed", "project"]
