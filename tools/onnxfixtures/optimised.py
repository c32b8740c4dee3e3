"""Graphs after ONNX Runtime's transformer optimizer and its quantizers: com.microsoft operators, int8, 4-bit blocks."""

import os
import tempfile

import onnx

from . import models
from .build import NotExported, operators, through_torch
from .export import silence

KINDS = {"bert": "bert", "bert-mlm": "bert", "roberta": "bert", "distilbert": "bert", "gpt2": "gpt2", "llama": "gpt2",
         "vit": "vit", "t5-encoder": "t5"}


def fused(case, expects, level=None, **options):
    """The plain export of `case` after the optimizer; `expects` must occur, or the fixture would be about nothing."""
    plain = through_torch(case)

    def write(model, path, sample):
        from onnxruntime.transformers import optimizer
        from onnxruntime.transformers.fusion_options import FusionOptions

        kind, g = KINDS[case["model"]], models.geometry(case["model"], case["geometry"])
        chosen = FusionOptions(kind)
        for key, value in options.items():
            setattr(chosen, key, value)
        with tempfile.TemporaryDirectory() as folder, silence():
            source = os.path.join(folder, "plain.onnx")
            plain(model, source, sample)
            done = optimizer.optimize_model(source, model_type=kind, num_heads=g.heads, hidden_size=g.heads * g.head_dim,
                                            optimization_options=chosen, opt_level=level)
            done.save_model_to_file(path)
        found = operators(onnx.load(path).graph)
        if missing := [name for name in expects if name not in found]:
            raise NotExported(f"the optimizer makes no {', '.join(missing)}: {found}")

    return write


def runtime_level(case, level):
    """The graph ONNX Runtime itself saves at an optimization level."""
    plain = through_torch(case)

    def write(model, path, sample):
        import onnxruntime

        with tempfile.TemporaryDirectory() as folder, silence():
            source = os.path.join(folder, "plain.onnx")
            plain(model, source, sample)
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
            options.optimized_model_filepath = path
            options.log_severity_level = 4
            onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    return write


def dynamic_int8(case, fuse=False, **options):
    plain = fused(case, ("com.microsoft.Attention",)) if fuse else through_torch(case)

    def write(model, path, sample):
        from onnxruntime.quantization import QuantType, quantize_dynamic

        with tempfile.TemporaryDirectory() as folder, silence():
            source = os.path.join(folder, "plain.onnx")
            plain(model, source, sample)
            kinds = {key: value for key, value in options.items() if key != "weight_type"}
            quantize_dynamic(source, path, weight_type=getattr(QuantType, options.get("weight_type", "QInt8")),
                             extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT}, **kinds)

    return write


def cases():
    out = {}

    def case(name, model, opset, attention, kind, **more):
        base = {"model": model, "geometry": kind, "exporter": "torchscript", "opset": opset, "attention": attention}
        if model != "vit":  # a fused mask is a length per row, which cannot say left padding
            more = {"inputs": lambda batch, length: models.make_inputs(
                model, kind, batch, length, f"onnx/{model}/{kind}", left=False)} | more
        out[name] = base | more
        return base

    layer = ("com.microsoft.SkipLayerNormalization", "com.microsoft.BiasGelu")
    for model, attention, kind, expects in (
        ("bert", "eager", "uneven", ("com.microsoft.Attention", "com.microsoft.EmbedLayerNormalization", *layer)),
        ("bert", "sdpa", "equal", ("com.microsoft.Attention", *layer)),
        ("bert-mlm", "eager", "equal", ("com.microsoft.Attention", *layer)),
        ("roberta", "eager", "uneven", ("com.microsoft.Attention", *layer)),
        ("distilbert", "eager", "equal", layer),
        ("vit", "eager", "uneven", ("com.microsoft.SkipLayerNormalization",)),
        ("gpt2", "eager", "uneven", ()),
        ("llama", "eager", "equal", ()),
        ("t5-encoder", "eager", "uneven", ()),
    ):
        base = case(f"{model}-ort-fused-{attention}", model, 17, attention, kind, exporter="torchscript, onnxruntime optimizer")
        out[f"{model}-ort-fused-{attention}"]["write"] = fused(base, expects)
    base = case("bert-ort-rawmask", "bert", 17, "sdpa", "uneven", exporter="torchscript, onnxruntime optimizer")
    out["bert-ort-rawmask"]["write"] = fused(base, ("com.microsoft.Attention",), attention_mask_format=2)
    base = case("bert-ort-multihead", "bert", 17, "eager", "equal", exporter="torchscript, onnxruntime optimizer")
    out["bert-ort-multihead"]["write"] = fused(base, ("com.microsoft.MultiHeadAttention",), use_multi_head_attention=True)
    base = case("bert-ort-fastgelu", "bert", 17, "eager", "uneven", exporter="torchscript, onnxruntime optimizer", looser=200)
    out["bert-ort-fastgelu"]["write"] = fused(base, ("com.microsoft.FastGelu",), enable_gelu_approximation=True)
    base = case("bert-ort-extended", "bert", 17, "eager", "uneven", exporter="torchscript, onnxruntime extended level")
    out["bert-ort-extended"]["write"] = runtime_level(base, "ORT_ENABLE_EXTENDED")
    base = case("llama-ort-basic", "llama", 17, "sdpa", "uneven", exporter="torchscript, onnxruntime basic level")
    out["llama-ort-basic"]["write"] = runtime_level(base, "ORT_ENABLE_BASIC")

    # The range of a dynamic quantizer sees every entry, so a zero consumer column is no proof there.
    activation = {"rules": ("value", "first", "up", "gate", "all"), "masks": False, "looser": 1e5}
    note = "dynamic int8: a unit is dead only when its activation is zero"
    for name, model, attention, kind, options in (
        ("bert-int8", "bert", "eager", "uneven", {}), ("bert-uint8", "bert", "sdpa", "equal", {"weight_type": "QUInt8"}),
        ("bert-int8-per-channel", "bert", "eager", "equal", {"per_channel": True}),
        ("bert-int8-fused", "bert", "eager", "equal", {"fuse": True}),
        ("gpt2-int8", "gpt2", "eager", "equal", {}), ("llama-int8", "llama", "eager", "uneven", {}),
    ):
        base = case(name, model, 17, attention, kind, exporter="torchscript, onnxruntime quantizer", note=note, **activation)
        out[name]["write"] = dynamic_int8(base, **options)
    whole = {0: {"heads": [2, 3], "ffn": [0, 7, 30]}, 1: {"heads": [], "ffn": [5]}, 2: {"heads": [0, 1, 6, 7], "ffn": []}}
    out["llama-int8"]["plan"] = {"llama": whole}  # queries have no value of their own to be zero
    return out
