#!/usr/bin/env python3
"""Makes the Hugging Face side of the fixtures: tiny random models with tokenizers, masked variants, torch's outputs.

    fixtures.py ROOT [NAME…]        run by tools/make-gguf-fixtures, in the peer llama

ROOT/NAME/NAME/ is the model, ROOT/NAME/masked-LABEL/NAME/ the same with masked units zeroed, ROOT/NAME/LABEL.safetensors
that mask, ROOT/NAME/*.npy torch's outputs in f32, ROOT/NAME/fixture.json what there is.
"""

import json
import os
import shutil
import sys
import zlib

import vocabularies

WIDE = dict(hidden_size=256, intermediate_size=512, num_hidden_layers=3)
SLIM = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3)
MIXES = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k_m", "q4_k_s", "q5_k_m", "q6_k"]
MORE = ["q2_k", "q3_k_m", "iq4_nl", "iq4_xs", "tq1_0", "tq2_0"]
LLAMA = dict(num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=512, rms_norm_eps=1e-5,
             tie_word_embeddings=False)


def spm(size=384, **options):
    return lambda folder: vocabularies.llama(folder, size, **options)


def bpe(size=512, **options):
    return lambda folder: vocabularies.byte_level(folder, size, **options)


LLAMA3 = dict(pre="llama-bpe", special=("<|begin_of_text|>", "<|end_of_text|>"), bos="<|begin_of_text|>", eos="<|end_of_text|>",
              template="<|begin_of_text|> $A", ignore_merges=True)
QWEN = dict(pre="qwen2", special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"), eos="<|im_end|>", pad_token="<|endoftext|>",
            tokenizer_class="Qwen2Tokenizer", user=("<tool_call>", "</tool_call>"),
            chat_template="{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}")
GPT2 = dict(bos="<|endoftext|>", eos="<|endoftext|>", unk_token="<|endoftext|>", tokenizer_class="GPT2Tokenizer")
ROBERTA = dict(first=("<s>", "<pad>", "</s>", "<unk>", "<mask>"), special=(), bos="<s>", eos="</s>", unk_token="<unk>",
               pad_token="<pad>", cls_token="<s>", sep_token="</s>", mask_token="<mask>", roberta=True,
               tokenizer_class="RobertaTokenizer", pre="roberta-bpe")
GEMMA = dict(num_attention_heads=4, num_key_value_heads=2, head_dim=64, max_position_embeddings=512, rms_norm_eps=1e-6,
             hidden_activation="gelu_pytorch_tanh")
BERT = dict(num_attention_heads=8, max_position_embeddings=64, type_vocab_size=2)
PHI3 = ("<|endoftext|>", "<|user|>", "<|end|>", "<|assistant|>")  # llama.cpp looks for the first by the model's name
CARD = """---
license: apache-2.0
license_name: acme
language:
- en
- de
library_name: transformers
pipeline_tag: text-generation
tags:
- chat
- acme
base_model: acme-ai/Acme-Llama-3M-v1.0
datasets:
- acme-ai/some-text
- other/data
---

# Acme

A model card as the Hub has them.
"""
HEADS = "head_mask"
GROUPS = "kv_group_mask"

