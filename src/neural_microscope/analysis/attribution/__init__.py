"""Which pixels an answer comes from, what a unit would like to see, and whether such pictures are about the network.

Every method takes a model (any torch module), images (an ImageSet or a float tensor [example, 1, row, col]) and a target:
None for the logits of the images' labels, a class, a class for each image, or ``(hook point, unit)``.
"""

from .ascent import maximise
from .cam import grad_cam
from .covering import occlusion, single_pixels
from .fidelity import deletion_insertion
from .gradients import gradient_times_input, integrated_gradients, saliency, smooth_grad
from .sanity import against_untrained, sanity_check
from .target import Baseline, Images, Target

__all__ = [
    "Baseline",
    "Images",
    "Target",
    "against_untrained",
    "deletion_insertion",
    "grad_cam",
    "gradient_times_input",
    "integrated_gradients",
    "maximise",
    "occlusion",
    "saliency",
    "sanity_check",
    "single_pixels",
    "smooth_grad",
]
