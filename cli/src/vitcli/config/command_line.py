"""Reading the command line: configuration files, dotted overrides and ``--format``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vitcli.config.errors import ConfigError, alike, nearest, refuse_words
from vitcli.config.trainer_keys import trainer_keys
from vitcli.config.yaml_files import parse_value, read_yaml

COMMAND_LINE = "command line"
QUICK = "--quick"
BESIDE = ("ablation", "cost")
"""Sections of a file that are not part of a run's configuration."""

Planning = Literal["quick", "rehearsed"]
"""Whether a plan tries each arm on one batch of the real data, see ``vitcli.ablation.planning.checks.rehearsal``."""

TOP = ("seed_everything", "trainer", "model", "data", "threads", "runs", "ckpt_path", "pretraining")
"""What can be set at the top of a configuration, beside ``ablation``; ``vitcli.config.schema`` says what each holds."""

MOVED = {
    "fit": "is the command, not a key; write what is below it at the top of the file: trainer, model, data.",
    "optimizer": "belongs to the task here: write it below model, as model.optimizer.",
    "lr_scheduler": "belongs to the task here: write it below model, as model.schedule, for example vittasks.WarmupCosine.",
}
"""Keys that LightningCLI has at the top, and where they go."""

NEEDED = {"model": "vittasks.Classification", "data": "vittasks.DigitScenes"}
"""What every run needs, and an example of each."""

OPTIONS = ("config", "print_config", "help", "retry", "quick", "launcher", "format")
"""Options that are not keys, for suggestions."""

LAUNCHER = "ablation.launcher.name"
SHORT = {"retry": "ablation.retry", "launcher": LAUNCHER}
"""``--retry failed`` and ``--launcher ray`` are short for these keys; ``--launcher.X`` is short for ``--ablation.launcher.X``."""


