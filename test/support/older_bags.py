"""Bags as the releases before overrides have written them: a field for each setting."""

import re
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from ddpm_controller.bags import writer
from ddpm_controller.bags.files import OpenBag
from ddpm_controller.bags.writer import BagTopic, BagWriter

MESSAGES = Path(__file__).parents[2] / "ddpm_msgs" / "msg"
KIND = "ddpm_msgs/msg/ActionChunk"
OLDER = "string sampler\nstring seam\nfloat64 surprise_limit\nfloat64 transition_scale\n"


def as_written_before(bag, folder, monkeypatch):
    """Copy a bag, its chunks in the older form, and return the copy."""
    store = get_typestore(Stores.ROS2_JAZZY)
    text = re.sub(r"string\[\] override_\w+.*\n", "", (MESSAGES / "ActionChunk.msg").read_text())
    store.register(get_types_from_msg(text + OLDER, KIND))
    definition = writer.definition
    older = store.generate_msgdef(KIND, ros_version=2)[0], store.hash_rihs01(KIND)
    monkeypatch.setattr(writer, "definition", lambda k: older if k == KIND else definition(k))
    with OpenBag(bag) as source:
        topics = [BagTopic(name, kind) for name, kind in source.topics.items()]
        with BagWriter(folder, topics, source.provenance) as target:
            for each in source.messages(source.topics):
                raw = each.serialized
                if each.type == KIND:
                    raw = bytes(store.serialize_cdr(_older(each.message, store), KIND))
                target.write(each.topic, each.log_ns, raw)
    return folder


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
