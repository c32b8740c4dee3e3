"""Runs a Hugging Face directory in torch float64 and names the outputs as Pollard does."""

import types

import torch
import torch.nn.functional as functional
import transformers


def load(directory, model_class):
    """The model in float64, its stored weights upcast exactly; attention in its plain form."""
    cls = getattr(transformers, model_class)
    # Falcon's plain form adds linear biases twice, to the scores and to the mask.
    form = "sdpa" if model_class.startswith("Falcon") else "eager"
    model, info = cls.from_pretrained(directory, attn_implementation=form, dtype="auto", output_loading_info=True)
    for kind in ("missing_keys", "mismatched_keys", "error_msgs"):
        # A base class may be stored without its pooler.
        wrong = [entry for entry in info[kind] if "pooler" not in str(entry)]
        assert not wrong, (directory, kind, wrong)
    model = model.eval().double()
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = types.MethodType(_rms_norm, module)
    return model


def _rms_norm(self, x):
    epsilon = getattr(self, "variance_epsilon", None) or self.eps
    factors = self.weight + 1 if type(self).__name__.startswith("Gemma") else self.weight
    return factors * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon))


class _Float64Softmax:
    """transformers asks for float32 probabilities; inside this context they stay float64."""

    def __enter__(self):
        self.original = functional.softmax
        functional.softmax = lambda x, dim=None, dtype=None, **_: self.original(x, dim=dim)

    def __exit__(self, *_):
        functional.softmax = self.original


@torch.no_grad()
def outputs(model, inputs):
    """Outputs by name. Rows at padding positions are not compared by anyone and are set to zero."""
    with _Float64Softmax():
        result = model(**inputs, output_hidden_states=True, return_dict=True)
    out = {name: result[name] for name in ("last_hidden_state", "pooler_output", "logits", "start_logits", "end_logits")
           if name in result and result[name] is not None}
    for i, state in enumerate(result.hidden_states):
        out[f"hidden_states.{i}"] = state
    mask = inputs["attention_mask"].bool()
    for name, value in out.items():
        assert value.dtype == torch.float64, (name, value.dtype)
        if value.shape[:2] == mask.shape and name != "pooler_output" and not _is_pooled(value, mask, name, model):
            out[name] = value.masked_fill(~mask.reshape(*mask.shape, *[1] * (value.dim() - 2)), 0.0)
    return {name: value.contiguous() for name, value in out.items()}


def _is_pooled(value, mask, name, model):
    """Sequence classification gives [batch, labels], which may look like [batch, length]."""
    return name == "logits" and "SequenceClassification" in type(model).__name__
