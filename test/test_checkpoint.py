import dataclasses
import errno
import hashlib
import json
import os
import resource
import signal
import threading

import pytest
import safetensors.torch
import torch

from ddpm_controller import checkpoint as checkpoint_file
from ddpm_controller.checkpoint import (
    CheckpointError,
    load_checkpoint,
    load_manifest,
    refuse_mismatch,
    save_checkpoint,
)
from ddpm_controller.given_files import MOST_NESTING
from ddpm_controller.types import ActionSpec, StreamSpec

JOINTS = ("shoulder", "elbow", "gripper")
UNITS = ("rad", "rad", "m")
STREAMS = (
    StreamSpec("joint_state", "vector", (3,), 50.0, JOINTS, UNITS),
    StreamSpec("camera", "image", (16, 24, 3), 25.0),
)
ACTION_SPEC = ActionSpec(JOINTS, UNITS, 0.1)


def save(folder, value=1.0, **changes):
    fields = {
        "kind": "diffusion_policy",
        "config": {"horizon": 16, "channels": (8, 16)},
        "action_spec": ACTION_SPEC,
        "streams": STREAMS,
        "statistics": {"action": {"min": [0.1, -1e-17, 0.0], "max": [1 / 3, 2.0, 0.08]}},
        "provenance": {"bags": {"first": "0a1b"}, "steps": 100, "seed": 3},
        "weights": {"layer.weight": torch.full((20, 30), value), "layer.bias": torch.ones(20)},
    }
    return save_checkpoint(folder, **{**fields, **changes})


def edit(folder, change, reseal=False):
    """Change the manifest's fields as a text editor would; ``reseal`` as a forger would."""
    path = folder / "manifest.json"
    fields = json.loads(path.read_text())
    change(fields)
    if reseal:
        fields["manifest_sha256"] = checkpoint_file._manifest_digest(fields)
    path.write_text(json.dumps(fields))


def weights_of(folder):
    (path,) = folder.glob("*.safetensors")
    return path


def test_everything_comes_back_as_it_was(tmp_path):
    name = save(tmp_path / "best")
    read = load_checkpoint(tmp_path / "best")
    assert read.hash == name == read.manifest.manifest_sha256
    assert len(name) == 64
    assert read.manifest.streams == STREAMS
    assert read.manifest.action_spec == ACTION_SPEC
    assert read.manifest.config == {"horizon": 16, "channels": [8, 16]}
    assert read.manifest.statistics["action"]["max"][0] == 1 / 3
    assert read.manifest.statistics["action"]["min"][1] == -1e-17
    assert read.manifest.provenance == {"bags": {"first": "0a1b"}, "steps": 100, "seed": 3}
    assert read.manifest.library_versions["torch"] == torch.__version__
    assert torch.equal(read.weights["layer.weight"], torch.full((20, 30), 1.0))
    assert read.folder == tmp_path / "best"


def test_a_system_without_weights_has_a_manifest_alone(tmp_path):
    save(tmp_path)  # what it replaces leaves no weights behind
    name = save(tmp_path, weights=None)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    read = load_checkpoint(tmp_path)
    assert (read.hash, dict(read.weights)) == (name, {})
    edit(tmp_path, lambda fields: fields["config"].update(horizon=32))
    with pytest.raises(CheckpointError, match="was changed after training"):
        load_checkpoint(tmp_path)


def test_the_hash_names_the_content(tmp_path):
    assert save(tmp_path / "one") == save(tmp_path / "same")
    assert save(tmp_path / "one") != save(tmp_path / "two", value=2.0)
    assert save(tmp_path / "one") != save(tmp_path / "other", provenance={"seed": 4})


