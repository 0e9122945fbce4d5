"""Tasks: networks and data become experiments, on PyTorch Lightning."""

from vittasks.averaging import WarmupEMA
from vittasks.classification import Classification
from vittasks.data.cifar import CIFAR
from vittasks.data.dense.ade20k import ADE20KLabels
from vittasks.data.dense.cityscapes import CityscapesLabels
from vittasks.data.dense.coco import CocoLabels, CocoObjects
from vittasks.data.dense.detection_folder import DetectionFolder
from vittasks.data.dense.digit_detection import DigitDetection
from vittasks.data.dense.digit_segmentation import DigitSegmentation
from vittasks.data.dense.pascal import PascalLabels, PascalObjects
from vittasks.data.dense.segmentation_folder import SegmentationFolder
from vittasks.data.dense.single_digits import SingleDigits
from vittasks.data.dense.written_scenes import SceneRecipe
from vittasks.data.digit_scenes import DigitScenes
from vittasks.data.hugging_face_images import HuggingFaceImages
from vittasks.data.image_folder import ImageFolder
from vittasks.data.litdata_images import LitDataImages
from vittasks.data.tar_shards import TarShards
from vittasks.data.torchvision_images import TorchvisionImages
from vittasks.deep_supervision import DeeplySupervisedClassification
from vittasks.dense.backbone import DenseBackbone
from vittasks.dense.feature_pyramid import FeaturePyramid
from vittasks.dense.public_checkpoint import load_public_checkpoint
from vittasks.detection.detection import Detection
from vittasks.detection.detr import DETR
from vittasks.detection.fcos import FCOS
from vittasks.detection.mask_rcnn import MaskRCNN
from vittasks.detection.retinanet import RetinaNet
from vittasks.detection.rules import MaskRCNNRules, RetinaNetRules
from vittasks.distillation import Distillation
from vittasks.freezing import Freezing
from vittasks.mixing import Mixing
from vittasks.optim import ParameterGroups, weight_decay_groups
from vittasks.schedule import WarmupCosine, WarmupMultiStep, WarmupPolynomial
from vittasks.segmentation.fcn import FCN
from vittasks.segmentation.inference import SlidingWindow, WholeImage
from vittasks.segmentation.segmentation import Segmentation
from vittasks.segmentation.semantic_fpn import SemanticFPN
from vittasks.segmentation.smp_decoder import SmpDecoder
from vittasks.segmentation.upernet import UPerNet
from vittasks.sharding import FullySharded
from vittasks.trained_runs import load_run

__all__ = [
    "CIFAR",
    "DETR",
    "FCN",
    "FCOS",
    "ADE20KLabels",
    "CityscapesLabels",
    "Classification",
    "CocoLabels",
    "CocoObjects",
    "DeeplySupervisedClassification",
    "DenseBackbone",
    "Detection",
    "DetectionFolder",
    "DigitDetection",
    "DigitScenes",
    "DigitSegmentation",
    "Distillation",
    "FeaturePyramid",
    "Freezing",
    "FullySharded",
    "HuggingFaceImages",
    "ImageFolder",
    "LitDataImages",
    "MaskRCNN",
    "MaskRCNNRules",
    "Mixing",
    "ParameterGroups",
    "PascalLabels",
    "PascalObjects",
    "RetinaNet",
    "RetinaNetRules",
    "SceneRecipe",
    "Segmentation",
    "SegmentationFolder",
    "SemanticFPN",
    "SingleDigits",
    "SlidingWindow",
    "SmpDecoder",
    "TarShards",
    "TorchvisionImages",
    "UPerNet",
    "WarmupCosine",
    "WarmupEMA",
    "WarmupMultiStep",
    "WarmupPolynomial",
    "WholeImage",
    "load_public_checkpoint",
    "load_run",
    "weight_decay_groups",
]
