"""The two exporters of PyTorch, each told which axes are dynamic."""

import contextlib
import os
import sys
import warnings

import onnx
import torch

AXES = {"input_ids": ("batch", "sequence"), "attention_mask": ("batch", "sequence"), "token_type_ids": ("batch", "sequence"),
        "position_ids": ("batch", "sequence"),
        "decoder_input_ids": ("batch", "decoder_sequence"), "pixel_values": ("batch",)}


@contextlib.contextmanager
def traceable_masks():
    """transformers builds masks with vmap, which tracing cannot follow; optimum's equivalents stand in."""
    from optimum.exporters.onnx import model_patcher
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask, sdpa_mask

    ALL_MASK_ATTENTION_FUNCTIONS.register("sdpa", model_patcher.sdpa_mask_without_vmap)
    ALL_MASK_ATTENTION_FUNCTIONS.register("eager", model_patcher.eager_mask_without_vmap)
    try:
        yield
    finally:
        ALL_MASK_ATTENTION_FUNCTIONS.register("sdpa", sdpa_mask)
        ALL_MASK_ATTENTION_FUNCTIONS.register("eager", eager_mask)


def torchscript(module, inputs, outputs, path, opset, axes):
    names = list(inputs)
    dynamic = {name: dict(enumerate(axes[name])) for name in [*names, *outputs] if axes.get(name)}
    with traceable_masks():
        torch.onnx.export(module, tuple(inputs.values()), path, input_names=names, output_names=list(outputs),
                          dynamic_axes=dynamic, opset_version=opset, dynamo=False, do_constant_folding=True)


def torch_export(module, inputs, outputs, path, opset, axes, positional=False):
    """`positional`: the module's forward names its inputs, instead of taking any number of them."""
    shapes = tuple({i: torch.export.Dim.DYNAMIC for i, axis in enumerate(axes[name]) if axis} for name in inputs)
    program = torch.onnx.export(module, tuple(inputs.values()), input_names=list(inputs), output_names=list(outputs),
                                dynamic_shapes=shapes if positional else (shapes,), opset_version=opset, dynamo=True, verbose=False, optimize=True)
    program.save(path, external_data=False)
    model = onnx.load(path)
    assert model.opset_import[0].version == opset, (model.opset_import, opset)
    for node in model.graph.node:  # stack traces name this machine's folders
        kept = [entry for entry in node.metadata_props if entry.key != "pkg.torch.onnx.stack_trace"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)


EXPORTERS = {"torchscript": torchscript, "torch.export": torch_export}


@contextlib.contextmanager
def silence():
    """Exporters talk on the process's own streams, from C++ too."""
    sys.stdout.flush(), sys.stderr.flush()
    kept, null = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1), os.dup2(null, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os.dup2(kept[0], 1), os.dup2(kept[1], 2)
        for descriptor in (*kept, null):
            os.close(descriptor)


def export(exporter, module, inputs, outputs, path, opset):
    """Writes `path`. `outputs`: name → dynamic axes."""
    with silence(), torch.no_grad():
        EXPORTERS[exporter](module, inputs, outputs, path, opset, AXES | outputs)
