"""The transformers behind the fixtures: small, random, every parameter drawn (no zero bias, no unit norm weight)."""

from dataclasses import dataclass, replace

import torch
import transformers
from goldens.build import generator, randomise

from .units import Geometry, Units

# "uneven": no two counts agree. "equal": as many heads as layers, as many neurons as hidden channels, vocabulary 3·D.
PLAIN = {"uneven": Geometry(3, 4, 4, 8, 37, 32, 61), "equal": Geometry(3, 3, 3, 8, 24, 24, 72)}
GROUPED = {"uneven": Geometry(3, 8, 4, 8, 37, 40, 61), "equal": Geometry(3, 6, 3, 8, 48, 24, 72),
           "uneven16": Geometry(3, 8, 4, 16, 37, 40, 61), "equal16": Geometry(3, 6, 3, 16, 48, 24, 72),
           "blocks": Geometry(3, 4, 2, 16, 96, 64, 61)}  # every width a multiple of 16

# Heads that go, per layer; several of the geometry's symmetries are broken on purpose.
HEADS = {("plain", "uneven"): ([1], [], [0, 2]), ("plain", "equal"): ([2], [0, 1], []),
         ("grouped", "uneven"): ([2, 3], [], [0, 1, 3, 5, 7]), ("grouped", "equal"): ([0, 1, 4, 5], [2, 3], [])}
NEURONS = (9, 0, 20)
SIZES = ((1, 2), (2, 9), (3, 17))


@dataclass(frozen=True)
class Family:
    """How one architecture is built, called and masked."""

    config: str
    model: str
    layout: str
    keys: callable
    inputs: tuple
    outputs: dict  # name → names of its dynamic axes
    grouped: bool = False


def _bert(g):
    return dict(hidden_size=g.hidden, num_hidden_layers=g.layers, num_attention_heads=g.heads, intermediate_size=g.ffn,
                vocab_size=g.vocab, max_position_embeddings=40, type_vocab_size=2, hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0)


def _roberta(g):
    return _bert(g) | dict(type_vocab_size=1, pad_token_id=1)


def _distilbert(g):
    return dict(dim=g.hidden, n_layers=g.layers, n_heads=g.heads, hidden_dim=g.ffn, vocab_size=g.vocab,
                max_position_embeddings=40, dropout=0.0, attention_dropout=0.0)


def _gpt2(g):
    return dict(n_embd=g.hidden, n_layer=g.layers, n_head=g.heads, n_inner=g.ffn, vocab_size=g.vocab, n_positions=40,
                resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)


def _llama(g):
    return dict(hidden_size=g.hidden, num_hidden_layers=g.layers, num_attention_heads=g.heads, num_key_value_heads=g.groups,
                head_dim=g.head_dim, intermediate_size=g.ffn, vocab_size=g.vocab, max_position_embeddings=40,
                tie_word_embeddings=False, pad_token_id=0)