# Of each: the class, its config, the tokenizer; and where they apply the name of the pre-tokenizer, the stored type, the
# quantised mixes, the unit of attention that masks remove, the output that is compared, and the factor between llama.cpp's
# logits and torch's (llama.cpp leaves out the scale of T5's tied embedding).
FIXTURES = {
    "llama": dict(model="LlamaForCausalLM", config=LLAMA | WIDE, vocabulary=spm(), mixes=MIXES + MORE, masks=GROUPS),
    "tiny": dict(model="LlamaForCausalLM", vocabulary=spm(352), dtype="float16", mixes=["q4_0"], masks=GROUPS,
                 config=LLAMA | dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                     num_key_value_heads=2, max_position_embeddings=64)),
    "llama-padded": dict(model="LlamaForCausalLM", config=LLAMA | SLIM | dict(vocab_size=400), dtype="float16",
                         vocabulary=spm(added=("<|user|>", "<|assistant|>", "<extra>"),
                                        chat_template="{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}")),
    "llama3": dict(model="LlamaForCausalLM", dtype="bfloat16", vocabulary=bpe(**LLAMA3), pre="llama-bpe", masks=GROUPS,
                   config=LLAMA | SLIM | dict(tie_word_embeddings=True, rope_theta=500000.0, head_dim=8, rope_scaling=dict(
                       rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                       original_max_position_embeddings=64))),
    "llama-biased": dict(model="LlamaForCausalLM", vocabulary=bpe(**LLAMA3), pre="llama-bpe",
                         config=LLAMA | SLIM | dict(attention_bias=True, rope_scaling=dict(rope_type="linear", factor=2.0))),
    "Acme-Llama-3M-Instruct-v1.2": dict(  # what the converter reads out of the folder's name, its card and its sampling
        model="LlamaForCausalLM", vocabulary=spm(), config=LLAMA | SLIM, files={"README.md": CARD, "generation_config.json": json.dumps(
            {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 40, "eos_token_id": [2, 1], "bos_token_id": 1})}),
    "mistral": dict(model="MistralForCausalLM", vocabulary=spm(), dtype="bfloat16", mixes=["q4_k_m", "q8_0"], masks=GROUPS,
                    config=LLAMA | WIDE | dict(sliding_window=None, head_dim=32)),
    "qwen2": dict(model="Qwen2ForCausalLM", vocabulary=bpe(**QWEN), pre="qwen2", masks=GROUPS,
                  mixes=["q4_0", "q8_0", "q4_k_m", "q5_k_m"], config=LLAMA | WIDE | dict(vocab_size=520, rope_theta=1e6)),
    "qwen2-tied": dict(model="Qwen2ForCausalLM", vocabulary=bpe(**QWEN), pre="qwen2", dtype="bfloat16",
                       config=LLAMA | SLIM | dict(tie_word_embeddings=True)),
    "qwen3": dict(model="Qwen3ForCausalLM", vocabulary=bpe(**QWEN), pre="qwen2", masks=GROUPS, mixes=["q4_k_m", "q8_0"],
                  config=LLAMA | WIDE | dict(head_dim=64, tie_word_embeddings=True, rope_theta=1e6)),
    "qwen3-untied": dict(model="Qwen3ForCausalLM", vocabulary=bpe(**QWEN), pre="qwen2", dtype="float16",
                         config=LLAMA | SLIM | dict(head_dim=16, num_attention_heads=4, num_key_value_heads=2)),
    "gemma": dict(model="GemmaForCausalLM", vocabulary=lambda folder: vocabularies.gemma(folder, 384), masks=GROUPS,
                  config=GEMMA | WIDE, mixes=["q4_k_m", "q8_0"]),
    "gemma2": dict(model="Gemma2ForCausalLM", vocabulary=lambda folder: vocabularies.gemma(folder, 384),
                   config=GEMMA | WIDE | dict(num_hidden_layers=4, sliding_window=8, query_pre_attn_scalar=64), masks=GROUPS,
                   mixes=["q4_k_m"]),
    "gemma3": dict(model="Gemma3ForCausalLM", vocabulary=lambda folder: vocabularies.gemma(folder, 384), masks=GROUPS,
                   config=GEMMA | WIDE | dict(num_hidden_layers=7, sliding_window=8, query_pre_attn_scalar=64), mixes=["q4_k_m"]),
    "phi3": dict(model="Phi3ForCausalLM", vocabulary=spm(chat_template="{{ messages }}", added=PHI3), masks=GROUPS, mixes=["q4_k_m"],
                 config=LLAMA | WIDE | dict(vocab_size=400, num_key_value_heads=8, sliding_window=None, pad_token_id=2,
                                            original_max_position_embeddings=512)),
    "phi3-longrope": dict(model="Phi3ForCausalLM", vocabulary=spm(added=PHI3), dtype="bfloat16",
                          config=LLAMA | SLIM | dict(vocab_size=400, pad_token_id=2, sliding_window=None, max_position_embeddings=1024,
                                                     original_max_position_embeddings=8, rope_scaling=dict(
                                                         type="longrope", short_factor=[1.0, 1.1, 1.2, 1.3],
                                                         long_factor=[1.5, 2.0, 4.0, 8.0]))),
    "gpt2": dict(model="GPT2LMHeadModel", vocabulary=bpe(**GPT2), pre="gpt-2", masks=HEADS, mixes=MIXES,
                 config=dict(n_embd=256, n_layer=3, n_head=8, n_positions=64, n_ctx=64, n_inner=None)),
    "bert": dict(model="BertModel", vocabulary=lambda folder: vocabularies.wordpiece(folder, 512), pre="jina-v2-en", masks=HEADS, mixes=["q4_k_m", "q8_0"],
                 config=BERT | WIDE, output="embeddings"),
    "bert-classifier": dict(model="BertForSequenceClassification", pre="jina-v2-en", vocabulary=lambda folder: vocabularies.wordpiece(folder, 300),
                            config=BERT | SLIM | dict(id2label={"0": "bad", "1": "fine", "2": "good"},
                                                      label2id={"bad": 0, "fine": 1, "good": 2}), output="embeddings"),
    "roberta": dict(model="RobertaModel", vocabulary=bpe(**ROBERTA), pre="roberta-bpe", output="embeddings", masks=HEADS,
                    config=BERT | SLIM | dict(type_vocab_size=1, max_position_embeddings=66, pad_token_id=1, bos_token_id=0,
                                              eos_token_id=2)),
    "distilbert": dict(model="DistilBertModel", pre="jina-v2-en", output="embeddings", masks=HEADS,
                       vocabulary=lambda folder: vocabularies.wordpiece(folder, 300, "DistilBertTokenizer"),
                       config=dict(dim=64, hidden_dim=96, n_layers=3, n_heads=8, max_position_embeddings=64)),
    "t5": dict(model="T5ForConditionalGeneration", scale=8.0, vocabulary=lambda folder: vocabularies.t5(folder, 384), decoder=True,
               config=dict(d_model=64, d_kv=16, d_ff=96, num_layers=2, num_heads=4, decoder_start_token_id=0)),
    "t5-gated": dict(model="T5ForConditionalGeneration", vocabulary=lambda folder: vocabularies.t5(folder, 384), decoder=True,
                     mixes=["q8_0"], config=dict(d_model=64, d_kv=16, d_ff=96, num_layers=2, num_decoder_layers=2, num_heads=4,
                                                 feed_forward_proj="gated-gelu", tie_word_embeddings=False,
                                                 decoder_start_token_id=0)),
    "stablelm": dict(model="StableLmForCausalLM", vocabulary=bpe(**GPT2), pre="gpt-2", masks=GROUPS,
                     config=LLAMA | SLIM | dict(use_qkv_bias=True, partial_rotary_factor=0.5, head_dim=8)),
    "gptneox": dict(model="GPTNeoXForCausalLM", vocabulary=bpe(**GPT2), pre="olmo", masks=HEADS,
                    config=SLIM | dict(num_attention_heads=4, rotary_pct=0.25, max_position_embeddings=128)),
    "falcon": dict(model="FalconForCausalLM", vocabulary=bpe(**(GPT2 | dict(pre="falcon"))), pre="falcon",
                   config=dict(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, multi_query=True, num_kv_heads=1, bias=False,
                               parallel_attn=True, alibi=False)),
    "falcon-grouped": dict(model="FalconForCausalLM", vocabulary=bpe(**(GPT2 | dict(pre="falcon"))), pre="falcon",
                           config=dict(hidden_size=256, num_hidden_layers=3, num_attention_heads=8, num_kv_heads=2, bias=False,
                                       new_decoder_architecture=True, alibi=False), mixes=["q4_k_m"]),
    "bloom": dict(model="BloomForCausalLM", vocabulary=bpe(**(GPT2 | dict(pre="bloom"))), pre="bloom",
                  config=dict(hidden_size=64, n_layer=3, n_head=4)),
}


