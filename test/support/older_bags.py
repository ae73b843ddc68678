"""Bags as the releases before overrides have written them: a field for each setting."""

import re
from dataclasses import replace
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from ddpm_controller.bags import storages
from ddpm_controller.bags.files import OpenBag
from ddpm_controller.bags.message_types import message_types
from ddpm_controller.bags.storages import BagTopic
from ddpm_controller.bags.writer import BagWriter

MESSAGES = Path(__file__).parents[2] / "ddpm_msgs" / "msg"
KIND, MEMORY = "ddpm_msgs/msg/ActionChunk", "ddpm_msgs/msg/Memory"
OLDER = "string sampler\nstring seam\nfloat64 surprise_limit\nfloat64 transition_scale\n"


def as_written_before(bag, folder, monkeypatch):
    """Copy a bag, its chunks in the older form, and return the copy."""
    store = get_typestore(Stores.ROS2_JAZZY)
    added = r"string\[\] override_\w+.*\n|string engine .*\n"
    text = re.sub(added, "", (MESSAGES / "ActionChunk.msg").read_text())
    store.register(get_types_from_msg(text + OLDER, KIND))
    definition = storages.definition
    older = store.generate_msgdef(KIND, ros_version=2)[0], store.hash_rihs01(KIND)
    monkeypatch.setattr(storages, "definition", lambda k: older if k == KIND else definition(k))
    with OpenBag(bag) as source:
        topics = [BagTopic(name, kind) for name, kind in source.topics.items()]
        with BagWriter(folder, topics, source.provenance) as target:
            for each in source.messages(source.topics):
                raw = each.serialized
                if each.type == KIND:
                    raw = bytes(store.serialize_cdr(_older(each.message, store), KIND))
                if each.type == MEMORY and "state_since_s" in each.message.names:
                    raw = bytes(message_types().serialize_cdr(_older_memory(each.message), MEMORY))
                target.write(each.topic, each.log_ns, raw)
    return folder


def _older_memory(message):
    """A state had a name of its own for the chunk before."""
    older = {"previous_rows": "recalled_rows", "previous_start_s": "recalled_start_s"}
    return replace(message, names=[older.get(name, name) for name in message.names])


def _older(message, store):
    settings = dict(zip(message.override_names, message.override_values, strict=True))
    values = {
        "sampler": settings["sampler"],
        "seam": settings["seam"],
        "surprise_limit": float(settings["surprise"]),
        "transition_scale": float(settings.get("transition_scale", "nan")),
    }
    kind = store.types[KIND]
    same = set(kind.__dataclass_fields__) - set(values) - {"__msgtype__"}
    return kind(**{name: getattr(message, name) for name in same}, **values)
