"""Golden cases that test one rule each: constants, voids, live look-alikes, pairs, odd masks."""

import os

import torch
import torch.nn.utils.prune as prune
import transformers
from safetensors.torch import save_file

from .build import (apply_to_consumers, clone, counts, describe, fresh_directory, geometry, make_inputs, run, run_with,
                    save_dense, save_masks, save_run, units, verdicts)
from .cases import CASES as PLAIN, _bert, _llama
from .files import read, write
from .layout import Layout, fill, scale

BERT = _bert(4, "BertModel", (2, 4, 4, 4, 37, 16), None, None, (2, 9, "right"))
GATED = _llama(4, (2, 4, 2, 8, 37, 16), None, None, (2, 9, "right"), attention_bias=True, mlp_bias=True)
QWEN2 = _llama(4, (2, 4, 2, 8, 37, 16), None, None, (2, 9, "right"), "Qwen2")


def _masks(case, heads=(), neurons=()):
    """Masks that remove the given (layer, index) pairs."""
    g = geometry(case)
    masks = {"head_mask": torch.ones(g.layers, g.heads), "ffn_mask": torch.ones(g.layers, g.ffn)}
    for key, pairs in (("head_mask", heads), ("ffn_mask", neurons)):
        for layer, index in pairs:
            masks[key][layer, index] = 0
    return masks


def _edited(name, root, case, change, dead, constant=((), ()), live=((), ()), run_it=True):
    """A case that ships only masked/: `change(layout, tensors)` edits the weights, verdicts come from zeros.

    `dead`, `constant` and `live` are (heads, neurons), each a list of (layer, index).
    """
    directory = fresh_directory(root, name)
    masked = os.path.join(directory, "masked")
    save_dense(name, case, masked)
    tensors = read(masked)
    change(Layout(geometry(case), tensors), tensors)
    write(masked, tensors)
    inputs = make_inputs(case, name)
    entry = describe(name, case) | {
        "masked": f"{name}/masked", "inputs": f"{name}/inputs.safetensors",
        "from_zeros": verdicts(dead=sum(map(len, dead)), constant=sum(map(len, constant)),
                               dead_heads=dead[0], dead_neurons=dead[1], constant_heads=constant[0],
                               constant_neurons=constant[1], live_heads=live[0], live_neurons=live[1]),
    }
    if run_it:
        expected = run(masked, case, inputs)
        save_run(directory, inputs, expected)
        entry |= {"expected": f"{name}/expected-masked.safetensors", "outputs": sorted(expected)}
    else:
        save_file(inputs, os.path.join(directory, "inputs.safetensors"))
    masks = _masks(case, *dead)
    entry["parameters"], entry["layers_ragged"] = counts(tensors, case, masks)
    folded = _masks(case, [*dead[0], *constant[0]], [*dead[1], *constant[1]])
    if any(constant):
        entry["parameters"]["after_ragged_fold"] = counts(tensors, case, folded)[0]["after_ragged"]
    entry["requested"] = units(case, masks)
    return entry


# Constants, voids and look-alikes --------------------------------------------------------------


def constant_heads(name, root):
    """H3: value weights zero, value bias live. F3: first row zero, bias live."""
    def change(layout, tensors):
        fill(tensors, layout.head(0, 1), roles={"value"}, biases=False)
        fill(tensors, layout.head(0, 2), roles={"consumer"})
        fill(tensors, layout.head(1, 0), roles={"value"})
        for neuron in (3, 17, 30):
            fill(tensors, layout.neuron(0, neuron), roles={"first"}, biases=False)
        for neuron in (1, 36):
            fill(tensors, layout.neuron(0, neuron), roles={"consumer"})
        for neuron in (0, 5, 20):
            fill(tensors, layout.neuron(1, neuron), roles={"first"})
    dead = ([(0, 2), (1, 0)], [(0, 1), (0, 36), (1, 0), (1, 5), (1, 20)])
    return _edited(name, root, BERT, change, dead, ([(0, 1)], [(0, 3), (0, 17), (0, 30)]))


def nan_void(name, root):
    """A zero output projection proves nothing where the value weights hold a NaN."""
    def change(layout, tensors):
        fill(tensors, layout.head(0, 1), roles={"consumer"})
        value = next(s for s in layout.head(0, 1) if s.role == "value")
        tensors[value.name][value.indices[3], 5] = float("nan")
        fill(tensors, layout.neuron(0, 7), roles={"consumer"})
        first = layout.neuron(0, 7)[0]
        tensors[first.name][7, 2] = float("inf")
    return _edited(name, root, BERT, change, ([], []), live=([(0, 1)], [(0, 7)]), run_it=False)


