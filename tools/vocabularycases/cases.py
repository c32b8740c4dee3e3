"""The cases: a tokenizer of golden/gguf-tokenizers, and the class of the model that is made for it."""

import json
import os
import random
import shutil

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "golden")
TOKENIZERS = os.path.join(GOLDEN, "gguf-tokenizers")
SMALL = {"max_position_embeddings": 64, "intermediate_size": 16}
# name: (class, changes of the configuration)
CASES = {
    "gpt2": ("GPT2LMHeadModel", {"n_positions": 64}),
    "gpt2-older-files": ("GPT2LMHeadModel", {"n_positions": 64}),
    "llama3": ("LlamaForCausalLM", {**SMALL, "tie_word_embeddings": False}),
    "qwen2": ("Qwen2ForCausalLM", {**SMALL, "num_key_value_heads": 1, "tie_word_embeddings": True}),
    "falcon": ("FalconForCausalLM", {"ffn_hidden_size": 16}),
    "bloom": ("BloomForCausalLM", {}),
    "neox": ("GPTNeoXForCausalLM", {**SMALL, "rotary_pct": 0.5}),
    "roberta": ("RobertaForMaskedLM", SMALL),
    "bert-uncased": ("BertModel", SMALL),
    "bert-cased": ("BertForMaskedLM", SMALL),
    "bert-text-file": ("DistilBertForMaskedLM", {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 16,
                                                 "max_position_embeddings": 64}),
    "llama-spm": ("LlamaForCausalLM", {**SMALL, "tie_word_embeddings": True}),
    "llama-byte-fallback": ("LlamaForCausalLM", {**SMALL, "num_key_value_heads": 1}),
    "gemma": ("GemmaForCausalLM", {**SMALL, "num_key_value_heads": 1}),
    "gemma3": ("Gemma3ForCausalLM", {**SMALL, "num_key_value_heads": 1}),
    "phi3": ("Phi3ForCausalLM", {**SMALL, "num_key_value_heads": 2}),
    "t5": ("T5ForConditionalGeneration", {"decoder_start_token_id": 0}),
    "xlm-roberta": ("XLMRobertaForMaskedLM", SMALL),
    "xlm-roberta-json": ("XLMRobertaForMaskedLM", SMALL),
}
CORPUS = ["the dog and the fox", "token tokens tokenization merging", "In 1999 there were 12345 llamas"]


def make(name, folder):
    """Writes the model and its tokenizer; the numbers come from the name."""
    import torch
    import transformers
    shutil.copytree(os.path.join(TOKENIZERS, name), folder)
    os.remove(os.path.join(folder, "expected.json"))
    class_name, changes = CASES[name]
    config = json.load(open(os.path.join(folder, "config.json")))
    config.update(changes, architectures=[class_name], torch_dtype="float32")
    if name == "bert-text-file":
        config = {key: value for key, value in config.items() if key not in ("hidden_size", "num_hidden_layers",
                                                                             "num_attention_heads")}
    kind = config.pop("model_type")
    settings = transformers.CONFIG_MAPPING[kind](**config)
    torch.manual_seed(sum(map(ord, name)))
    model = getattr(transformers, class_name)(settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
        for key, bias in model.named_parameters():
            if key.endswith("norm.weight") or "LayerNorm.weight" in key or "layernorm.weight" in key:
                bias.add_(1)
    model.save_pretrained(folder)
    return model


def texts(seed, count):
    """Texts of words and pieces of words, of the corpus and of others."""
    generator = random.Random(seed)
    words = [word for line in CORPUS for word in line.split(" ")] + ["dog", "tok", "en", "lla", "ing", "19", "5", "fo"]
    result = list(CORPUS)
    for _ in range(count):
        text = " ".join(generator.choices(words, k=generator.randint(1, 5)))
        if generator.random() < 0.4:
            start = generator.randrange(len(text))
            text = text[start:start + generator.randint(1, 12)]
        result.append(text.replace(" ", "  ") if generator.random() < 0.1 else text)
    return [text for text in dict.fromkeys(result) if text.strip()]
