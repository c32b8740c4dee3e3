#!/usr/bin/env python3
"""llama.cpp's quantise tool: its choice of a type per tensor (src/llama-quant.cpp), on ggml's own quantisers.

    quantise.py SOURCE.gguf OUT.gguf MIX [THREADS]

The wheel exports ggml_quantize_chunk but not llama_model_quantize, so the choices are stated here: for models without
experts, without an importance matrix, and with at most eight query heads to a key/value head in small sizes.
"""

import re
import sys
from concurrent.futures import ThreadPoolExecutor

import container

# file type: (number in general.file_type, type of a tensor without a choice of its own)
MIXES = {
    "q4_0": (2, "q4_0"), "q4_1": (3, "q4_1"), "q8_0": (7, "q8_0"), "q5_0": (8, "q5_0"), "q5_1": (9, "q5_1"),
    "q2_k": (10, "q2_k"), "q3_k_s": (11, "q3_k"), "q3_k_m": (12, "q3_k"), "q3_k_l": (13, "q3_k"), "q4_k_s": (14, "q4_k"),
    "q4_k_m": (15, "q4_k"), "q5_k_s": (16, "q5_k"), "q5_k_m": (17, "q5_k"), "q6_k": (18, "q6_k"), "iq4_nl": (25, "iq4_nl"),
    "iq3_s": (26, "iq3_s"), "iq4_xs": (30, "iq4_xs"), "tq1_0": (36, "tq1_0"), "tq2_0": (37, "tq2_0")}
FALLBACK = {"iq4_xs": "iq4_nl", "iq3_s": "iq4_nl", "q2_k": "q4_0", "q3_k": "q4_0", "tq1_0": "q4_0", "tq2_0": "q4_0",
            "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0"}
KEPT = ("_norm.weight", "ffn_gate_inp.weight", "attn_rel_b.weight", ".position_embd")
PARTS = ("attn_qkv", "attn_v", "attn_k", "attn_q", "attn_output", "ffn_up", "ffn_gate", "ffn_down")


def order(name):
    """llama.cpp's loader sorts tensors by layer, then by name."""
    layer = re.match(r"blk\.(\d+)\.", name)
    return (int(layer[1]) if layer else -1, name.encode())


def part_of(name):
    if name in ("output.weight", "token_embd.weight"):
        return name.removesuffix(".weight")
    return next((part for part in PARTS if (f"{part}.weight" if part.startswith("attn") else part) in name), None)


def allows(name, extents):
    return (sum(extent > 1 for extent in extents[1:]) > 0 and name.endswith("weight")
            and not any(word in name for word in KEPT) and name not in ("position_embd.weight", "token_types.weight"))


class Chooser:
    """Types in the order the tool visits the tensors: some choices count how many came before."""

    def __init__(self, metadata, names, mix):
        self.mix, self.default = mix, MIXES[mix][1]
        self.architecture = metadata["general.architecture"].value
        value = lambda key, other: metadata[f"{self.architecture}.{key}"].value if f"{self.architecture}.{key}" in metadata else other
        first = lambda v: v[0] if isinstance(v, list) else v
        heads = first(value("attention.head_count", 0))
        groups = first(value("attention.head_count_kv", heads))
        self.ratio = heads // groups if groups else 0
        self.layers = value("block_count", 0)
        self.is_tied = "output.weight" not in names
        self.values = sum(part_of(name) in ("attn_v", "attn_qkv") for name in names)
        self.seen = {"v": 0, "down": 0}

    def more(self, index, count):
        return index < count // 8 or index >= 7 * count // 8 or (index - count // 8) % 3 == 2

    def type(self, name, extents):
        mix, part, type = self.mix, part_of(name), self.default
        falcon = self.architecture == "falcon"
        if part == "output" or (self.is_tied and part == "token_embd"):
            if falcon or extents[0] % container.TYPES[container.IDS[type]][1]:
                type = "q8_0"
            elif type != "q8_0":
                type = "q6_k"
        elif part == "token_embd":
            if mix in ("tq1_0", "tq2_0"):
                type = "q4_k"
        elif part in ("attn_v", "attn_qkv"):
            index, count = self.seen["v"], self.values
            if mix == "q2_k":
                type = "q4_k" if self.ratio >= 4 else "q3_k"
            elif mix == "iq3_s" and self.ratio >= 4:
                type = "q4_k"
            elif mix == "q3_k_m":
                type = "q5_k" if index < 2 else "q4_k"
            elif mix == "q3_k_l":
                type = "q5_k"
            elif mix in ("iq4_nl", "iq4_xs") and self.ratio >= 4:
                type = "q5_k"
            elif mix in ("q4_k_m", "q5_k_m") and self.more(index, count):
                type = "q6_k"
            elif mix == "q4_k_s" and index < 4:
                type = "q5_k"
            self.seen["v"] += 1
        elif part == "ffn_down":
            index, count = self.seen["down"], self.layers
            if mix == "q2_k":
                type = "q3_k"
            elif mix == "q3_k_m":
                type = "q5_k" if index < count // 16 else "q4_k" if not falcon or self.more(index, count) else "q3_k"
            elif mix == "q3_k_l":
                type = "q4_k" if falcon else "q5_k"
            elif mix == "q4_k_m":
                if falcon:
                    type = "q6_k" if index < count // 16 else "q5_k" if self.more(index, count) else "q4_k"
                elif self.more(index, count):
                    type = "q6_k"
            elif index < count // 8 and mix in ("iq4_nl", "iq4_xs"):
                type = "q5_k"
            elif mix == "q5_k_m" and self.more(index, count):
                type = "q6_k"
            elif mix == "q4_k_s" and not falcon and index < count // 8:
                type = "q5_k"
            self.seen["down"] += 1
        elif part == "attn_output":
            if not falcon:
                type = {"q2_k": "q3_k", "q3_k_m": "q4_k", "q3_k_l": "q5_k"}.get(mix, type)
            elif mix == "q3_k_l":
                type = "q4_k"
        return self.fitting(type, extents[0])

    def fitting(self, type, columns):
        def fits(name):
            return columns % container.TYPES[container.IDS[name]][1] == 0

        if not fits(type):
            type = FALLBACK.get(type, type)
        return type if fits(type) else "f16"


