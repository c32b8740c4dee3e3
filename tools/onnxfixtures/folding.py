"""Units that contribute a constant, put into graphs that PyTorch exported: weights zero, biases as they are."""

import numpy
import onnx
from onnx import numpy_helper

# The ends of the names of the biases that survive every exporter: values (with the share of a fused bias), first matrix.
VALUES = (("attention.self.value.bias", 0, 1), ("v_lin.bias", 0, 1), ("attn.c_attn.bias", 2, 3), ("attention.value.bias", 0, 1))
INNER = ("intermediate.dense.bias", "lin1.bias", "mlp.c_fc.bias")


def product(graph, bias):
    """(initializer, transposed) of the matrix whose product a bias is added to."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if bias not in node.input:
            continue
        if node.op_type == "Gemm":
            flags = {a.name: a.i for a in node.attribute}
            return tensors[node.input[1]], bool(flags.get("transB"))
        other = next(name for name in node.input if name != bias)
        maker = makers.get(other)
        while maker is not None and maker.op_type in ("Reshape", "Identity"):
            maker = makers.get(maker.input[0])
        if maker is not None and maker.op_type in ("MatMul", "Gemm") and maker.input[1] in tensors:
            flags = {a.name: a.i for a in maker.attribute}
            return tensors[maker.input[1]], maker.op_type == "Gemm" and bool(flags.get("transB"))
    return None, False


def silence(graph, bias, places):
    """Sets the columns of the matrix before a bias to zero; False where there is no such matrix."""
    matrix, is_transposed = product(graph, bias)
    if matrix is None:
        return False
    numbers = numpy_helper.to_array(matrix).copy()
    (numbers.T if is_transposed else numbers)[:, places] = 0
    matrix.CopyFrom(numpy_helper.from_array(numbers, matrix.name))
    return True


def with_constants(source, target, head_dim):
    """Writes a graph in which head 1 and neurons 2 and 5 of the first layer are constants; the counts that became so."""
    model = onnx.load(source)
    graph = model.graph
    names = [tensor.name for tensor in graph.initializer]
    sizes = {tensor.name: tensor.dims[0] for tensor in graph.initializer if len(tensor.dims) == 1}
    heads = neurons = 0
    for ending, part, parts in VALUES:
        bias = next((name for name in names if name.endswith(ending)), None)
        if bias:
            start = sizes[bias] // parts * part + head_dim
            heads += silence(graph, bias, slice(start, start + head_dim))
            break
    for ending in INNER:
        bias = next((name for name in names if name.endswith(ending)), None)
        if bias:
            neurons += 2 * silence(graph, bias, [2, 5])
            break
    onnx.save(model, target)
    return heads, neurons
