#!/usr/bin/env python3
"""Makes golden/gguf from the smallest fixture and from ggml's own quantisers.

    golden.py FIXTURE GOLDEN        run by tools/make-gguf-fixtures --golden

- tiny/: the Hugging Face directory; tiny-TYPE.gguf: the converter's files of it (f16, q8_0) and the quantise tool's (q4_0);
  tiny-masks.safetensors: a mask; tiny-outputs.safetensors: `input_ids` and the `logits` of transformers, in f32.
- blocks.safetensors: `values` [rows, 256] and, for every type that ggml can write, `TYPE.bytes` [rows, bytes] as ggml
  writes them and `TYPE.values` [rows, 256] as it reads those. Types it writes only with an importance matrix get noise for
  bytes. Rows: plain, tiny, huge, zero, one-sided, half zero, constant, alternating.
"""

import ctypes
import json
import os
import shutil
import sys

import container
import llama
import numpy
import quantise

WRITTEN = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "mxfp4", "tq1_0",
           "tq2_0", "iq3_s")
READ = ("iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq1_s", "iq1_m")
ROWS = ("plain", "tiny", "huge", "zero", "one-sided", "half zero", "constant", "alternating")
READERS = {name: name[:-1] + "K" if name.endswith("_k") else name for name in WRITTEN + READ}


def rows():
    draw = numpy.random.default_rng(7)
    plain = draw.standard_normal((len(ROWS), 256)).astype(numpy.float32)
    plain[1] *= 1e-7
    plain[2] *= 1e4
    plain[3] = 0
    plain[4] = abs(plain[4])
    plain[5, ::2] = 0
    plain[5, 32:64] = 0
    plain[6] = -0.75
    plain[7] = numpy.where(numpy.arange(256) % 2 == 0, 1.5, -1.5)
    return plain


def decode(lib, name, data, count):
    out = numpy.empty(count, numpy.float32)
    function = getattr(lib, f"dequantize_row_{READERS[name]}")
    function.restype, function.argtypes = None, [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64]
    function(data, out.ctypes.data, count)
    return out


def noise(name, count, draw):
    """Random bytes with sound scales: halves from a tenth to one."""
    size = container.TYPES[container.IDS[name]][2]
    data = draw.integers(0, 256, (count, size), dtype=numpy.uint8)
    if name == "iq1_m":  # its scale is spread over the upper nibbles of four 16-bit words
        scale = numpy.float16(0.25).view(numpy.uint16)
        for word in range(4):
            high = 48 + 2 * word + 1
            data[:, high] = (data[:, high] & 0x0F) | (((int(scale) >> (4 * word)) & 15) << 4)
    else:
        data[:, :2] = draw.uniform(0.1, 1, (count, 1)).astype(numpy.float16).view(numpy.uint8)
    return data


def blocks():
    lib, values, draw = llama.library(), rows(), numpy.random.default_rng(11)
    tensors = {"values": values}
    for name in WRITTEN:
        source = values if name != "iq4_nl" else values[[0, 1, 2, 4, 6, 7]]  # of zeros it leaves bytes as they were
        data = quantise.blocks(lib, source, name, 256)
        tensors[f"{name}.bytes"] = numpy.frombuffer(data, numpy.uint8).reshape(len(source), -1)
        tensors[f"{name}.values"] = decode(lib, name, data, source.size).reshape(source.shape)
    for name in READ:
        data = noise(name, 3, draw)
        tensors[f"{name}.bytes"] = data
        tensors[f"{name}.values"] = decode(lib, name, data.tobytes(), 3 * 256).reshape(3, 256)
    return tensors


def main(fixture, golden):
    from safetensors.numpy import save_file

    shutil.rmtree(golden, ignore_errors=True)
    os.makedirs(golden)
    shutil.copytree(os.path.join(fixture, "tiny"), os.path.join(golden, "tiny"))
    for type in ("f16", "q8_0", "q4_0"):
        shutil.copy(os.path.join(fixture, "reference", f"{type}.gguf"), os.path.join(golden, f"tiny-{type}.gguf"))
    shutil.copy(os.path.join(fixture, "ragged.safetensors"), os.path.join(golden, "tiny-masks.safetensors"))
    with open(os.path.join(fixture, "fixture.json")) as file:
        tokens = json.load(file)["tokens"]
    save_file({"input_ids": numpy.array([tokens], numpy.int64),
               "logits": numpy.load(os.path.join(fixture, "outputs.npy"))[None]}, os.path.join(golden, "tiny-outputs.safetensors"))
    save_file(blocks(), os.path.join(golden, "blocks.safetensors"), {"rows": ", ".join(ROWS)})
    for folder, _, names in os.walk(golden):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o644)


if __name__ == "__main__":
    main(*sys.argv[1:])
