"""The tokenizers of the fixtures, one function per case; each gives the name that its pre-tokenizer has in GGUF."""

import io
import json
import os

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't mind. I've seen that he'll come; it's fine.",
    "In 1999 there were 12345 llamas; 3 33 333 3333 of them sang. def f(x): return x ** 2  # square",
    "größer naïve éclair – «quoted» нещо на Български 我想在apple工作 こんにちは 안녕하세요 🚀 🦙",
    "the the the and and and of of to to in in a a is is it it that that for for    with    spaces\n\n\tand tabs",
    "token tokens tokenizer tokenization vocabulary vocabularies merge merges merged merging special unknown",
]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
TEMPLATE = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def write(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)


def save(folder, tokenizer, config, model_config):
    tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    if config is not None:
        write(folder, "tokenizer_config.json", config)
    write(folder, "config.json", model_config)


def model_config(name, kind, vocab_size, **more):
    return {"architectures": [name], "model_type": kind, "vocab_size": vocab_size, "hidden_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 2, **more}


def byte_level(pre_tokenizer, size=320, special=(), normalizer=None, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def split(*patterns):
    parts = [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]
    return pre_tokenizers.Sequence(parts + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def gpt2(folder):
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), special=["<|endoftext|>"])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    save(folder, tokenizer, {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, "bos_token": "<|endoftext|>",
                             "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
         model_config("GPT2LMHeadModel", "gpt2", 320, bos_token_id=0, eos_token_id=0, n_embd=8, n_layer=1, n_head=2))
    return "gpt-2"


def gpt2_older_files(folder):
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), special=["<|endoftext|>"])
    tokenizer.model.save(folder)
    write(folder, "config.json", model_config("GPT2LMHeadModel", "gpt2", 324, bos_token_id=0, eos_token_id=0, n_embd=8,
                                              n_layer=1, n_head=2))
    write(folder, "tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer", "model_max_length": 64})
    return "gpt-2"


def llama3(folder):
    tokenizer = byte_level(split(LLAMA3), ignore_merges=True)
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>", "<|start_header_id|>",
             "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>"]
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in names])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(add_prefix_space=True, trim_offsets=False, use_regex=True),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                      special_tokens=[("<|begin_of_text|>", 320)])])
    save(folder, tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>",
                             "eos_token": "<|eot_id|>", "pad_token": "<|finetune_right_pad_id|>",
                             "clean_up_tokenization_spaces": True, "chat_template": TEMPLATE},
         model_config("LlamaForCausalLM", "llama", 336, bos_token_id=320, eos_token_id=[321, 325, 326],
                      intermediate_size=16))
    return "llama-bpe"


def qwen2(folder):
    tokenizer = byte_level(split(QWEN2), normalizer=normalizers.NFC())
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False), "<|fim|>", "▁word"])
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    decoder = {str(i): {"content": t.content, "lstrip": False, "normalized": t.normalized, "rstrip": False,
                        "single_word": False, "special": t.special}
               for i, t in tokenizer.get_added_tokens_decoder().items()}
    save(folder, tokenizer, {"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False, "add_prefix_space": False,
                             "added_tokens_decoder": decoder, "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
                             "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
                             "unk_token": None},
         model_config("Qwen2ForCausalLM", "qwen2", 330, bos_token_id=320, eos_token_id=322, intermediate_size=16))
    with open(os.path.join(folder, "chat_template.jinja"), "w", newline="") as file:
        file.write(TEMPLATE.replace("{% if", "\r\n{% if"))
    return "qwen2"


def starcoder(folder):
    tokenizer = byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)]),
                           special=["<|endoftext|>", "<fim_prefix>"])
    save(folder, tokenizer, {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>",
                             "bos_token": {"__type": "AddedToken", "content": "<|endoftext|>", "lstrip": False,
                                           "normalized": True, "rstrip": False, "single_word": False},
                             "unk_token": "<|endoftext|>"},
         model_config("Starcoder2ForCausalLM", "starcoder2", 320))
    return "starcoder"


def falcon(folder):
    pre = pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(False), pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")])
    tokenizer = byte_level(pre, special=[">>TITLE<<", "<|endoftext|>"])
    save(folder, tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"},
         model_config("FalconForCausalLM", "falcon", 320, bos_token_id=1, eos_token_id=1))
    return "falcon"


