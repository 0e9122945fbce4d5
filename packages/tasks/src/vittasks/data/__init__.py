"""Data modules and the sampler that draws their order."""

from vittasks.data.digit_scenes import DigitScenes
from vittasks.data.image_folder import ImageFolder
from vittasks.data.sampling import EpochSampler

__all__ = ["DigitScenes", "EpochSampler", "ImageFolder"]
