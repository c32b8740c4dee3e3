"""The models that tools/bench runs: made once, with random weights. See tools/make-execution.

EXECUTION is one table of cases; `operations` counts what the products and convolutions of a case need, two for each
fused multiply-add.
"""

import os
import shutil
import sys

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# name → (model, batch, length, the output that is compared)
CASES = {
    "BERT-base 1 × 128": ("bert", 1, 128, "last_hidden_state"),
    "BERT-base 4 × 128": ("bert", 4, 128, "last_hidden_state"),
    "BERT-base 1 × 512": ("bert", 1, 512, "last_hidden_state"),
    "GPT-2 124M 1 × 128": ("gpt2", 1, 128, "logits"),
    "TinyLlama 1.1B 1 × 64": ("llama", 1, 64, "logits"),
    "TinyLlama 1.1B 1 × 1": ("llama", 1, 1, "logits"),
    "ResNet-50 1 × 3 × 224 × 224": ("resnet50", 1, 224, "logits"),
}


def transformer_operations(batch, length, layers, hidden, ffn, matrices, groups=None, heads=None, vocabulary=0):
    """`matrices`: how many matrices [ffn, hidden] a feed-forward network has; `vocabulary`: outputs of the last product."""
    narrow = hidden if groups is None else hidden * groups // heads
    per_token = layers * (2 * hidden * hidden + 2 * hidden * narrow + matrices * hidden * ffn) + vocabulary * hidden
    return 2 * batch * length * (per_token + layers * 2 * length * hidden)


def operations(model, batch, length):
    if model == "bert":
        return transformer_operations(batch, length, 12, 768, 3072, 2)
    if model == "gpt2":
        return transformer_operations(batch, length, 12, 768, 3072, 2, vocabulary=50257)
    if model == "llama":
        return transformer_operations(batch, length, 22, 2048, 5632, 3, groups=4, heads=32, vocabulary=32000)
    return batch * 2 * resnet_products()


# ResNet-50 ---------------------------------------------------------------------------------------

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


def resnet_products(size=224):
    """Multiplications of ResNet-50's convolutions and last layer."""
    size //= 2
    total, size, channels = 3 * 49 * 64 * size * size, size // 2, 64
    for stage, (width, blocks) in enumerate(STAGES):
        for block in range(blocks):
            out = size if stage == 0 or block > 0 else size // 2
            total += channels * width * size * size + 9 * width * width * out * out + 4 * width * width * out * out
            if block == 0:
                total += channels * 4 * width * out * out
            channels, size = 4 * width, out
    return total + 2048 * 1000


