#!/usr/bin/env bash
# OpenVINO's save_model stores float32 weights as float16 unless compress_to_fp16=False is given: a model that is saved
# and read again computes other numbers, also where float32 is asked for when it is compiled.
# Seen: openvino 2026.4.1 on Python 3.11, 2026-11. Nothing is saved here: an engine is compiled from the weights.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6

seen=$("$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import numpy as np
import openvino
from openvino import opset13

random = np.random.default_rng(0)
weights = random.standard_normal((64, 64)).astype(np.float32)
given = random.standard_normal((1, 64)).astype(np.float32)
parameter = opset13.parameter([1, 64], np.float32)
model = openvino.Model([opset13.matmul(parameter, opset13.constant(weights), False, False)], [parameter])
core = openvino.Core()
for words, compressed in (("as it is", {}), ("compress_to_fp16=False", {"compress_to_fp16": False})):
    path = f"{sys.argv[1]}/model.xml"
    openvino.save_model(model, path, **compressed)
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled([given])[0]
    apart = np.abs(found - given.astype(np.float64) @ weights).max()
    print(f"{words}: {'off by more than 1e-4' if apart > 1e-4 else 'equal within 1e-4'}")
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
as it is: off by more than 1e-4
compress_to_fp16=False: equal within 1e-4
EXPECTED
echo "as seen: a saved model has weights of float16 unless it is told otherwise"