@dataclass
class Arguments:
    """The content of a command line.

    Args:
        files: Configuration files, in their order.
        overrides: Dotted key -> value; they are laid over the files.
        show: ``print_config``, if the user asked for it.
        help_key: The key after ``--help``; empty for ``--help`` alone, None without it.
    """

    files: list[str] = field(default_factory=list)
    overrides: dict[str, Any] = field(default_factory=dict)
    show: tuple[str, ...] = ()
    help_key: str | None = None
    _read: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    def layers(self) -> list[tuple[str, dict[str, Any]]]:
        """Return (place, content) of each file and then of the overrides, without the sections of ``BESIDE``."""
        return [
            (place, {k: v for k, v in content.items() if str(k).split(".")[0] not in BESIDE})
            for place, content in self._contents()
        ]

    def sections(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """Return (place, section) of every section of this name, in order; a dotted key counts as a section with one key."""
        sections = []
        for place, content in self._contents():
            for key, value in content.items():
                head, _, rest = str(key).partition(".")
                if head == name:
                    sections.append((place, {rest: value} if rest else value))
        return sections

    def ablation_sections(self) -> list[tuple[str, dict[str, Any]]]:
        """Return (place, section) of every ``ablation`` section, in order."""
        return self.sections("ablation")

    def refuse_unknown_keys(self) -> None:
        """Stop at a key at the top, or of the trainer, that nothing reads.

        Raises:
            ConfigError: There is one.
        """
        for place, content in self.layers():
            for key, value in ((str(key), value) for key, value in content.items()):
                name = key.split(".")[0].removesuffix("+")
                if name in MOVED:
                    raise ConfigError(f"{place}: {key} is set, but {name} {MOVED[name]}")
                if name not in TOP:
                    raise ConfigError(f"{place}: {key} has no entry {name!r}{self._nearest_key(name, place)}")
                if name == "trainer":
                    _refuse_trainer_keys(key, value, place)

    def refuse_without_model(self) -> None:
        """Stop if nothing sets the model, or nothing the data.

        Raises:
            ConfigError: One of them is missing.
        """
        given = {str(key).split(".")[0].removesuffix("+") for _, content in self.layers() for key in content}
        for name in NEEDED:
            if name not in given:
                raise missing(name, self.place)

    def _nearest_key(self, name: str, place: str) -> str:
        """Return the end of a sentence about an unknown key; on the command line an option may have been meant."""
        option = alike(name, OPTIONS) if place == COMMAND_LINE and alike(name, TOP) == "." else "."
        return nearest(name, TOP) if option == "." else option

    def _contents(self) -> list[tuple[str, dict[str, Any]]]:
        for path in self.files:
            if path not in self._read:
                self._read[path] = read_yaml(path)
        return [*((path, self._read[path]) for path in self.files), (COMMAND_LINE, self.overrides)]

    @property
    def place(self) -> str:
        """The name of the first file, for messages about the configuration as a whole."""
        return self.files[0] if self.files else COMMAND_LINE


def missing(name: str, place: str) -> ConfigError:
    """Return the error about a model, or data, that is not named."""
    return ConfigError(f"{place}: {name} is missing; name its class, for example {name}: {NEEDED[name]}.")


def _refuse_trainer_keys(key: str, value: Any, place: str) -> None:
    """Stop at a setting of the trainer that Lightning does not have; if its names cannot be read, nothing is refused."""
    known, dotted = trainer_keys(), key.split(".")[1:2]
    for name in dotted or ([str(one) for one in value] if isinstance(value, Mapping) else []):
        inner, first = key if dotted else f"{key}.{name}", name.split(".")[0].removesuffix("+")
        if known and first not in known:
            raise ConfigError(f"{place}: {inner} has no entry {first!r} in trainer{nearest(first, known)}")
        if first in known and inner == f"trainer.{first}":
            refuse_words(place, inner, value if dotted else value[name], known[first])


def parse_arguments(words: list[str]) -> Arguments:
    """Read ``--config FILE``, ``--key value``, ``--key=value``, ``--print_config`` and ``--help``.

    A value that names a YAML file stands for the content of that file, as it does inside a file.

    Raises:
        ConfigError: A word is not an option, or an option has no value.
    """
    arguments = Arguments()
    words = list(words)
    while words:
        word = words.pop(0)
        if word in ("-h", "--help"):
            arguments.help_key = words.pop(0) if words and not words[0].startswith("-") else ""
            continue
        if word == "--print_config":
            arguments.show = (*arguments.show, "print_config")
            continue
        if not word.lstrip("-").partition("=")[0] or not word.startswith("-"):
            raise ConfigError(
                f"{COMMAND_LINE}: {word!r} is not an option; write files as --config {word} and values as --key value."
            )
        name, equals, value = word.lstrip("-").partition("=")
        if not equals:
            if not words or (words[0].startswith("--") and len(words[0]) > 2):
                raise ConfigError(f"{COMMAND_LINE}: {_without_value(name)}")
            value = words.pop(0)
        if name in ("config", "c"):
            if not value:
                raise ConfigError(f"{COMMAND_LINE}: --{name} names no file; write --{name} FILE.")
            arguments.files.append(value)
        else:
            _set(arguments.overrides, _long(name), parse_value(value, COMMAND_LINE))
    if LAUNCHER in arguments.overrides:  # the name comes first, so that options before it on the line are kept
        arguments.overrides = {LAUNCHER: arguments.overrides[LAUNCHER], **arguments.overrides}
    return arguments


def _without_value(name: str) -> str:
    """Return what is wrong with an option that has no value: it may be a misspelt one that needs none."""
    meant = alike(f"--{name}", [f"--{one}" for one in OPTIONS])
    if meant != "." and name not in (*OPTIONS, *TOP, *BESIDE):
        return f"there is no option --{name}{meant}"
    return f"--{name} has no value; write --{name} VALUE or --{name}=VALUE."


def parse_ablation_file(command: str, words: list[str]) -> Arguments:
    """Read the words of a command that takes an ablation as ``FILE`` or as ``--config FILE``.

    Raises:
        ConfigError: There is no file, the file has no ``ablation`` section, or a key at the top is unknown.
    """
    named = bool(words) and not words[0].startswith("-")
    arguments = parse_arguments(["--config", *words] if named else words)
    if not arguments.files:
        raise ConfigError(
            f"{COMMAND_LINE}: {command} needs a file, for example vitcli {command} ablations/localvit_act.yaml."
        )
    if not arguments.ablation_sections():
        raise ConfigError(f"{arguments.place}: there is no ablation section; {command} needs one.")
    arguments.refuse_unknown_keys()
    return arguments


def parse_run(command: str, words: list[str]) -> Arguments:
    """Read the words of ``fit``, ``validate``, ``test`` or ``predict``.

    Raises:
        ConfigError: Nothing is configured, only the command line has an ``ablation`` section, or a key at the top is unknown.
    """
    arguments = parse_arguments(words)
    if not arguments.files and not arguments.overrides and not arguments.help_key:
        raise ConfigError(f"{COMMAND_LINE}: {command} needs --config FILE.")
    places = {place for place, _ in arguments.ablation_sections()}
    if places == {COMMAND_LINE}:
        raise ConfigError(f"{COMMAND_LINE}: ablation is set, but {arguments.place} has no ablation section.")
    arguments.refuse_unknown_keys()
    if not arguments.ablation_sections() and not arguments.help_key:
        arguments.refuse_without_model()
    return arguments


def take_option(words: list[str], name: str) -> str | None:
    """Remove ``--name VALUE`` or ``--name=VALUE`` from the words and return the value; None if it is not there.

    Raises:
        ConfigError: The value is missing.
    """
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option != name:
            continue
        if not equals:
            value = words[at + 1] if at + 1 < len(words) else ""
        del words[at : at + (1 if equals else 2)]
        if not value or value.startswith("--"):
            raise ConfigError(f"{COMMAND_LINE}: {name} has no value; write {name} VALUE or {name}=VALUE.")
        return value
    return None


def take_choice(words: list[str], name: str, choices: Sequence[str]) -> str | None:
    """Remove ``--name VALUE`` from the words and return the value; None if it is not there.

    Raises:
        ConfigError: The value is missing, or is not one of ``choices``.
    """
    value = take_option(words, name)
    if value is not None and value not in choices:
        raise ConfigError(f"{COMMAND_LINE}: {name} is {value!r}; expected {', '.join(choices)}.")
    return value


def take_format(words: list[str], forms: Sequence[str]) -> str:
    """Remove ``--format FORM`` from the words and return the form; without it, return the first form.

    Raises:
        ConfigError: The form is missing, or is not one of ``forms``.
    """
    return take_choice(words, "--format", forms) or forms[0]


def refuse_options(command: str, words: Sequence[str], known: Sequence[str]) -> None:
    """Refuse options among the words that are left when all known ones have been taken.

    Raises:
        ConfigError: There is one.
    """
    if unknown := [word for word in words if word.startswith("-")]:
        raise ConfigError(f"{COMMAND_LINE}: {command} has no option {unknown[0]!r}{nearest(unknown[0], known)}")


def take_planning(words: list[str]) -> Planning:
    """Remove ``--quick`` from the words, and return how they want an ablation to be planned."""
    planning: Planning = "quick" if QUICK in words else "rehearsed"
    words[:] = [word for word in words if word != QUICK]
    return planning


def _long(name: str) -> str:
    return f"ablation.{name}" if name.startswith("launcher.") else SHORT.get(name, name)


def _set(overrides: dict[str, Any], name: str, value: Any) -> None:
    """Set a value: a later one replaces an earlier one, but what is appended to the same list (``KEY+``) accumulates.

    A key below a list to which something was appended is an argument of what was appended last, as in LightningCLI:
    ``--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val/loss``.
    """
    appended = next((key for key in overrides if key.endswith("+") and name.startswith(f"{key[:-1]}.")), None)
    if appended is not None:
        *before, last = overrides[appended] if isinstance(overrides[appended], list) else [overrides[appended]]
        part = last if isinstance(last, Mapping) else {"class_path": last}
        overrides[appended] = [*before, {**part, name.removeprefix(f"{appended[:-1]}."): value}]
        return
    if name.endswith("+") and name in overrides:
        value = [one for part in (overrides[name], value) for one in (part if isinstance(part, list) else [part])]
    overrides[name] = value