def floats(tensor):
    """The tensor's values as f32."""
    import numpy

    if tensor.type_name == "f32":
        return numpy.frombuffer(tensor.data, numpy.float32)
    if tensor.type_name == "f16":
        return numpy.frombuffer(tensor.data, numpy.float16).astype(numpy.float32)
    if tensor.type_name == "bf16":
        return (numpy.frombuffer(tensor.data, numpy.uint16).astype(numpy.uint32) << 16).view(numpy.float32)
    raise ValueError(f"{tensor.name} is {tensor.type_name}")


def blocks(lib, values, type, columns, threads=1):
    """ggml's bytes of f32 values, without an importance matrix."""
    import numpy

    values = numpy.ascontiguousarray(values, numpy.float32).reshape(-1, columns)
    if type == "f16":
        return values.astype(numpy.float16).tobytes()
    size = container.size_of(container.IDS[type], (columns,))
    out = numpy.zeros(size * len(values), numpy.uint8)

    rows = max(1, (1 << 20) // columns) if threads > 1 else len(values)

    def chunk(start):  # the call lets other threads of Python run
        count = min(rows, len(values) - start)
        return lib.ggml_quantize_chunk(container.IDS[type], values.ctypes.data, out.ctypes.data, start * columns, count, columns, None)

    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(chunk, range(0, len(values), rows)))
    if done != len(out):
        raise ValueError(f"ggml wrote {done} bytes of {len(out)}")
    return out.data


def quantise(source, out, mix, lib=None, threads=1):
    """Writes `out`: what the tool makes of the f32 or f16 file `source`."""
    import llama

    lib = lib or llama.library()
    file = container.File(source)
    names = sorted(file.tensors, key=order)
    chooser = Chooser(file.metadata, file.tensors, mix)
    metadata = dict(file.metadata)
    for key, value in (("general.quantization_version", 2), ("general.file_type", MIXES[mix][0])):
        metadata.pop(key, None)
        metadata[key] = container.Value(4, value)
    tensors = []
    for name in names:
        tensor = file.tensors[name]
        # Trailing extents of one are not written.
        extents = tensor.extents
        while len(extents) > 1 and extents[-1] == 1:
            extents = extents[:-1]
        type = chooser.type(name, extents) if len(extents) > 1 and allows(name, extents) else tensor.type_name
        data = tensor.data if type == tensor.type_name else blocks(lib, floats(tensor), type, extents[0], threads)
        tensors.append((name, extents, container.IDS[type], data))
    container.write(out, metadata, tensors)


if __name__ == "__main__":
    quantise(*sys.argv[1:4], threads=int(sys.argv[4]) if len(sys.argv) > 4 else 1)
