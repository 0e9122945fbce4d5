"""Importing torch and Lightning without the garbage collector."""

import atexit
import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def heavy_imports() -> Iterator[None]:
    """Import in the body without garbage collection, and exclude the imported objects from all later collections.

    The imports make a million objects that live as long as the process. The collector would go through them again and again,
    which takes a quarter of the time of the imports. In a forked process, each of its passes would also copy their memory.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # at its end an extension (nanobind) complains about what was not collected
        if collecting:
            gc.enable()
