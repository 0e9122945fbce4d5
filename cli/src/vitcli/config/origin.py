"""The origin of a value, a file or the command line, which words the messages about it."""

import functools
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vitcli.config.errors import ConfigError, nearest
from vitmodels.skeletons import entries
from vitmodels.skeletons.parts import renamed_notice


@dataclass(frozen=True)
class Origin(entries.Origin):
    """The origin of a value in a file or on the command line; its errors are ConfigErrors."""

    homes: ClassVar[tuple[str, ...]] = (
        *("vitmodels", "vitcore", "vittasks", "vitcli", "torch.nn", "torch.optim"),
        *("lightning.pytorch.callbacks", "lightning.pytorch.loggers"),
    )
    short: ClassVar[tuple[str, ...]] = ("lightning.pytorch.callbacks", "lightning.pytorch.loggers")

    def error(self, text: str) -> ConfigError:
        """Return an error that names the place and the key."""
        return ConfigError(f"{self.place}: {self.key} {text}")

    def nearest(self, name: str, valid: Iterable[str]) -> str:
        """Return the end of a sentence about an unknown name: the most similar valid name, or a few valid names."""
        return nearest(name, valid)

    def failed_import(self, module: str, error: BaseException) -> str:
        """Return the end of a sentence about a module that cannot be imported, which may lie in the user's folder."""
        if module and Path(f"{module.partition('.')[0]}.py").is_file():
            return f" from here; a module in this folder is found with PYTHONPATH=. before vitcli ({error})."
        return super().failed_import(module, error)

    def tell_renamed(self, old: str, new: str) -> None:
        """Print the new name of a key, once."""
        _print_once(renamed_notice(old, new))


@functools.cache
def _print_once(sentence: str) -> None:
    print(sentence, file=sys.stderr)
