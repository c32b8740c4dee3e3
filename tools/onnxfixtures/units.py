"""Heads, key/value groups and neurons of a torch model: where they lie, how they are made dead, what they weigh.

Everything is counted on the torch state dict, so it owes nothing to an ONNX file.
"""

from dataclasses import dataclass

from goldens.layout import Slice, count_without, fill

ATTENTION = {  # per family: query, key, value, output projection; GPT-2 fuses the first three
    "bert": ("encoder.layer.{n}.attention.self.query", "encoder.layer.{n}.attention.self.key",
             "encoder.layer.{n}.attention.self.value", "encoder.layer.{n}.attention.output.dense"),
    "distilbert": tuple("transformer.layer.{n}.attention." + p for p in ("q_lin", "k_lin", "v_lin", "out_lin")),
    "gpt2": ("h.{n}.attn.c_attn",) * 3 + ("h.{n}.attn.c_proj",),
    "llama": tuple("layers.{n}.self_attn." + p for p in ("q_proj", "k_proj", "v_proj", "o_proj")),
    "vit": ("encoder.layer.{n}.attention.attention.query", "encoder.layer.{n}.attention.attention.key",
            "encoder.layer.{n}.attention.attention.value", "encoder.layer.{n}.attention.output.dense"),
    "t5.encoder": tuple("encoder.block.{n}.layer.0.SelfAttention." + p for p in "qkvo"),
    "t5.decoder": tuple("decoder.block.{n}.layer.0.SelfAttention." + p for p in "qkvo"),
    "t5.cross": tuple("decoder.block.{n}.layer.1.EncDecAttention." + p for p in "qkvo"),
}
FEED_FORWARD = {  # per family: matrices read before the activation (gate first), then the consumer
    "bert": (("encoder.layer.{n}.intermediate.dense",), "encoder.layer.{n}.output.dense"),
    "distilbert": (("transformer.layer.{n}.ffn.lin1",), "transformer.layer.{n}.ffn.lin2"),
    "gpt2": (("h.{n}.mlp.c_fc",), "h.{n}.mlp.c_proj"),
    "llama": (("layers.{n}.mlp.gate_proj", "layers.{n}.mlp.up_proj"), "layers.{n}.mlp.down_proj"),
    "vit": (("encoder.layer.{n}.intermediate.dense",), "encoder.layer.{n}.output.dense"),
    "t5.encoder": (("encoder.block.{n}.layer.1.DenseReluDense.wi",), "encoder.block.{n}.layer.1.DenseReluDense.wo"),
    "t5.decoder": (("decoder.block.{n}.layer.2.DenseReluDense.wi",), "decoder.block.{n}.layer.2.DenseReluDense.wo"),
}
BIAS_TABLE = {"t5.encoder": "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
              "t5.decoder": "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"}
STACKS = {"t5": ("t5.encoder", "t5.decoder", "t5.cross")}


@dataclass(frozen=True)
class Geometry:
    """The counts of one model."""

    layers: int
    heads: int
    groups: int
    head_dim: int
    ffn: int
    hidden: int
    vocab: int

    @property
    def ratio(self):
        return self.heads // self.groups


