"""Attribution: the pixels that an output depends on, the input that a unit responds to most, and sanity checks of such maps.

Every method takes a model (any torch module), images (an ImageSet or a float tensor [example, 1, row, col]) and a target:
None for the logits of the images' labels, a class, a class for each image, or ``(hook point, unit)``.
"""

from .activation_maximization import activation_maximization
from .cam import grad_cam
from .deletion_insertion import deletion_insertion
from .gradients import gradient_times_input, integrated_gradients, saliency, smooth_grad
from .occlusion import occlusion, single_pixels
from .sanity import against_untrained, sanity_check
from .target import Baseline, Images, Target

__all__ = [
    "Baseline",
    "Images",
    "Target",
    "activation_maximization",
    "against_untrained",
    "deletion_insertion",
    "grad_cam",
    "gradient_times_input",
    "integrated_gradients",
    "occlusion",
    "saliency",
    "sanity_check",
    "single_pixels",
    "smooth_grad",
]