def test_a_checkpoint_has_no_pickle_and_no_leftovers(tmp_path):
    for value in (1.0, 2.0, 3.0):
        save(tmp_path, value)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["manifest.json", weights_of(tmp_path).name]
    assert weights_of(tmp_path).read_bytes()[8:9] == b"{"  # a safetensors header


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere: no checkpoint here \(no such folder\)"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="unfinished or foreign folder"):
        load_checkpoint(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        load_checkpoint(tmp_path / "file")


def test_a_manifest_nested_deeper_than_any_of_ours_is_refused_before_it_is_parsed(tmp_path):
    save(tmp_path)
    deep = "x"
    for _ in range(MOST_NESTING - 2):
        deep = [deep]
    edit(tmp_path, lambda fields: fields["config"].update(deep=deep), reseal=True)
    assert load_manifest(tmp_path).config["deep"] == deep
    edit(tmp_path, lambda fields: fields["config"].update(deep=[deep]), reseal=True)
    with pytest.raises(CheckpointError, match=f"nested more than {MOST_NESTING}"):
        load_manifest(tmp_path)
    edit(tmp_path, lambda fields: fields["config"].update(deep='a "quoted [[' * 99), reseal=True)
    assert load_manifest(tmp_path)  # brackets of a text are none


def test_a_manifest_larger_than_any_of_ours_is_refused_before_it_is_read(tmp_path, monkeypatch):
    save(tmp_path)
    size = (tmp_path / "manifest.json").stat().st_size
    monkeypatch.setattr(checkpoint_file, "MOST_MANIFEST_BYTES", size)
    assert load_manifest(tmp_path)
    monkeypatch.setattr(checkpoint_file, "MOST_MANIFEST_BYTES", size - 1)
    with pytest.raises(CheckpointError, match=rf"{size} bytes, .* {size - 1}"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("pattern", ["manifest.json", "weights-*.safetensors"])
def test_what_is_no_regular_file_is_refused_without_waiting_for_a_writer(tmp_path, pattern):
    save(tmp_path)
    (path,) = tmp_path.glob(pattern)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match=f"{path.name}: .*not a regular file"):
        load_checkpoint(tmp_path)


def test_missing_weights_are_named(tmp_path):
    save(tmp_path)
    weights_of(tmp_path).unlink()
    with pytest.raises(CheckpointError, match=r"weights-\w+.safetensors is missing"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_truncated_weights_are_refused(tmp_path, kept):
    save(tmp_path)
    path = weights_of(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"bytes\) are truncated or changed"):
        load_checkpoint(tmp_path)


def test_weights_with_one_bit_changed_are_refused(tmp_path):
    save(tmp_path)
    path = weights_of(tmp_path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="truncated or changed"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields["action_spec"]["joint_names"].reverse(),
        lambda fields: fields["statistics"]["action"]["max"].__setitem__(1, 2.5),
        lambda fields: fields["config"].update(horizon=32),
        lambda fields: fields["streams"][0].update(rate_hz=49.0),
        lambda fields: fields.update(note="mine"),
        lambda fields: fields.pop("provenance"),
        lambda fields: fields.update(manifest_sha256="0" * 64),
    ],
)
def test_a_manifest_edited_by_hand_is_refused(tmp_path, change):
    save(tmp_path)
    edit(tmp_path, change)
    with pytest.raises(CheckpointError, match="changed after training"):
        load_checkpoint(tmp_path)


def test_a_manifest_that_was_only_laid_out_anew_is_still_itself(tmp_path):
    name = save(tmp_path)
    edit(tmp_path, lambda fields: None)
    assert load_checkpoint(tmp_path).hash == name


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "diffusion_policy"}', "\x00\xff"])
def test_a_manifest_that_is_none_is_refused(tmp_path, text):
    save(tmp_path)
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"not a readable manifest|format version None"):
        load_checkpoint(tmp_path)


def test_another_format_version_is_refused_with_both_numbers(tmp_path):
    save(tmp_path)
    edit(tmp_path, lambda fields: fields.update(format_version=2, novelty=1), reseal=True)
    with pytest.raises(CheckpointError, match="format version 2 but this release reads 1"):
        load_checkpoint(tmp_path)


def test_a_manifest_of_wrong_types_is_refused(tmp_path):
    save(tmp_path)
    edit(tmp_path, lambda fields: fields["action_spec"].update(period_s=0), reseal=True)
    with pytest.raises(CheckpointError, match="period_s must be above 0"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_neither_written_nor_read(tmp_path, value, monkeypatch):
    before = save(tmp_path)
    with pytest.raises(CheckpointError, match=r"1 of 2 weights are not finite, first 'layer.wei"):
        save(tmp_path, value)
    assert load_checkpoint(tmp_path).hash == before
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_file, "_refuse_not_finite", lambda weights, where: None)
        save(tmp_path, value)
    with pytest.raises(CheckpointError, match="the training diverged"):
        load_checkpoint(tmp_path)


