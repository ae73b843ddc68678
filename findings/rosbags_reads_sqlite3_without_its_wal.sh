#!/usr/bin/env bash
# rosbag2 writes sqlite3 bags in WAL mode (its default pragmas are journal_mode=WAL, synchronous=NORMAL), so what was
# recorded last lies in a file .db3-wal beside the bag until the recorder closes it. Where the recorder was killed, that
# file stays. SQLite itself reads both. The pure-Python reader `rosbags` opens the database as immutable, which makes
# SQLite ignore the WAL: the newest messages are missing, without an error or a warning.
# Seen: rosbags 0.11.9 on Python 3.11, 2026-11. This project reads a bag that was not finished through SQLite first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check rosbags==0.11.9

seen=$("$folder/venv/bin/python" - "$folder/bag" <<'PYTHON'
import os
import sqlite3
import sys
from pathlib import Path

from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

folder = Path(sys.argv[1])
store = get_typestore(Stores.ROS2_JAZZY)
Number = store.types["std_msgs/msg/Int32"]
raw = [bytes(store.serialize_cdr(Number(i), Number.__msgtype__)) for i in range(5)]
with Writer(folder, version=9, storage_plugin=StoragePlugin.SQLITE3) as bag:
    topic = bag.add_connection("/count", Number.__msgtype__, typestore=store)
    for i in range(2):
        bag.write(topic, i, raw[i])

file = next(folder.glob("*.db3"))
if (recorder := os.fork()) == 0:  # commits three more messages, and ends without closing the bag
    bag = sqlite3.connect(file)
    bag.execute("PRAGMA journal_mode=WAL")
    bag.executemany(
        "INSERT INTO messages(topic_id, timestamp, data) VALUES (1, ?, ?)",
        [(i, raw[i]) for i in range(2, 5)],
    )
    bag.commit()
    os._exit(0)
os.waitpid(recorder, 0)

print("files:", *sorted(each.suffix for each in folder.iterdir()))
with AnyReader([file]) as reader:
    numbers = [store.deserialize_cdr(data, each.msgtype).data for each, _, data in reader.messages()]
print("rosbags:", *numbers)
rows = sqlite3.connect(file).execute("SELECT data FROM messages ORDER BY timestamp")
print("SQLite:", *(store.deserialize_cdr(data, Number.__msgtype__).data for (data,) in rows))
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
files: .db3 .db3-shm .db3-wal .yaml
rosbags: 0 1
SQLite: 0 1 2 3 4
EXPECTED
echo "as seen: what is in the WAL is missing"
