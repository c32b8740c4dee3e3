"""Writes one fixture: dense and masked ONNX files, a mask file, inputs, torch's outputs, and what is expected."""

import json
import os
import shutil
from importlib.metadata import version

import numpy
import onnx
import onnxruntime
import torch
from safetensors.torch import save_file

from . import models
from .export import export
from .units import mask_lists

AGREES = 2e-5  # torch and ONNX Runtime in float32, relative to the largest value
PACKAGES = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "optimum-onnx")


class NotExported(Exception):
    """The exporter, the checker or the runtime refuses the model as it is; nothing of Pollard is concerned."""


def versions():
    return {name: version(name) for name in PACKAGES}


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path_or_session, inputs, outputs=None):
    """ONNX Runtime's outputs by name; inputs the graph dropped are left out."""
    runtime = session(path_or_session) if isinstance(path_or_session, str) else path_or_session
    taken = {entry.name for entry in runtime.get_inputs()}
    names = outputs or [entry.name for entry in runtime.get_outputs()]
    return dict(zip(names, runtime.run(names, {k: numpy.asarray(v) for k, v in inputs.items() if k in taken})))


def distance(a, b, valid=None):
    """Largest difference relative to the largest reference value, over all outputs."""
    worst = 0.0
    for name, reference in b.items():
        found, reference = numpy.asarray(a[name], numpy.float64), numpy.asarray(reference, numpy.float64)
        if found.shape != reference.shape:
            return float("inf")
        if valid is not None and found.shape[:2] == valid.shape:
            found, reference = found[valid], reference[valid]
        if found.size:
            worst = max(worst, float(numpy.abs(found - reference).max() / max(numpy.abs(reference).max(), 1e-30)))
            worst = float("inf") if worst != worst else worst
    return worst


def checks(path):
    """Why the official checker refuses the file, or None."""
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    return None


def label(*size):
    return "x".join(map(str, size))


def fresh_directory(path):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def save_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def save_inputs(directory, sizes, make, reference):
    """Stores inputs, and torch's outputs where `reference` gives them; returns the manifest's list."""
    entries = []
    for size in sizes:
        inputs, text = make(*size), label(*size)
        inputs = {name: torch.as_tensor(value) for name, value in inputs.items()}
        entry = {"size": text, "inputs": f"inputs-{text}.safetensors", "torch": None}
        save_file({n: v.contiguous() for n, v in inputs.items()}, os.path.join(directory, entry["inputs"]))
        if reference and (expected := reference(inputs)) is not None:
            entry["torch"] = f"torch-{text}.safetensors"
            save_file({n: v.float().contiguous() for n, v in expected.items()}, os.path.join(directory, entry["torch"]))
        entries.append(entry)
    return entries


def describe(name, **facts):
    """A manifest with every key present."""
    return {"schema": 1, "name": name, "model": None, "class": None, "exporter": None, "opset": None, "attention": None,
            "geometry": None, "sources": versions(), "dense": None, "masked": "masked.onnx", "masks": None,
            "outputs": [], "sizes": [], "zeroed": {}, "operators": {}, "cache": {}, "checker": None, "torch_difference": None,
            "expected": None, "note": None} | facts


def prove(path, directory, entry):
    """The source itself: it loads, is deterministic, and agrees with torch at every size."""
    from safetensors.numpy import load_file

    try:
        runtime = session(path)
    except Exception as error:
        reason = str(error).strip().splitlines()[0].split(" failed:")[-1]  # what comes before names this machine's folders
        raise NotExported(f"ONNX Runtime does not load it: {reason[:300]}")
    worst = 0.0
    for size in entry["sizes"]:
        inputs = load_file(os.path.join(directory, size["inputs"]))
        try:
            first, second = run(runtime, inputs), run(runtime, inputs)
        except Exception as error:
            raise NotExported(f"ONNX Runtime does not run it at {size['size']}: {str(error).strip().splitlines()[0][:300]}")
        assert all(numpy.array_equal(first[n], second[n], equal_nan=True) for n in first), (path, "not deterministic")
        if size["torch"]:
            expected = load_file(os.path.join(directory, size["torch"]))
            mask = inputs.get("attention_mask")
            valid = mask.astype(bool) if mask is not None else None
            worst = max(worst, distance(first, expected, valid))
        elif not all(numpy.isfinite(value).all() for value in first.values()):
            raise NotExported(f"outputs at {size['size']} are not finite")
    return worst


def through_torch(case):
    """The writer of a plain case: one of torch's exporters on the positional model."""

    def write(model, path, sample):
        f = models.FAMILIES[case["model"]]
        export(case["exporter"], models.Positional(model, f.inputs, f.outputs), sample, f.outputs, path, case["opset"])

    return write


