"""What may be set about a launcher, checked before anything is started."""

from collections.abc import Mapping
from typing import Any

from vitcli.config.errors import ConfigError, nearest

WORDS = {int: "a whole number", float: "a number", str: "a text", list: "a list", dict: "keys and values"}


def check_options(launcher: str, options: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]]) -> None:
    """Refuse an option that a launcher does not have, or a value of the wrong kind.

    Args:
        launcher: The launcher's name.
        options: What was set.
        kinds: For each option of the launcher, the types of its values.

    Raises:
        ConfigError: Names the option, its value and the nearest valid name or the kind of value.
    """
    for name, value in options.items():
        if name not in kinds:
            raise ConfigError(
                f"ablation.launcher.{name} is set, but the launcher {launcher} has no option {name!r}"
                f"{nearest(str(name), kinds)}"
            )
        # True is an int to Python, not to the reader of a configuration.
        if not isinstance(value, kinds[name]) or (isinstance(value, bool) and bool not in kinds[name]):
            expected = " or ".join(dict.fromkeys(WORDS.get(kind, "true or false") for kind in kinds[name]))
            raise ConfigError(f"ablation.launcher.{name} is {value!r}; expected {expected}.")


def missing(launcher: str, package: str, extra: str) -> ConfigError:
    """Return the error for a launcher whose package is not installed."""
    return ConfigError(
        f"ablation.launcher is {launcher}, which needs the package {package}; install it by pip install 'vitcli[{extra}]'."
    )
