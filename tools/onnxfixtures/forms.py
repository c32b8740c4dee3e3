"""The same models stored or exported in other forms: external data, weights that are also inputs, tensors shared by value, fixed
sizes.
"""

import os
import tempfile

import onnx
import torch

from . import models
from .build import through_torch
from .export import AXES, EXPORTERS, silence, traceable_masks


def external(case):
    """Every weight of 256 bytes or more in a file beside the graph."""
    plain = through_torch(case)

    def write(model, path, sample):
        with tempfile.TemporaryDirectory() as folder:
            plain(model, os.path.join(folder, "m.onnx"), sample)
            loaded = onnx.load(os.path.join(folder, "m.onnx"))
        if os.path.exists(path + ".data"):
            os.remove(path + ".data")
        onnx.save_model(loaded, path, save_as_external_data=True, location=os.path.basename(path) + ".data", size_threshold=256)

    return write


def weights_as_inputs(case):
    """Each initializer is a graph input too, as all files of IR 3 have it."""

    def write(model, path, sample):
        f = models.FAMILIES[case["model"]]
        dynamic = {name: dict(enumerate((AXES | f.outputs)[name])) for name in [*f.inputs, *f.outputs]}
        with silence(), torch.no_grad(), traceable_masks():
            torch.onnx.export(models.Positional(model, f.inputs, f.outputs), tuple(sample.values()), path, dynamo=False,
                              input_names=list(f.inputs), output_names=list(f.outputs), dynamic_axes=dynamic,
                              opset_version=case["opset"], keep_initializers_as_inputs=True)
        model = onnx.load(path)
        model.ir_version = 3  # from 4 on such an input may be overridden, so its initializer would prove nothing
        onnx.save(model, path)

    return write


def fixed(case, axes):
    """Only these axes dynamic; the others are the sample's."""

    def write(model, path, sample):
        f = models.FAMILIES[case["model"]]
        names = {name: tuple(axis if axis in axes else None for axis in (AXES | f.outputs)[name]) for name in [*f.inputs, *f.outputs]}
        module = models.Positional(model, f.inputs, f.outputs)
        with silence(), torch.no_grad():
            if case["exporter"] == "torchscript":
                dynamic = {name: {i: axis for i, axis in enumerate(row) if axis} for name, row in names.items()}
                with traceable_masks():
                    torch.onnx.export(module, tuple(sample.values()), path, input_names=list(f.inputs), output_names=list(f.outputs),
                                      dynamic_axes={k: v for k, v in dynamic.items() if v}, opset_version=case["opset"], dynamo=False)
            else:
                EXPORTERS[case["exporter"]](module, sample, f.outputs, path, case["opset"], names)

    return write


@torch.no_grad()
def as_initialised(units):
    """Zero biases and unit norms: the exporter stores equal tensors once, across layers and roles."""
    for name, tensor in units.tensors.items():
        if tensor.dim() == 1:
            tensor.fill_(1.0 if name.endswith(("norm.weight", "Norm.weight", "ln_1.weight", "ln_2.weight", "ln_f.weight")) else 0.0)


def cases():
    out = {}

    def base(model, exporter, opset, attention, kind):
        return {"model": model, "geometry": kind, "exporter": exporter, "opset": opset, "attention": attention}

    for model, kind in (("bert", "equal"), ("llama", "uneven")):
        case = base(model, "torchscript", 17, "sdpa", kind)
        out[f"{model}-external"] = case | {"write": external(case), "note": "weights of 256 bytes and more in a file beside the graph"}
    case = base("bert", "torchscript", 11, "eager", "uneven")
    out["bert-weights-as-inputs"] = case | {"write": weights_as_inputs(case), "note": "IR 3: each initializer is a graph input too, and constant all the same"}
    for model, short, exporter, opset in (("bert", "ts17", "torchscript", 17), ("bert", "te18", "torch.export", 18),
                                          ("gpt2", "ts17", "torchscript", 17)):
        out[f"{model}-shared-{short}"] = base(model, exporter, opset, "eager", "equal") | {
            "prepare": as_initialised, "counted": "matrices", "note": "zero biases and unit norms, stored once by the exporter"}
    for model, short, exporter, opset, attention in (
        ("bert", "ts17", "torchscript", 17, "eager"), ("bert", "te18", "torch.export", 18, "sdpa"), ("gpt2", "te18", "torch.export", 18, "eager"),
        ("llama", "te18", "torch.export", 18, "sdpa"), ("llama", "ts17", "torchscript", 17, "eager"), ("vit", "te18", "torch.export", 18, "eager"),
    ):
        case = base(model, exporter, opset, attention, "uneven")
        sizes = ((2, 1),) if model == "vit" else ((2, 8),)
        out[f"{model}-fixed-{short}"] = case | {"write": fixed(case, ()), "sizes": sizes, "note": "every size fixed: batch 2, length 8"}
        if model != "vit":
            out[f"{model}-batch-{short}"] = case | {"write": fixed(case, ("batch",)), "sizes": ((1, 8), (2, 8), (3, 8)),
                                                    "note": "only the batch is dynamic, length 8"}
    return out
