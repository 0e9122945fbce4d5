"""The user's own code behind a configuration: a hash of every module that its classes come from, and of what these import.

Code that is installed with a version is identified by that version. Everything else, such as a folder of scripts or an editable
installation, may change unnoticed from one run to the next, so it is hashed. This project's own packages are the
exception: they are known by their version and by the commit that each result records.
"""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

THIS_PROJECT = ("vitcore", "vitmodels", "vittasks", "vitcli")
IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def own_code(values: Iterable[Any]) -> dict[str, str]:
    """Return import path -> hash of the code, for each class or function of the user's own that some values name.

    A class counts if its module has been imported, as those of a resolved configuration have been. Comments, docstrings and
    layout do not change a hash.

    Args:
        values: Values of a resolved configuration.
    """
    paths = sorted({value for value in values if isinstance(value, str) and IMPORT_PATH.fullmatch(value)})
    modules = {path: _defining_module(path) for path in paths}
    return {path: _hash(files) for path, module in modules.items() if module and (files := _files(module))}


def own_files(path: str) -> list[Path]:
    """Return the files of the code behind an import path, that of the class itself first."""
    return [Path(file) for file in _files(_defining_module(path) or "").values()]


def _defining_module(path: str) -> str | None:
    """Return the name of the module that defines what an import path names; None if nothing of that name is imported."""
    home, _, name = path.rpartition(".")
    found = getattr(sys.modules.get(home), name, None)
    return None if found is None else getattr(found, "__module__", home)


def _files(start: str) -> dict[str, str]:
    """Return module -> file for a module and what it imports, directly or not, as far as it is the user's own code."""
    found: dict[str, str] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        spec = None if name in found else _own_spec(name)
        if spec is not None and spec.origin is not None:
            found[name] = spec.origin
            waiting += _imports(spec)
    return found


def _own_spec(name: str) -> ModuleSpec | None:
    """Return where a module of the user's own code comes from; None for any other module."""
    top = name.partition(".")[0]
    if top in THIS_PROJECT or top in sys.stdlib_module_names or not top:
        return None
    for part in dict.fromkeys((top, name)):  # a package that is installed is not imported to look for a part of it
        spec = _spec(part)
        if spec is None or (spec.has_location and spec.origin and _is_installed(top, spec.origin)):
            return None
    return spec if spec is not None and spec.has_location else None


def _spec(name: str) -> ModuleSpec | None:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if isinstance(spec, ModuleSpec):
        return spec
    try:
        return importlib.util.find_spec(name)
    except Exception:  # looking for a module runs the packages above it, which may raise anything
        return None


@functools.cache
def _is_installed(package: str, file: str) -> bool:
    """Whether a file belongs to a distribution that is installed with a version, and not editable."""
    for name in _names_of_distributions(package):
        try:
            installed = importlib.metadata.distribution(name)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            continue
        # The files of an editable distribution lie elsewhere than its metadata.
        if Path(file).resolve().is_relative_to(Path(str(installed.locate_file(""))).resolve()):
            return True
    return False


def _names_of_distributions(package: str) -> Iterator[str]:
    """Yield the names that a package's distribution may have; most have the package's, and asking for all of them is slow."""
    yield package
    yield from _distributions().get(package, ())


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def _imports(spec: ModuleSpec) -> Iterator[str]:
    """Yield the names of the modules that a module imports, anywhere in it."""
    try:
        tree = ast.parse(Path(str(spec.origin)).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, spec)
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield module if _own_spec(module) is not None else base


def _absolute(node: ast.ImportFrom, spec: ModuleSpec) -> str:
    try:
        return importlib.util.resolve_name("." * node.level + (node.module or ""), spec.parent)
    except ImportError:  # more dots than packages
        return ""


def _hash(files: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for module, file in sorted(files.items()):
        digest.update(f"{module}\0".encode() + _normalised(Path(file)) + b"\0")
    return digest.hexdigest()[:16]


def _normalised(file: Path) -> bytes:
    """Return the code of a file without comments, docstrings and layout; the bytes of a file that is no Python source."""
    try:
        content = file.read_bytes()
    except OSError:
        return b""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return content
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _is_text(node.body):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree).encode()


def _is_text(body: list[ast.stmt]) -> bool:
    """Whether a body begins with a docstring."""
    first = body[0] if body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