def dies(tmp_path, patch):
    """Run ``save`` in a process that is killed on the way, by ``patch``."""
    child = os.fork()
    if child == 0:
        try:
            patch()
            save(tmp_path, 2.0)
        finally:
            os._exit(0)  # only reached when it was not killed
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("call", [0, 1])
def test_a_writer_that_is_killed_leaves_the_old_checkpoint(tmp_path, function, call):
    before = save(tmp_path)
    original = getattr(os, function)
    calls = []

    def killed(*arguments):
        calls.append(arguments)
        # fsync is called for a file and for its folder: 0 is the weights, 2 the manifest.
        if len(calls) > (2 * call if function == "fsync" else call):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    assert dies(tmp_path, lambda: setattr(os, function, killed))
    assert load_checkpoint(tmp_path).hash == before
    after = save(tmp_path, 3.0)
    assert load_checkpoint(tmp_path).hash == after
    assert len(list(tmp_path.iterdir())) == 2  # what the killed one left is gone


def test_a_writer_killed_after_the_manifest_leaves_the_new_checkpoint(tmp_path, monkeypatch):
    expected = save(tmp_path / "twin", 2.0)
    save(tmp_path / "best")

    def kill(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)

    def patch():
        checkpoint_file._remove_leftovers = kill

    assert dies(tmp_path / "best", patch)
    assert load_checkpoint(tmp_path / "best").hash == expected


