#!/usr/bin/env bash
# The first day of somebody who has just found this project, from an empty folder outside of the clone: wheels are built and installed, every
# command is asked for help, and what the README and docs/data.md show is done as it stands there, on JPEGs, with loggers and early stopping,
# up to the dashboard in a browser. Everything but this project's four packages and W&B comes from the environment of the clone. What a
# machine lacks (a network for W&B, chromium) is left out with a line that says so; with EVERYTHING=1, as in .ci/run, it is an error.
set -euo pipefail
clone=$(cd "$(dirname "$0")/.." && pwd)
made=${PYTHON:-$clone/.venv/bin/python}
uv=$(dirname "$made")/uv
day=$(mktemp -d)
trap 'rm -rf "$day"' EXIT
cd "$day"
unset PYTHONPATH
export OMP_NUM_THREADS=1 WANDB_MODE=offline WANDB_SILENT=true

left_out() { echo "Left out: $1"; [ -z "${EVERYTHING:-}" ] || exit 1; }
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

step "four wheels, built and installed"
mkdir source here
cp -r "$clone/packages" "$clone/cli" source/
find source -name '*.egg-info' -o -name build -type d | xargs rm -rf
for package in source/packages/core source/packages/models source/packages/tasks source/cli; do
  "$uv" build --quiet --offline --wheel --no-build-isolation --python "$made" --out-dir wheels "$package"
done
"$made" -m venv --without-pip venv
"$made" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$(venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/clone.pth"
"$uv" pip install --quiet --offline --no-deps --python venv/bin/python wheels/*.whl
export PATH="$day/venv/bin:$PATH"
rm -rf source
python -c "import vitcli; assert vitcli.__file__.startswith('$day'), vitcli.__file__"
cd here

step "help of every command, in seconds"
for command in $(python -c 'from vitcli.table import COMMANDS; print(*COMMANDS)'); do
  started=$(date +%s%N)
  vitcli "$command" --help >help.txt
  test -s help.txt
  printf '%s %s\n' "$command" "$(($(date +%s%N) - started))" | awk '{ printf "  %-10s %5.2f\n", $1, $2 / 1e9 }'
done

step "an op, copied from the README"
cp -r "$clone/ablations" .
cat >../blocks.py <<'END'
"""Write the blocks of a page that name a file, and print the others of one language."""

import re
import sys
from pathlib import Path

page, language = sys.argv[1:]
for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", Path(page).read_text(), re.M | re.S):
    if file := re.match(r"# (\w+\.(?:py|yaml))\n", text):
        Path(file[1]).write_text(text)
    elif kind == language:
        print(text)
END
python ../blocks.py "$clone/README.md" sh | grep '^PYTHONPATH=. vitcli plan ' >plan.sh
bash -euxc "$(cat plan.sh)"

step "a folder of JPEGs, as docs/data.md draws it"
python ../blocks.py "$clone/docs/data.md" python >draw.py
python draw.py
vitcli data check photos

step "an ablation of the op on these photographs, with a user's loggers and early stopping"
wandb=""
if "$uv" pip install --quiet --constraint "$clone/constraints.txt" --python ../venv/bin/python wandb; then
  wandb=", {class_path: WandbLogger, project: first_day, offline: true}"
else
  left_out "the logger of Weights & Biases, which could not be installed."
fi
cat >day.yaml <<END
# Question  Does it matter whom a token sees?
ablation:
  baseline: attention
  seeds: 2
  arms:
    attention: {}
    roll: {model.backbone.every.mixer.op: roll.Roll}
model: ablations/shared/digits/localvit.yaml
model.backbone: {num_classes: 2, in_chans: 3}
data: {class_path: vittasks.ImageFolder, root: photos, img_size: 32, batch_size: 8, workers: 0}
trainer:
  accelerator: cpu
  max_epochs: 4
  log_every_n_steps: 1
  logger: [{class_path: CSVLogger, save_dir: logs}$wandb]
  callbacks:
    - {class_path: EarlyStopping, monitor: val/loss, min_delta: 100, patience: 1}
END
PYTHONPATH=. vitcli fit --config day.yaml
test -n "$(find logs -name metrics.csv)"
[ -z "$wandb" ] || test "$(find . -name '*.wandb' | wc -l)" = 4

step "the report, written again"
vitcli report runs/day >/dev/null
for kind in html md tex csv; do test -s "runs/day/report.$kind"; done
grep -q 'EarlyStopping\|fewer epochs\|ended early\|unequal' runs/day/report.md

step "the dashboard, in a browser"
if command -v chromium >/dev/null; then
  cp "$clone/tests/cli/chromium.py" .
  python - <<'END'
import re
import subprocess

from chromium import Chromium

from vitcli.commands.dashboard import VIEWS

SHOWN = {
    "means over the seeds": "mean/attention",
    "... with intervals": "roll and attention",
    "one row per arm": "(verdict)",
    "the figures": "figures/arms",
    "the report": "Does it matter whom a token sees?",
}
assert SHOWN.keys() == VIEWS.keys()
with subprocess.Popen(["vitcli", "dashboard", "runs/day", "--port", "0"], stdout=subprocess.PIPE, text=True) as board:
    try:
        address = re.search(r"http://\S+", board.stdout.readline())[0]
        with Chromium() as browser:
            for view, where in {"": "", **VIEWS}.items():
                browser.open("about:blank")  # addresses that differ behind # alone would not be loaded
                browser.open(address + where)
                browser.wait_for(SHOWN.get(view, "mean/roll"))
                print(f"  {view or 'the bare address'}: seen")
    finally:
        board.terminate()
END
else
  left_out "the dashboard in a browser, since chromium is not installed."
fi

step "results in pandas"
python - <<'END'
import vitcli

found = vitcli.results("runs/day")
print(found.arms[["n", "mean", "verdict"]])
assert list(found.trials.status) == ["done"] * 4
assert found.trials.ended_early.all()
assert (found.trials.epochs < 4).all()
assert set(found.curves.epoch) >= {0, 1}
END

step "done"
