"""The report and its figures as TensorBoard's Text and Images tabs show them."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from vitcli.records.ablation import Ablation
from vitcli.report.blocks import Log, Picture
from vitcli.report.content import content
from vitcli.report.figures.write import DRAWERS
from vitcli.report.formats.markdown import to_markdown
from vitcli.report.summary import Summary as ReportSummary

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

TEXT = "report"
WIDEST = 960
"""Pixels of a picture's width: in its full size TensorBoard shows as much of it in a window of 1400 pixels."""


def page_summaries(ablation: Ablation, report: ReportSummary, prefix: str) -> "list[tuple[int, Summary]]":
    """(step, summary) of the report's text as it is now, and of the figures that lie in the ablation's directory.

    Args:
        ablation: What they are about.
        report: The summary of the ablation.
        prefix: How every tag begins, to tell ablations apart.
    """
    figures = [path for name in DRAWERS if (path := ablation.directory / f"{name}.png").exists()]
    images = [(0, _image(path, f"{prefix}figures/{path.stem}")) for path in figures]
    return [(0, _text(ablation, report, f"{prefix}{TEXT}")), *images]


def _text(ablation: Ablation, report: ReportSummary, tag: str) -> "Summary":
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.plugins.text import metadata

    blocks = [block for block in content(ablation, report, []) if not isinstance(block, Picture | Log)]
    tensor = TensorProto(dtype="DT_STRING", string_val=[to_markdown(blocks).encode()])
    described = metadata.create_summary_metadata(display_name=tag, description="")
    return Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=tensor)])


def _image(path: Path, tag: str) -> "Summary":
    from PIL import Image
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.plugins.image import metadata

    with Image.open(path) as picture, io.BytesIO() as file:
        picture.thumbnail((WIDEST, 10 * WIDEST), Image.Resampling.LANCZOS)
        picture.save(file, "png")
        png, size = file.getvalue(), [str(pixels).encode() for pixels in picture.size]
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=3)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[*size, png], tensor_shape=shape)
    described = metadata.create_summary_metadata(
        display_name=tag, description="A click shows the picture in full size."
    )
    return Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=tensor)])
