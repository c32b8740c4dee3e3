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
        if type(module).__name__.endswith(("RMSNorm", "T5LayerNorm")):
            module.forward = types.MethodType(_rms_norm, module)
    return model


def _rms_norm(self, x):
    epsilon = getattr(self, "variance_epsilon", None) or self.eps
    factors = self.weight + 1 if type(self).__name__.startswith("Gemma") else self.weight
    return factors * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon))


class _Float64Softmax:
    """transformers asks for float32 probabilities (T5 for float32 scores); inside this context they stay float64."""

    def __init__(self, keeps_scores):
        self.keeps_scores = keeps_scores

    def __enter__(self):
        self.original = functional.softmax
        functional.softmax = lambda x, dim=None, dtype=None, **_: self.original(x, dim=dim)
        self.original_float = torch.Tensor.float
        if self.keeps_scores:
            torch.Tensor.float = lambda x: x if x.dtype == torch.float64 else self.original_float(x)

    def __exit__(self, *_):
        functional.softmax = self.original
        torch.Tensor.float = self.original_float


@torch.no_grad()
def outputs(model, inputs):
    """Outputs by name. Rows at padding positions are not compared by anyone and are set to zero."""
    with _Float64Softmax(model.config.model_type == "t5"):
        result = model(**inputs, output_hidden_states=True, return_dict=True)
    names = ("last_hidden_state", "pooler_output", "logits", "start_logits", "end_logits", "encoder_last_hidden_state")
    out = {name: result[name] for name in names if name in result and result[name] is not None}
    for kind in ("hidden_states", "encoder_hidden_states", "decoder_hidden_states"):
        for i, state in enumerate(result.get(kind) or ()):
            out[f"{kind}.{i}"] = state
    for name, value in out.items():
        mask = mask_for(name, inputs).bool()
        assert value.dtype == torch.float64, (name, value.dtype)
        if value.shape[:2] == mask.shape and name != "pooler_output" and not _is_pooled(value, mask, name, model):
            out[name] = value.masked_fill(~mask.reshape(*mask.shape, *[1] * (value.dim() - 2)), 0.0)
    return {name: value.contiguous() for name, value in out.items()}


def mask_for(name, inputs):
    """The mask of the text that an output belongs to: the decoder's, where there is one, unless it is the encoder's own."""
    is_decoder = "decoder_attention_mask" in inputs and not name.startswith("encoder_")
    return inputs["decoder_attention_mask" if is_decoder else "attention_mask"]


def _is_pooled(value, mask, name, model):
    """Sequence classification gives [batch, labels], which may look like [batch, length]."""
    return name == "logits" and "SequenceClassification" in type(model).__name__
