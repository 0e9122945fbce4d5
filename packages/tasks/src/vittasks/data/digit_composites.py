"""Composites of handwritten digits: one whole digit among pieces of others, rendered a batch at a time."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vittasks.data.sampling import sample_generator
