"""Llama graphs in the form other builders write, node by node: com.microsoft GroupQueryAttention as ONNX Runtime's generator
packages have it, 4-bit MatMulNBits, and the standard operators of opset 23 on 3-D inputs. Weights are the torch model's.
"""

import os
import tempfile

import numpy
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from . import cached, models

MICROSOFT = "com.microsoft"
LENGTH = 40
SIZES = ((1, 2, 0), (2, 9, 0), (3, 17, 0), (1, 3, 4), (3, 1, 7))  # several tokens after a past go in batches of 1


class Builder:
    def __init__(self, inputs):
        self.nodes, self.initializers, self.inputs, self.outputs = [], [], inputs, []

    def weight(self, name, values):
        self.initializers.append(numpy_helper.from_array(numpy.ascontiguousarray(values), name))
        return name

    def node(self, kind, inputs, name, domain="", outputs=None, **attributes):
        outputs = outputs or [f"{name}/output_0"]
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes))
        return outputs[0]

    def linear(self, x, name, values):
        """values: torch's [out, in]."""
        return self.node("MatMul", [x, self.weight(f"{name}.MatMul.weight", values.T)], f"{name}/MatMul")

    def save(self, path, opset, ir):
        graph = helper.make_graph(self.nodes, "main_graph", self.inputs, self.outputs, self.initializers)
        imports = [helper.make_opsetid("", opset)]
        if any(node.domain == MICROSOFT for node in self.nodes):
            imports.append(helper.make_opsetid(MICROSOFT, 1))
        onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=ir, producer_name="onnx.helper"), path)


def tensors_of(model):
    return {name: value.detach().numpy() for name, value in model.state_dict().items()}


def rotary_tables(g):
    angles = numpy.arange(LENGTH)[:, None] / 10000.0 ** (numpy.arange(0, g.head_dim, 2) / g.head_dim)[None]
    return numpy.cos(angles).astype("float32"), numpy.sin(angles).astype("float32")


def tokens(name, *axes):
    return helper.make_tensor_value_info(name, TensorProto.INT64, axes)


