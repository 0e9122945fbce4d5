"""``vitcli convert``: a public checkpoint as safetensors under our names."""

from pathlib import Path

from vitcli.config.errors import ConfigError, nearest

USAGE = "convert needs a model, a file and a target: vitcli convert pvt_tiny pvt_tiny.pth pvt_tiny.safetensors."


def main(words: list[str]) -> int:
    """Read the file, fit it to the model, write its weights.

    Raises:
        ConfigError: The words are not three, there is no such model, file or directory, the target exists, or the file does
            not fit.
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
        raise ConfigError(f"command line: {target!r} names a directory that is not there; make it first.")
    from safetensors.torch import save_file

    try:
        model = vitmodels.load_checkpoint(name, source)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, target)
    print(f"Wrote {target}: {sum(p.numel() for p in model.parameters()):,} parameters of {name}.")
    return 0
