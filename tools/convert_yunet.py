"""Turn OpenCV Zoo's YuNet into the ONNX file that facecli ships: the same network at any size.

    python tools/convert_yunet.py face_detection_yunet_2023mar.onnx yunet.onnx

What changes: height and width, fixed at 640 in the source, become free, and the shapes of the
tensors in between, which follow from them, are dropped. No weight and no operator is touched, and
OpenCV reads the result, too. The same input gives the same bytes every time.

Not handled, and refused: networks without YuNet's input and heads. Needs the `convert` extra.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import onnx

from facecli.errors import FacecliError, InputError, ModelError
from facecli.yunet import HEADS


def convert(source: bytes) -> onnx.ModelProto:
    """YuNet's ONNX bytes -> the same with `input` (1, 3, height, width), both multiples of 32.

    Raises ModelError for another network.
    """
    try:
        model = onnx.load_from_string(source)
    except Exception as error:  # protobuf's own types share no base
        raise ModelError(f"this is not an ONNX file: {error}") from error
    graph = model.graph
    names = ([v.name for v in graph.input], sorted(v.name for v in graph.output))
    if names != (["input"], sorted(HEADS)):
        raise ModelError("this is not YuNet: its input and heads are not there")
    del graph.value_info[:]
    _, _, height, width = graph.input[0].type.tensor_type.shape.dim
    height.dim_param, width.dim_param = "height", "width"
    for head in graph.output:
        cells = head.type.tensor_type.shape.dim[1]
        cells.dim_param = f"cells_{head.name.split('_')[1]}"
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> int:
    """Convert the file named on the command line; the exit code is the error's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="OpenCV Zoo's file")
    parser.add_argument("target", type=Path, help="the ONNX file to write")
    args = parser.parse_args()
    try:
        if not args.source.is_file():
            raise InputError(f"{args.source} is not a file; name the ONNX file")
        data = convert(args.source.read_bytes()).SerializeToString(deterministic=True)
    except FacecliError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    args.target.write_bytes(data)
    print(f"{hashlib.sha256(data).hexdigest()}  {args.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