def query_key_zero(name, root):
    """H4: a head without scores averages its values. It is live."""
    def change(layout, tensors):
        fill(tensors, layout.head(0, 1), roles={"query", "key"})
        fill(tensors, layout.head(1, 2), roles={"key"})
        fill(tensors, layout.head(1, 3), roles={"query"})
    return _edited(name, root, BERT, change, ([], []), live=([(0, 1), (1, 2), (1, 3)], []))


def negative_zero(name, root):
    """Minus zero is zero."""
    def change(layout, tensors):
        fill(tensors, layout.head(0, 3), -0.0, roles={"consumer"})
        fill(tensors, layout.head(1, 1), -0.0, roles={"value"})
        fill(tensors, layout.neuron(0, 9), -0.0, roles={"consumer"})
        fill(tensors, layout.neuron(1, 12), -0.0, roles={"first"})
    return _edited(name, root, BERT, change, ([(0, 3), (1, 1)], [(0, 9), (1, 12)]))


def subnormal(name, root):
    """The smallest subnormal is not zero: every unit is live."""
    tiny = 1.4e-45
    def change(layout, tensors):
        fill(tensors, layout.head(0, 3), roles={"consumer"})
        tensors[layout.find("encoder.layer.0.attention.output.dense.weight")][6, 13] = tiny
        fill(tensors, layout.head(1, 1), roles={"value"})
        tensors[layout.find("encoder.layer.1.attention.self.value.bias")][5] = -tiny
        fill(tensors, layout.neuron(0, 9), roles={"consumer"})
        tensors[layout.find("encoder.layer.0.output.dense.weight")][15, 9] = tiny
    return _edited(name, root, BERT, change, ([], []), constant=([(1, 1)], []), live=([(0, 3)], [(0, 9)]))


def gated_constants(name, root):
    """G4 and G5 are live, G6 is constant, G2 and G3 are dead; needs biases in the gated layer."""
    def change(layout, tensors):
        fill(tensors, layout.neuron(0, 4), roles={"gate"}, biases=False)        # G4
        fill(tensors, layout.neuron(0, 5), roles={"up"}, biases=False)          # G5
        fill(tensors, layout.neuron(0, 6), roles={"gate", "up"}, biases=False)  # G6
        fill(tensors, layout.neuron(1, 7), roles={"up"})                        # G2
        fill(tensors, layout.neuron(1, 8), roles={"gate"})                      # G3
        fill(tensors, layout.group(1, 1), roles={"value"}, biases=False)        # H3 for both queries of the group
    return _edited(name, root, GATED, change, ([], [(1, 7), (1, 8)]), ([(1, 2), (1, 3)], [(0, 6)]),
                   ([], [(0, 4), (0, 5)]))


def constant_group(name, root):
    """Qwen2: constant values by the value bias, but no output bias that could take the fold."""
    def change(layout, tensors):
        fill(tensors, layout.group(0, 0), roles={"value"}, biases=False)
        fill(tensors, layout.group(1, 1), roles={"value"})
    return _edited(name, root, QWEN2, change, ([(1, 2), (1, 3)], []), ([(0, 0), (0, 1)], []))


# torch.nn.utils.prune ---------------------------------------------------------------------------


def prune_pairs(name, root):
    """A checkpoint as torch.nn.utils.prune leaves it: `X_orig` and `X_mask` instead of `X`."""
    case = BERT
    directory = fresh_directory(root, name)
    masked = os.path.join(directory, "masked")
    save_dense(name, case, masked)
    model = transformers.BertModel.from_pretrained(masked, attn_implementation="eager")
    first, second = model.encoder.layer
    width = 4

    def columns(module, gone):  # H1, F1: whole columns of a consumer
        mask = torch.ones_like(module.weight)
        mask[:, gone] = 0
        prune.custom_from_mask(module, "weight", mask)

    def rows(module, gone, bias):  # H2, F2 with the bias pair; H3, F3 without it
        mask = torch.ones_like(module.weight)
        mask[gone] = 0
        prune.custom_from_mask(module, "weight", mask)
        if bias:
            prune.custom_from_mask(module, "bias", mask[:, 0].clone())

    columns(first.attention.output.dense, list(range(1 * width, 2 * width)))
    rows(second.attention.self.value, list(range(3 * width, 4 * width)), bias=True)
    prune.ln_structured(first.output.dense, "weight", amount=11, n=2, dim=1)
    by_norm = [j for j in range(37) if first.output.dense.weight_mask[:, j].max() == 0]
    rows(second.intermediate.dense, [2, 3, 35], bias=True)
    inputs = make_inputs(case, name)
    save_file({n: t.contiguous() for n, t in sorted(model.state_dict().items())},
              os.path.join(masked, "model.safetensors"), metadata={"format": "pt"})

    # The reference: pairs multiplied out.
    tensors = {}
    for key, value in read(masked).items():
        if key.endswith("_orig"):
            value = value * read(masked)[key[:-5] + "_mask"]
        if not key.endswith("_mask"):
            tensors[key.removesuffix("_orig")] = value
    expected = run_with(masked, case, inputs, tensors)
    save_run(directory, inputs, expected)
    heads, neurons = [(0, 1), (1, 3)], [(0, j) for j in by_norm] + [(1, j) for j in (2, 3, 35)]
    masks = _masks(case, heads, neurons)
    entry = describe(name, case) | {
        "masked": f"{name}/masked", "inputs": f"{name}/inputs.safetensors",
        "expected": f"{name}/expected-masked.safetensors", "outputs": sorted(expected), "requested": units(case, masks),
        "from_zeros": verdicts(dead=len(heads) + len(neurons), dead_heads=heads, dead_neurons=neurons),
    }
    entry["parameters"], entry["layers_ragged"] = counts(tensors, case, masks)
    return entry


