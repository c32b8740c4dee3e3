"""Which tensor slices belong to an attention head, a key/value group and a feed-forward neuron.

Names are matched by suffix, so files with and without a base prefix are the same to this table.
"""

from dataclasses import dataclass

import torch

ATTENTION = {  # per family: query, key, value, output projection
    "bert": ("encoder.layer.{n}.attention.self.query", "encoder.layer.{n}.attention.self.key",
             "encoder.layer.{n}.attention.self.value", "encoder.layer.{n}.attention.output.dense"),
    "distilbert": tuple("transformer.layer.{n}.attention." + p for p in ("q_lin", "k_lin", "v_lin", "out_lin")),
    "llama": tuple("layers.{n}.self_attn." + p for p in ("q_proj", "k_proj", "v_proj", "o_proj")),
    "phi3": ("layers.{n}.self_attn.qkv_proj",) * 3 + ("layers.{n}.self_attn.o_proj",),  # three blocks of rows
}
FUSED = {  # per family: one matrix for queries, keys and values, and the output projection
    "gpt_neox": ("layers.{n}.attention.query_key_value", "layers.{n}.attention.dense"),
    "bloom": ("h.{n}.self_attention.query_key_value", "h.{n}.self_attention.dense"),
    "falcon": ("h.{n}.self_attention.query_key_value", "h.{n}.self_attention.dense"),
    "falcon_multi_query": ("h.{n}.self_attention.query_key_value", "h.{n}.self_attention.dense"),
}
FEED_FORWARD = {  # per family: matrices read before the activation (gate first), then the consumer
    "bert": (("encoder.layer.{n}.intermediate.dense",), "encoder.layer.{n}.output.dense"),
    "distilbert": (("transformer.layer.{n}.ffn.lin1",), "transformer.layer.{n}.ffn.lin2"),
    "gpt2": (("h.{n}.mlp.c_fc",), "h.{n}.mlp.c_proj"),
    "gpt_neox": (("layers.{n}.mlp.dense_h_to_4h",), "layers.{n}.mlp.dense_4h_to_h"),
    "bloom": (("h.{n}.mlp.dense_h_to_4h",), "h.{n}.mlp.dense_4h_to_h"),
    "falcon": (("h.{n}.mlp.dense_h_to_4h",), "h.{n}.mlp.dense_4h_to_h"),
    "falcon_multi_query": (("h.{n}.mlp.dense_h_to_4h",), "h.{n}.mlp.dense_4h_to_h"),
    "llama": (("layers.{n}.mlp.gate_proj", "layers.{n}.mlp.up_proj"), "layers.{n}.mlp.down_proj"),
    "phi3": (("layers.{n}.mlp.gate_up_proj",) * 2, "layers.{n}.mlp.down_proj"),  # two blocks of rows
}


@dataclass(frozen=True)
class Geometry:
    """The counts of one model. `family` selects the table rows above."""

    family: str
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int
    ffn: int
    hidden: int

    @property
    def ratio(self):
        return self.heads // self.key_value_heads


@dataclass(frozen=True)
class Slice:
    """Positions `indices` of `axis` of tensor `name`. Role: query, key, value, norm, first, gate, up, or consumer."""

    name: str
    axis: int
    indices: tuple
    role: str


