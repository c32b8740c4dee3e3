"""Decoders with a key/value cache, as optimum exports and merges them.

The past comes from outside, so a zero value projection proves nothing about it: heads are dead through the output
projection only. Cache inputs and outputs lose the heads (or groups) that go.
"""

import copy
import os
import tempfile

import onnx
import torch

from . import models

from .export import silence, traceable_masks
from .models import generator

CONSUMER = ("consumer", "all", "first", "up", "gate")  # every rule but "value"
TASKS = {"gpt2": "text-generation-with-past", "llama": "text-generation-with-past", "qwen2": "text-generation-with-past",
         "t5": "text2text-generation-with-past"}
SIZES = ((1, 1, 3), (2, 3, 4), (3, 5, 7))


def through_optimum(family, file, opset):
    def write(model, path, sample):
        from optimum.exporters.onnx import onnx_export_from_model

        model = copy.deepcopy(model)  # optimum changes the configs of the model and of its parts
        model = copy.deepcopy(model)  # optimum changes the configs of the model and of its parts
        model.config.use_cache = True
        with silence(), tempfile.TemporaryDirectory() as folder:
            onnx_export_from_model(model, folder, task=TASKS[family], opset=opset, do_validation=False)
            onnx.save(onnx.load(os.path.join(folder, file)), path)

    return write


class First(torch.nn.Module):
    """A decoder's first step: no past in, present out."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids):
        found = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=True)
        layers = found.past_key_values.to_legacy_cache()
        return (found.logits, *[tensor for layer in layers for tensor in layer])


def merged(family, opset):
    """Both steps of a decoder-only model behind one `If`, by optimum's own merge."""

    def write(model, path, sample):
        from optimum.onnx import merge_decoders

        with tempfile.TemporaryDirectory() as folder:
            past, first = os.path.join(folder, "past.onnx"), os.path.join(folder, "first.onnx")
            through_optimum(family, "model.onnx", opset)(model, past, sample)
            with_past = onnx.load(past)
            names = [output.name for output in with_past.graph.output]
            inputs = {"input_ids": sample["input_ids"], "attention_mask": torch.ones_like(sample["input_ids"]),
                      "position_ids": torch.arange(8)[None].expand(2, 8).contiguous()}
            axes = {"input_ids": ("batch_size", "sequence_length"), "attention_mask": ("batch_size", "total_length"),
                    "position_ids": ("batch_size", "sequence_length"), "logits": ("batch_size", "sequence_length")}
            dynamic = {name: dict(enumerate(axes[name])) if name in axes else {0: "batch_size", 2: "total_length"}
                       for name in [*inputs, *names]}
            with silence(), torch.no_grad():
                with traceable_masks():
                    torch.onnx.export(First(model), tuple(inputs.values()), first, input_names=list(inputs), output_names=names,
                                      dynamic_axes=dynamic, opset_version=opset, dynamo=False)
                merge_decoders(first, past, save_path=path)

    return write


def inputs_for(family, kind, names):
    """A maker of inputs by the graph's names. Past of length 0 turns the merged graph's first branch on."""
    g = models.geometry(family, kind)

    def make(batch, length, past):
        random = generator("onnx", family, kind, "cache", batch, length, past)
        encoder = length + 4
        ids = torch.from_numpy(random.integers(3, g.vocab, (batch, length)))
        mask = torch.ones(batch, past + length, dtype=torch.int64)
        if batch > 1:
            mask[1, :1] = 0  # left padding, as in generation
        out = {"input_ids": ids, "attention_mask": mask,
               "position_ids": torch.arange(past, past + length)[None].expand(batch, length).contiguous(),
               "encoder_attention_mask": torch.ones(batch, encoder, dtype=torch.int64),
               "encoder_hidden_states": torch.from_numpy(random.standard_normal((batch, encoder, g.hidden)).astype("float32")),
               "use_cache_branch": torch.tensor([past > 0])}
        if family == "t5" and "attention_mask" in names:  # the encoder's own file
            out["attention_mask"] = torch.ones(batch, length, dtype=torch.int64)
        for name in names:
            if name.startswith("past_key_values."):
                kept = encoder if ".encoder." in name else max(past, 1 if "use_cache_branch" in names else 0)
                shape = (batch, g.groups, kept, g.head_dim)
                out[name] = torch.from_numpy(random.standard_normal(shape).astype("float32"))
        return {name: out[name] for name in names}

    return make


