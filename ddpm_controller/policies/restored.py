"""What a checkpoint's config and weights make: a network, or an error that names what is wrong."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ddpm_controller.checkpoint import Checkpoint, CheckpointError
from ddpm_controller.given_files import one_line

Config = TypeVar("Config")
Network = TypeVar("Network", bound=nn.Module)


def validated_config(values: Mapping[str, Any], kind: type[Config]) -> Config:
    """Return the config, a dataclass, that ``dataclasses.asdict`` made ``values`` of.

    Also by way of JSON.

    Raises:
        ValueError: If a field is unknown or breaks a rule.
    """
    unknown = sorted(set(values) - {each.name for each in fields(kind)})  # type: ignore[arg-type]
    if unknown:
        raise ValueError(f"unknown fields {unknown} in the config")
    config: Config = TypeAdapter(kind).validate_python(dict(values))
    return config


class NoMoreWeights(TorchFunctionMode):
    """Refuses layers with more weights than a checkpoint has, before their memory is taken.

    A config of a few bytes can describe a network of any size. Layers take their memory by
    ``torch.empty``, which is counted.

    Args:
        most: Number of weights in the checkpoint.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most, self._count = most, 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, which is from torch.

        Raises:
            ValueError: There would be more weights.
        """
        given = dict(kwargs or {})
        if func is torch.empty:
            size = given.get("size", args)
            self._count += math.prod(size if isinstance(size[0], int) else size[0])
            if self._count > self._most:
                raise ValueError(
                    f"the config describes at least {self._count} weights, the file has "
                    f"{self._most}: copy the folder again, or train again"
                )
        return func(*args, **given)


def restored_network(
    checkpoint: Checkpoint,
    config_from: Callable[[Mapping[str, Any]], Any],
    network: Callable[..., Network],
) -> Network:
    """Return the network of a checkpoint.

    Args:
        checkpoint: Checkpoint of any kind.
        config_from: Makes the config that the manifest holds.
        network: Makes the network of config, action spec, streams and statistics.

    Raises:
        CheckpointError: If the config or the weights do not fit.
    """
    manifest = checkpoint.manifest
    try:
        config = config_from(manifest.config)
        with NoMoreWeights(sum(each.numel() for each in checkpoint.weights.values())):
            made = network(config, manifest.action_spec, manifest.streams, manifest.statistics)
        _refuse_other_types(checkpoint.weights, made.state_dict())
        made.load_state_dict(dict(checkpoint.weights))
    except (ValueError, RuntimeError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{checkpoint.folder}: config and weights do not make a {manifest.kind} of this "
            f"release: {one_line(error)}"
        ) from error
    return made


def _refuse_other_types(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse whole numbers where the network has fractions, and the other way round."""
    for name, each in given.items():
        if name in wanted and each.is_floating_point() != wanted[name].is_floating_point():
            raise ValueError(
                f"weight {name!r} is of type {each.dtype}, the network has {wanted[name].dtype}"
            )
