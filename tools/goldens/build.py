"""Writes one golden directory per case: dense/, masks.safetensors, masked/, inputs and expected outputs."""

import json
import os
import shutil
import tempfile
import zlib

import numpy
import torch
import transformers
from safetensors.torch import save_file

from . import reference
from .files import read, write
from .layout import Geometry, Layout, count_without, fill

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
BUFFERS = ("position_ids", ".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", "inv_freq")


def generator(*names):
    """A random generator seeded by names, the same on every platform."""
    return numpy.random.Generator(numpy.random.PCG64(zlib.crc32("/".join(map(str, names)).encode())))


def geometry(case):
    layers, heads, groups, head_dim, ffn, hidden = case["shape"]
    return Geometry(case["family"], layers, heads, groups, head_dim, ffn or 4 * hidden, hidden)


# Model -----------------------------------------------------------------------------------------


def randomise(model, seed):
    """Every parameter random: no zero bias, no unit norm weight, attention far from uniform."""
    for name, parameter in model.named_parameters():
        draw = generator(seed, name).standard_normal(parameter.shape)
        if parameter.dim() == 1:
            is_norm = name.endswith(".weight")
            one = 0.0 if model.config.model_type.startswith("gemma") else 1.0  # Gemma's norms add it themselves
            draw = one + 0.2 * draw if is_norm else 0.2 * draw
        elif any(part in name for part in ("embed", "wte", "wpe", "shared")):
            draw = 0.7 * draw
        else:
            fan_in = parameter.shape[0] if "c_" in name else parameter.shape[1]
            sharp = any(part in name for part in ("query", "key", "q_lin", "k_lin", "q_proj", "k_proj", "qkv_proj", "c_attn"))
            draw = draw * (1.4 if sharp else 1.0) / numpy.sqrt(fan_in)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(draw))


def save_dense(name, case, directory):
    """Makes the model with its release of transformers and saves it as that release does."""
    config = getattr(transformers, case["config"])(**case["keys"])
    model = getattr(transformers, case["model"])(config)
    randomise(model, name)
    model = model.to(DTYPES[case["dtype"]]).eval()
    shard = next((edit[6:] for edit in case["edits"] if edit.startswith("shard:")), "1GB")
    model.save_pretrained(directory, max_shard_size=shard, safe_serialization=True)
    edit_names(directory, case)


def edit_names(directory, case):
    """Spellings and extra tensors found in older files."""
    if not any(not edit.startswith("shard:") for edit in case["edits"]):
        return
    tensors = read(directory)
    for edit in case["edits"]:
        kind, _, argument = edit.partition(":")
        if kind == "legacy_norm_names":
            tensors = {n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
                       for n, t in tensors.items()}
        elif kind == "position_ids":
            tensors["embeddings.position_ids"] = torch.arange(case["keys"]["max_position_embeddings"])[None]
        elif kind == "causal_buffers":
            length = case["keys"]["n_positions"]
            for layer in range(case["shape"][0]):
                tensors[f"h.{layer}.attn.bias"] = torch.tril(torch.ones(1, 1, length, length, dtype=torch.bool))
                tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
        elif kind == "attention_buffers":
            length = case["keys"]["max_position_embeddings"]
            for layer in range(case["shape"][0]):
                name = f"gpt_neox.layers.{layer}.attention"
                tensors[f"{name}.bias"] = torch.tril(torch.ones(1, 1, length, length, dtype=torch.bool))
                tensors[f"{name}.masked_bias"] = torch.tensor(-1e9)
                tensors[f"{name}.rotary_emb.inv_freq"] = torch.tensor([1.0])
        elif kind == "add_prefix":
            tensors = {argument + n: t for n, t in tensors.items()}
        elif kind == "drop_pooler":
            tensors = {n: t for n, t in tensors.items() if not n.startswith("pooler.")}
        elif kind == "copy_tied":
            source, copy = argument.split("=")
            tensors[copy] = tensors[source].clone()
        elif kind in ("config_drop", "config_rename"):
            edit_config(directory, kind, argument)
        elif kind != "shard":
            raise ValueError(edit)
    write(directory, tensors)


