"""OpenVINO on the CPU: the network compiled once, each answer one call without allocation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from ddpm_controller.inference.buffers import RowByRow
from ddpm_controller.inference.engine import TOLERANCE, Answer, EngineError, Served
from ddpm_controller.inference.unet_graph import array_of, unet_graph
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
        return rows.serve(lambda: request.infer(share_outputs=True))


def _model(served: Served, rows: RowByRow) -> Any:
    import openvino

    operations = _Operations(rows)
    answer = operations.answered(unet_graph(served.unet, operations))
    return openvino.Model([answer], operations.parameters)


class _Operations:
    """The operations in OpenVINO's, on rows (L, C).

    A convolution is a product of gathered rows: on short, wide maps faster than OpenVINO's own.
    """

    def __init__(self, rows: RowByRow) -> None:
        from openvino import opset13

        self._of: Any = opset13
        self.parameters = [
            opset13.parameter(list(each.shape), np.float32) for each in (rows.xt, rows.modulation)
        ]

    def given(self) -> Any:
        return self._of.squeeze(self.parameters[0], self._whole(0))

    def answered(self, maps: Any) -> Any:
        """Return (1, L, C) of rows."""
        return self._of.unsqueeze(maps, self._whole(0))

    def modulations(self, sizes: Sequence[int]) -> list[Any]:
        parts = self._of.variadic_split(self.parameters[1], self._whole(1), self._whole(*sizes))
        return list(parts.outputs())

    def convolved(self, maps: Any, layer: Convolution1d) -> Any:
        (length, columns), size = maps.get_output_shape(0), layer.kernel_size
        margins = self._whole(size // 2, 0)
        zero = self._of.constant(np.float32(0))
        padded = self._of.pad(maps, margins, margins, "constant", zero)
        places = np.arange(0, length, layer.stride)[:, None] + np.arange(size)
        gathered = self._of.gather(padded, self._of.constant(places), self._whole(0))
        windows = self._of.reshape(gathered, self._whole(len(places), size * columns), False)
        return self.projected(windows, layer.linear)

    def projected(self, maps: Any, layer: nn.Linear) -> Any:
        weight, bias = self._number(array_of(layer.weight)), array_of(layer.bias)[None]
        return self._of.add(self._of.matmul(maps, weight, False, True), self._number(bias))

    def normed_mish(self, maps: Any, layer: nn.GroupNorm) -> Any:
        length, columns = maps.get_output_shape(0)
        shape = self._whole(length, layer.num_groups, columns // layer.num_groups)
        groups = self._of.reshape(maps, shape, False)
        normed = self._of.mvn(groups, self._whole(0, 2), True, layer.eps, "inside_sqrt")
        normed = self._of.reshape(normed, self._whole(length, columns), False)
        weight, bias = (self._number(array_of(e)[None]) for e in (layer.weight, layer.bias))
        return self._of.mish(self._of.add(self._of.multiply(normed, weight), bias))

    def modulated(self, maps: Any, scale: Any, bias: Any) -> Any:
        scaled = self._of.multiply(maps, self._of.add(scale, self._number(np.ones(1))))
        return self._of.add(scaled, bias)

    def doubled(self, maps: Any, columns: int) -> Any:
        length = maps.get_output_shape(0)[0]
        return self._of.reshape(maps, self._whole(2 * length, columns // 2), False)

    def joined(self, one: Any, other: Any) -> Any:
        return self._of.concat([one, other], 1)

    def added(self, one: Any, other: Any) -> Any:
        return self._of.add(one, other)

    def _whole(self, *numbers: int) -> Any:
        return self._of.constant(np.array(numbers, np.int64))

    def _number(self, numbers: Any) -> Any:
        return self._of.constant(np.ascontiguousarray(numbers, np.float32))
