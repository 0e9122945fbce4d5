"""``vitcli convert``: write a public checkpoint as safetensors with this project's parameter names."""

from pathlib import Path
from typing import Any

from vitcli.config.errors import ConfigError, nearest

USAGE = "convert needs a model, a file and a target: vitcli convert pvt_tiny pvt_tiny.pth pvt_tiny.safetensors."


def main(words: list[str]) -> int:
    """Read the checkpoint, translate it to the model's names, write it, and return exit code 0.

    Args:
        words: Words after ``vitcli convert``.

    Raises:
        ConfigError: There are not three words, the model, file or directory does not exist, the target exists already, or the
            checkpoint does not fit the model.
    """
    if len(words) != 3:
        raise ConfigError(f"command line: {USAGE}")
    name, source, target = words
    import vitmodels

    if name not in vitmodels.MODELS:
        raise ConfigError(f"command line: there is no model {name!r}{nearest(name, vitmodels.MODELS)}")
    if Path(target).suffix != ".safetensors":
        raise ConfigError(f"command line: the target is {target!r}; expected a name that ends in .safetensors.")
    if Path(target).exists():
        raise ConfigError(f"command line: {target!r} exists already; choose another name or remove it.")
    if not Path(target).absolute().parent.is_dir():
        raise ConfigError(f"command line: {target!r} lies in a directory that does not exist; create it first.")
    from safetensors.torch import save_file

    state = _translated(name, source)
    save_file({key: value.contiguous() for key, value in state.items()}, target)
    counted = sum(value.numel() for value in vitmodels.PRESETS[name].builder().parameters())
    print(f"Wrote {target}: {counted:,} parameters of {name}.")
    return 0


def _translated(name: str, source: str) -> dict[str, Any]:
    """Return a file's state dict under the names of a model, which it fits to the last tensor.

    Raises:
        ConfigError: The file cannot be read, or something in it does not fit, such as the head of another number of classes.
    """
    import vitmodels

    preset = vitmodels.PRESETS[name]
    try:
        return vitmodels.translate(
            vitmodels.read_checkpoint(source), preset.rules or vitmodels.KeyRules(()), preset.builder()
        )
    except vitmodels.MisfitError as error:
        raise ConfigError(f"{source} does not fit {name}:", error.lines) from error
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error
