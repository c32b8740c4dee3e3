"""Models that must not shrink, or not by what it seems: what looks dead and is not, and what is dead in parts."""

from goldens.layout import fill

from . import models


def nothing(plan):
    return {stack: {n: {"heads": [], "ffn": []} for n in layers} for stack, layers in plan.items()}


def zero_roles(roles, biases=True, neurons=()):
    """Zeroes these roles of head 1 (and `neurons`) in every layer."""

    def prepare(units):
        for stack in units.stacks:
            for n in range(units.geometry.layers):
                fill(units.tensors, units.head(stack, n, 1), roles=roles, biases=biases)
                for neuron in neurons:
                    fill(units.tensors, units.neuron(stack, n, neuron), roles={"first"}, biases=False)

    return prepare


def halves(units):
    """Head 1 of each layer: the first half of its values zero, the second half's output columns zero."""
    half = units.geometry.head_dim // 2
    for n in range(units.geometry.layers):
        for part in units.head("bert", n, 1):
            if part.role in ("value", "consumer"):
                indices = part.indices[:half] if part.role == "value" else part.indices[half:]
                fill(units.tensors, [type(part)(part.name, part.axis, indices, part.role)])


def cases():
    plan = models.plan_for("bert", "uneven", "onnx/bert/uneven")
    out = {}
    for short, exporter, opset in (("ts17", "torchscript", 17), ("te18", "torch.export", 18)):
        common = {"model": "bert", "geometry": "uneven", "exporter": exporter, "opset": opset, "attention": "eager", "masks": False}
        out[f"control-queries-{short}"] = common | {
            "plan": nothing(plan), "prepare": zero_roles({"query"}), "note": "head 1's queries are zero: uniform attention, not silence"}
        out[f"control-keys-{short}"] = common | {
            "plan": nothing(plan), "prepare": zero_roles({"query", "key"}), "note": "head 1's queries and keys are zero: not removable"}
        out[f"control-biases-{short}"] = common | {
            "plan": nothing(plan), "prepare": zero_roles({"value"}, biases=False, neurons=(3, 4)),
            "note": "head 1's values and two neurons' rows are zero, their biases are not: constant, not dead"}
        out[f"control-halves-{short}"] = common | {
            "plan": {"bert": {n: {"heads": [1], "ffn": []} for n in range(3)}}, "prepare": halves, "rules": (),
            "note": "head 1 is dead by halves: half of its values, the other half of its output columns"}
    # Queries go unevenly: one per remaining group, at different places in each.
    for short, exporter, opset in (("ts17", "torchscript", 17), ("te18", "torch.export", 18)):
        out[f"llama-queries-{short}"] = {
            "model": "llama", "geometry": "uneven", "exporter": exporter, "opset": opset, "attention": "eager",
            "plan": {"llama": {0: {"heads": [0, 3, 4, 7], "ffn": [1]}, 1: {"heads": [1, 2, 3, 5, 6], "ffn": []}, 2: {"heads": [], "ffn": [0, 36]}}},
            "note": "one query of each group goes, at different places in the groups; in layer 1 a whole group too"}
        stacks = {"t5.encoder": ([0], [0, 2], [0, 3]), "t5.decoder": ([1, 2], [1], [1]), "t5.cross": ([3], [3], [3])}
        out[f"t5-uneven-heads-{short}"] = {
            "model": "t5", "geometry": "uneven", "exporter": exporter, "opset": opset, "attention": "eager", "masks": False,
            "plan": {stack: {n: {"heads": gone, "ffn": []} for n, gone in enumerate(layers)} for stack, layers in stacks.items()},
            "note": "the layers of a stack share one bias per head, but not the heads that go; the table keeps what any layer needs"}
    return out
