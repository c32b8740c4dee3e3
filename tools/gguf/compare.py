"""Compares two GGUF files key by key and tensor by tensor, and edits copies of them."""

import os
import re

import container
import numpy


def same_values(a, b):
    if a.type != b.type or a.is_array != b.is_array:
        return False
    return a.value == b.value or repr(a.value) == repr(b.value)  # NaN is itself


def short(value):
    text = repr(value.value)
    return f"{value.type_name} {text if len(text) < 60 else text[:57] + '…'}"


def differences(ours, theirs, intended=None, order=True):
    """Sentences, empty when the files say the same. Keys that are `intended` to differ are left out."""
    try:
        a, b, intended, found = container.File(ours), container.File(theirs), intended or (), []
    except (OSError, ValueError) as error:
        return [f"not read: {error}"]
    if a.version != b.version:
        found.append(f"version {a.version}, expected {b.version}")
    keys, expected = ([key for key in file.metadata if key not in intended] for file in (a, b))
    found += [f"key {key} missing ({short(b.metadata[key])})" for key in expected if key not in a.metadata]
    found += [f"key {key} not expected ({short(a.metadata[key])})" for key in keys if key not in b.metadata]
    for key in keys:
        if key in b.metadata and not same_values(a.metadata[key], b.metadata[key]):
            found.append(f"key {key} is {short(a.metadata[key])}, expected {short(b.metadata[key])}")
    if order and not found and keys != expected:
        first = next(i for i, (x, y) in enumerate(zip(keys, expected)) if x != y)
        found.append(f"key {first} is {keys[first]}, expected {expected[first]}")
    names, expected = list(a.tensors), list(b.tensors)
    found += [f"tensor {name} missing" for name in expected if name not in a.tensors]
    found += [f"tensor {name} not expected" for name in names if name not in b.tensors]
    for name in names:
        if name not in b.tensors:
            continue
        x, y = a.tensors[name], b.tensors[name]
        if x.extents != y.extents:
            found.append(f"tensor {name} has extents {x.extents}, expected {y.extents}")
        elif x.type != y.type:
            found.append(f"tensor {name} is {x.type_name}, expected {y.type_name}")
        elif x.data != y.data:
            first = next(i for i, (p, q) in enumerate(zip(x.data, y.data)) if p != q)
            count = sum(p != q for p, q in zip(x.data, y.data)) if len(x.data) < 1 << 20 else "many"
            found.append(f"tensor {name} ({x.type_name}) differs in {count} of {len(x.data)} bytes, first at {first}")
    if order and set(names) == set(expected) and names != expected:
        first = next(i for i, (x, y) in enumerate(zip(names, expected)) if x != y)
        found.append(f"tensor {first} is {names[first]}, expected {expected[first]}")
    return found


def tokenizer(path):
    """The name of the file's kind of tokenizer, or None."""
    value = container.File(path).metadata.get("tokenizer.ggml.model")
    return value.value if value else None


def same_bytes(a, b):
    with open(a, "rb") as x, open(b, "rb") as y:
        return x.read() == y.read()


def decoded(source, out):
    """The same model with every tensor in f32."""
    from gguf import quants
    from gguf.constants import GGMLQuantizationType

    file, tensors = container.File(source), []
    for name, tensor in file.tensors.items():
        values = numpy.frombuffer(tensor.data, numpy.uint8)
        if tensor.type_name == "f32":
            values = values.view(numpy.float32)
        elif tensor.type_name == "f16":
            values = values.view(numpy.float16).astype(numpy.float32)
        else:
            values = quants.dequantize(values, GGMLQuantizationType(tensor.type)).astype(numpy.float32)
        tensors.append((name, tensor.extents, 0, values.tobytes()))
    container.write(out, file.metadata | {"general.file_type": container.Value(4, 0)}, tensors)
    return out


SLIDING = {"gemma2": 2, "gemma3": 6}  # every so-manieth layer looks at everything


def without_layers(source, out, dropped):
    """The same model without some layers, the others renumbered; sliding windows stay with their layers."""
    file = container.File(source)
    architecture = file.metadata["general.architecture"].value
    count = file.metadata[f"{architecture}.block_count"].value
    kept = [layer for layer in range(count) if layer not in dropped]
    metadata = {}
    for key, value in file.metadata.items():
        if key == f"{architecture}.block_count":
            value = container.Value(value.type, len(kept))
        elif key.startswith(f"{architecture}.") and value.is_array and value.type != container.STRING and len(value.value) == count:
            value = container.Value(value.type, [value.value[layer] for layer in kept], True)
        metadata[key] = value
    if architecture in SLIDING:
        period = SLIDING[architecture]
        metadata[f"{architecture}.attention.sliding_window_pattern"] = container.Value(
            7, [layer % period < period - 1 for layer in kept], True)
    tensors = []
    for name, tensor in file.tensors.items():
        layer = re.match(r"blk\.(\d+)\.", name)
        if layer and int(layer[1]) not in kept:
            continue
        if layer:
            name = f"blk.{kept.index(int(layer[1]))}.{name[layer.end():]}"
        tensors.append((name, tensor.extents, tensor.type, tensor.data))
    container.write(out, metadata, tensors)
    return out


def spoiled(source, out):
    """A copy with one weight changed: the largest value of a matrix in the middle, sixteen times as large or its code flipped."""
    file = container.File(source)
    matrices = [tensor for name, tensor in file.tensors.items() if "blk." in name and len(tensor.extents) > 1]
    tensor = matrices[len(matrices) // 2]
    at = file.map.find(bytes(tensor.data[:64]))
    data = bytearray(file.bytes)
    if tensor.type_name == "f32":
        values = numpy.frombuffer(tensor.data, numpy.float32)
        index = int(abs(values).argmax())
        data[at + 4 * index:at + 4 * index + 4] = (values[index] * 16).tobytes()
    else:
        data[at + 8] ^= 0xFF
    with open(out, "wb") as target:
        target.write(data)
    return tensor.name
