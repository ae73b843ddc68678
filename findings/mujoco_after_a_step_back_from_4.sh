#!/usr/bin/env bash
# MuJoCo 4.0.0 is two wheels that fill one folder: `mujoco` and `mujoco-core`, which it depends on. Going back to a
# 3.x wheel, as a package that pins one does, removes `mujoco` and leaves `mujoco-core` 4.0.0 where 3.x brings its own
# files: `import mujoco` then fails until mujoco-core is uninstalled and 3.x installed again.
# Seen: mujoco 4.0.0 -> 3.3.0 by `pip install mujoco==3.3.0` on Python 3.11, 2026-11: "libmujoco.so.4.0.0: cannot open
# shared object file".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/python" -m pip --disable-pip-version-check "$@"; }
import_mujoco() { "$folder/venv/bin/python" -c 'import mujoco; print("imports", mujoco.__version__)' 2>&1 | tail -n 1 || true; }

pip install --quiet mujoco==4.0.0 mujoco-core==4.0.0
echo "4.0.0: $(import_mujoco)"
pip install --quiet mujoco==3.3.0
back=$(import_mujoco)
echo "back to 3.3.0: $back"
pip list 2>/dev/null | grep -i '^mujoco'
pip uninstall --quiet --yes mujoco-core
pip install --quiet --force-reinstall --no-deps mujoco==3.3.0
mended=$(import_mujoco)
echo "without mujoco-core, 3.3.0 installed again: $mended"

grep -q "libmujoco.so.4.0.0" <<< "$back"
grep -q "imports 3.3.0" <<< "$mended"
echo "as seen: a step back from 4 needs mujoco-core uninstalled"
