"""``vitcli fit --help KEY``: what can stand at a key of the configuration."""

from dataclasses import asdict

from vitcli.config.command_line import parse_run


def main(words: list[str]) -> int:
    """Print the help about a key and return exit code 0.

    Args:
        words: Words after ``vitcli fit``; files among them say which classes there are.

    Raises:
        ConfigError: There is no such key, or the files are bad.
    """
    from lightning.pytorch import Trainer

    from vitcli.ablation.planning.section import ENTRIES, read_spec
    from vitcli.ablation.planning.spec import AblationSpec
    from vitcli.config.key_help import key_help
    from vitcli.config.lightning_cli import base_config
    from vitcli.config.schema import schema
    from vitmodels.skeletons.entries import Entry

    arguments = parse_run("fit", words)
    entries = {**schema(), "ablation": Entry(AblationSpec, {}, group=ENTRIES)}
    owners = {"": schema, "trainer": Trainer}
    config = base_config(arguments)
    if sections := arguments.ablation_sections():
        config["ablation"] = asdict(read_spec(sections, arguments.place)[0])
    print(key_help(arguments.help_key or "", entries, config, arguments.place, owners), end="")
    return 0
