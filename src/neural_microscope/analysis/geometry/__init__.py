"""The geometry of a representation: components, dimension, neural collapse, clusters and layouts, each with its null."""

from .clusters import clusters, subspaces
from .collapse import neural_collapse
from .dimension import dimension
from .embedding import embed, faithfulness
from .pca import between_classes, pca
from .streaming import pca_streaming

__all__ = [
    "between_classes",
    "clusters",
    "dimension",
    "embed",
    "faithfulness",
    "neural_collapse",
    "pca",
    "pca_streaming",
    "subspaces",
]
