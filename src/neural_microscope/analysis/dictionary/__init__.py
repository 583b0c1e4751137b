"""Dictionary learning: a TopK sparse autoencoder on a layer, what it keeps, whether it comes back, and what its
latents are worth beside units, principal components and a random dictionary.

A layer of 16 units is too narrow to need one: prefer 128 units or more, or whole maps of a convolutional layer. On
planted dictionaries it finds what was planted (`planted` in `sae`); on a network there is no such truth to compare.
"""

from .evaluate import evaluate_sae, stability
from .purity import purity
from .sae import TopKSAE, decoder_pictures, encode, random_sae, train_sae

__all__ = ["TopKSAE", "decoder_pictures", "encode", "evaluate_sae", "purity", "random_sae", "stability", "train_sae"]
