"""Makes models/go1_walk of the tensors of MuJoCo Playground's joystick policy, as safetensors.

    python scripts/go1_walk.py PATH/go1_joystick.safetensors

They are the weights of experimental/sim2sim/onnx/go1_policy.onnx, taken out of the graph.
"""

import hashlib
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from ddpm_controller.checkpoint import save_checkpoint
from ddpm_controller.policies.mlp_policy.config import MlpPolicyConfig
from ddpm_controller.robots.robot import load_robot
from ddpm_controller.simulation.legged.go1_model import go1_model, home

ROOT = Path(__file__).resolve().parents[1]
INPUTS = (
    "value:base_velocity",
    "value:angular_velocity",
    "gravity:orientation",
    "from_rest:joint_state",
    "value:joint_velocity",
    "last_action",
    "value:cmd_vel",
)
"""The order of the observation in its training."""


def main() -> None:
    """Write the checkpoint."""
    path = Path(sys.argv[1])
    given = load_file(path)
    num_layers = sum(name.endswith("weight") for name in given)
    robot = load_robot(ROOT / "config/robots/go1.yaml")
    observed = {each.partition(":")[2] for each in INPUTS}
    streams = tuple(each for each in robot.stream_specs if each.name in observed)
    num_joints = len(robot.action_spec.joint_names)
    weights = {
        f"layers.{number}.{kind}": given[f"layer_{number}.{kind}"]
        for number in range(num_layers)
        for kind in ("weight", "bias")
    }
    for name in (f"layers.{num_layers - 1}.weight", f"layers.{num_layers - 1}.bias"):
        weights[name] = weights[name][:num_joints]  # behind the means are the deviations
    weights |= {name: given[name] for name in given if name.startswith("observation_")}
    config = MlpPolicyConfig(
        inputs=INPUTS,
        rest=tuple(np.round(home(go1_model()), 6).tolist()),
        action_scale=0.5,
        hidden=tuple(len(given[f"layer_{number}.bias"]) for number in range(num_layers - 1)),
        absent={"cmd_vel": (0.0, 0.0, 0.0)},
    )
    checkpoint_hash = save_checkpoint(
        ROOT / "models/go1_walk",
        kind="mlp_policy",
        config=asdict(config),
        action_spec=robot.action_spec,
        streams=streams,
        statistics={},
        provenance={
            "robot": robot.name,
            "source": "google-deepmind/mujoco_playground, commit d5e6b475, "
            "experimental/sim2sim/onnx/go1_policy.onnx",
            "licence": "Apache-2.0",
            "sha256_of_tensors": hashlib.sha256(path.read_bytes()).hexdigest(),
        },
        weights=weights,
    )
    print(checkpoint_hash)


if __name__ == "__main__":
    main()
