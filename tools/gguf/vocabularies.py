"""Small real tokenizers, trained on the text of Python's own reference manual, in the files that the families ship."""

import io
import json
import os
import re

TEXTS = ["Hello world, this is a test of the tokenizer.", "  leading and trailing  ", "def f(x):\n    return x**2 + 10_000\n",
         "naïve café — 12345 \u0161\u4e2d\u6587 \U0001f642!", "", "It's what we'll DO; they've 3.14%"]


def lines():
    from pydoc_data.topics import topics

    return [line for name in sorted(topics) for line in topics[name].splitlines() if line.strip()][:6000]


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")


def sentencepiece(folder, kind, size, file="tokenizer.model", **options):
    """A SentencePiece model (kind bpe or unigram) with byte pieces where bpe."""
    import sentencepiece as library

    out = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(lines()), model_writer=out, vocab_size=size, model_type=kind, byte_fallback=kind == "bpe",
        num_threads=1, minloglevel=2, **options)
    with open(os.path.join(folder, file), "wb") as target:
        target.write(out.getvalue())


def llama(folder, size, special=("<unk>", "<s>", "</s>"), added=None, **extra):
    sentencepiece(folder, "bpe", size, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, normalization_rule_name="identity",
                  remove_extra_whitespaces=False)
    decoder = {str(i): entry(text) for i, text in enumerate(special)}
    decoder |= {str(size + i): entry(text) for i, text in enumerate(added or ())}
    write_json(folder, "tokenizer_config.json", {
        "add_bos_token": True, "add_eos_token": False, "added_tokens_decoder": decoder, "bos_token": "<s>",
        "eos_token": "</s>", "unk_token": "<unk>", "legacy": False, "model_max_length": 512,
        "tokenizer_class": "LlamaTokenizer", **extra})
    if added:
        write_json(folder, "added_tokens.json", {text: size + i for i, text in enumerate(added)})
    write_json(folder, "special_tokens_map.json", {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
    return size + len(added or ())


def gemma(folder, size):
    sentencepiece(folder, "bpe", size, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>",
                  bos_piece="<bos>", normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False,
                  user_defined_symbols=["<mask>", "<2mass>", "<start_of_turn>", "<end_of_turn>"])
    texts = ["<pad>", "<eos>", "<bos>", "<unk>"]
    write_json(folder, "tokenizer_config.json", {
        "add_bos_token": True, "add_eos_token": False,
        "added_tokens_decoder": {str(i): entry(text) for i, text in enumerate(texts)},
        "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>",
        "chat_template": "{{ bos_token }}{% for message in messages %}{{ message['content'] }}{% endfor %}",
        "tokenizer_class": "GemmaTokenizer"})
    return size


def entry(text, special=True, normalized=False):
    return {"content": text, "lstrip": False, "normalized": normalized, "rstrip": False, "single_word": False,
            "special": special}


def t5(folder, size):
    sentencepiece(folder, "unigram", size, file="spiece.model", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>",
                  normalization_rule_name="nmt_nfkc")
    write_json(folder, "tokenizer_config.json", {
        "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "extra_ids": 0, "tokenizer_class": "T5Tokenizer"})
    return size


SPLITS = {  # what stands before the byte-level step, by the name llama.cpp gives it
    "gpt-2": None,
    "llama-bpe": (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
    "qwen2": (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")}


def byte_level(folder, size, pre="gpt-2", special=("<|endoftext|>",), bos=None, eos=None, tokenizer_class="PreTrainedTokenizerFast",
               first=(), template=None, roberta=False, ignore_merges=False, user=(), **extra):
    """A byte-level BPE as tokenizer.json. `first` stand at the first ids, `special` after the trained ones."""
    import tokenizers
    from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if pre == "falcon":
        steps = [pre_tokenizers.Punctuation(behavior="contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False),
                 pre_tokenizers.Digits(individual_digits=False),
                 pre_tokenizers.Split(tokenizers.Regex("[0-9][0-9][0-9]"), behavior="isolated")]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    elif pre == "bloom":
        split = pre_tokenizers.Split(tokenizers.Regex(r" ?[^(\s|[.,!?…。，、।۔،])]+"), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    elif SPLITS.get(pre):
        split = pre_tokenizers.Split(tokenizers.Regex(SPLITS[pre]), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=size - len(special) - len(user), special_tokens=list(first), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(lines(), trainer)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in user])
    if roberta:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    elif template:
        ids = [(text, tokenizer.token_to_id(text)) for text in (*first, *special)]
        tokenizer.post_processor = processors.TemplateProcessing(single=template, pair=f"{template} $B:1", special_tokens=ids)
    else:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    names = {"bos_token": bos, "eos_token": eos} | extra
    decoder = {str(tokenizer.token_to_id(text)): entry(text) for text in (*first, *special)}
    decoder |= {str(tokenizer.token_to_id(text)): entry(text, special=False) for text in user}
    write_json(folder, "tokenizer_config.json", {
        "added_tokens_decoder": decoder, "clean_up_tokenization_spaces": False, "model_max_length": 512,
        "tokenizer_class": tokenizer_class} | {key: value for key, value in names.items() if value is not None})
    return tokenizer.get_vocab_size()


def wordpiece(folder, size, tokenizer_class="BertTokenizer"):
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(lines(), trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False))
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    with open(os.path.join(folder, "vocab.txt"), "w") as file:
        file.write("".join(f"{text}\n" for text, _ in vocabulary))
    write_json(folder, "tokenizer_config.json", {
        "added_tokens_decoder": {str(i): entry(text) for i, text in enumerate(special)}, "cls_token": "[CLS]",
        "do_lower_case": True, "mask_token": "[MASK]", "model_max_length": 64, "pad_token": "[PAD]", "sep_token": "[SEP]",
        "tokenizer_class": tokenizer_class, "unk_token": "[UNK]"})
    return len(vocabulary)
