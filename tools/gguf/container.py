"""Reads and writes GGUF files, with every key's and every array's exact type: what gguf-py's reader and writer lose."""

import mmap
import os
import struct
from dataclasses import dataclass, field

ALIGNMENT = 32
# id: (name, elements per block, bytes per block)
TYPES = {
    0: ("f32", 1, 4), 1: ("f16", 1, 2), 2: ("q4_0", 32, 18), 3: ("q4_1", 32, 20), 6: ("q5_0", 32, 22), 7: ("q5_1", 32, 24),
    8: ("q8_0", 32, 34), 10: ("q2_k", 256, 84), 11: ("q3_k", 256, 110), 12: ("q4_k", 256, 144), 13: ("q5_k", 256, 176),
    14: ("q6_k", 256, 210), 16: ("iq2_xxs", 256, 66), 17: ("iq2_xs", 256, 74), 18: ("iq3_xxs", 256, 98),
    19: ("iq1_s", 256, 50), 20: ("iq4_nl", 32, 18), 21: ("iq3_s", 256, 110), 22: ("iq2_s", 256, 82),
    23: ("iq4_xs", 256, 136), 24: ("i8", 1, 1), 25: ("i16", 1, 2), 26: ("i32", 1, 4), 27: ("i64", 1, 8), 28: ("f64", 1, 8),
    29: ("iq1_m", 256, 56), 30: ("bf16", 1, 2), 34: ("tq1_0", 256, 54), 35: ("tq2_0", 256, 66), 39: ("mxfp4", 32, 17)}
IDS = {name: number for number, (name, _, _) in TYPES.items()}
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
NAMES = {0: "u8", 1: "i8", 2: "u16", 3: "i16", 4: "u32", 5: "i32", 6: "f32", 7: "bool", 8: "string", 9: "array", 10: "u64",
         11: "i64", 12: "f64"}
STRING, ARRAY = 8, 9


@dataclass
class Value:
    """A metadata value. An array's `type` is that of its elements. Floats are kept as their bits' bytes."""

    type: int
    value: object
    is_array: bool = False

    @property
    def type_name(self):
        return f"array of {NAMES[self.type]}" if self.is_array else NAMES[self.type]


@dataclass
class Tensor:
    name: str
    extents: tuple  # as stored: the fastest first
    type: int
    data: memoryview = field(repr=False)

    @property
    def type_name(self):
        return TYPES[self.type][0]


def size_of(type, extents):
    _, elements, size = TYPES[type]
    count = 1
    for extent in extents:
        count *= extent
    if extents and extents[0] % elements:
        raise ValueError(f"a row of {extents[0]} is no whole number of blocks")
    return count // elements * size


