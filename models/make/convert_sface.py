"""Turn OpenCV Zoo's SFace into the ONNX file that facecli ships: half the size, and faster.

    python models/make/convert_sface.py face_recognition_sface_2021dec.onnx sface.onnx

What changes: PRelu, Dropout and BatchNormalization go as `rewrite_prelu` says; the batch, fixed at
1, becomes free; and weights of `LARGE` numbers or more are kept as float16, each with a Cast to
float32 before it is used, which onnxruntime does once, when it loads the network. So all is
computed in float32, with weights rounded to 11 bits: templates keep a cosine of 0.99999 to the
source's. The same input gives the same bytes every time.

Not handled, and refused: networks without SFace's input and output, and weights beyond float16.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facecli.common.errors import FacecliError, InputError, ModelError
from facecli.recognition.model_zoo.optimise import rewrite_prelu

INPUT, OUTPUT = "data", "fc1"
LARGE = 1024  # numbers of a tensor; what is smaller makes 1 % of the file


def convert(source: bytes) -> onnx.ModelProto:
    """SFace's ONNX bytes -> the same network, any batch, its large weights as float16.

    Raises ModelError for another network.
    """
    try:
        model = onnx.load_from_string(source)
    except Exception as error:  # protobuf's own types share no base
        raise ModelError(f"this is not an ONNX file: {error}") from error
    names = ([v.name for v in model.graph.input][:1], [v.name for v in model.graph.output])
    if names != ([INPUT], [OUTPUT]):
        raise ModelError("this is not SFace: its input and output are not there")
    model = rewrite_prelu(model)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    halve(model.graph)
    model.producer_name = "convert_sface"
    helper.set_model_props(model, {"source_sha256": hashlib.sha256(source).hexdigest()})
    onnx.checker.check_model(model, full_check=True)
    return model


def halve(graph: onnx.GraphProto) -> None:
    """Keep large weights as float16, and cast each to float32 under its old name."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LARGE:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ModelError(f"{tensor.name} holds numbers that float16 cannot")
        short = f"{tensor.name}/float16"
        casts.append(helper.make_node("Cast", [short], [tensor.name], short, to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), short))
    nodes = [*casts, *graph.node]
    graph.ClearField("node")
    graph.node.extend(nodes)


def main() -> int:
    """Convert the file named on the command line; the exit code is the error's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="OpenCV Zoo's file")
    parser.add_argument("target", type=Path, help="the ONNX file to write")
    args = parser.parse_args()
    try:
        if not args.source.is_file():
            raise InputError(f"{args.source} is not a file; name OpenCV Zoo's ONNX file")
        model = convert(args.source.read_bytes())
    except FacecliError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    data = model.SerializeToString(deterministic=True)
    args.target.write_bytes(data)
    print(f"{hashlib.sha256(data).hexdigest()}  {args.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