def edit_config(directory, kind, argument):
    """Leaves keys out of config.json, or spells one as older releases did."""
    path = os.path.join(directory, "config.json")
    config = json.load(open(path))
    if kind == "config_drop":
        config = {key: value for key, value in config.items() if key not in argument.split(",")}
    else:
        old, new = argument.split("=")
        config = {new if key == old else key: value for key, value in config.items()}
    with open(path, "w") as file:
        json.dump(config, file, indent=2)
        file.write("\n")


def copy_directory(source, target, tensors):
    """The directory `source` with other tensor values."""
    shutil.copytree(source, target)
    write(target, tensors)


# Masks -----------------------------------------------------------------------------------------


def mask_tensors(case, name):
    """head_mask [L,H], ffn_mask [L,I] and, where whole groups go, kv_group_mask [L,K]; 1 keeps."""
    g = geometry(case)
    heads, ffn = torch.ones(g.layers, g.heads), torch.ones(g.layers, g.ffn)
    groups = torch.ones(g.layers, g.key_value_heads)
    for layer in range(g.layers):
        heads[layer, case["heads"][layer]] = 0
        gone = generator(name, "ffn", layer).choice(g.ffn, case["ffn"][layer], replace=False)
        ffn[layer, gone] = 0
        groups[layer] = heads[layer].reshape(g.key_value_heads, g.ratio).amax(dim=1)
    masks = {"head_mask": heads, "ffn_mask": ffn}
    if g.ratio > 1 and (groups == 0).any():
        masks["kv_group_mask"] = groups
    return masks


def removed(row):
    return [i for i, keep in enumerate(row.tolist()) if keep == 0]


def apply_to_consumers(case, tensors, masks):
    """M: the consumer columns of every masked unit set to +0, nothing else touched."""
    layout = Layout(geometry(case), tensors)
    for layer in range(layout.geometry.layers):
        for head in removed(masks["head_mask"][layer]):
            fill(tensors, layout.head(layer, head), roles={"consumer"})
        for neuron in removed(masks["ffn_mask"][layer]):
            fill(tensors, layout.neuron(layer, neuron), roles={"consumer"})
    return tensors


def zero_in_place(case, tensors, masks):
    """The masked units made dead in the weights, by each sound rule in turn (H1, H2, F1, F2, G1, G2, G3)."""
    layout = Layout(geometry(case), tensors)
    g, turn = layout.geometry, 0
    for layer in range(g.layers):
        heads, done = removed(masks["head_mask"][layer]), set()
        for head in heads:
            group = head // g.ratio
            whole = all(q in heads for q in range(group * g.ratio, (group + 1) * g.ratio))
            if head in done:
                continue
            turn += 1
            if g.ratio == 1:
                roles = ({"consumer"}, {"value"}, {"query", "key", "value", "consumer"})[turn % 3]
                fill(tensors, layout.head(layer, head), roles=roles)
            elif whole and turn % 2:
                fill(tensors, layout.group(layer, group), roles={"value"})
                done.update(range(group * g.ratio, (group + 1) * g.ratio))
            else:
                fill(tensors, layout.head(layer, head), roles={"consumer"})
        for neuron in removed(masks["ffn_mask"][layer]):
            turn += 1
            slices = layout.neuron(layer, neuron)
            if any(s.role == "gate" for s in slices):
                roles = ({"consumer"}, {"up"}, {"gate"}, {"gate", "up", "consumer"})[turn % 4]
            else:
                roles = ({"consumer"}, {"first"}, {"first", "consumer"})[turn % 3]
            fill(tensors, slices, roles=roles)
    return tensors


# Inputs and outputs ----------------------------------------------------------------------------