class File:
    """`metadata` {key: Value} and `tensors` {name: Tensor}, both in the file's order."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.bytes, self.position = memoryview(self.map), 0
        if self.take(4) != b"GGUF":
            raise ValueError(f"{path} does not begin with GGUF")
        self.version, tensors, keys = self.scalar("I"), self.scalar("Q"), self.scalar("Q")
        self.metadata, self.tensors = {}, {}
        for _ in range(keys):
            key = self.string()
            if key in self.metadata:
                raise ValueError(f"{path} has {key} twice")
            self.metadata[key] = self.value()
        infos = []
        for _ in range(tensors):
            name, rank = self.string(), self.scalar("I")
            extents = tuple(self.scalar("Q") for _ in range(rank))
            infos.append((name, extents, self.scalar("I"), self.scalar("Q")))
        alignment = self.metadata.get("general.alignment")
        self.alignment = alignment.value if alignment else ALIGNMENT
        start = -(-self.position // self.alignment) * self.alignment
        expected = 0
        for name, extents, type, offset in infos:
            size = size_of(type, extents)
            if offset != expected or start + offset + size > len(self.bytes):
                raise ValueError(f"{path}: {name} at {offset}, expected at {expected}, of {len(self.bytes) - start} bytes")
            self.tensors[name] = Tensor(name, extents, type, self.bytes[start + offset:start + offset + size])
            expected += -(-size // self.alignment) * self.alignment

    def take(self, count):
        part = bytes(self.bytes[self.position:self.position + count])
        if len(part) != count:
            raise ValueError(f"{self.path} ends early")
        self.position += count
        return part

    def scalar(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def string(self):
        return self.take(self.scalar("Q")).decode("utf-8", errors="surrogateescape")

    def element(self, type):
        return self.string() if type == STRING else self.scalar(SCALARS[type])

    def value(self):
        type = self.scalar("i")
        if type != ARRAY:
            return Value(type, self.element(type))
        type, count = self.scalar("i"), self.scalar("Q")
        if type == STRING:
            return Value(type, [self.string() for _ in range(count)], True)
        form = f"<{count}{SCALARS[type]}"
        return Value(type, list(struct.unpack(form, self.take(struct.calcsize(form)))), True)


def text(string):
    data = string.encode("utf-8", errors="surrogateescape")
    return struct.pack("<Q", len(data)) + data


def packed(value):
    if not value.is_array:
        return struct.pack("<i", value.type) + (text(value.value) if value.type == STRING
                                                else struct.pack("<" + SCALARS[value.type], value.value))
    head = struct.pack("<iiQ", ARRAY, value.type, len(value.value))
    if value.type == STRING:
        return head + b"".join(map(text, value.value))
    return head + struct.pack(f"<{len(value.value)}{SCALARS[value.type]}", *value.value)


def write(path, metadata, tensors):
    """Tensors are (name, extents, type id, bytes); written as llama.cpp expects them, at alignment 32."""
    tensors = list(tensors)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + packed(value) for key, value in metadata.items())
    offset = 0
    for name, extents, type, data in tensors:
        if len(data) != size_of(type, extents):
            raise ValueError(f"{name}: {len(data)} bytes, not {size_of(type, extents)}")
        head += text(name) + struct.pack(f"<I{len(extents)}QIQ", len(extents), *extents, type, offset)
        offset += -(-len(data) // ALIGNMENT) * ALIGNMENT
    with open(path + ".part", "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        for _, _, _, data in tensors:
            file.write(data)
            file.write(bytes(-len(data) % ALIGNMENT))
    os.replace(path + ".part", path)


def rewrite(source, out, form):
    """A copy in version 1 or 2, or as version 3 in big-endian (f32, f16 and bf16 tensors only)."""
    file = File(source)
    order, size = (">", "Q") if form == "big" else ("<", "I" if form == 1 else "Q")
    count = lambda number: struct.pack(order + size, number)
    string = lambda value: count(len(value.encode())) + value.encode()

    def body(value):
        one = string if value.type == STRING else lambda v: struct.pack(order + SCALARS[value.type], v)
        if not value.is_array:
            return struct.pack(order + "i", value.type) + one(value.value)
        return struct.pack(order + "ii", ARRAY, value.type) + count(len(value.value)) + b"".join(map(one, value.value))

    head = b"GGUF" + struct.pack(order + "I", 3 if form == "big" else form) + count(len(file.tensors)) + count(len(file.metadata))
    head += b"".join(string(key) + body(value) for key, value in file.metadata.items())
    offset = 0
    for tensor in file.tensors.values():
        head += string(tensor.name) + struct.pack(order + "I", len(tensor.extents))
        head += b"".join(map(count, tensor.extents)) + struct.pack(order + "IQ", tensor.type, offset)
        offset += -(-len(tensor.data) // ALIGNMENT) * ALIGNMENT
    with open(out, "wb") as target:
        target.write(head + bytes(-len(head) % ALIGNMENT))
        for tensor in file.tensors.values():
            data = bytes(tensor.data)
            if form == "big":
                width = TYPES[tensor.type][2]
                swapped = bytearray(len(data))
                for byte in range(width):
                    swapped[byte::width] = data[width - 1 - byte::width]
                data = bytes(swapped)
            target.write(data + bytes(-len(data) % ALIGNMENT))
