"""LeRobot takes a data set: loads it, compares it with its own tables, and trains for a step.

Run with the Python of an environment that has LeRobot; the last line is JSON:

    PYTHON benchmarks/lerobot_peer.py DATA_SET
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

_MISSING = re.compile(r"operator (torchvision::\w+) does not exist")


def main() -> None:
    """Look at the data set that is named."""
    torch.set_num_threads(1)
    library = _with_torchvision()
    from lerobot import __version__

    loaded = _loaded(Path(sys.argv[1]))
    answer = {"version": __version__, "frames": len(loaded), "error": _largest_error(loaded)}
    print(json.dumps({**answer, "loss": _loss_of_a_step(loaded)}))
    del library


def _with_torchvision() -> Any:
    """Import torchvision beside a torch for which its operators are not built; none is called."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    while True:
        try:
            import torchvision
        except RuntimeError as error:
            missing = _MISSING.search(str(error))
            if missing is None:
                raise
            library.define(f"{missing[1].split('::')[1]}(Tensor boxes) -> Tensor")
        else:
            break
    if not hasattr(torchvision.io, "VideoReader"):
        torchvision.io.VideoReader = VideoReader
        torchvision.set_video_backend = lambda name: None
    return library  # its operators are gone with it


class VideoReader:
    """What LeRobot calls of torchvision's reader of the same name, which newer ones lack.

    Args:
        path: Video file.
        stream: Kind of stream.
    """

    def __init__(self, path: str, stream: str) -> None:
        import av

        self.container = av.open(path)
        self._stream = self.container.streams.get(**{stream: 0})[0]

    def seek(self, moment_s: float, keyframes_only: bool) -> None:
        """Go to the last whole frame up to a moment."""
        self.container.seek(int(moment_s / self._stream.time_base), stream=self._stream)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield pictures (3, H, W) with their moments, s."""
        for frame in self.container.decode(self._stream):
            pixels = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
            yield {"data": pixels, "pts": float(frame.pts * frame.time_base)}


def _loaded(folder: Path) -> Any:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    period_s = 1.0 / json.loads((folder / "meta" / "info.json").read_text())["fps"]
    features = json.loads((folder / "meta" / "info.json").read_text())["features"]
    moments: dict[str, list[float]] = {
        name: [-period_s, 0.0] for name in features if name.startswith("observation")
    }
    moments["action"] = [period_s * step for step in range(-1, 15)]
    return LeRobotDataset(
        "local/data", root=folder, delta_timestamps=moments, video_backend="pyav"
    )


def _largest_error(loaded: Any) -> float:
    """Return how far its states are from the table's at the most."""
    import pyarrow.parquet

    rows = [
        row
        for path in sorted(Path(loaded.root).glob("data/*/*.parquet"))
        for row in pyarrow.parquet.read_table(path)["observation.state"].to_pylist()
    ]
    errors = [
        (loaded[i]["observation.state"][-1] - torch.tensor(rows[i])).abs().max().item()
        for i in range(0, len(loaded), 7)
    ]
    return max(errors)


def _loss_of_a_step(loaded: Any) -> float:
    """Return the loss of a batch of which a small diffusion policy learns."""
    from lerobot.configs.types import FeatureType
    from lerobot.datasets.utils import dataset_to_policy_features
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
    from lerobot.policies.factory import make_pre_post_processors

    features = dataset_to_policy_features(loaded.meta.features)
    outputs = {k: each for k, each in features.items() if each.type is FeatureType.ACTION}
    config = DiffusionConfig(
        input_features={k: each for k, each in features.items() if k not in outputs},
        output_features=outputs,
        down_dims=(16, 32),
        crop_shape=None,
        device="cpu",
    )
    policy = DiffusionPolicy(config)
    before, _ = make_pre_post_processors(config, dataset_stats=loaded.meta.stats)
    batch = next(iter(torch.utils.data.DataLoader(loaded, batch_size=4)))
    loss, _ = policy.forward(before(batch))
    loss.backward()
    torch.optim.Adam(policy.parameters()).step()
    return round(loss.item(), 4)


if __name__ == "__main__":
    main()
