"""The scripts with which shells complete the command; bash runs its own."""

import shutil
import subprocess

import pytest

from vitcli.main import main
from vitcli.table import COMMANDS

SHELLS = {"bash": "complete ", "zsh": "#compdef vitcli", "fish": "complete -c vitcli"}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell_knows_every_command(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert SHELLS[shell] in script
    assert all(name in script for name in COMMANDS)
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("vitcli pl", "plan"),
        ("vitcli plan --form", "--format"),
        ("vitcli plan --format ''", "table json"),
        ("vitcli test --weights ''", "ema last"),
        ("vitcli completion z", "zsh"),
    ],
)
def test_bash_offers_commands_options_and_choices(line, offers, capsys):
    main(["completion", "bash"])
    ask = f'COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _shtab_vitcli; echo "${{COMPREPLY[@]}}"'
    script = f"{capsys.readouterr().out}\n{ask}"
    assert subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True).stdout.strip() == offers


@pytest.mark.parametrize("words", [[], ["tcsh"], ["bash", "zsh"]])
def test_without_the_name_of_one_of_the_shells_it_says_which_there_are(words, capsys):
    assert main(["completion", *words]) == 2
    assert "bash, zsh, fish" in capsys.readouterr().err
