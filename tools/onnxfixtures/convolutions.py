"""Two convolutional networks with masked channels: residual sums, depthwise convolutions, squeeze and excitation."""

import os
import shutil
import zlib

import numpy
import onnx
import torch
from torch import nn

from .build import NotExported, describe, distance, finish, fresh_directory, save_inputs
from .export import silence, torch_export

SIZES = ((1, 16), (2, 24), (3, 20))


def generator(name):
    return numpy.random.Generator(numpy.random.PCG64(zlib.crc32(name.encode())))


class Unit(nn.Sequential):
    """Convolution, batch norm, activation."""

    def __init__(self, inputs, outputs, size=3, stride=1, groups=1, activation=None):
        parts = [nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
        super().__init__(*parts, *([activation] if activation else []))


class Basic(nn.Module):
    """Two convolutions and a sum, as in ResNet-18."""

    def __init__(self, inputs, inner, outputs, stride=1):
        super().__init__()
        self.conv1, self.conv2 = Unit(inputs, inner, stride=stride, activation=nn.ReLU()), Unit(inner, outputs)
        self.shortcut = Unit(inputs, outputs, size=1, stride=stride) if stride > 1 or inputs != outputs else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.conv2(self.conv1(x)) + self.shortcut(x))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Unit(3, 8, activation=nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Basic(8, 10, 8), Basic(8, 8, 8))
        self.layer2 = nn.Sequential(Basic(8, 12, 12, stride=2), Basic(12, 16, 12))
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = self.layer2(self.layer1(self.pool(self.stem(x))))
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


class Squeeze(nn.Module):
    """Scales channels by what the pooled channels say."""

    def __init__(self, width, inner):
        super().__init__()
        self.pool, self.fc1, self.fc2 = nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)
        self.relu, self.gate = nn.ReLU(), nn.Hardsigmoid()

    def forward(self, x):
        return x * self.gate(self.fc2(self.relu(self.fc1(self.pool(x)))))


class Inverted(nn.Module):
    """Expand, depthwise, project, as in MobileNet."""

    def __init__(self, inputs, inner, outputs, stride, activation, squeeze=0):
        super().__init__()
        self.expand = Unit(inputs, inner, 1, activation=activation())
        self.depthwise = Unit(inner, inner, 3, stride, groups=inner, activation=activation())
        self.squeeze = Squeeze(inner, squeeze) if squeeze else nn.Identity()
        self.project = Unit(inner, outputs, 1)
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return x + y if self.is_residual else y


