#!/usr/bin/env bash
# What a GPU computes and how fast: one command, under eight minutes, on a machine with Python and torch. Writes one dated file.
#
#   benchmarks/gpu.sh                    writes benchmarks/results/DATE-gpu.md: commit it
#   benchmarks/gpu.sh --dry              the same on the CPU at tiny sizes, under a minute; prints, writes nothing
#   WHEELS=DIR benchmarks/gpu.sh         a machine without network takes missing packages from DIR, which is filled elsewhere with
#                                        pip download --dest DIR --no-deps jaxtyping timm huggingface_hub safetensors pyyaml pytest ...
#
# It uses the Python of $PYTHON, else of .venv, else python3. What needs a package that cannot be had is left out and named.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=$(command -v python3)
export PYTHONPATH="$PWD/packages/core/src:$PWD/packages/models/src:$PWD/packages/tasks/src:$PWD/cli/src:$PWD/benchmarks:$PWD"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
missing=$("$python" -W ignore benchmarks/gpu.py --missing)
if [ -n "$missing" ]; then
  # One by one, without what they depend on: a bare machine keeps its own torch, and one that cannot be had costs only its part.
  for package in $missing; do
    timeout 60 "$python" -m pip install --quiet --no-deps ${WHEELS:+--no-index --find-links "$WHEELS"} "$package" || true
  done
fi
exec "$python" -W ignore benchmarks/gpu.py "$@"