def grouped(g, packed=False, bits=None, block=16):
    """Embedding, then per layer norm, GroupQueryAttention with rotary inside, skip norm, gated FFN; with a cache."""

    def write(model, path, sample):
        t = tensors_of(model)
        cache = ["batch_size", g.groups, "past_sequence_length", g.head_dim]
        inputs = [tokens("input_ids", "batch_size", "sequence_length"), tokens("attention_mask", "batch_size", "total_sequence_length")]
        for n in range(g.layers):
            inputs += [helper.make_tensor_value_info(f"past_key_values.{n}.{p}", TensorProto.FLOAT, cache) for p in ("key", "value")]
        b = Builder(inputs)
        b.outputs.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch_size", "sequence_length", g.vocab]))
        for n in range(g.layers):
            b.outputs += [helper.make_tensor_value_info(f"present.{n}.{p}", TensorProto.FLOAT,
                                                        ["batch_size", g.groups, "total_sequence_length", g.head_dim]) for p in ("key", "value")]
        one = b.weight("/model/constants/INT64/[1]", numpy.array([1]))
        total = b.node("ReduceSum", ["attention_mask", one], "/model/attn_mask_reformat/ReduceSum", keepdims=0)
        last = b.node("Sub", [total, b.weight("/model/constants/INT64/1", numpy.array(1))], "/model/attn_mask_reformat/Sub")
        seqlens = b.node("Cast", [last], "/model/attn_mask_reformat/Cast", to=TensorProto.INT32)
        shape = b.node("Shape", ["attention_mask"], "/model/attn_mask_reformat/Shape")
        length = b.node("Gather", [shape, "/model/constants/INT64/1"], "/model/attn_mask_reformat/Gather", axis=0)
        length = b.node("Cast", [length], "/model/attn_mask_reformat/Cast_1", to=TensorProto.INT32)
        cos, sin = (b.weight(f"{name}_cache", table) for name, table in zip(("cos", "sin"), rotary_tables(g)))
        stream = b.node("Gather", [b.weight("model.embed_tokens.weight", t["model.embed_tokens.weight"]), "input_ids"], "/model/embed_tokens/Gather")
        norm = b.weight("model.layers.0.input_layernorm.weight", t["model.layers.0.input_layernorm.weight"])
        x = b.node("SimplifiedLayerNormalization", [stream, norm], "/model/layers.0/input_layernorm/LayerNorm", axis=-1, epsilon=1e-6, stash_type=1)
        for n in range(g.layers):
            base, path_name = f"model.layers.{n}.", f"/model/layers.{n}"
            q, k, v = (t[f"{base}self_attn.{p}_proj.weight"] for p in "qkv")
            if packed:
                qkv = [b.linear(x, f"{path_name}/attn/qkv_proj", numpy.concatenate([q, k, v])), "", ""]
            else:
                qkv = [b.linear(x, f"{path_name}/attn/{p}_proj", w) for p, w in zip("qkv", (q, k, v))]
            name = f"{path_name}/attn/GroupQueryAttention"
            o = b.node("GroupQueryAttention", [*qkv, f"past_key_values.{n}.key", f"past_key_values.{n}.value", seqlens, length, cos, sin],
                       name, MICROSOFT, [f"{name}/output_0", f"present.{n}.key", f"present.{n}.value"],
                       num_heads=g.heads, kv_num_heads=g.groups, scale=float(g.head_dim ** -0.5), do_rotary=1, rotary_interleaved=0)
            o = b.linear(o, f"{path_name}/attn/o_proj", t[f"{base}self_attn.o_proj.weight"])

            def skip(stream, branch, name, weight):
                out = [f"{name}/output_0", "", "", f"{name}/output_3"]
                b.node("SkipSimplifiedLayerNormalization", [stream, branch, b.weight(weight, t[weight])], name, MICROSOFT, out, epsilon=1e-6)
                return out[0], out[3]

            x, stream = skip(stream, o, f"{path_name}/post_attention_layernorm/SkipLayerNorm", f"{base}post_attention_layernorm.weight")
            gate, up = (b.linear(x, f"{path_name}/mlp/{p}_proj", t[f"{base}mlp.{p}_proj.weight"]) for p in ("gate", "up"))
            act = b.node("Sigmoid", [gate], f"{path_name}/mlp/act_fn/Sigmoid")
            act = b.node("Mul", [gate, act], f"{path_name}/mlp/act_fn/Mul")
            act = b.node("Mul", [act, up], f"{path_name}/mlp/Mul")
            down = b.linear(act, f"{path_name}/mlp/down_proj", t[f"{base}mlp.down_proj.weight"])
            following = f"model.layers.{n + 1}.input_layernorm.weight" if n + 1 < g.layers else "model.norm.weight"
            x, stream = skip(stream, down, f"{path_name}/next_layernorm/SkipLayerNorm", following)
        b.node("MatMul", [x, b.weight("lm_head.MatMul.weight", t["lm_head.weight"].T)], "/lm_head/MatMul", outputs=["logits"])
        if not bits:
            b.save(path, 21, 10)
            return
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        with tempfile.TemporaryDirectory() as folder:
            b.save(os.path.join(folder, "m.onnx"), 21, 10)
            done = MatMulNBitsQuantizer(os.path.join(folder, "m.onnx"), bits=bits, block_size=block, is_symmetric=bits == 4,
                                        nodes_to_exclude=["/lm_head/MatMul"])
            done.process()
            onnx.save(done.model.model, path)

    return write


