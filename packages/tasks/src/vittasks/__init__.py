"""Tasks: networks and data become experiments, on PyTorch Lightning."""

from vittasks.classification import Classification
from vittasks.data.digit_scenes import DigitScenes
from vittasks.data.image_folder import ImageFolder
from vittasks.mixing import Mixing
from vittasks.optim import weight_decay_groups
from vittasks.schedule import WarmupCosine

__all__ = ["Classification", "DigitScenes", "ImageFolder", "Mixing", "WarmupCosine", "weight_decay_groups"]