def bloom(folder):
    tokenizer = byte_level(split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), special=["<unk>", "<s>", "</s>", "<pad>"])
    save(folder, tokenizer, {"tokenizer_class": "BloomTokenizerFast", "unk_token": "<unk>", "bos_token": "<s>",
                             "eos_token": "</s>", "pad_token": "<pad>"},
         model_config("BloomForCausalLM", "bloom", 320, bos_token_id=1, eos_token_id=2, unk_token_id=0, pad_token_id=3,
                      n_head=2, n_layer=1))
    return "bloom"


def neox(folder):
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), special=["<|endoftext|>", "<|padding|>"])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in (4, 3, 2)])
    save(folder, tokenizer, {"tokenizer_class": "GPTNeoXTokenizer", "add_prefix_space": False,
                             "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
         model_config("GPTNeoXForCausalLM", "gpt_neox", 336, bos_token_id=0, eos_token_id=0))
    return "olmo"


def deepseek_v3(folder):
    long = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^""" + "\r\n" + r"""\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| """
            + r"""?[\p{P}\p{S}]+[""" + "\r\n" + r"""]*|\s*[""" + "\r\n" + r"""]+|\s+(?!\S)|\s+""")
    tokenizer = byte_level(split(r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", long))
    tokenizer.add_special_tokens(["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"])
    tokenizer.add_tokens([AddedToken("<｜User｜>", normalized=False, special=False)])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        processors.TemplateProcessing(single="<｜begin▁of▁sentence｜> $A", pair=None,
                                      special_tokens=[("<｜begin▁of▁sentence｜>", 320)])])
    save(folder, tokenizer, {"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": True, "add_eos_token": False,
                             "bos_token": {"__type": "AddedToken", "content": "<｜begin▁of▁sentence｜>", "lstrip": False,
                                           "normalized": True, "rstrip": False, "single_word": False},
                             "eos_token": {"__type": "AddedToken", "content": "<｜end▁of▁sentence｜>", "lstrip": False,
                                           "normalized": True, "rstrip": False, "single_word": False},
                             "unk_token": None, "chat_template": [{"name": "default", "template": TEMPLATE},
                                                                  {"name": "tool-use", "template": "{{ tools }}"}]},
         model_config("LlamaForCausalLM", "llama", 328, bos_token_id=320, eos_token_id=321, intermediate_size=16))
    return "deepseek-v3"


def roberta(folder):
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False),
                           special=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    save(folder, tokenizer, {"tokenizer_class": "RobertaTokenizer", "bos_token": "<s>", "eos_token": "</s>",
                             "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>",
                             "mask_token": "<mask>", "add_prefix_space": False},
         model_config("RobertaModel", "roberta", 320, bos_token_id=0, eos_token_id=2, pad_token_id=1,
                      type_vocab_size=1))
    return "roberta-bpe"


def modern_bert(folder):
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False),
                           special=["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    save(folder, tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "cls_token": "[CLS]", "sep_token": "[SEP]",
                             "pad_token": "[PAD]", "mask_token": "[MASK]", "unk_token": "[UNK]"},
         model_config("ModernBertModel", "modernbert", 320, cls_token_id=1, sep_token_id=2, pad_token_id=3))
    return "modern-bert"


def word_piece(folder, lowercase, name, kind):
    normalizer, splitter = normalizers.BertNormalizer(lowercase=lowercase), pre_tokenizers.BertPreTokenizer()
    words = [word for line in CORPUS for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(line))]
    characters = sorted(set("".join(words)))
    # The library's trainer gives other files in each run: the vocabulary is characters, endings and frequent words.
    frequent = sorted({w for w in words if len(w) > 1 and words.count(w) > 1})
    endings = ["##ing", "##ed", "##er", "##s", "##ization", "##11"]
    tokens = (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + characters + ["##" + c for c in characters if c.isalnum()]
              + frequent + [e for e in endings])
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normalizer, splitter, decoders.WordPiece()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokens = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
              "mask_token": "[MASK]"}
    size = tokenizer.get_vocab_size()
    config = model_config(name, kind, size + 3, type_vocab_size=2, pad_token_id=0)
    return tokenizer, {"tokenizer_class": "BertTokenizer", "do_lower_case": lowercase, **tokens}, config


def bert_uncased(folder):
    save(folder, *word_piece(folder, True, "BertModel", "bert"))
    return "jina-v2-en"


def bert_cased(folder):
    save(folder, *word_piece(folder, False, "BertForMaskedLM", "bert"))
    return "jina-v2-en"


def bert_text_file(folder):
    tokenizer, config, model = word_piece(folder, True, "DistilBertModel", "distilbert")
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    with open(os.path.join(folder, "vocab.txt"), "w", encoding="utf-8") as file:
        file.write("".join(token + "\n" for token, _ in vocabulary))
    write(folder, "tokenizer_config.json", {"do_lower_case": True, "model_max_length": 64})
    del model["type_vocab_size"]
    write(folder, "config.json", model)
    return "jina-v2-en"


def sentence_piece(folder, name, kind, size, **options):
    import sentencepiece
    output = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=output, model_type=kind, vocab_size=size,
        minloglevel=2, num_threads=1, **options)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(output.getvalue())


LLAMA_SPM = dict(byte_fallback=True, normalization_rule_name="identity", split_digits=True, unk_id=0, bos_id=1,
                 eos_id=2, pad_id=-1, remove_extra_whitespaces=False, allow_whitespace_only_pieces=True,
                 character_coverage=0.98)


def token(content, special=True):
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
            "special": special}


def llama_spm(folder):
    sentence_piece(folder, "tokenizer.model", "bpe", 440, user_defined_symbols=["<user>"], **LLAMA_SPM)
    write(folder, "tokenizer_config.json", {
        "tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "add_prefix_space": True,
        "legacy": True, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": None,
        "added_tokens_decoder": {"0": token("<unk>"), "1": token("<s>"), "2": token("</s>"),
                                 "440": token("<|im_start|>", False), "441": token("▁tool▁", False)},
        "chat_template": TEMPLATE})
    write(folder, "added_tokens.json", {"<extra>": 442})
    write(folder, "config.json", model_config("LlamaForCausalLM", "llama", 448, bos_token_id=1, eos_token_id=2,
                                              pad_token_id=0, intermediate_size=16))
    return None


def llama_byte_fallback(folder):
    sentence_piece(folder, "tokenizer.model", "bpe", 440, **LLAMA_SPM)
    write(folder, "config.json", model_config("LlamaForCausalLM", "llama", 442, bos_token_id=1, eos_token_id=2,
                                              intermediate_size=16))
    from transformers import LlamaTokenizerFast
    tokenizer = LlamaTokenizerFast.from_pretrained(folder, legacy=True)
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    tokenizer.add_tokens(["<tool>"])
    tokenizer.save_pretrained(folder)
    os.remove(os.path.join(folder, "tokenizer.model"))
    return None


def gemma(folder):
    sentence_piece(folder, "tokenizer.model", "bpe", 440, byte_fallback=True, normalization_rule_name="identity",
                   pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>",
                   add_dummy_prefix=False, remove_extra_whitespaces=False, user_defined_symbols=["<mask>", "<unused0>"])
    write(folder, "tokenizer_config.json", {
        "tokenizer_class": "GemmaTokenizer", "add_bos_token": True, "add_eos_token": False, "bos_token": "<bos>",
        "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>",
        "added_tokens_decoder": {"0": token("<pad>"), "1": token("<eos>"), "2": token("<bos>"), "3": token("<unk>"),
                                 "4": token("<mask>", False), "5": token("<unused0>", False)},
        "chat_template": TEMPLATE})
    write(folder, "config.json", model_config("GemmaForCausalLM", "gemma", 444, bos_token_id=2, eos_token_id=1,
                                              pad_token_id=0, intermediate_size=16, head_dim=4))
    return None


def gemma3(folder):
    gemma(folder)
    config = json.load(open(os.path.join(folder, "config.json")))
    config.update(architectures=["Gemma3ForCausalLM"], model_type="gemma3_text", eos_token_id=[1, 107])
    write(folder, "config.json", config)
    return None


def phi3(folder):
    sentence_piece(folder, "tokenizer.model", "bpe", 440, **LLAMA_SPM)
    write(folder, "tokenizer_config.json", {
        "tokenizer_class": "LlamaTokenizer", "add_bos_token": False, "add_eos_token": False, "bos_token": "<s>",
        "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<unk>",
        "added_tokens_decoder": {"0": token("<unk>"), "1": token("<s>"), "2": token("</s>", False),
                                 "440": token("<|endoftext|>"), "441": token("<|assistant|>")},
        "chat_template": TEMPLATE})
    write(folder, "added_tokens.json", {"<|endoftext|>": 440, "<|assistant|>": 441})
    write(folder, "config.json", model_config("Phi3ForCausalLM", "phi3", 448, bos_token_id=1, eos_token_id=440,
                                              pad_token_id=440, intermediate_size=16))
    return None


def t5(folder):
    rules = os.path.join(folder, "rules.tsv")
    with open(rules, "w") as file:
        file.write("FF5E\t7E\nFB01\t66 69\n2460\t31\n")
    sentence_piece(folder, "spiece.model", "unigram", 120, normalization_rule_tsv=rules, pad_id=0, eos_id=1, unk_id=2,
                   bos_id=-1)
    os.remove(rules)
    extra = [f"<extra_id_{n}>" for n in range(3)]
    write(folder, "tokenizer_config.json", {"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "unk_token": "<unk>",
                                            "pad_token": "<pad>", "extra_ids": 3, "additional_special_tokens": extra})
    write(folder, "special_tokens_map.json", {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
                                              "additional_special_tokens": extra})
    write(folder, "config.json", {**model_config("T5ForConditionalGeneration", "t5", 126, eos_token_id=1, pad_token_id=0),
                                  "d_model": 8, "num_layers": 1, "num_heads": 2, "d_ff": 8, "d_kv": 4})
    return None


def space_rules(folder):
    """Rules that make tabs and line feeds spaces, as the published models' do."""
    path = os.path.join(folder, "rules.tsv")
    with open(path, "w") as file:
        file.write("FF5E\t7E\n9\t20\nA\t20\n")
    return path


def xlm_roberta(folder):
    sentence_piece(folder, "sentencepiece.bpe.model", "unigram", 120, normalization_rule_tsv=space_rules(folder))
    os.remove(os.path.join(folder, "rules.tsv"))
    write(folder, "tokenizer_config.json", {
        "tokenizer_class": "XLMRobertaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>",
        "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"})
    write(folder, "config.json", model_config("XLMRobertaModel", "xlm-roberta", 122, bos_token_id=0, eos_token_id=2,
                                              pad_token_id=1, type_vocab_size=1))
    return None


def xlm_roberta_json(folder):
    sentence_piece(folder, "sentencepiece.bpe.model", "unigram", 120, normalization_rule_tsv=space_rules(folder))
    os.remove(os.path.join(folder, "rules.tsv"))
    from transformers import XLMRobertaTokenizerFast
    tokenizer = XLMRobertaTokenizerFast.from_pretrained(folder)
    os.remove(os.path.join(folder, "sentencepiece.bpe.model"))
    tokenizer.save_pretrained(folder)
    for name in ("sentencepiece.bpe.model",):
        if os.path.exists(os.path.join(folder, name)):
            os.remove(os.path.join(folder, name))
    path = os.path.join(folder, "tokenizer.json")
    content = json.load(open(path, encoding="utf-8"))
    # Published files have the table alone, and split at white space before the rest.
    content["normalizer"] = content["normalizer"]["normalizers"][0]
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
                                                                      content["pre_tokenizer"]]}
    json.dump(content, open(path, "w", encoding="utf-8"), ensure_ascii=False, separators=(",", ":"))
    write(folder, "config.json", model_config("XLMRobertaModel", "xlm-roberta", 122, bos_token_id=0, eos_token_id=2,
                                              pad_token_id=1, type_vocab_size=1))
    return None


CASES = {
    "gpt2": gpt2, "gpt2-older-files": gpt2_older_files, "llama3": llama3, "qwen2": qwen2, "starcoder": starcoder,
    "falcon": falcon, "bloom": bloom, "neox": neox, "deepseek-v3": deepseek_v3, "roberta": roberta,
    "modern-bert": modern_bert, "bert-uncased": bert_uncased, "bert-cased": bert_cased,
    "bert-text-file": bert_text_file, "llama-spm": llama_spm, "llama-byte-fallback": llama_byte_fallback,
    "gemma": gemma, "gemma3": gemma3, "phi3": phi3, "t5": t5, "xlm-roberta": xlm_roberta,
    "xlm-roberta-json": xlm_roberta_json,
}