def standard(g):
    """Opset 23 alone: RMSNormalization, RotaryEmbedding and Attention on [batch, sequence, width] inputs."""

    def write(model, path, sample):
        t = tensors_of(model)
        b = Builder([tokens("input_ids", "batch", "sequence"), tokens("position_ids", "batch", "sequence")])
        b.outputs.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", g.vocab]))
        cos, sin = (b.weight(name, table) for name, table in zip(("cos", "sin"), rotary_tables(g)))

        def norm(x, name):
            return b.node("RMSNormalization", [x, b.weight(name, t[name])], f"{name}/RMSNorm", axis=-1, epsilon=1e-6)

        stream = b.node("Gather", [b.weight("model.embed_tokens.weight", t["model.embed_tokens.weight"]), "input_ids"], "embed")
        for n in range(g.layers):
            base = f"model.layers.{n}."
            x = norm(stream, f"{base}input_layernorm.weight")
            q, k, v = (b.linear(x, f"{base}self_attn.{p}_proj", t[f"{base}self_attn.{p}_proj.weight"]) for p in "qkv")
            q = b.node("RotaryEmbedding", [q, cos, sin, "position_ids"], f"{base}rotary_q", num_heads=g.heads)
            k = b.node("RotaryEmbedding", [k, cos, sin, "position_ids"], f"{base}rotary_k", num_heads=g.groups)
            o = b.node("Attention", [q, k, v], f"{base}attention", q_num_heads=g.heads, kv_num_heads=g.groups, is_causal=1)
            o = b.linear(o, f"{base}self_attn.o_proj", t[f"{base}self_attn.o_proj.weight"])
            stream = b.node("Add", [stream, o], f"{base}add_attention")
            x = norm(stream, f"{base}post_attention_layernorm.weight")
            gate, up = (b.linear(x, f"{base}mlp.{p}_proj", t[f"{base}mlp.{p}_proj.weight"]) for p in ("gate", "up"))
            act = b.node("Mul", [b.node("Mul", [gate, b.node("Sigmoid", [gate], f"{base}sigmoid")], f"{base}silu"), up], f"{base}gated")
            stream = b.node("Add", [stream, b.linear(act, f"{base}mlp.down_proj", t[f"{base}mlp.down_proj.weight"])], f"{base}add_mlp")
        x = norm(stream, "model.norm.weight")
        b.node("MatMul", [x, b.weight("lm_head.weight", t["lm_head.weight"].T)], "lm_head", outputs=["logits"])
        b.save(path, 23, 11)

    return write


def without_padding(family, kind, names):
    """Inputs whose rows are whole: the graph has no mask, or one that says lengths only."""
    made = cached.inputs_for(family, kind, names)

    def make(batch, length, past=0):
        out = made(batch, length, past)
        out["attention_mask"] = torch.ones(batch, past + length, dtype=torch.int64)
        if past == 0 and batch > 1 and "position_ids" not in names:
            out["attention_mask"][1, length - 1:] = 0
        return out

    return make


def cases():
    out = {}
    for name, kind, options in (("llama-gqa", "uneven16", {}), ("llama-gqa-packed", "equal16", {"packed": True})):
        g = models.geometry("llama", kind)
        names = ["input_ids", "attention_mask", *cached.past_names("llama", g.layers)]
        out[name] = {
            "model": "llama", "geometry": kind, "attention": "GroupQueryAttention", "exporter": "onnx.helper", "opset": 21,
            "write": grouped(g, **options), "rules": cached.CONSUMER, "sizes": SIZES,
            "inputs": without_padding("llama", kind, names), "cache": cached.cache_of("llama", g.layers, True),
            "torch": lambda inputs: inputs["past_key_values.0.key"].shape[2] == 0}
    g = models.geometry("llama", "blocks")
    blocks = {0: {"heads": [2, 3], "ffn": list(range(16, 32))}, 1: {"heads": [], "ffn": list(range(0, 16)) + list(range(64, 96))},
              2: {"heads": [0, 1], "ffn": []}}

    def a_neuron_apart(units):
        """One dead neuron in a block of live ones: its column cannot leave the block."""
        from goldens.layout import fill
        fill(units.tensors, units.neuron("llama", 2, 5), roles={"consumer"})

    for name, bits in (("llama-nbits4", 4), ("llama-nbits8", 8)):
        names = ["input_ids", "attention_mask", *cached.past_names("llama", g.layers)]
        out[name] = {
            "model": "llama", "geometry": "blocks", "attention": "GroupQueryAttention", "exporter": "onnx.helper, onnxruntime quantizer",
            "opset": 21, "write": grouped(g, bits=bits), "rules": cached.CONSUMER, "plan": {"llama": blocks}, "prepare": a_neuron_apart,
            "sizes": SIZES, "inputs": without_padding("llama", "blocks", names),
            "cache": cached.cache_of("llama", g.layers, True), "torch": False,
            "note": "weights in blocks of 16 inputs: neurons go in whole blocks; layer 2's dead neuron 5 stays"}
    for kind in ("uneven", "equal"):
        g = models.geometry("llama", kind)
        out[f"llama-attention23-{kind}"] = {
            "model": "llama+positions", "geometry": kind, "attention": "Attention, 3-D", "exporter": "onnx.helper", "opset": 23,
            "write": standard(g), "sizes": ((1, 2), (2, 9), (3, 17)),
            "inputs": without_padding("llama", kind, ["input_ids", "attention_mask", "position_ids"])}
    return out
