"""OpenVINO on the CPU: the network compiled once, each answer one call without allocation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from ddpm_controller.inference.buffers import RowByRow
from ddpm_controller.inference.engine import TOLERANCE, Answer, EngineError, Served
from ddpm_controller.inference.unet_graph import array_of, kernel_of, unet_graph
from ddpm_controller.networks.unet1d import Convolution1d


class OpenVinoEngine:
    """OpenVINO, with numbers of one type.

    Args:
        name: Name by which it is chosen.
        precision: ``f32`` or ``bf16``: asked for by name, because the default is whatever the
            processor multiplies fastest.
        tolerance: Largest difference to torch of a normalized chunk.
    """

    distribution, extra = "openvino", "openvino"

    def __init__(self, name: str, precision: str, tolerance: float = TOLERANCE) -> None:
        self.name, self.tolerance = name, tolerance
        self._precision = precision

    def bind(self, served: Served) -> Answer:
        """Return what answers for a network.

        Raises:
            EngineError: If the processor does not multiply numbers of this type.
        """
        import openvino

        core = openvino.Core()
        able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if self._precision.upper() not in ("F32", *able):
            raise EngineError(
                f"engine {self.name!r} needs a processor with {self._precision}, this one has "
                f"{', '.join(able)}: use openvino or auto"
            )
        asked = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "INFERENCE_NUM_THREADS": served.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # the core may be a real-time thread's
        }
        rows = RowByRow(served)
        compiled = core.compile_model(_model(served, rows), "CPU", asked)
        request = compiled.create_infer_request()
        for place, array in enumerate((rows.xt, rows.modulation)):
            request.set_input_tensor(place, openvino.Tensor(array, shared_memory=True))
        request.set_output_tensor(0, openvino.Tensor(rows.answer, shared_memory=True))
        return rows.serve(lambda: request.infer())


def _model(served: Served, rows: RowByRow) -> Any:
    import openvino

    operations = _Operations(rows)
    answer = operations.answered(unet_graph(served.unet, operations))
    return openvino.Model([answer], operations.parameters)


class _Operations:
    """The operations in OpenVINO's, on maps (1, C, L)."""

    def __init__(self, rows: RowByRow) -> None:
        from openvino import opset13

        self._of: Any = opset13
        self.parameters = [
            opset13.parameter(list(each.shape), np.float32) for each in (rows.xt, rows.modulation)
        ]

    def given(self) -> Any:
        return self._of.transpose(self.parameters[0], self._whole(0, 2, 1))

    def answered(self, maps: Any) -> Any:
        """Return (1, Tp, C) of maps."""
        return self._of.transpose(maps, self._whole(0, 2, 1))

    def modulations(self, sizes: Sequence[int]) -> list[Any]:
        parts = self._of.variadic_split(self.parameters[1], self._whole(1), self._whole(*sizes))
        return [self._of.unsqueeze(each, self._whole(2)) for each in parts.outputs()]

    def convolved(self, maps: Any, layer: Convolution1d) -> Any:
        return self._convolved(maps, kernel_of(layer), array_of(layer.linear.bias), layer.stride)

    def projected(self, maps: Any, layer: nn.Linear) -> Any:
        return self._convolved(maps, array_of(layer.weight)[:, :, None], array_of(layer.bias), 1)

    def normed_mish(self, maps: Any, layer: nn.GroupNorm) -> Any:
        weight, bias = self._number(array_of(layer.weight)), self._number(array_of(layer.bias))
        normed = self._of.group_normalization(maps, weight, bias, layer.num_groups, layer.eps)
        return self._of.mish(normed)

    def modulated(self, maps: Any, scale: Any, bias: Any) -> Any:
        scaled = self._of.multiply(maps, self._of.add(scale, self._number(np.ones(1))))
        return self._of.add(scaled, bias)

    def doubled(self, maps: Any, columns: int) -> Any:
        length = maps.get_output_shape(0)[2]
        halves = self._of.reshape(maps, self._whole(1, 2, columns // 2, length), False)
        turned = self._of.transpose(halves, self._whole(0, 2, 3, 1))
        return self._of.reshape(turned, self._whole(1, columns // 2, 2 * length), False)

    def joined(self, one: Any, other: Any) -> Any:
        return self._of.concat([one, other], 1)

    def added(self, one: Any, other: Any) -> Any:
        return self._of.add(one, other)

    def _convolved(self, maps: Any, kernel: Any, bias: Any, stride: int) -> Any:
        margin = [kernel.shape[2] // 2]
        found = self._of.convolution(maps, self._number(kernel), [stride], margin, margin, [1])
        return self._of.add(found, self._number(bias[None, :, None]))

    def _whole(self, *numbers: int) -> Any:
        return self._of.constant(np.array(numbers, np.int64))

    def _number(self, numbers: Any) -> Any:
        return self._of.constant(np.ascontiguousarray(numbers, np.float32))
