"""ONNX Runtime on the CPU: the network as one ONNX graph in memory, compiled once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from ddpm_controller.inference.buffers import RowByRow
from ddpm_controller.inference.engine import TOLERANCE, Answer, Served
from ddpm_controller.inference.unet_graph import array_of, kernel_of, unet_graph
from ddpm_controller.networks.unet1d import Convolution1d

XT, MODULATION, ANSWER = "xt", "modulation", "answer"
_OPSET, _IR_VERSION = 21, 10
"""From this operator set on, a group normalization is one node."""


class OnnxEngine:
    """ONNX Runtime, float32."""

    name, distribution, extra = "onnx", "onnxruntime", "onnx"
    tolerance = TOLERANCE

    def bind(self, served: Served) -> Answer:
        """Return what answers for a network."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = served.threads
        options.inter_op_num_threads = 1
        # Threads that wait by spinning take several times the processor.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        rows = RowByRow(served)
        session = onnxruntime.InferenceSession(
            _model(served, rows), options, providers=["CPUExecutionProvider"]
        )
        binding = session.io_binding()
        value = onnxruntime.OrtValue.ortvalue_from_numpy  # shares the memory
        binding.bind_ortvalue_input(XT, value(rows.xt))
        binding.bind_ortvalue_input(MODULATION, value(rows.modulation))
        binding.bind_ortvalue_output(ANSWER, value(rows.answer))
        return rows.serve(lambda: session.run_with_iobinding(binding))


def _model(served: Served, rows: RowByRow) -> bytes:
    """Return the network as the text of an ONNX file."""
    from onnx import TensorProto, helper

    operations = _Operations()
    answer = operations.transposed(unet_graph(served.unet, operations))
    nodes = [*operations.nodes, helper.make_node("Identity", [answer], [ANSWER])]

    def value(name: str, array: Any) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)

    graph = helper.make_graph(
        nodes,
        "unet",
        [value(XT, rows.xt), value(MODULATION, rows.modulation)],
        [value(ANSWER, rows.answer)],
        operations.constants,
    )
    versions = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=_IR_VERSION)
    text: bytes = model.SerializeToString()
    return text


class _Operations:
    """The operations as ONNX nodes, on maps (1, C, L); a node is the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._one = self._constant(np.ones(1, np.float32))

    def given(self) -> str:
        return self.transposed(XT)

    def transposed(self, maps: str) -> str:
        """Return (1, L, C) of (1, C, L), and the other way round."""
        return self._node("Transpose", maps, perm=[0, 2, 1])

    def modulations(self, sizes: Sequence[int]) -> list[str]:
        from onnx import helper

        column = self._node("Unsqueeze", MODULATION, self._whole(2))
        names = [f"modulation{number}" for number in range(len(sizes))]
        self.nodes.append(helper.make_node("Split", [column, self._whole(*sizes)], names, axis=1))
        return names

    def convolved(self, maps: str, layer: Convolution1d) -> str:
        return self._convolved(maps, kernel_of(layer), array_of(layer.linear.bias), layer.stride)

    def projected(self, maps: str, layer: nn.Linear) -> str:
        kernel = array_of(layer.weight)[:, :, None]
        return self._convolved(maps, kernel, array_of(layer.bias), 1)

    def normed_mish(self, maps: str, layer: nn.GroupNorm) -> str:
        weight, bias = (self._constant(array_of(each)) for each in (layer.weight, layer.bias))
        groups, epsilon = layer.num_groups, layer.eps
        normed = self._node(
            "GroupNormalization", maps, weight, bias, num_groups=groups, epsilon=epsilon
        )
        return self._node("Mish", normed)

    def modulated(self, maps: str, scale: str, bias: str) -> str:
        scaled = self._node("Mul", maps, self._node("Add", scale, self._one))
        return self._node("Add", scaled, bias)

    def doubled(self, maps: str, columns: int) -> str:
        rows = self._node("Transpose", maps, perm=[0, 2, 1])  # (1, L, 2 C)
        halves = self._node("Reshape", rows, self._whole(1, -1, columns // 2))  # (1, 2 L, C)
        return self.transposed(halves)

    def joined(self, one: str, other: str) -> str:
        return self._node("Concat", one, other, axis=1)

    def added(self, one: str, other: str) -> str:
        return self._node("Add", one, other)

    def _convolved(self, maps: str, kernel: Any, bias: Any, stride: int) -> str:
        weights = (self._constant(kernel), self._constant(bias))
        margin = kernel.shape[2] // 2
        return self._node("Conv", maps, *weights, strides=[stride], pads=[margin, margin])

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _whole(self, *numbers: int) -> str:
        return self._constant(np.array(numbers, np.int64))

    def _constant(self, array: Any) -> str:
        from onnx import numpy_helper

        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name