@pytest.mark.parametrize("failing_call", [1, 2, 3])
def test_a_full_disk_is_reported_and_the_old_checkpoint_intact(
    tmp_path, monkeypatch, failing_call
):
    before = save(tmp_path)
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == failing_call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left on device.*one before is intact"):
        save(tmp_path, 2.0)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path).hash == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_write_that_the_system_cuts_short_leaves_the_old_checkpoint(tmp_path):
    """A real one: the largest file that this process may write is smaller than the weights."""
    before = save(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(CheckpointError, match="could not be written"):
            save(tmp_path, 2.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_checkpoint(tmp_path).hash == before


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="could not be written"):
        save(tmp_path / "file" / "best")


def test_a_reader_always_finds_a_whole_checkpoint_while_it_is_replaced(tmp_path):
    names = {save(tmp_path, value) for value in (1.0, 2.0)}
    seen, reads = set(), 0
    enough = threading.Event()

    def write():
        value = 0
        while not enough.is_set():
            value += 1
            names.add(save(tmp_path, float(value)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        # On a busy machine 200 reads may be over before the writer has had its first turn.
        while reads < 200 or (len(seen) < 2 and writer.is_alive()):
            seen.add(load_checkpoint(tmp_path).hash)
            reads += 1
    finally:
        enough.set()
        writer.join()
    assert seen <= names
    assert len(seen) > 1


def test_a_checkpoint_that_was_replaced_twice_by_an_equal_one_is_found(tmp_path, monkeypatch):
    """The weights are missing for a moment, and the manifest is the same before and after."""
    expected = save(tmp_path, 2.0)
    reads, plain = [], checkpoint_file.file_content

    def replaced_meanwhile(path, most_bytes=None):
        reads.append(path.name)
        if len(reads) == 2:  # between the manifest and its weights
            save(tmp_path, 1.0)
        if len(reads) == 3:  # between those and the manifest again
            save(tmp_path, 2.0)
        return plain(path, most_bytes)

    monkeypatch.setattr(checkpoint_file, "file_content", replaced_meanwhile)
    assert load_checkpoint(tmp_path).hash == expected
    assert len(reads) > 3


def test_a_robot_that_fits_is_accepted(tmp_path):
    save(tmp_path)
    manifest = load_manifest(tmp_path)
    refuse_mismatch(manifest, STREAMS, ACTION_SPEC)
    refuse_mismatch(manifest, tuple(reversed(STREAMS)), ACTION_SPEC)
    another = StreamSpec("second_camera", "image", (8, 8, 3), 10.0)
    refuse_mismatch(manifest, (*STREAMS, another), ACTION_SPEC)
    faster = dataclasses.replace(STREAMS[1], rate_hz=30.0)
    refuse_mismatch(manifest, (STREAMS[0], faster), ACTION_SPEC)


def test_a_checkpoint_remembers_what_the_levels_of_its_depth_images_mean(tmp_path):
    near, far = (
        StreamSpec("camera", "image", (16, 24, 3), 25.0, depth_range_m=(0.2, far_m))
        for far_m in (1.0, 2.0)
    )
    save(tmp_path, streams=(near,))
    manifest = load_manifest(tmp_path)
    assert manifest.streams == (near,)
    refuse_mismatch(manifest, (near,), ACTION_SPEC)
    with pytest.raises(CheckpointError, match=r"checkpoint .*\[0.2, 1.0\] m\n.*\[0.2, 2.0\] m"):
        refuse_mismatch(manifest, (far,), ACTION_SPEC)


def test_a_checkpoint_from_before_depth_images_has_images_of_colour(tmp_path):
    save(tmp_path)

    def forget(fields):
        for stream in fields["streams"]:
            assert stream.pop("depth_range_m") is None

    edit(tmp_path, forget, reseal=True)
    refuse_mismatch(load_manifest(tmp_path), STREAMS, ACTION_SPEC)


SWAPPED = ("elbow", "shoulder", "gripper")


@pytest.mark.parametrize(
    ("streams", "action_spec", "texts"),
    [
        (STREAMS[:1], ACTION_SPEC, ["'camera'", "has only ['joint_state']"]),
        (
            (STREAMS[0], StreamSpec("camera", "image", (48, 64, 3), 25.0)),
            ACTION_SPEC,
            ["(16, 24, 3)", "(48, 64, 3)"],
        ),
        (
            (StreamSpec("joint_state", "vector", (3,), 50.0, SWAPPED, UNITS), STREAMS[1]),
            ACTION_SPEC,
            ["shoulder [rad], elbow [rad]", "elbow [rad], shoulder [rad]"],
        ),
        (
            (StreamSpec("joint_state", "vector", (3,), 50.0, JOINTS, ("rad",) * 3), STREAMS[1]),
            ACTION_SPEC,
            ["gripper [m]", "gripper [rad]"],
        ),
        (
            (dataclasses.replace(STREAMS[0], wraps=("elbow",)), STREAMS[1]),
            ACTION_SPEC,
            ["gripper [m]\n", "gripper [m] wraps elbow"],
        ),
        (
            (STREAMS[0], StreamSpec("camera", "image", (16, 24, 3), 25.0, depth_range_m=(0.2, 2))),
            ACTION_SPEC,
            ["checkpoint image (16, 24, 3)\n", "robot image (16, 24, 3) of depth [0.2, 2] m"],
        ),
        (STREAMS, ActionSpec(SWAPPED, UNITS, 0.1), [str(JOINTS), str(SWAPPED)]),
        (STREAMS, ActionSpec(JOINTS[:2], UNITS[:2], 0.1), [str(JOINTS), str(JOINTS[:2])]),
        (
            STREAMS,
            ActionSpec(JOINTS, UNITS, 0.05),
            ["action period_s: checkpoint 0.1\n", "robot 0.05"],
        ),
    ],
)
def test_a_robot_that_does_not_fit_is_refused_with_both_lists(
    tmp_path, streams, action_spec, texts
):
    save(tmp_path)
    with pytest.raises(CheckpointError, match="does not fit the robot") as error:
        refuse_mismatch(load_manifest(tmp_path), streams, action_spec)
    for text in texts:
        assert text in str(error.value)


@pytest.mark.parametrize("kind", [torch.int8, torch.complex64, torch.float8_e4m3fn])
def test_weights_of_a_type_that_no_network_has_are_refused_with_it(tmp_path, kind):
    """Copied into a network they would be rounded, or lose a part, silently."""
    save(tmp_path, weights={"layer.bias": torch.ones(20)})
    path = weights_of(tmp_path)
    content = safetensors.torch.save({"layer.bias": torch.ones(20).to(kind)})
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit(tmp_path, lambda fields: fields.update(weights_sha256=digest), reseal=True)
    name = str(kind).removeprefix("torch.")
    with pytest.raises(
        CheckpointError, match=rf"weight 'layer.bias' is of type {name}, .*float32"
    ):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["../weights.safetensors", "/etc/hostname", "in/weights"])
def test_weights_lie_beside_the_manifest(tmp_path, name):
    """Even where a manifest is sealed again."""
    save(tmp_path)
    edit(tmp_path, lambda fields: fields.update(weights_file=name), reseal=True)
    with pytest.raises(CheckpointError, match="must be the name of a file beside it"):
        load_checkpoint(tmp_path)
