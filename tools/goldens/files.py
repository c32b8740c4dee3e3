"""Reads and writes the tensors of a Hugging Face directory, single file or shards."""

import json
import os

from safetensors.torch import load_file, save_file

from .layout import Geometry


def read(directory):
    """All tensors of a checkpoint directory, in name order."""
    files = sorted(f for f in os.listdir(directory) if f.endswith(".safetensors"))
    tensors = {}
    for file in files:
        tensors.update(load_file(os.path.join(directory, file)))
    return dict(sorted(tensors.items()))


def write(directory, tensors):
    """Writes the tensors into the directory's shards (its index, if there is one, names them)."""
    index = os.path.join(directory, "model.safetensors.index.json")
    place = {}
    if os.path.exists(index):
        with open(index) as file:
            place = json.load(file)["weight_map"]
    shards = {}
    for name, tensor in tensors.items():
        shards.setdefault(place.get(name, "model.safetensors"), {})[name] = tensor.contiguous()
    for shard, content in shards.items():
        save_file(content, os.path.join(directory, shard), metadata={"format": "pt"})


def geometry_of(directory):
    """The geometry that a directory's config.json states."""
    with open(os.path.join(directory, "config.json")) as file:
        config = json.load(file)
    kind = config["model_type"]
    family = {"roberta": "bert", "xlm-roberta": "bert", "mistral": "llama", "qwen2": "llama", "qwen3": "llama",
              "seed_oss": "llama"}.get(kind, kind)

    def get(*names, default=None):
        return next((config[n] for n in names if config.get(n) is not None), default)

    hidden, heads = get("hidden_size", "dim", "n_embd"), get("num_attention_heads", "n_heads", "n_head")
    groups = get("num_key_value_heads", default=heads)
    if kind == "falcon" and config["new_decoder_architecture"]:
        groups = get("num_kv_heads", default=heads)
    elif kind == "falcon" and config["multi_query"]:
        family, groups = "falcon_multi_query", 1
    return Geometry(family, get("num_hidden_layers", "n_layers", "n_layer"), heads,
                    groups, get("head_dim", default=hidden // heads),
                    get("intermediate_size", "hidden_dim", "n_inner", "ffn_hidden_size", default=4 * hidden), hidden)
