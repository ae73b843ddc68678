#!/usr/bin/env bash
# The metadata.yaml of a ROS 2 bag lists each topic with the quality of service that was offered, and so does the storage
# file. People edit the one in metadata.yaml, for `ros2 bag play` and `ros2 bag convert` take it from there. The
# pure-Python reader `rosbags` then finds the topic and its number of messages, and yields none of them, without an
# error or a warning: for mcap and for sqlite3, also when no topic is chosen. The same file without its metadata.yaml
# is read whole.
# Seen: rosbags 0.11.9 on Python 3.11, 2026-11. This project compares what came with what the index promises, and refuses
# such a bag with both numbers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check rosbags==0.11.9

seen=$("$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

NONE = "offered_qos_profiles: []"
FOREVER = "{sec: 9223372036, nsec: 854775807}"
VOLATILE = f"""offered_qos_profiles:
        - {{history: keep_last, depth: 10, reliability: reliable, durability: volatile,
           deadline: {FOREVER}, lifespan: {FOREVER}, liveliness: automatic,
           liveliness_lease_duration: {FOREVER}, avoid_ros_namespace_conventions: false}}"""
store = get_typestore(Stores.ROS2_JAZZY)
Number = store.types["std_msgs/msg/Int32"]


def counted(path):
    with AnyReader([path]) as reader:
        promised = sum(each.msgcount for each in reader.connections)
        return f"{len(list(reader.messages()))} of {promised}"


for plugin in (StoragePlugin.MCAP, StoragePlugin.SQLITE3):
    folder = Path(sys.argv[1]) / plugin.name
    with Writer(folder, version=9, storage_plugin=plugin) as bag:
        topic = bag.add_connection("/count", Number.__msgtype__, typestore=store)
        for i in range(3):
            bag.write(topic, i, store.serialize_cdr(Number(i), Number.__msgtype__))
    before = counted(folder)
    metadata = folder / "metadata.yaml"
    text = metadata.read_text()
    assert NONE in text
    metadata.write_text(text.replace(NONE, VOLATILE))
    after = counted(folder)
    alone = counted(next(each for each in folder.iterdir() if each != metadata))
    print(f"{plugin.name}: as written {before}, with another QoS {after}, the file alone {alone}")
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
MCAP: as written 3 of 3, with another QoS 0 of 3, the file alone 3 of 3
SQLITE3: as written 3 of 3, with another QoS 0 of 3, the file alone 3 of 3
EXPECTED
echo "as seen: a bag whose metadata has another QoS reads as empty"
