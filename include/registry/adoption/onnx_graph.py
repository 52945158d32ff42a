"""Read an ONNX graph that was made elsewhere, and write it in the form in which it is served fastest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from include.inference.encoding import identity
from include.inference.runtimes.onnx import MODEL_FILE
from include.inference.tensors import Dtype
from include.registry.adoption.document import Adoption
from include.registry.adoption.inputs import Input, Taken, tensors_of
from include.specs.errors import FactoryError

DTYPES: dict[int, Dtype] = {1: "float32", 11: "float64", 7: "int64", 6: "int32", 9: "bool", 8: "string"}
"""ONNX's numbers of types."""
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
_FLOAT, _DOUBLE = 1, 11


def take(source: Path, folder: Path, wanted: Adoption) -> Taken:
    """Write the graph into the package, without what is not served: the label, and a list of dictionaries.

    Raises:
        FactoryError: it is no single file, needs operators of others, or its inputs are not the features.
    """
    import onnx

    model = _read(onnx, source)
    graph = model.graph
    constants = {one.name for one in graph.initializer}
    inputs = [_input(one) for one in graph.input if one.name not in constants]
    _keep_scores(onnx, graph, wanted, source)
    fields = wanted.fields()
    only = inputs[0]
    if len(inputs) == 1 and only.dtype == "float32" and not only.flat and (encoding := identity(fields)) is not None:
        if only.width not in (None, len(fields)):
            raise FactoryError(f"{source}: takes {only.width} columns, the manifest names {len(fields)}; correct it")
        _fix_width(graph, only.name, len(fields))
        _add_link(onnx, graph, wanted)
        encoding.save(folder)
        runtime = "onnx"
    else:
        tensors, fields = tensors_of(inputs, fields, wanted.model_copy(update={"output": ""}), source)
        tensors.save(folder)
        runtime = "onnx_tensors"
    (folder / MODEL_FILE).write_bytes(model.SerializeToString())
    return Taken(runtime, fields, "onnx")


def _read(onnx: Any, source: Path) -> Any:
    try:
        model = onnx.load(str(source), load_external_data=False)
    except Exception as error:  # protobuf's errors and ONNX's own have no common root
        raise FactoryError(f"{source}: is no ONNX model ({' '.join(str(error).split())[:200]})") from error
    if any(one.data_location == onnx.TensorProto.EXTERNAL for one in model.graph.initializer):
        raise FactoryError(
            f"{source}: keeps weights in other files, whose paths it names itself; save it as a single file: "
            "onnx.save(model, file, save_as_external_data=False)"
        )
    unknown = sorted({one.domain for one in model.opset_import} - set(DOMAINS))
    if unknown:
        raise FactoryError(
            f"{source}: needs operators of {', '.join(unknown)}, native code of others; export it without them"
        )
    return model


def _input(value: Any) -> Input:
    kind = value.type.tensor_type
    dtype = DTYPES.get(kind.elem_type)
    if dtype is None:
        raise FactoryError(
            f"input '{value.name}' has a type that no feature has; export the model with numbers or strings"
        )
    sizes = [one.dim_value or None for one in kind.shape.dim]
    return Input(value.name, dtype, len(sizes) < 2, sizes[-1] if len(sizes) > 1 else None)


def _keep_scores(onnx: Any, graph: Any, wanted: Adoption, source: Path) -> None:
    """Leave one output: the one that was asked for, or the last one of numbers; a list of dictionaries is undone."""
    makers = {output: node for node in graph.node for output in node.output}
    chosen = [one for one in graph.output if one.name == wanted.output] if wanted.output else list(graph.output)[-1:]
    if not chosen:
        known = ", ".join(one.name for one in graph.output)
        raise FactoryError(f"{source}: has no output '{wanted.output}'; it has: {known}; correct the manifest")
    kept = chosen[0]
    maker = makers.get(kept.name)
    if maker is not None and maker.op_type == "ZipMap":
        _same_classes(onnx, maker, wanted, source)
        kept = onnx.helper.make_tensor_value_info(maker.input[0], _FLOAT, None)
        graph.node.remove(maker)
    elif kept.type.tensor_type.elem_type not in (_FLOAT, _DOUBLE):
        known = ", ".join(one.name for one in graph.output)
        raise FactoryError(
            f"{source}: output '{kept.name}' holds no numbers; name the one with the scores in the manifest (output: "
            f"one of {known})"
        )
    kept = onnx.ValueInfoProto.FromString(kept.SerializeToString())
    del graph.output[:]
    graph.output.append(kept)


def _same_classes(onnx: Any, zipmap: Any, wanted: Adoption, source: Path) -> None:
    named = onnx.helper.get_attribute_value(next(iter(zipmap.attribute)))
    labels = [label.decode() if isinstance(label, bytes) else str(label) for label in named]
    ours = [str(label) for label in wanted.classes or ()]
    if sorted(labels) == sorted(ours) and labels != ours:
        raise FactoryError(
            f"{source}: its probabilities are in the order {labels}, the manifest says {ours}; correct it"
        )


def _fix_width(graph: Any, name: str, width: int) -> None:
    """Write the number of columns, and an open number of rows, into the graph's input."""
    kind = next(one for one in graph.input if one.name == name).type.tensor_type
    while len(kind.shape.dim) < 2:
        kind.shape.dim.add()
    kind.shape.dim[0].Clear()
    kind.shape.dim[1].dim_value = width


def _add_link(onnx: Any, graph: Any, wanted: Adoption) -> None:
    """Let the graph itself go from logits to probabilities."""
    if wanted.link == "none":
        return
    before = graph.output[0].name
    kind, more = ("Sigmoid", {}) if wanted.task == "binary" else ("Softmax", {"axis": -1})
    graph.node.append(onnx.helper.make_node(kind, [before], ["factory_scores"], **more))
    del graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info("factory_scores", _FLOAT, None))
