"""Build an op from its name and its arguments, which are data."""

import inspect
import re
from typing import Any

from jsonargparse import ArgumentParser
from torch import nn

import vitcore
from vitcli.config.defaults import as_namespace
from vitcli.config.errors import ConfigError, nearest
from vitcli.config.origin import Origin
from vitmodels.skeletons.entries import Entry, callable_entries, import_part

SUPPLIED = ("width", "in_width")
"""Arguments that hold the number of channels: the command supplies them, as the slot of a network would."""


class OpOrigin(Origin):
    """The origin of an argument of an op: the classes of vitcore and of torch need no package before their names."""

    short = ("vitcore", "torch.nn")


def find_op(name: str, origin: Origin) -> type[nn.Module]:
    """Return the class of an op. An op of vitcore is found by its name, any other by its import path.

    Raises:
        ConfigError: There is no such class, or it takes no number of channels.
    """
    if "." not in name and name not in vitcore.__all__:
        raise origin.error(f"is {name!r}, which is not an op of vitcore{nearest(name, drawable())}")
    found: type[nn.Module] = import_part(name if "." in name else f"vitcore.{name}", nn.Module, origin)
    if "width" not in callable_entries(found):
        raise origin.error(f"is {name!r}, which takes no width: it is not an op on a map of tokens.")
    return found


def drawable() -> list[str]:
    """Return the names of vitcore's ops that require only the number of channels, for suggestions."""
    return [
        name
        for name in vitcore.__all__
        if name != "Nothing" and _required_arguments(getattr(vitcore, name)) in ({"width"}, {"width", "in_width"})
    ]


def _required_arguments(found: Any) -> set[str]:
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        return set()
    empty = inspect.Parameter.empty
    return {name for name, argument in inspect.signature(found).parameters.items() if argument.default is empty}


def settable(op: type[nn.Module]) -> dict[str, Entry]:
    """Return the arguments of an op that a user can set: all but the number of channels."""
    return {name: entry for name, entry in callable_entries(op).items() if name not in SUPPLIED}


def build_op(op: type[nn.Module], arguments: dict[str, Any], channels: int) -> nn.Module:
    """Build ``op`` for a number of channels; classes among the arguments are data (class_path, init_args).

    Raises:
        ConfigError: The op refuses its arguments, or one is missing.
    """
    supplied = {name: channels for name in SUPPLIED if name in callable_entries(op)}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(op, "init")
    try:
        checked = as_namespace({**supplied, **arguments}, callable_entries(op))
        built: nn.Module = parser.instantiate(parser.parse_object({"init": checked})).init
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"command line: {error_sentence(error, op.__name__ + ' cannot be built')}") from error
    return built


def error_sentence(error: Exception, about: str) -> str:
    """Return an error's text as one sentence. It begins with ``about`` unless the text already begins with an op's name."""
    text = " ".join(str(error).split()).rstrip(".") + "."
    return text if re.match(r"[A-Z]\w+: ", text) else f"{about}: {text}"
