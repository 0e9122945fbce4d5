"""Data modules, and what draws the order of their samples.

The public names are those of ``vittasks``; these three were importable from here first and stay so.
"""

from vittasks.data.digit_scenes import DigitScenes
from vittasks.data.image_folder import ImageFolder
from vittasks.data.sampling import EpochSampler

__all__ = ["DigitScenes", "EpochSampler", "ImageFolder"]
