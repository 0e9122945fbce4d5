"""``vitcli convert``: write a public checkpoint as safetensors with this project's parameter names."""

from pathlib import Path

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
    if not Path(source).is_file():
        raise ConfigError(f"command line: there is no file {source!r}.")
    if Path(target).suffix != ".safetensors":
        raise ConfigError(f"command line: the target is {target!r}; expected a name that ends in .safetensors.")
    if Path(target).exists():
        raise ConfigError(f"command line: {target!r} exists already; choose another name or remove it.")
    if not Path(target).absolute().parent.is_dir():
        raise ConfigError(f"command line: {target!r} lies in a directory that does not exist; create it first.")
    from safetensors.torch import save_file

    try:
        model = vitmodels.load_checkpoint(name, source)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, target)
    print(f"Wrote {target}: {sum(p.numel() for p in model.parameters()):,} parameters of {name}.")
    return 0