def cache_of(family, layers, with_past, present=("decoder", "encoder")):
    """Interface tensor → whose heads its axis 1 counts."""
    out = {}
    for n in range(layers):
        for part in ("key", "value"):
            if family == "t5":
                for side, stack in (("decoder", "t5.decoder"), ("encoder", "t5.cross")):
                    if with_past:
                        out[f"past_key_values.{n}.{side}.{part}"] = {"stack": stack, "index": n, "axis": 1}
                    if side in present:
                        out[f"present.{n}.{side}.{part}"] = {"stack": stack, "index": n, "axis": 1}
            else:
                if with_past:
                    out[f"past_key_values.{n}.{part}"] = {"stack": models.FAMILIES[family].layout, "index": n, "axis": 1}
                out[f"present.{n}.{part}"] = {"stack": models.FAMILIES[family].layout, "index": n, "axis": 1}
    return out


def past_names(family, layers):
    sides = (".decoder", ".encoder") if family == "t5" else ("",)
    return [f"past_key_values.{n}{side}.{part}" for n in range(layers) for side in sides for part in ("key", "value")]


def cases():
    out = {}
    for turn, (family, attention) in enumerate((f, a) for f in ("gpt2", "llama", "qwen2") for a in ("eager", "sdpa")):
        kind = ("uneven", "equal")[turn % 2]
        names = ["input_ids", "attention_mask", "position_ids", *past_names(family, 3)]
        common = {"model": family, "geometry": kind, "attention": attention, "rules": CONSUMER, "torch": False}
        out[f"{family}-optimum14-{attention}"] = common | {
            "exporter": "optimum", "opset": 14, "write": through_optimum(family, "model.onnx", 14), "sizes": SIZES,
            "inputs": inputs_for(family, kind, names), "cache": cache_of(family, 3, True)}
        if family != "qwen2":
            out[f"{family}-merged17-{attention}"] = common | {
                "exporter": "optimum", "opset": 17, "write": merged(family, 17), "sizes": ((2, 6, 0), *SIZES),
                "inputs": inputs_for(family, kind, [*names, "use_cache_branch"]), "cache": cache_of(family, 3, True),
                "note": "both steps behind one If; use_cache_branch chooses"}
    past = past_names("t5", 3)
    plan = {stack: layers for stack, layers in models.plan_for("t5", "uneven", "onnx/t5/uneven").items()}
    encoder = {"t5.encoder": plan["t5.encoder"]}
    decoder = {stack: plan[stack] for stack in ("t5.decoder", "t5.cross")}
    common = {"model": "t5", "geometry": "uneven", "attention": "eager", "rules": CONSUMER, "torch": False,
              "exporter": "optimum", "opset": 14, "masks": False}
    states = ["encoder_attention_mask", "input_ids", "encoder_hidden_states"]
    for name, file, names, more in (
        ("encoder", "encoder_model.onnx", ["input_ids", "attention_mask"],
         {"plan": encoder, "sizes": ((1, 2, 0), (2, 9, 0), (3, 17, 0)), "rules": None, "masks": True}),
        ("decoder", "decoder_model.onnx", states, {"plan": decoder, "sizes": ((1, 2, 0), (2, 9, 0), (3, 17, 0)),
                                                   "cache": cache_of("t5", 3, False)}),
        ("decoder-with-past", "decoder_with_past_model.onnx", ["encoder_attention_mask", "input_ids", *past],
         {"plan": decoder, "sizes": ((1, 1, 3), (2, 1, 4), (3, 1, 7)), "cache": cache_of("t5", 3, True, ("decoder",)),
          "absent": (("t5.cross", "key"), ("t5.cross", "value"))}),
        ("decoder-merged", "decoder_model_merged.onnx", [*states, *past, "use_cache_branch"],
         {"plan": decoder, "sizes": ((2, 6, 0), (1, 1, 3), (2, 1, 4), (3, 1, 7)), "cache": cache_of("t5", 3, True)}),
    ):
        out[f"t5-optimum14-{name}"] = common | {"write": through_optimum("t5", file, 14),
                                                "inputs": inputs_for("t5", "uneven", names), "cache": {}} | more
    return out
