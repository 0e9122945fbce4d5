"""Recognise what a file without weights is by how it begins."""

import re
import zipfile
from pathlib import Path

INDEX, IN_PIECES = ".index.json", "a checkpoint in pieces; save its state dict in one file"
"""The ending of the index of a checkpoint in several files, and the remark on such a checkpoint."""

STARTS = (
    (rb"version https://git-lfs", "a Git LFS pointer; fetch the file itself with git lfs pull"),
    (rb"(?i)<!doctype html|<html|<head", "an HTML page; the download gave a page instead of the file"),
    (rb"<\?xml|<", "an XML page, such as the answer of a server that refused the download"),
    (rb"[{\[]\s*[\"{\[\]}]", "JSON text"),
    (rb"\x1f\x8b", "a gzip archive; unpack it first"),
    (rb"\x08[\x01-\x20](\x12|\x1a|:|B)", "an ONNX file; start from the weights that it was made of"),
    (
        rb"(?s)\x80[\x02-\x05](?!.{0,16}l\xfc\x9cF\xf9)",
        "a pickle that PyTorch did not write; save the tensors with torch.save",
    ),
    (rb"\x89HDF", "an HDF5 file; only PyTorch's and safetensors files are read"),
    (rb"\x93NUMPY", "a NumPy array; only PyTorch's and safetensors files are read"),
    (rb"(?s).{257}ustar", "a tar archive; unpack it first"),
    (rb"BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18", "an archive; unpack it first"),
    (rb"(?s)\x89PNG|\xff\xd8\xff|GIF8|RIFF.{4}WEBP", "an image"),
    (rb"%PDF", "a PDF file"),
)
"""First bytes of files that are not checkpoints, and what such a file is."""


class NotACheckpointError(ValueError):
    """A file of another kind, named for what it is."""


def refuse_other_files(path: Path) -> None:
    """Refuse what is known not to be a checkpoint by how it begins, whatever its name.

    Raises:
        NotACheckpointError: The file is empty or of another kind.
    """
    start = _start(path)
    if not start.strip(b"\0 \t\r\n"):  # a copy that failed may have the length of the file and nothing in it
        raise NotACheckpointError(f"{path} is empty; the download or the copy has failed.")
    shown = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if path.name.endswith(INDEX):
        raise NotACheckpointError(f"{path} is the index of {IN_PIECES}.")
    for pattern, what in STARTS:
        if re.match(pattern, start) or re.match(pattern, shown):
            raise NotACheckpointError(f"{path} is not a checkpoint but {what}.")
    if start[:2] == b"PK" and (what := _other_archive(path)):
        raise NotACheckpointError(f"{path} is not a checkpoint but {what}.")
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in start):
        raise NotACheckpointError(
            f"{path} is not a checkpoint but text, which begins with {shown[:40].decode().strip()!r}."
        )


def _other_archive(path: Path) -> str:
    """Return what a zip archive is that is not one of ``torch.save``; empty for one of those or for a damaged file."""
    if not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as archive:
        names = {one.rpartition("/")[2] for one in archive.namelist()}
    if "constants.pkl" in names:
        return "a TorchScript module; save its state dict alone"
    if "archive_format" in names:
        return "a program of torch.export; start from the weights that it was made of"
    if names and all(name.endswith(".npy") for name in names):
        return "a file of NumPy arrays; only PyTorch's and safetensors files are read"
    return "" if "data.pkl" in names else "a zip archive that PyTorch did not write; unpack it first"


def is_safetensors(path: Path) -> bool:
    """Whether a file is of the form safetensors, told by its beginning: the length of a header, then JSON."""
    return path.suffix == ".safetensors" or _start(path)[8:9] == b"{"


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)
