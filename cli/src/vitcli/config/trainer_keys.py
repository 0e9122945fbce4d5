"""The names of Lightning's trainer settings, read from its source: importing it takes seconds, which a misspelt name need not."""

import ast
import functools
import importlib.util
from pathlib import Path


@functools.cache
def trainer_keys() -> tuple[str, ...]:
    """Return the arguments of ``lightning.pytorch.Trainer``; none if its source is not where it was in Lightning 2."""
    found = importlib.util.find_spec("lightning")
    folder = Path(found.origin).parent if found and found.origin else Path()
    try:
        tree = ast.parse((folder / "pytorch" / "trainer" / "trainer.py").read_bytes())
    except (OSError, SyntaxError):
        return ()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == "Trainer":
            made = next(one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__")
            return tuple(one.arg for one in (*made.args.args[1:], *made.args.kwonlyargs))
    return ()