class Units:
    """The slices of every unit of a state dict. `stack` is a row of the tables above."""

    def __init__(self, family, geometry, tensors):
        self.family, self.geometry, self.tensors = family, geometry, tensors
        self.stacks = STACKS.get(family, (family,))

    def find(self, suffix):
        found = [n for n in self.tensors if n == suffix or n.endswith("." + suffix)]
        assert len(found) <= 1, (suffix, found)
        return found[0] if found else None

    def _slices(self, module, axis, indices, role):
        transposed = self.family == "gpt2"  # Conv1D weights are [in, out]
        weight, bias = self.find(module + ".weight"), self.find(module + ".bias")
        assert weight, module
        out = [Slice(weight, 1 - axis if transposed else axis, tuple(indices), role)]
        return out + [Slice(bias, 0, tuple(indices), role)] if axis == 0 and bias else out

    def head(self, stack, layer, head):
        """A query head: its query rows and output columns, and key and value where no head shares them."""
        g, names = self.geometry, [name.format(n=layer) for name in ATTENTION[stack]]
        span = range(head * g.head_dim, (head + 1) * g.head_dim)
        if stack == "gpt2":
            out = []
            for block, role in enumerate(("query", "key", "value")):
                out += self._slices(names[0], 0, [block * g.heads * g.head_dim + i for i in span], role)
            return out + self._slices(names[3], 1, span, "consumer")
        out = self._slices(names[0], 0, span, "query") + self._slices(names[3], 1, span, "consumer")
        return out + self.group(stack, layer, head) if g.ratio == 1 else out

    def group(self, stack, layer, group):
        g, names = self.geometry, [name.format(n=layer) for name in ATTENTION[stack]]
        span = range(group * g.head_dim, (group + 1) * g.head_dim)
        return self._slices(names[1], 0, span, "key") + self._slices(names[2], 0, span, "value")

    def neuron(self, stack, layer, neuron):
        firsts, consumer = FEED_FORWARD[stack]
        roles, out = ("gate", "up") if len(firsts) == 2 else ("first",), []
        for module, role in zip(firsts, roles):
            out += self._slices(module.format(n=layer), 0, [neuron], role)
        return out + self._slices(consumer.format(n=layer), 1, [neuron], "consumer")

    def whole_groups(self, heads):
        """The groups all of whose queries are in `heads`."""
        ratio = self.geometry.ratio
        return [g for g in range(self.geometry.groups) if all(g * ratio + q in heads for q in range(ratio))]

    # What a plan removes. A plan is {stack: {layer: {"heads": […], "ffn": […]}}}.

    def zero(self, plan, allowed=None):
        """Makes the plan's units dead in the weights, by each sound rule in turn (of `allowed`); returns the rules used.

        Rules: consumer, value (with its bias), all, for heads; consumer, first (with its bias) or up, gate, all, for neurons.
        """
        turn, rules = 0, {}

        def choose(*names):
            names = [name for name in names if allowed is None or name in allowed]
            assert names or allowed == (), "no rule allowed makes this unit dead"
            return names[turn % len(names)] if names else None

        def apply(slices, roles, name):
            if None in roles:  # no rule allowed: something else has made the unit dead
                return
            fill(self.tensors, slices, roles=roles)
            rules[name] = rules.get(name, 0) + 1

        for stack, layers in plan.items():
            for layer, units in layers.items():
                groups, done = self.whole_groups(units["heads"]), set()
                for head in units["heads"]:
                    turn += 1
                    if self.geometry.ratio == 1:
                        name = choose("consumer", "value", "all")
                        roles = {"all": {"query", "key", "value", "consumer"}}.get(name, {name})
                        apply(self.head(stack, layer, head), roles, f"head {name}")
                        continue
                    group = head // self.geometry.ratio
                    by_value = group in groups and (choose("consumer", "value") == "value" if allowed else group % 2)
                    if not by_value:
                        apply(self.head(stack, layer, head), {choose("consumer")}, "head consumer")
                    elif group not in done:  # once for all queries of the group
                        apply(self.group(stack, layer, group), {"value"}, "group value")
                        done.add(group)
                for neuron in units["ffn"]:
                    turn += 1
                    gated = len(FEED_FORWARD[stack][0]) == 2
                    name = choose("consumer", "up", "gate", "all") if gated else choose("consumer", "first", "all")
                    roles = {"all": {"gate", "up", "first", "consumer"}}.get(name, {name})
                    apply(self.neuron(stack, layer, neuron), roles, f"neuron {name}")
        return rules

    def slices(self, plan):
        """Everything that goes with the plan's units."""
        out = []
        for stack, layers in plan.items():
            for layer, units in layers.items():
                for head in units["heads"]:
                    out += self.head(stack, layer, head)
                if self.geometry.ratio > 1:
                    for group in self.whole_groups(units["heads"]):
                        out += self.group(stack, layer, group)
                for neuron in units["ffn"]:
                    out += self.neuron(stack, layer, neuron)
            table = BIAS_TABLE.get(stack)
            if table and (name := self.find(table)):
                shared = set.intersection(*[set(units["heads"]) for units in layers.values()])
                if shared:
                    out.append(Slice(name, 1, tuple(sorted(shared)), "table"))
        return out

    def removed_parameters(self, plan, without=None, matrices_only=False):
        """Elements that go. `without`: (stack, role) pairs whose tensors the graph does not hold."""
        absent = {s.name for stack, role in without or () for s in self.slices({stack: plan[stack]}) if s.role == role}
        counted = {name: t for name, t in self.tensors.items() if t.dim() > 1 or not matrices_only}
        slices = [s for s in self.slices(plan) if s.name not in absent and s.name in counted]
        return sum(t.numel() for t in counted.values()) - count_without(counted, slices)

    def expected(self, plan):
        """Per layer what is there and what stays."""
        g, out = self.geometry, []
        for stack, layers in plan.items():
            for layer, units in layers.items():
                heads = [h for h in range(g.heads) if h not in units["heads"]]
                groups = sorted({h // g.ratio for h in heads})
                row = {"stack": stack, "index": layer, "heads": {"before": g.heads, "kept": heads},
                       "key_value_heads": {"before": g.groups, "kept": groups}}
                if stack in FEED_FORWARD:
                    row["ffn"] = {"before": g.ffn, "kept_count": g.ffn - len(units["ffn"])}
                out.append(row)
        return out


def mask_lists(plan):
    """The plan as a mask file under an explicit verb; for models of one stack."""
    (layers,) = plan.values()
    return {"remove": {kind: {str(n): list(units[kind]) for n, units in layers.items() if units[kind]}
                       for kind in ("heads", "ffn")}}