class Mobile(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Unit(3, 8, stride=2, activation=nn.Hardswish())
        self.blocks = nn.Sequential(Inverted(8, 16, 8, 1, nn.ReLU6), Inverted(8, 20, 12, 2, nn.Hardswish, squeeze=6),
                                    Inverted(12, 24, 12, 1, nn.Hardswish))
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


# Each dimension: the modules that write it, those that read it, depthwise units it passes, and what goes by which rule.
# "writers": filters and batch norm zero. "readers": the input slices of every reader zero.
DIMENSIONS = {
    "resnet": [
        {"name": "layer1.0.conv1", "writers": ["layer1.0.conv1"], "readers": ["layer1.0.conv2.0"], "gone": {1: "writers", 4: "readers", 9: "readers"}},
        {"name": "layer1.1.conv1", "writers": ["layer1.1.conv1"], "readers": ["layer1.1.conv2.0"], "gone": {0: "writers"}},
        {"name": "layer2.0.conv1", "writers": ["layer2.0.conv1"], "readers": ["layer2.0.conv2.0"], "gone": {}},
        {"name": "layer2.1.conv1", "writers": ["layer2.1.conv1"], "readers": ["layer2.1.conv2.0"], "gone": {3: "readers", 7: "writers", 15: "writers"}},
        {"name": "layer1 stream", "writers": ["stem", "layer1.0.conv2", "layer1.1.conv2"],
         "readers": ["layer1.0.conv1.0", "layer1.1.conv1.0", "layer2.0.conv1.0", "layer2.0.shortcut.0"], "gone": {2: "writers", 6: "readers"}},
        {"name": "layer2 stream", "writers": ["layer2.0.conv2", "layer2.0.shortcut", "layer2.1.conv2"],
         "readers": ["layer2.1.conv1.0", "fc"], "gone": {5: "writers"}},
    ],
    "mobilenet": [
        {"name": "blocks.0.expand", "writers": ["blocks.0.expand"], "depthwise": ["blocks.0.depthwise"], "readers": ["blocks.0.project.0"],
         "gone": {0: "writers", 7: "readers", 12: "readers"}},
        {"name": "blocks.1.expand", "writers": ["blocks.1.expand"], "depthwise": ["blocks.1.depthwise"], "squeeze": "blocks.1.squeeze",
         "readers": ["blocks.1.project.0", "blocks.1.squeeze.fc1"], "gone": {3: "writers", 19: "readers"}},
        {"name": "blocks.1.squeeze.fc1", "writers": ["blocks.1.squeeze.fc1"], "readers": ["blocks.1.squeeze.fc2"], "gone": {2: "readers"}},
        {"name": "blocks.2.expand", "writers": ["blocks.2.expand"], "depthwise": ["blocks.2.depthwise"], "readers": ["blocks.2.project.0"],
         "gone": {5: "writers", 6: "readers", 23: "readers"}},
        {"name": "blocks.0 stream", "writers": ["stem", "blocks.0.project"], "readers": ["blocks.0.expand.0", "blocks.1.expand.0"], "gone": {4: "writers"}},
        {"name": "blocks.2 stream", "writers": ["blocks.1.project", "blocks.2.project"], "readers": ["blocks.2.expand.0", "fc"], "gone": {1: "readers", 10: "writers"}},
    ],
}
NETWORKS = {"resnet": Residual, "mobilenet": Mobile}


@torch.no_grad()
def randomise(net, seed):
    random = generator(seed)
    for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
        if tensor.dtype != torch.float32:
            continue
        draw = random.standard_normal(tensor.shape)
        if name.endswith("running_var"):
            draw = 0.5 + draw ** 2
        elif tensor.dim() == 1:
            draw = 0.3 * draw + (1.0 if name.endswith("1.weight") else 0.0)
        else:
            draw = 1.6 * draw / numpy.sqrt(numpy.prod(tensor.shape[1:]))
        tensor.copy_(torch.from_numpy(draw))


def vectors(module):
    """The batch norm behind a unit, or a plain convolution's bias."""
    if isinstance(module, Unit):
        return [module[1].weight, module[1].bias]
    return [module.bias] if module.bias is not None else []


@torch.no_grad()
def zero(net, dimensions):
    """Makes the channels dead; returns how many by each rule. A depthwise unit's own batch norm would bring them back."""
    rules = {}
    for d in dimensions:
        for channel, rule in d["gone"].items():
            rules[f"channel {rule}"] = rules.get(f"channel {rule}", 0) + 1
            if rule == "readers":
                for name in d["readers"]:
                    net.get_submodule(name).weight[:, channel] = 0
                continue
            for name in [*d["writers"], *d.get("depthwise", [])]:
                module = net.get_submodule(name)
                (module[0] if isinstance(module, Unit) else module).weight[channel] = 0
                for vector in vectors(module):
                    vector[channel] = 0
    return rules


def elements(net, dimensions, folded):
    """(before, after) float elements of the graph: a folded batch norm leaves one bias, an unfolded one four vectors."""
    gone_out, gone_in = {}, {}
    for d in dimensions:
        for name in [*d["writers"], *d.get("depthwise", [])]:
            gone_out[name] = len(d["gone"])
        for name in d["readers"]:
            gone_in[name] = len(d["gone"])
        if "squeeze" in d:
            gone_out[d["squeeze"] + ".fc2"] = len(d["gone"])
    before = after = 0
    for name, module in net.named_modules():
        if isinstance(module, Unit):
            owner, conv, extra = name, module[0], 1 if folded else 4
        elif isinstance(module, (nn.Conv2d, nn.Linear)) and not name.endswith(".0"):
            owner, conv, extra = name, module, 1
        else:
            continue
        reader = f"{name}.0" if isinstance(module, Unit) else name
        out, inputs, *rest = conv.weight.shape
        space = int(numpy.prod(rest)) if rest else 1
        grouped = getattr(conv, "groups", 1) > 1
        before += out * (inputs * space + extra)
        after += (out - gone_out.get(owner, 0)) * ((inputs - (0 if grouped else gone_in.get(reader, 0))) * space + extra)
    return before, after


def build(name, case, root):
    kind, directory = case["model"], fresh_directory(os.path.join(root, name))
    net, dimensions = NETWORKS[kind]().eval(), DIMENSIONS[kind]
    randomise(net, f"onnx/{kind}")
    sample = {"pixel_values": torch.from_numpy(generator(name).standard_normal((2, 3, 16, 16)).astype("float32"))}

    def save(file):
        path = os.path.join(directory, file)
        axes = {"pixel_values": {0: "batch", 2: "height", 3: "width"}, "logits": {0: "batch"}}
        with silence(), torch.no_grad():
            if case["exporter"] == "torchscript":
                mode = torch.onnx.TrainingMode.EVAL if case["folded"] else torch.onnx.TrainingMode.PRESERVE
                torch.onnx.export(net, tuple(sample.values()), path, input_names=list(sample), output_names=["logits"], training=mode,
                                  dynamic_axes=axes, opset_version=case["opset"], dynamo=False, do_constant_folding=case["folded"])
            else:
                torch_export(net, sample, {"logits": ()}, path, case["opset"], {"pixel_values": ("batch", None, "height", "width")},
                             positional=True)
        has_norms = any(node.op_type == "BatchNormalization" for node in onnx.load(path).graph.node)
        if has_norms == case["folded"]:
            raise NotExported("the exporter " + ("keeps" if has_norms else "folds") + " the batch norms")

    def reference(inputs):
        with torch.no_grad():
            return {"logits": net(inputs["pixel_values"])}

    def inputs(batch, edge):
        values = generator(f"{kind}/{batch}/{edge}").standard_normal((batch, 3, edge, edge)).astype("float32")
        return {"pixel_values": torch.from_numpy(values)}

    try:
        try:
            before_outputs = reference(sample)
            save("dense.onnx")
            rules = zero(net, dimensions)
            save("masked.onnx")
        except NotExported:
            raise
        except Exception as error:
            raise NotExported(f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}") from error
        assert distance(reference(sample), before_outputs) > 1e-3
        before, after = elements(net, dimensions, case["folded"])
        channels = [{"name": d["name"], "before": (net.get_submodule(d["writers"][0])[0] if isinstance(
            net.get_submodule(d["writers"][0]), Unit) else net.get_submodule(d["writers"][0])).weight.shape[0],
            "removed": sorted(d["gone"])} for d in dimensions]
        for row in channels:
            row["kept_count"] = row["before"] - len(row["removed"])
        entry = describe(
            name, model=kind, exporter=case["exporter"], opset=case["opset"], dense="dense.onnx", zeroed=rules,
            sizes=save_inputs(directory, SIZES, inputs, reference), note="batch norms " + ("folded" if case["folded"] else "kept"),
            expected={"parameters": {"before": before, "after": after, "removed": before - after}, "layers": [], "channels": channels})
        finish(directory, entry)
        return entry
    except NotExported:
        shutil.rmtree(directory)
        raise


def cases():
    out = {}
    for kind in NETWORKS:
        for short, exporter, opset, folded in (("ts11-folded", "torchscript", 11, True), ("ts17-folded", "torchscript", 17, True),
                                               ("ts17-norms", "torchscript", 17, False), ("te18-folded", "torch.export", 18, True),
                                               ("te18-norms", "torch.export", 18, False), ("te23-folded", "torch.export", 23, True)):
            out[f"{kind}-{short}"] = {"model": kind, "exporter": exporter, "opset": opset, "folded": folded}
    return out
