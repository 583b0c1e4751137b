"""Dictionary learning: a TopK sparse autoencoder on a layer, its reconstruction error, its stability, and its
latents compared with units, principal components and a random dictionary.

A layer of 16 units is too narrow: use 128 units or more, or whole maps of a convolutional layer. On
planted dictionaries it recovers the planted directions (`planted` in `sae`); on a network there is no ground truth.
"""

from .evaluate import evaluate_sae, stability
from .purity import purity
from .sae import TopKSAE, decoder_pictures, encode, random_sae, train_sae

__all__ = ["TopKSAE", "decoder_pictures", "encode", "evaluate_sae", "purity", "random_sae", "stability", "train_sae"]
