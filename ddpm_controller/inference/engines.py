"""Every engine by its name."""

from ddpm_controller.inference.engine import Engine
from ddpm_controller.inference.onnx_engine import OnnxEngine
from ddpm_controller.inference.openvino_engine import OpenVinoEngine
from ddpm_controller.inference.torch_engine import TorchEngine

ENGINES: dict[str, Engine] = {
    each.name: each
    for each in (
        TorchEngine(),
        OpenVinoEngine("openvino", "f32"),
        OnnxEngine(),
        # Weights of 8 bits of mantissa: 1e-2 to 4e-2 of a normalized chunk were measured.
        OpenVinoEngine("openvino_bf16", "bf16", tolerance=0.1),
    )
}
