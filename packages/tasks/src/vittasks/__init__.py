"""Tasks: networks and data become experiments, on PyTorch Lightning."""

from vittasks.classification import Classification
from vittasks.data.cifar import CIFAR
from vittasks.data.digit_scenes import DigitScenes
from vittasks.data.hugging_face_images import HuggingFaceImages
from vittasks.data.image_folder import ImageFolder
from vittasks.data.litdata_images import LitDataImages
from vittasks.data.tar_shards import TarShards
from vittasks.data.torchvision_images import TorchvisionImages
from vittasks.mixing import Mixing
from vittasks.optim import weight_decay_groups
from vittasks.schedule import WarmupCosine

__all__ = [
    "CIFAR",
    "Classification",
    "DigitScenes",
    "HuggingFaceImages",
    "ImageFolder",
    "LitDataImages",
    "Mixing",
    "TarShards",
    "TorchvisionImages",
    "WarmupCosine",
    "weight_decay_groups",
]