def prune_pairs_constant(name, root):
    """H7, F6: only the weight is masked, the bias lives: the pairs make constants, not dead units."""
    def change(layout, tensors):
        for slices in (layout.head(0, 2), layout.neuron(1, 6)):
            role = "value" if len(slices) > 3 else "first"
            module = next(s for s in slices if s.role == role and s.name.endswith(".weight"))
            mask = torch.ones_like(tensors[module.name])
            mask[list(module.indices)] = 0
            tensors[module.name + "_mask"] = mask
            tensors[module.name + "_orig"] = tensors.pop(module.name)

    case = BERT
    directory = fresh_directory(root, name)
    masked = os.path.join(directory, "masked")
    save_dense(name, case, masked)
    tensors = read(masked)
    plain = clone(tensors)
    layout = Layout(geometry(case), plain)
    fill(plain, layout.head(0, 2), roles={"value"}, biases=False)
    fill(plain, layout.neuron(1, 6), roles={"first"}, biases=False)
    change(Layout(geometry(case), tensors), tensors)
    write(masked, dict(sorted(tensors.items())))
    inputs = make_inputs(case, name)
    expected = run_with(masked, case, inputs, plain)
    save_run(directory, inputs, expected)
    entry = describe(name, case) | {
        "masked": f"{name}/masked", "inputs": f"{name}/inputs.safetensors",
        "expected": f"{name}/expected-masked.safetensors", "outputs": sorted(expected),
        "requested": units(case, _masks(case)),
        "from_zeros": verdicts(constant=2, constant_heads=[(0, 2)], constant_neurons=[(1, 6)]),
    }
    entry["parameters"], entry["layers_ragged"] = counts(plain, case, _masks(case))
    folded = _masks(case, [(0, 2)], [(1, 6)])
    entry["parameters"]["after_ragged_fold"] = counts(plain, case, folded)[0]["after_ragged"]
    return entry


# Odd masks on the dense checkpoint of another case ----------------------------------------------


def _remasked(name, root, base, masks, padded=0):
    """Other masks for the dense checkpoint of `base`."""
    case, directory = PLAIN[base], fresh_directory(root, name)
    dense = os.path.join(root, base, "dense")
    tensors, inputs = read(dense), make_inputs(case, name)
    expected = run_with(dense, case, inputs, apply_to_consumers(case, clone(tensors), masks))
    save_masks(directory, masks)
    save_run(directory, inputs, expected)
    requested = units(case, masks)
    total = requested["heads"] + requested["ffn"]
    entry = describe(name, case) | {
        "dense": f"{base}/dense", "masks": f"{name}/masks.safetensors", "masks_json": f"{name}/masks.json",
        "inputs": f"{name}/inputs.safetensors", "expected": f"{name}/expected-masked.safetensors",
        "outputs": sorted(expected), "requested": requested,
        "with_masks": verdicts(declared=total - padded, padded=padded),
    }
    entry["parameters"], entry["layers_ragged"] = counts(tensors, case, masks)
    return entry


def all_heads(name, root):
    """A layer whose heads all go: one stays as fill where the class cannot leave the sub-layer out."""
    masks = _masks(PLAIN["bert-plain"], [(1, 0), (1, 1), (1, 2), (2, 0)], [(0, 4), (1, 8)])
    return _remasked(name, root, "bert-plain", masks, padded=1)


def all_neurons(name, root):
    """A layer whose neurons all go."""
    masks = _masks(PLAIN["bert-plain"], [(0, 1)], [(2, j) for j in range(37)])
    return _remasked(name, root, "bert-plain", masks, padded=1)