def _vit(g):
    return dict(hidden_size=g.hidden, num_hidden_layers=g.layers, num_attention_heads=g.heads, intermediate_size=g.ffn,
                image_size=12, patch_size=4, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def _t5(g):
    return dict(d_model=g.hidden, num_layers=g.layers, num_decoder_layers=g.layers, num_heads=g.heads, d_kv=g.head_dim,
                d_ff=g.ffn, vocab_size=g.vocab, relative_attention_num_buckets=8, relative_attention_max_distance=20,
                dropout_rate=0.0, feed_forward_proj="relu", decoder_start_token_id=0)


TOKENS, TYPED = ("input_ids", "attention_mask"), ("input_ids", "attention_mask", "token_type_ids")
STATES = {"last_hidden_state": ("batch", "sequence")}
POOLED = STATES | {"pooler_output": ("batch",)}
LOGITS, SCORES = {"logits": ("batch", "sequence")}, {"logits": ("batch",)}

FAMILIES = {
    "bert": Family("BertConfig", "BertModel", "bert", _bert, TYPED, POOLED),
    "bert-mlm": Family("BertConfig", "BertForMaskedLM", "bert", _bert, TYPED, LOGITS),
    "bert-classifier": Family("BertConfig", "BertForSequenceClassification", "bert", _bert, TYPED, SCORES),
    "roberta": Family("RobertaConfig", "RobertaModel", "bert", _roberta, TOKENS, POOLED),
    "distilbert": Family("DistilBertConfig", "DistilBertModel", "distilbert", _distilbert, TOKENS, STATES),
    "gpt2": Family("GPT2Config", "GPT2LMHeadModel", "gpt2", _gpt2, TOKENS, LOGITS),
    "llama": Family("LlamaConfig", "LlamaForCausalLM", "llama", _llama, TOKENS, LOGITS, grouped=True),
    "qwen2": Family("Qwen2Config", "Qwen2ForCausalLM", "llama", _llama, TOKENS, LOGITS, grouped=True),
    "qwen3": Family("Qwen3Config", "Qwen3ForCausalLM", "llama", _llama, TOKENS, LOGITS, grouped=True),
    "vit": Family("ViTConfig", "ViTModel", "vit", _vit, ("pixel_values",), {"last_hidden_state": ("batch",), "pooler_output": ("batch",)}),
    "t5": Family("T5Config", "T5ForConditionalGeneration", "t5", _t5, TOKENS + ("decoder_input_ids",), {"logits": ("batch", "decoder_sequence")}),
    "t5-encoder": Family("T5Config", "T5EncoderModel", "t5", _t5, TOKENS, STATES),
}
# Rotary tables made from the default positions have batch 1, which the operator of opset 23 does not broadcast.
FAMILIES |= {f"{name}+positions": replace(FAMILIES[name], inputs=(*TOKENS, "position_ids")) for name in ("llama", "qwen2", "qwen3")}


def geometry(family, kind):
    return (GROUPED if FAMILIES[family].grouped else PLAIN)[kind]


def make(family, kind, attention, seed):
    """The model, random and in evaluation mode."""
    f = FAMILIES[family]
    config = getattr(transformers, f.config)(**f.keys(geometry(family, kind)), use_cache=False) \
        if f.layout in ("gpt2", "llama", "t5") else getattr(transformers, f.config)(**f.keys(geometry(family, kind)))
    config._attn_implementation = attention if attention in ("eager", "sdpa") else "eager"
    model = getattr(transformers, f.model)(config)
    randomise(model, seed)
    return model.eval()


def plan_for(family, kind, seed):
    """What goes, per stack and layer."""
    f, g = FAMILIES[family], geometry(family, kind)
    kind = kind.removesuffix("16")
    heads = HEADS["grouped" if f.grouped else "plain", kind]

    def neurons(stack):
        return [sorted(generator(seed, stack, n).choice(g.ffn, NEURONS[(n + (kind == "equal")) % 3], replace=False).tolist())
                for n in range(g.layers)]

    if f.layout == "t5":  # a stack's layers share one bias per head, so the same heads go in all of them
        stacks = {"t5.encoder": [0], "t5.decoder": [2], "t5.cross": [1]}
        if family == "t5-encoder":
            stacks = {"t5.encoder": [0]}
        return {stack: {n: {"heads": gone, "ffn": neurons(stack)[n] if stack != "t5.cross" else []} for n in range(g.layers)}
                for stack, gone in stacks.items()}
    return {f.layout: {n: {"heads": heads[n], "ffn": neurons(f.layout)[n]} for n in range(g.layers)}}


def units_of(model, family, kind):
    """The units of the model's own tensors, tied storage once: zeroing them changes the model."""
    return Units(FAMILIES[family].layout, geometry(family, kind), {n: p.data for n, p in model.named_parameters()})


def make_inputs(family, kind, batch, length, seed, left=True):
    """Inputs of one size: row 1 is padded right, row 2 left (or right too)."""
    f, g, random = FAMILIES[family], geometry(family, kind), generator(seed, "inputs", batch, length)
    if f.inputs == ("pixel_values",):
        return {"pixel_values": torch.from_numpy(random.standard_normal((batch, 3, 12, 12)).astype("float32"))}
    pad = 1 if family == "roberta" else 0
    ids = torch.from_numpy(random.integers(3, g.vocab, (batch, length)))
    mask = torch.ones(batch, length, dtype=torch.int64)
    missing = length // 3
    if batch > 1:
        mask[1, length - missing:] = 0
    if batch > 2:
        mask[2, slice(0, missing) if left else slice(length - 2, length)] = 0
    ids[mask == 0] = pad
    inputs = {"input_ids": ids, "attention_mask": mask}
    if "token_type_ids" in f.inputs:
        inputs["token_type_ids"] = (torch.arange(length)[None] >= length // 2).long().expand(batch, length).contiguous()
    if "position_ids" in f.inputs:
        inputs["position_ids"] = torch.arange(length)[None].expand(batch, length).contiguous()
    if "decoder_input_ids" in f.inputs:
        inputs["decoder_input_ids"] = torch.from_numpy(random.integers(3, g.vocab, (batch, length // 2 + 1)))
    return inputs


class Positional(torch.nn.Module):
    """A model with positional inputs and a tuple of outputs, as exporters want it."""

    def __init__(self, model, inputs, outputs):
        super().__init__()
        self.model, self.inputs, self.outputs = model, tuple(inputs), tuple(outputs)

    def forward(self, *values):
        found = self.model(**dict(zip(self.inputs, values)), return_dict=True)
        return tuple(found[name] for name in self.outputs)