class Layout:
    """Finds the slices of a unit in a state dict (name → tensor)."""

    def __init__(self, geometry, tensors):
        self.geometry, self.tensors = geometry, tensors

    def find(self, suffix):
        """The full name that ends with `suffix` at a component boundary, or None."""
        found = [n for n in self.tensors if n == suffix or n.endswith("." + suffix)]
        assert len(found) <= 1, (suffix, found)
        return found[0] if found else None

    def _slices(self, module, axis, indices, role):
        """Weight slice and, where a bias exists and the axis is the output, bias slice."""
        g = self.geometry
        linear_axis = 1 - axis if g.family == "gpt2" else axis  # Conv1D weights are [in, out]
        out = [Slice(self.find(module + ".weight"), linear_axis, tuple(indices), role)]
        assert out[0].name, module
        bias = self.find(module + ".bias")
        if axis == 0 and bias:
            out.append(Slice(bias, 0, tuple(indices), role))
        return out

    def head(self, layer, head):
        """Query head `head`: its query rows and output columns; key and value too where ratio is 1."""
        g = self.geometry
        span = range(head * g.head_dim, (head + 1) * g.head_dim)
        if g.family == "t5":
            name = self._t5(layer)[0]
            out = [s for part, role in zip("qkv", ("query", "key", "value"))
                   for s in self._slices(f"{name}.{part}", 0, span, role)]
            out += self._slices(f"{name}.o", 1, span, "consumer")
            table = f"{name.split('.')[0]}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
            return out + ([Slice(table, 1, (head,), "table")] if "SelfAttention" in name else [])
        if g.family == "gpt2":
            width, out = g.heads * g.head_dim, []
            for block, role in enumerate(("query", "key", "value")):
                out += self._slices(f"h.{layer}.attn.c_attn", 0, [block * width + i for i in span], role)
            return out + self._slices(f"h.{layer}.attn.c_proj", 1, span, "consumer")
        if g.family in FUSED:
            fused, output = (name.format(n=layer) for name in FUSED[g.family])
            out = self._slices(fused, 0, self._rows(self._query_block(head)), "query")
            out += self._slices(output, 1, span, "consumer")
            return out + self.group(layer, head) if g.ratio == 1 else out
        query, _, _, output = (name.format(n=layer) for name in ATTENTION[g.family])
        out = self._slices(query, 0, span, "query") + self._slices(output, 1, span, "consumer")
        out += self._own_norm(layer, "q", head)
        return out + self.group(layer, head) if g.ratio == 1 else out

    def _t5(self, layer):
        """The attention and the network (or None) of a layer: encoder, decoder, then the decoder's second attentions."""
        count = {stack: len({n.split(".")[2] for n in self.tensors if n.startswith(f"{stack}.block.")})
                 for stack in ("encoder", "decoder")}
        if layer < count["encoder"]:
            name = f"encoder.block.{layer}.layer"
            return f"{name}.0.SelfAttention", f"{name}.1.DenseReluDense"
        name = f"decoder.block.{(layer - count['encoder']) % count['decoder']}.layer"
        if layer < count["encoder"] + count["decoder"]:
            return f"{name}.0.SelfAttention", f"{name}.2.DenseReluDense"
        return f"{name}.1.EncDecAttention", None

    def neurons(self, layer):
        """How many neurons a layer has."""
        g = self.geometry
        return 0 if g.family == "t5" and self._t5(layer)[1] is None else g.ffn

    def _query_block(self, head):
        """The block of one head's size that holds a query in a fused matrix."""
        g = self.geometry
        group, place = divmod(head, g.ratio)
        return head if g.family == "falcon_multi_query" else group * (g.ratio + 2) + place

    def _rows(self, block):
        return range(block * self.geometry.head_dim, (block + 1) * self.geometry.head_dim)

    def group(self, layer, group):
        """Key and value rows of key/value head `group`."""
        g = self.geometry
        span = range(group * g.head_dim, (group + 1) * g.head_dim)
        if g.family in FUSED:
            fused = FUSED[g.family][0].format(n=layer)
            start, place = (g.heads, 0) if g.family == "falcon_multi_query" else (group * (g.ratio + 2), g.ratio)
            return (self._slices(fused, 0, self._rows(start + place), "key")
                    + self._slices(fused, 0, self._rows(start + place + 1), "value"))
        _, key, value, _ = (name.format(n=layer) for name in ATTENTION[g.family])
        starts = (g.heads * g.head_dim, (g.heads + g.key_value_heads) * g.head_dim) if g.family == "phi3" else (0, 0)
        return (self._slices(key, 0, [starts[0] + i for i in span], "key")
                + self._slices(value, 0, [starts[1] + i for i in span], "value") + self._own_norm(layer, "k", group))

    def _own_norm(self, layer, letter, head):
        """The norm that a head has for itself, which goes with it whole, where there is one."""
        name = self.find(f"layers.{layer}.self_attn.{letter}_layernorm.norms.{head}.weight")
        return [Slice(name, 0, tuple(range(self.geometry.head_dim)), "norm")] if name else []

    def neuron(self, layer, neuron):
        """Neuron `neuron`: its row in each first matrix (and bias), its column in the consumer."""
        if self.geometry.family == "t5":
            name = self._t5(layer)[1]
            is_gated = f"{name}.wi_0.weight" in self.tensors
            firsts, consumer = [f"{name}.{w}" for w in (("wi_0", "wi_1") if is_gated else ("wi",))], f"{name}.wo"
        else:
            firsts, consumer = FEED_FORWARD[self.geometry.family]
        roles = ("gate", "up") if len(firsts) == 2 else ("first",)
        out = []
        for block, (module, role) in enumerate(zip(firsts, roles)):
            row = neuron + (block * self.geometry.ffn if self.geometry.family == "phi3" else 0)
            out += self._slices(module.format(n=layer), 0, [row], role)
        return out + self._slices(consumer.format(n=layer), 1, [neuron], "consumer")


def fill(tensors, slices, value=0.0, roles=None, biases=True):
    """Sets the slices whose role is in `roles` (all by default) to `value`, in place."""
    for s in slices:
        if (roles is None or s.role in roles) and (biases or not s.name.endswith(".bias")):
            index = [slice(None)] * tensors[s.name].dim()
            index[s.axis] = torch.tensor(s.indices)
            tensors[s.name][tuple(index)] = value


def scale(tensors, slices, factor, roles):
    """Multiplies the slices by `factor` in float32 and rounds to the storage type, in place."""
    for s in slices:
        if s.role in roles:
            index = [slice(None)] * tensors[s.name].dim()
            index[s.axis] = torch.tensor(s.indices)
            old = tensors[s.name][tuple(index)].float()
            tensors[s.name][tuple(index)] = (old * torch.tensor(factor, dtype=torch.float32)).to(tensors[s.name].dtype)


def count_without(tensors, slices):
    """Parameters left when `slices` are cut out. Each tensor loses positions of one axis only."""
    gone = {}
    for s in slices:
        axis, indices = gone.setdefault(s.name, (s.axis, set()))
        assert axis == s.axis
        indices.update(s.indices)
    total = 0
    for name, tensor in tensors.items():
        shape = list(tensor.shape)
        if name in gone:
            axis, indices = gone[name]
            shape[axis] -= len(indices)
        total += torch.Size(shape).numel()
    return total
