"""The command line of fit, validate, test and predict: files and dotted overrides."""

from dataclasses import dataclass, field
from typing import Any

from vitcli.config.errors import ConfigError
from vitcli.config.yaml_files import parse_value, read_yaml

COMMAND_LINE = "command line"
LAUNCHER = "ablation.launcher.name"
SHORT = {"retry": "ablation.retry", "launcher": LAUNCHER}
"""What ``--retry failed`` and ``--launcher ray`` are short for; ``--launcher.X`` is short for ``--ablation.launcher.X``."""


@dataclass
class Arguments:
    """What was given: ``files`` in order, and what was set after them."""

    files: list[str] = field(default_factory=list)
    overrides: dict[str, Any] = field(default_factory=dict)
    show: tuple[str, ...] = ()
    """``print_config`` or ``help``, if asked for."""

    def layers(self) -> list[tuple[str, dict[str, Any]]]:
        """Return (place, content) of every layer without its ``ablation`` section, files first."""
        layers = [(path, read_yaml(path)) for path in self.files] + [(COMMAND_LINE, self.overrides)]
        return [
            (place, {k: v for k, v in content.items() if str(k).split(".")[0] != "ablation"})
            for place, content in layers
        ]

    def ablation_sections(self) -> list[tuple[str, dict[str, Any]]]:
        """Return (place, section) of everything about the ablation, in order; a dotted key is a section of its own."""
        layers = [(path, read_yaml(path)) for path in self.files] + [(COMMAND_LINE, self.overrides)]
        sections = []
        for place, content in layers:
            for key, value in content.items():
                head, _, rest = str(key).partition(".")
                if head == "ablation":
                    sections.append((place, {rest: value} if rest else value))
        return sections

    @property
    def place(self) -> str:
        """The name of the first file, for messages about the whole."""
        return self.files[0] if self.files else COMMAND_LINE


def parse_arguments(words: list[str]) -> Arguments:
    """Read ``--config FILE``, ``--key value``, ``--key=value``, ``--print_config`` and ``--help``.

    A value that names a YAML file is that file's content, as in a file.

    Raises:
        ConfigError: A word is no option, or an option lacks its value.
    """
    arguments = Arguments()
    words = list(words)
    while words:
        word = words.pop(0)
        if word in ("-h", "--help", "--print_config"):
            arguments.show = (
                *arguments.show,
                word.lstrip("-").replace("h", "help") if word == "-h" else word.lstrip("-"),
            )
            continue
        if not word.lstrip("-").partition("=")[0] or not word.startswith("-"):
            raise ConfigError(
                f"{COMMAND_LINE}: {word!r} is no option; files are given as --config {word}, values as --key value."
            )
        name, equals, value = word.lstrip("-").partition("=")
        if not equals:
            if not words or (words[0].startswith("--") and len(words[0]) > 2):
                raise ConfigError(f"{COMMAND_LINE}: --{name} lacks a value; write --{name} VALUE or --{name}=VALUE.")
            value = words.pop(0)
        if name in ("config", "c"):
            if not value:
                raise ConfigError(f"{COMMAND_LINE}: --{name} names no file; write --{name} FILE.")
            arguments.files.append(value)
        else:
            _set(arguments.overrides, _long(name), parse_value(value, COMMAND_LINE))
    if LAUNCHER in arguments.overrides:  # a launcher's options belong to it, wherever on the line they stand
        arguments.overrides = {LAUNCHER: arguments.overrides[LAUNCHER], **arguments.overrides}
    return arguments


def _long(name: str) -> str:
    return f"ablation.{name}" if name.startswith("launcher.") else SHORT.get(name, name)


def _set(overrides: dict[str, Any], name: str, value: Any) -> None:
    """Set a value, later ones over earlier ones; what is appended to one list adds up."""
    if name.endswith("+") and name in overrides:
        value = [one for part in (overrides[name], value) for one in (part if isinstance(part, list) else [part])]
    overrides[name] = value