def resnet50():
    """He et al. 2015, table 1, with the stride in the 3 × 3 convolution; batch norms with drawn statistics."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, channels, width, stride):
            super().__init__()
            self.conv1, self.norm1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
            self.conv2, self.norm2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
            self.conv3, self.norm3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
            self.shortcut = None
            if channels != 4 * width:
                self.shortcut = nn.Sequential(nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

        def forward(self, x):
            y = torch.relu(self.norm1(self.conv1(x)))
            y = torch.relu(self.norm2(self.conv2(y)))
            y = self.norm3(self.conv3(y))
            return torch.relu(y + (x if self.shortcut is None else self.shortcut(x)))

    torch.manual_seed(50)
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, (width, blocks) in enumerate(STAGES):
        for block in range(blocks):
            layers.append(Block(channels, width, 2 if stage > 0 and block == 0 else 1))
            channels = 4 * width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1), module.running_var.uniform_(0.8, 1.2)
                module.weight.uniform_(0.8, 1.2), module.bias.normal_(0, 0.1)
    return model


# Making ------------------------------------------------------------------------------------------


def make_resnet50(folder, large):
    import torch

    torch.onnx.export(resnet50(), torch.zeros(1, 3, 224, 224), os.path.join(folder, "model.onnx"), opset_version=17, dynamo=False,
                      input_names=["pixel_values"], output_names=["logits"])


def make_bert(folder, large):
    os.symlink(os.path.join(large, "bert", "dense"), os.path.join(folder, "checkpoint"))
    for name in ("model.onnx", "model-fused.onnx"):
        if os.path.exists(source := os.path.join(large, "bert", "onnx", name)):
            os.symlink(source, os.path.join(folder, name))


def export_decoder(model, path, exporter="torch.export"):
    import torch
    from onnxfixtures import models
    from onnxfixtures.export import export

    inputs, outputs = ("input_ids", "attention_mask"), {"logits": ("batch", "sequence")}
    ids = torch.ones(2, 8, dtype=torch.long)  # one tensor given twice would be exported as one input
    export(exporter, models.Positional(model, inputs, outputs), {name: ids.clone() for name in inputs}, outputs, path, 18)


def make_gpt2(folder, large):
    import torch
    import transformers

    torch.manual_seed(2)
    config = transformers.GPT2Config(use_cache=False, attn_implementation="sdpa")
    model = transformers.GPT2LMHeadModel(config).eval()
    model.save_pretrained(os.path.join(folder, "checkpoint"))
    export_decoder(model, os.path.join(folder, "model.onnx"))
    try:
        from onnxruntime.transformers import optimizer
        traced = os.path.join(folder, "traced.onnx")
        model.config._attn_implementation = "eager"
        export_decoder(model, traced, "torchscript")
        optimizer.optimize_model(traced, model_type="gpt2", num_heads=12, hidden_size=768, opt_level=1).save_model_to_file(
            os.path.join(folder, "model-fused.onnx"))
        os.remove(traced)
    except Exception as error:  # the plain export is enough to compare against
        print(f"make-execution: no fused GPT-2: {type(error).__name__}: {error}", file=sys.stderr)


def make_llama(folder, large):
    """torch.export's graph of a model with tiny widths, given the checkpoint's weights as f32."""
    import json
    import tempfile

    import numpy
    import onnx
    import torch
    import transformers
    from onnx import TensorProto
    from safetensors import safe_open

    checkpoint = os.path.join(large, "llama", "dense")
    os.symlink(checkpoint, os.path.join(folder, "checkpoint"))
    with open(os.path.join(checkpoint, "config.json")) as file:
        config = json.load(file)
    small = {"hidden_size": 104, "intermediate_size": 136, "vocab_size": 152}
    made = transformers.LlamaConfig(**{k: v for k, v in (config | small).items() if k not in ("architectures", "torch_dtype")})
    made._attn_implementation, made.use_cache = "sdpa", False
    with tempfile.TemporaryDirectory() as temporary:
        path = os.path.join(temporary, "small.onnx")
        export_decoder(transformers.LlamaForCausalLM(made).float().eval(), path)
        model = onnx.load(path)
    sizes = {value: config[key] for key, value in small.items()}
    graph = model.graph
    scopes, names = {}, {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        scope = [entry.value for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"]
        for name in node.input:
            if node.op_type == "MatMul" and name in names and scope:
                scopes[name] = scope[0].split("'")[-4].removeprefix("model.") + ".weight"
    for value in [*graph.value_info, *graph.output]:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_value in sizes:
                dimension.dim_value = sizes[dimension.dim_value]
    with safe_open(os.path.join(checkpoint, "model.safetensors"), "pt") as weights, \
            open(os.path.join(folder, "model.onnx.data"), "wb") as data:
        stored = set(weights.keys())
        for tensor in graph.initializer:
            shape = [sizes.get(size, size) for size in tensor.dims]
            if tensor.data_type != TensorProto.FLOAT or shape == list(tensor.dims):
                continue
            name = scopes.get(tensor.name, tensor.name.removeprefix("model."))
            found = weights.get_tensor(name if name in stored else "model." + name)
            values = found.float().numpy()
            if list(values.shape) != shape or tensor.name in scopes:
                values = numpy.ascontiguousarray(values.T)
            assert list(values.shape) == shape, (tensor.name, name, values.shape, shape)
            offset = -(-data.tell() // 4096) * 4096
            data.seek(offset)
            data.write(memoryview(values).cast("B"))
            tensor.ClearField("raw_data")
            tensor.dims[:] = shape
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", "model.onnx.data"), ("offset", offset), ("length", values.nbytes)):
                tensor.external_data.add(key=key, value=str(value))
    onnx.save(model, os.path.join(folder, "model.onnx"))


def make_inputs(root):
    import numpy
    from safetensors.numpy import save_file

    generator = numpy.random.default_rng(224)
    for model, batch, length, _ in CASES.values():
        path = os.path.join(root, model, f"inputs-{batch}x{length}.safetensors")
        if model == "resnet50":
            tensors = {"pixel_values": generator.standard_normal((batch, 3, length, length), dtype=numpy.float32)}
        else:
            tensors = {"input_ids": generator.integers(0, 30000, (batch, length)),
                       "attention_mask": numpy.ones((batch, length), numpy.int64)}
        save_file(tensors, path)


def main(large, *wanted):
    sys.path.insert(0, TOOLS)
    root = os.path.join(os.path.dirname(large), "execution")
    for name in wanted or ("bert", "gpt2", "llama", "resnet50"):
        folder = os.path.join(root, name)
        if os.path.exists(os.path.join(folder, ".complete")):
            continue
        print(f"make-execution: making {name}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        os.environ["HF_HUB_OFFLINE"] = "1"
        globals()[f"make_{name}"](folder, large)
        open(os.path.join(folder, ".complete"), "w").close()
    for name in {case[0] for case in CASES.values()}:
        os.makedirs(os.path.join(root, name), exist_ok=True)
    make_inputs(root)
    print(root)


if __name__ == "__main__":
    main(*sys.argv[1:])