def make_inputs(case, name):
    """Token ids with padding as asked; token types for models that have more than one."""
    batch, length, padding = case["inputs"]
    random, keys = generator(name, "inputs"), case["keys"]
    pad = keys.get("pad_token_id", 0)
    ids = torch.from_numpy(random.integers(3, keys["vocab_size"], (batch, length)))
    mask = torch.ones(batch, length, dtype=torch.int64)
    for row in range(batch if padding != "none" else 0):
        missing = row * (length // 3)  # row 0 is full
        if padding == "right" and missing:
            mask[row, length - missing:] = 0
        elif padding == "left" and missing:
            mask[row, :missing] = 0
        elif padding == "ragged" and row:
            mask[row, 2:2 + row] = 0
            mask[row, length - row:] = 0
    ids[mask == 0] = pad
    inputs = {"input_ids": ids, "attention_mask": mask}
    if keys.get("type_vocab_size", 1) > 1:
        inputs["token_type_ids"] = (torch.arange(length)[None] >= length // 2).long().expand(batch, length).contiguous()
    if case["family"] == "t5" and case["model"] != "T5EncoderModel":
        inputs["decoder_input_ids"] = torch.from_numpy(random.integers(3, keys["vocab_size"], (batch, length - 2)))
        seen = torch.ones(batch, length - 2, dtype=torch.int64)
        if padding != "none":
            seen[-1, -2:] = 0
        inputs["decoder_attention_mask"] = seen
    return inputs


def difference(a, b):
    """Largest absolute difference over all outputs."""
    assert a.keys() == b.keys(), (a.keys(), b.keys())
    return max(float((a[n] - b[n]).abs().max()) for n in a)


# Counts ----------------------------------------------------------------------------------------


def parameters(tensors, case):
    """Parameters without buffers, tied storage once."""
    copies = [edit.split("=")[1] for edit in case["edits"] if edit.startswith("copy_tied:")]
    return {n: t for n, t in tensors.items() if not n.endswith(BUFFERS) and n not in copies}


def ragged_slices(case, tensors, masks, constants=()):
    """What `--shape ragged` cuts: masked queries, whole groups, neurons; and the fill it must keep.

    In a grouped layer every remaining group keeps as many queries as the fullest one; a layer whose
    heads (or neurons) all go keeps one as fill.
    """
    layout = Layout(geometry(case), tensors)
    g, slices, counts = layout.geometry, [], []
    for layer in range(g.layers):
        gone = set(removed(masks["head_mask"][layer]))
        wished = len(gone)
        if len(gone) == g.heads:
            gone.discard(0)
        groups = {k: [q for q in range(k * g.ratio, (k + 1) * g.ratio) if q not in gone]
                  for k in range(g.key_value_heads)}
        widest = max(len(kept) for kept in groups.values())
        for group, kept in groups.items():
            if not kept:
                if g.ratio > 1:
                    slices += layout.group(layer, group)
                continue
            for query in range(group * g.ratio, (group + 1) * g.ratio):
                if len(kept) == widest:
                    break
                if query in gone:
                    gone.discard(query)
                    kept.append(query)
        for head in sorted(gone):
            slices += layout.head(layer, head)
        neurons = removed(masks["ffn_mask"][layer])
        wished_neurons, width = len(neurons), layout.neurons(layer)
        if neurons and len(neurons) == g.ffn:
            neurons = neurons[1:]
        for neuron in neurons:
            slices += layout.neuron(layer, neuron)
        counts.append({
            "index": layer,
            "heads": {"before": g.heads, "after": g.heads - len(gone), "padded": wished - len(gone)},
            "key_value_heads": {"before": g.key_value_heads, "after": sum(bool(kept) for kept in groups.values())},
            "ffn": {"before": width, "after": width - len(neurons), "padded": wished_neurons - len(neurons)},
        })
    return slices, counts


def units(case, masks):
    """How many units the masks ask to remove, per kind. A group counts when all its queries go."""
    g = geometry(case)
    heads = masks["head_mask"].reshape(g.layers, g.key_value_heads, g.ratio)
    return {"heads": int((heads == 0).sum()),
            "key_value_groups": int((heads == 0).all(-1).sum()) if g.ratio > 1 else 0,
            "ffn": int((masks["ffn_mask"] == 0).sum())}


# One case --------------------------------------------------------------------------------------


def describe(name, case):
    """The part of a manifest entry that does not depend on masks."""
    g = geometry(case)
    return {"name": name, "model_type": getattr(transformers, case["config"]).model_type, "class": case["model"],
            "transformers": transformers.__version__, "dtype": case["dtype"], "layers": g.layers, "heads": g.heads,
            "key_value_heads": g.key_value_heads, "head_dim": g.head_dim, "ffn": g.ffn, "hidden": g.hidden,
            "padding": case["inputs"][2], "dense": None, "masked": None, "masks": None, "masks_json": None,
            "inputs": None, "expected": None, "outputs": [], "requested": None, "with_masks": None,
            "from_zeros": None, "parameters": None, "layers_ragged": None}


def verdicts(dead=0, declared=0, constant=0, **more):
    """Expected classes of units, and the expected refusal where there is one."""
    return {"dead": dead, "declared": declared, "constant": constant, "error": None} | more


def remove_lists(masks):
    """The same masks as JSON lists under an explicit verb."""
    lists = {kind: {str(n): removed(row) for n, row in enumerate(masks[key]) if removed(row)}
             for kind, key in (("heads", "head_mask"), ("ffn", "ffn_mask"))}
    return {"remove": lists}


def run(directory, case, inputs):
    """Float64 outputs of the checkpoint in `directory`."""
    values = reference.outputs(reference.load(directory, case["model"]), inputs)
    if "drop_pooler" in case["edits"]:
        values.pop("pooler_output", None)
    return values


def run_with(dense, case, inputs, tensors):
    """Float64 outputs of the checkpoint `dense` with other tensor values."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = os.path.join(temporary, "m")
        copy_directory(dense, copy, tensors)
        return run(copy, case, inputs)


def fresh_directory(root, name):
    directory = os.path.join(root, name)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    return directory


def save_masks(directory, masks):
    save_file(masks, os.path.join(directory, "masks.safetensors"))
    with open(os.path.join(directory, "masks.json"), "w") as file:
        json.dump(remove_lists(masks), file, separators=(",", ":"))
        file.write("\n")


def save_run(directory, inputs, expected):
    """Stores inputs and outputs: hidden states in float32 to save room, everything else in float64."""
    stored = {n: v.float() if "hidden_states." in n else v for n, v in expected.items()}
    save_file(inputs, os.path.join(directory, "inputs.safetensors"))
    save_file(stored, os.path.join(directory, "expected-masked.safetensors"))


def clone(tensors):
    return {name: tensor.clone() for name, tensor in tensors.items()}


def counts(tensors, case, masks):
    """Parameters before and after, and per layer what stays, under `--shape ragged`."""
    counted = parameters(tensors, case)
    slices, layers = ragged_slices(case, tensors, masks)
    after = count_without(counted, [s for s in slices if s.name in counted])
    return {"before": sum(t.numel() for t in counted.values()), "after_ragged": after}, layers


def build(name, case, root, ship_dense=True):
    """Writes golden/<name>/ and returns its manifest entry."""
    directory = fresh_directory(root, name)
    dense, masked = os.path.join(directory, "dense"), os.path.join(directory, "masked")
    save_dense(name, case, dense)
    tensors, masks, inputs = read(dense), mask_tensors(case, name), make_inputs(case, name)
    copy_directory(dense, masked, zero_in_place(case, clone(tensors), masks))

    expected = run_with(dense, case, inputs, apply_to_consumers(case, clone(tensors), masks))
    assert difference(expected, run(masked, case, inputs)) <= 1e-12, name
    assert all(torch.isfinite(value).all() for value in expected.values()), name
    effect = difference(expected, run(dense, case, inputs))
    assert effect > 1e-3, (name, effect)

    save_masks(directory, masks)
    save_run(directory, inputs, expected)
    requested = units(case, masks)
    total = requested["heads"] + requested["ffn"]
    entry = describe(name, case) | {
        "dense": f"{name}/dense", "masked": f"{name}/masked",
        "masks": f"{name}/masks.safetensors", "masks_json": f"{name}/masks.json",
        "inputs": f"{name}/inputs.safetensors", "expected": f"{name}/expected-masked.safetensors",
        "outputs": sorted(expected), "requested": requested,
        "with_masks": verdicts(declared=total), "from_zeros": verdicts(dead=total),
    }
    entry["parameters"], entry["layers_ragged"] = counts(tensors, case, masks)
    if not ship_dense:  # the zeros are in the weights: a unit both dead and declared counts as dead
        shutil.rmtree(dense)
        entry |= {"dense": None, "with_masks": verdicts(dead=total)}
    return entry