def build(name, case, root):
    """One transformer fixture. Raises NotExported with the reason.

    case: model, geometry, exporter, opset, attention; and where they differ from a plain export: `write` (model, path,
    sample), `rules` (zeroing rules that are a proof in this graph), `plan`, `prepare` (zeroes that prove nothing), `absent`
    ((stack, role) whose weights the graph lacks), `inputs` and `sizes`, `cache` (interface tensors per layer), `masks`.
    """
    family, kind = case["model"], case["geometry"]
    f, g = models.FAMILIES[family], models.geometry(family, kind)
    seed = f"onnx/{family}/{kind}"
    try:
        model = models.make(family, kind, case["attention"], seed)
    except ValueError as error:
        raise NotExported(f"transformers: {str(error).split('.nn.')[0].split('. ')[0][:200]}") from error
    directory = fresh_directory(os.path.join(root, name))
    try:
        return _build(name, case, directory, model, f, g, seed)
    except NotExported:
        shutil.rmtree(directory)
        raise


def _build(name, case, directory, model, f, g, seed):
    family, kind = case["model"], case["geometry"]
    plan = case.get("plan") or models.plan_for(family, kind, seed)
    units = models.units_of(model, family, kind)
    sample = models.make_inputs(family, kind, 2, 8, seed)
    write = case.get("write") or through_torch(case)
    make_inputs = case.get("inputs") or (lambda batch, length: models.make_inputs(family, kind, batch, length, seed))
    wrapped = models.Positional(model, f.inputs, f.outputs)

    def save(file):
        try:
            write(model, os.path.join(directory, file), sample)
        except NotExported:
            raise
        except Exception as error:
            lines = [line for line in str(error).strip().splitlines() if line.strip()] or [""]
            raise NotExported(f"{type(error).__name__}: {lines[0][:300]}") from error

    @torch.no_grad()
    def reference(inputs):
        wanted = case.get("torch", True)
        if any(name not in inputs for name in f.inputs) or not (wanted(inputs) if callable(wanted) else wanted):
            return None
        return dict(zip(f.outputs, wrapped(*[inputs[n] for n in f.inputs])))

    with torch.no_grad():
        dense_outputs = dict(zip(f.outputs, wrapped(*sample.values())))
    if case.get("prepare"):
        case["prepare"](units)
    save("dense.onnx")
    before = sum(t.numel() for t in units.tensors.values())
    rules = units.zero(plan, case["rules"] if "rules" in case else None)
    save("masked.onnx")
    if case.get("shared"):  # only what all layers of a stack lost
        plan = {stack: {n: {"heads": sorted(set.intersection(*[set(layer["heads"]) for layer in layers.values()])), "ffn": layer["ffn"]}
                        for n, layer in layers.items()} for stack, layers in plan.items()}
    removed = units.removed_parameters(plan, case.get("absent"))
    with torch.no_grad():
        effect = distance(dict(zip(f.outputs, wrapped(*sample.values()))), dense_outputs)
    assert effect > 1e-3, (name, effect)

    has_masks = case.get("masks", len(plan) == 1)
    if has_masks:
        save_json(os.path.join(directory, "masks.json"), mask_lists(plan))
    sizes = case.get("sizes") or (models.SIZES if f.inputs != ("pixel_values",) else ((1, 1), (2, 1), (3, 1)))
    entry = describe(
        name, **{"class": f.model}, model=family, exporter=case["exporter"], opset=case["opset"], attention=case["attention"],
        geometry=vars(g) | {"kind": kind}, dense="dense.onnx", masks="masks.json" if has_masks else None,
        zeroed=rules, cache=case.get("cache", {}), note=case.get("note"), looser=case.get("looser", 1), sizes=save_inputs(directory, sizes, make_inputs, reference),
        expected={"parameters": {"before": before, "after": before - removed, "removed": removed}, "layers": units.expected(plan)})
    finish(directory, entry)
    return entry


def finish(directory, entry):
    """The source's own checks, then manifest.json."""
    path = os.path.join(directory, "masked.onnx")
    graph = onnx.load(path)
    entry["outputs"] = [output.name for output in graph.graph.output]
    entry["operators"] = dict(sorted(operators(graph.graph).items()))
    entry["checker"] = checks(path)
    entry["torch_difference"] = prove(path, directory, entry)
    if entry["dense"]:
        prove(os.path.join(directory, entry["dense"]), directory,
              entry | {"sizes": [size | {"torch": None} for size in entry["sizes"]]})
    if not entry["torch_difference"] <= AGREES * entry.get("looser", 1):
        raise NotExported(f"ONNX Runtime and torch differ by {entry['torch_difference']:.1e}")
    save_json(os.path.join(directory, "manifest.json"), entry)


def operators(graph):
    """How often each operator occurs, subgraphs included; other domains are named."""
    found = {}
    for node in graph.node:
        name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        found[name] = found.get(name, 0) + 1
        for attribute in node.attribute:
            for body in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                for key, count in operators(body).items():
                    found[key] = found.get(key, 0) + count
    return found