def nothing(name, root):
    """Everything kept: the result is a faithful copy."""
    return _remasked(name, root, "bert-plain", _masks(PLAIN["bert-plain"]))


def uneven_groups(name, root):
    """Grouped queries: one group loses one query, another none, a third goes: fill is needed."""
    masks = _masks(PLAIN["llama-grouped"], [(0, 0), (0, 4), (0, 5), (1, 7)], [(0, 1), (1, 2)])
    return _remasked(name, root, "llama-grouped", masks, padded=2)


def fractional(name, root):
    """0.7 is multiplied into the consumer columns and rounded to the storage type."""
    case, directory, base = PLAIN["bert-plain"], fresh_directory(root, name), "bert-plain"
    dense = os.path.join(root, base, "dense")
    tensors, inputs = read(dense), make_inputs(case, name)
    masks = _masks(case, [(0, 1)], [(2, 5)])
    changed = apply_to_consumers(case, clone(tensors), masks)
    layout = Layout(geometry(case), changed)
    gates = {"heads": [(1, 2, 0.7)], "ffn": [(0, 3, 0.25), (1, 30, 0.7)]}
    for layer, head, factor in gates["heads"]:
        scale(changed, layout.head(layer, head), factor, {"consumer"})
        masks["head_mask"][layer, head] = factor
    for layer, neuron, factor in gates["ffn"]:
        scale(changed, layout.neuron(layer, neuron), factor, {"consumer"})
        masks["ffn_mask"][layer, neuron] = factor
    expected = run_with(dense, case, inputs, changed)
    save_file(masks, os.path.join(directory, "masks.safetensors"))
    save_run(directory, inputs, expected)
    entry = describe(name, case) | {
        "dense": f"{base}/dense", "masks": f"{name}/masks.safetensors", "inputs": f"{name}/inputs.safetensors",
        "expected": f"{name}/expected-masked.safetensors", "outputs": sorted(expected),
        "requested": units(case, masks), "with_masks": verdicts(declared=2, fractional=3),
    }
    entry["parameters"], entry["layers_ragged"] = counts(tensors, case, masks)
    return entry


def _refused(name, root, base, error, tensors=None, text=None):
    """A mask file that must be refused, naming what is wrong; nothing may be written."""
    directory = fresh_directory(root, name)
    entry = describe(name, PLAIN[base]) | {"dense": f"{base}/dense", "with_masks": verdicts(error=error)}
    if tensors is not None:
        save_file(tensors, os.path.join(directory, "masks.safetensors"))
        entry["masks"] = f"{name}/masks.safetensors"
    else:
        with open(os.path.join(directory, "masks.json"), "w") as file:
            file.write(text + "\n")
        entry["masks_json"] = f"{name}/masks.json"
    return entry


def wrong_shape(name, root):
    return _refused(name, root, "bert-plain", "maskShape",
                    {"head_mask": torch.ones(3, 4), "ffn_mask": torch.ones(3, 37)})


def wrong_layers(name, root):
    return _refused(name, root, "llama-grouped", "maskShape", {"ffn_mask": torch.ones(3, 37)})


def unknown_tensor(name, root):
    return _refused(name, root, "bert-plain", "unknownMask", {"heads_mask": torch.ones(3, 3)})


def not_finite(name, root):
    mask = torch.ones(3, 3)
    mask[1, 1] = float("nan")
    return _refused(name, root, "bert-plain", "maskValue", {"head_mask": mask})


def index_outside(name, root):
    return _refused(name, root, "bert-plain", "maskIndex", text='{"remove":{"heads":{"0":[3]}}}')


def both_verbs(name, root):
    return _refused(name, root, "bert-plain", "maskVerb",
                    text='{"remove":{"heads":{"0":[1]}},"keep":{"heads":{"0":[1]}}}')


CASES = {
    "bert-constant-heads": constant_heads,
    "bert-nan-void": nan_void,
    "bert-qk-zero": query_key_zero,
    "bert-negative-zero": negative_zero,
    "bert-subnormal": subnormal,
    "llama-gated-constants": gated_constants,
    "qwen2-constant-group": constant_group,
    "bert-prune-pairs": prune_pairs,
    "bert-prune-pairs-constant": prune_pairs_constant,
    "bert-all-heads": all_heads,
    "bert-all-neurons": all_neurons,
    "bert-nothing": nothing,
    "llama-uneven-groups": uneven_groups,
    "bert-fractional": fractional,
    "mask-wrong-shape": wrong_shape,
    "mask-wrong-layers": wrong_layers,
    "mask-unknown-tensor": unknown_tensor,
    "mask-not-finite": not_finite,
    "mask-index-outside": index_outside,
    "mask-both-verbs": both_verbs,
}
