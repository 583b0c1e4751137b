"""Training: one loop that calls observers, and many networks at once. It writes no file and draws nothing."""

from .epochs import Sampler, noisy_labels
from .loop import History, Observer, Telling, Training, learning_rate, train
from .objective import Loss
from .population import continue_in_place, train_branches, train_population
from .scores import Evaluation, evaluate, score

__all__ = [
    "Evaluation",
    "History",
    "Loss",
    "Observer",
    "Sampler",
    "Telling",
    "Training",
    "continue_in_place",
    "evaluate",
    "learning_rate",
    "noisy_labels",
    "score",
    "train",
    "train_branches",
    "train_population",
]