# Weights ---------------------------------------------------------------------------------------


def fill(model, generator):
    """Weights that make every part count: wide logits, biases, norms away from one."""
    import torch

    offset = type(model).__name__.startswith("Gemma")  # their norms add one themselves
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        leaf = name.rsplit(".", 1)[-1]
        if "norm" in name.lower() or ".ln_" in f".{name}":
            value = 0.2 * noise + (0 if leaf == "bias" or offset else 1)
        elif leaf == "bias":
            value = 0.2 * noise
        elif "embed" in name or "wte" in name or "wpe" in name or "shared" in name:
            value = 0.5 * noise
        elif "relative_attention_bias" in name:
            value = noise
        else:
            value = 1.2 * noise / parameter.shape[-1] ** 0.5
        parameter.data = value.to(parameter.dtype)
    model.tie_weights()


# Masks -----------------------------------------------------------------------------------------


def shape_of(config):
    """Layers, units of attention, neurons."""
    get = lambda *names: next(getattr(config, name) for name in names if getattr(config, name, None) is not None)
    layers, heads, hidden = get("num_hidden_layers"), get("num_attention_heads"), get("hidden_size")
    neurons = next((getattr(config, name) for name in ("intermediate_size", "hidden_dim", "n_inner") if getattr(config, name, None)),
                   4 * hidden)
    return layers, heads, neurons


