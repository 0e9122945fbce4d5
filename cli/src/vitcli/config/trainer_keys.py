"""Settings of Lightning's trainer, read from its source: importing it takes seconds, for which a misspelling need not wait."""

import ast
import functools
import importlib.util
from pathlib import Path


@functools.cache
def trainer_keys() -> dict[str, tuple[str, ...]]:
    """Return the arguments of ``lightning.pytorch.Trainer``, and the kinds of values that each takes.

    There are none if its source is not where it was in Lightning 2.
    """
    found = importlib.util.find_spec("lightning")
    folder = Path(found.origin).parent if found and found.origin else Path()
    try:
        tree = ast.parse((folder / "pytorch" / "trainer" / "trainer.py").read_bytes())
    except (OSError, SyntaxError):
        return {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == "Trainer":
            made = next(one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__")
            return {one.arg: _kinds(one.annotation) for one in (*made.args.args[1:], *made.args.kwonlyargs)}
    return {}


def _kinds(annotation: ast.expr | None) -> tuple[str, ...]:
    """Return the names in a type, and "null" if it may be None; ("Any",) where none is stated."""
    nodes = list(ast.walk(annotation)) if annotation else []
    names = [node.id for node in nodes if isinstance(node, ast.Name)]
    kinds = [name for name in names if name not in ("Optional", "Union")] or ["Any"]
    nothing = "Optional" in names or any(isinstance(node, ast.Constant) and node.value is None for node in nodes)
    return (*kinds, "null") if nothing else tuple(kinds)
