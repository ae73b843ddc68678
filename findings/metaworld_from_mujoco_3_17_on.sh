#!/usr/bin/env bash
# MetaWorld 3.0.0 does not limit MuJoCo from above, so pip takes the newest. From 3.17.0 on (a minor release) a row of
# eq_data has 12 numbers where it had 11: every task raises when it is made. With MuJoCo 3.16.0 the same task resets.
# Seen: metaworld 3.0.0 with mujoco 3.17.0 and 4.0.0 on Python 3.11, 2026-11: "could not broadcast input array from
# shape (11,) into shape (12,)". Our extra `metaworld` therefore asks for mujoco<3.17.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

cat > "$folder/reset.py" <<'PYTHON'
import mujoco
import gymnasium
import metaworld  # registers its tasks

print("mujoco", mujoco.__version__, "eq_data columns", mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><body name="a"><freejoint/><geom size=".1"/></body></worldbody>'
    '<equality><weld body1="a"/></equality></mujoco>').eq_data.shape[1])
try:
    gymnasium.make("Meta-World/MT1", env_name="drawer-open-v3", seed=0).reset(seed=0)
    print("reset: works")
except ValueError as error:
    print("reset:", error)
PYTHON

pip metaworld==3.0.0 mujoco==4.0.0 mujoco-core==4.0.0 gymnasium==1.4.0 packaging==26.3
newer=$(MUJOCO_GL=egl "$folder/venv/bin/python" "$folder/reset.py" 2>/dev/null)
echo "$newer"

with_mujoco() {
    rm -r "$folder/venv"
    python3 -m venv "$folder/venv"
    pip metaworld==3.0.0 "mujoco==$1" gymnasium==1.4.0 packaging==26.3
    MUJOCO_GL=egl "$folder/venv/bin/python" "$folder/reset.py" 2>/dev/null
}
minor=$(with_mujoco 3.17.0)
echo "$minor"
older=$(with_mujoco 3.16.0)
echo "$older"

grep -q "eq_data columns 12" <<< "$newer" && grep -q "from shape (11,) into shape (12,)" <<< "$newer"
grep -q "eq_data columns 12" <<< "$minor" && grep -q "from shape (11,) into shape (12,)" <<< "$minor"
grep -q "eq_data columns 11" <<< "$older" && grep -q "reset: works" <<< "$older"
echo "as seen: the task is made and reset under MuJoCo 3.16.0 and raises under 3.17.0 and 4.0.0"