def masks_of(config, kind, generator):
    """{label: {name: [layers, units]}}. Under `blocks` whole blocks of 32 (and of 256) go, so quantised rows stay."""
    import numpy

    layers, heads, neurons = shape_of(config)
    units = heads if kind == HEADS else getattr(config, "num_key_value_heads", heads)
    size = getattr(config, "head_dim", None) or config.hidden_size // heads

    def rows(count, removed):
        mask = numpy.ones((layers, count), numpy.float32)
        for layer in range(layers):
            mask[layer, generator.permutation(count)[:removed(layer)]] = 0
        return mask

    def blocks(block):
        """The same number of whole blocks of `block` goes in every layer, other ones in each."""
        ffn = numpy.ones((layers, neurons), numpy.float32)
        attention = numpy.ones((layers, units), numpy.float32)
        each = block // (size * (heads // units)) if block % (size * (heads // units)) == 0 else 1
        for layer in range(layers):
            if neurons > block:
                start = block * (layer % (neurons // block))
                ffn[layer, start:start + block] = 0
            if units > each:
                start = each * (layer % (units // each))
                attention[layer, start:start + each] = 0
        return {kind: attention, "ffn_mask": ffn}

    masks = {"uniform": {kind: rows(units, lambda _: max(1, units // 4)), "ffn_mask": rows(neurons, lambda _: neurons // 3)},
             "ragged": {kind: rows(units, lambda layer: layer % max(1, min(3, units - 1))),
                        "ffn_mask": rows(neurons, lambda layer: neurons // 4 + 5 * layer)}}
    if config.hidden_size % 256 == 0:
        masks |= {"blocks32": blocks(32), "blocks256": blocks(256)}
    return masks


# Names, by family: (producers of the attention's units, its consumer, producers of the neurons, their consumer)
LINEAR = (("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "self_attn.o_proj", ("mlp.gate_proj", "mlp.up_proj"),
          "mlp.down_proj")
PLACES = {
    "bert": (("attention.self.query", "attention.self.key", "attention.self.value"), "attention.output.dense",
             ("intermediate.dense",), "output.dense"),
    "distilbert": (("attention.q_lin", "attention.k_lin", "attention.v_lin"), "attention.out_lin", ("ffn.lin1",), "ffn.lin2"),
    "gpt2": (("attn.c_attn",), "attn.c_proj", ("mlp.c_fc",), "mlp.c_proj"),
    "gpt_neox": (("attention.query_key_value",), "attention.dense", ("mlp.dense_h_to_4h",), "mlp.dense_4h_to_h"),
    "phi3": (("self_attn.qkv_proj",), "self_attn.o_proj", ("mlp.gate_up_proj",), "mlp.down_proj"),
}
PLACES["roberta"] = PLACES["bert"]


def apply(model, masks, kind):
    """Zeroes the masked units: their rows in the value and up projections, their columns in the consumers."""
    import torch

    config = model.config
    layers, heads, _ = shape_of(config)
    attention, consumer, producers, down = PLACES.get(config.model_type, LINEAR)
    modules = dict(model.named_modules())
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    units = masks[kind].shape[1]
    ratio = heads // units

    def find(layer, name):
        mark = f".{layer}.{name}"
        return next(module for path, module in modules.items() if f".{path}".endswith(mark))

    for layer in range(layers):
        dead = torch.from_numpy(masks[kind][layer] == 0)
        rows = dead.repeat_interleave(ratio * size)  # of queries and of the consumer's columns
        neurons = torch.from_numpy(masks["ffn_mask"][layer] == 0)
        is_transposed = config.model_type == "gpt2"

        def zero(name, output=None, input=None):
            module = find(layer, name)
            weight = module.weight.data.t() if is_transposed else module.weight.data
            if output is not None:
                weight[output] = 0
                if module.bias is not None:
                    module.bias.data[output] = 0
            if input is not None:
                weight[:, input] = 0

        values = dead.repeat_interleave(size)  # rows of the value projection
        if len(attention) == 3:
            zero(attention[0], output=rows)
            zero(attention[1], output=values)
            zero(attention[2], output=values)
        elif config.model_type == "gpt_neox":
            zero(attention[0], output=dead.repeat_interleave(3 * size))
        else:  # queries, keys, values one after the other
            zero(attention[0], output=torch.cat([rows, values, values]))
        zero(consumer, input=rows)
        for name in producers:
            zero(name, output=torch.cat([neurons, neurons]) if name.endswith("gate_up_proj") else neurons)
        zero(down, input=neurons)


# One fixture -----------------------------------------------------------------------------------


def outputs(model, fixture, tokens, decoder):
    import torch

    with torch.no_grad():
        ids = torch.tensor([tokens])
        if decoder:
            return model(input_ids=ids, decoder_input_ids=torch.tensor([decoder])).logits[0]
        if fixture.get("output") == "embeddings":
            return getattr(model, "bert", model)(input_ids=ids).last_hidden_state[0]
        return model(input_ids=ids).logits[0]


def activation(config):
    return next((getattr(config, name) for name in ("hidden_activation", "hidden_act", "activation", "activation_function",
                                                    "feed_forward_proj", "dense_act_fn") if getattr(config, name, None)), "gelu")


def copy_tokenizer(source, target):
    for name in os.listdir(source):
        if name.endswith((".txt", ".model")) or name in ("tokenizer.json", "tokenizer_config.json", "added_tokens.json",
                                                        "special_tokens_map.json"):
            shutil.copy(os.path.join(source, name), target)


def build(root, name):
    import numpy
    import torch
    import transformers
    from safetensors.numpy import save_file

    fixture = FIXTURES[name]
    folder = os.path.join(root, name + ".new")
    shutil.rmtree(folder, ignore_errors=True)
    dense = os.path.join(folder, name)
    os.makedirs(dense)
    size = fixture["vocabulary"](dense)
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    cls = getattr(transformers, fixture["model"])
    settings = dict(fixture["config"])
    if "vocab_size" not in settings:
        settings["vocab_size"] = size
    if os.path.exists(os.path.join(dense, "tokenizer.json")):  # the special tokens' ids, where they are
        tokenizer = json.load(open(os.path.join(dense, "tokenizer_config.json")))
        ids = {entry["content"]: int(i) for i, entry in tokenizer["added_tokens_decoder"].items()}
        for key in ("bos", "eos", "pad"):
            if tokenizer.get(f"{key}_token") in ids:
                settings.setdefault(f"{key}_token_id", ids[tokenizer[f"{key}_token"]])
    config = cls.config_class(**settings)
    dtype = getattr(torch, fixture.get("dtype", "float32"))
    torch.manual_seed(0)
    model = cls._from_config(config, attn_implementation="eager").eval()
    fill(model, generator)
    model.to(dtype).save_pretrained(dense)
    for file, text in fixture.get("files", {}).items():
        with open(os.path.join(dense, file), "w") as target:
            target.write(text)
    tokens = torch.randint(8, min(settings["vocab_size"], 300), (24,), generator=generator).tolist()
    if fixture.get("decoder"):
        decoder = [0] + torch.randint(8, 300, (9,), generator=generator).tolist()
    else:
        decoder = None

    def save_outputs(label, stored):
        # Loaded again: a model that was ever narrowed keeps narrowed rotary frequencies.
        again = cls.from_pretrained(stored, dtype=torch.float32, attn_implementation="eager").eval()
        numpy.save(os.path.join(folder, label), outputs(again, fixture, tokens, decoder).numpy())

    save_outputs("outputs.npy", dense)
    labels = {}
    if fixture.get("masks"):
        kind = fixture["masks"]
        state = {key: value.clone() for key, value in model.to(dtype).state_dict().items()}
        draw = numpy.random.default_rng(zlib.crc32(name.encode()))
        for label, masks in masks_of(config, kind, draw).items():
            model.to(dtype).load_state_dict(state)
            apply(model, masks, kind)
            masked = os.path.join(folder, f"masked-{label}", name)
            os.makedirs(masked)
            model.save_pretrained(masked)
            copy_tokenizer(dense, masked)
            save_file(masks, os.path.join(folder, f"{label}.safetensors"))
            save_outputs(f"masked-{label}.npy", masked)
            labels[label] = {key: [int(count) for count in (value != 0).sum(axis=1)] for key, value in masks.items()}
    entry = {"name": name, "class": fixture["model"], "pre": fixture.get("pre"), "dtype": fixture.get("dtype", "float32"),
             "output": fixture.get("output", "logits"), "tokens": tokens, "decoder": decoder, "texts": vocabularies.TEXTS,
             "mixes": fixture.get("mixes", []), "masks": labels, "unit": fixture.get("masks"),
             "scale": fixture.get("scale", 1.0), "activation": activation(config)}
    with open(os.path.join(folder, "fixture.json"), "w") as file:
        json.dump(entry, file, indent=1)
        file.write("\n")
    shutil.rmtree(os.path.join(root, name), ignore_errors=True)
    os.rename(folder, os.path.join(root, name))


def main(root, names):
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch

    torch.set_num_threads(1)
    for name in names or FIXTURES:
        print(f"make-gguf-fixtures: {name}", file=sys.stderr)
        build(root, name)


if __name__ == "__main__" and sys.argv[1:] == ["--names"]:
    print(json.dumps(list(FIXTURES)))
elif __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
