"""Which tokens have to stay, and what the smaller tokenizer must make of texts: worked out apart from Pollard.

Merges are followed by asking the tokenizers package for the tokens of every beginning of a merge list, which is slow and leaves no
room for the same mistake."""

import json
import os

from . import cases


def tokenizer(folder):
    import transformers
    return transformers.AutoTokenizer.from_pretrained(folder, use_fast=True)


def state(fast):
    return json.loads(fast.backend_tokenizer.to_str())


def merge_parts(merge):
    return tuple(merge) if isinstance(merge, list) else tuple(merge.split(" "))


def derivation(token, ranks):
    """The texts that a token is merged from, its characters among them; nothing when merges do not make it."""
    parts, seen = list(token), set(token)
    while len(parts) > 1:
        pairs = [(ranks[pair], index) for index, pair in enumerate(zip(parts, parts[1:])) if pair in ranks]
        if not pairs:
            return set()
        _, index = min(pairs)
        parts[index:index + 2] = [parts[index] + parts[index + 1]]
        seen.add(parts[index])
    return seen


def kept(folder, fast, wanted, rows, config):
    content, vocabulary = state(fast), fast.get_vocab()
    result = set(wanted) | {vocabulary[token["content"]] for token in content["added_tokens"]}
    result |= set(fast.all_special_ids)
    if os.path.exists(os.path.join(folder, "added_tokens.json")):
        result |= set(json.load(open(os.path.join(folder, "added_tokens.json"))).values())
    for name in ("config.json", "generation_config.json"):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            for key, value in json.load(open(path)).items():
                if key.endswith("_token_id"):
                    result |= {i for i in (value if isinstance(value, list) else [value]) if i is not None}
    for key in ("pad_token_id", "bos_token_id", "eos_token_id"):
        value = getattr(config, key, None)
        result |= {i for i in (value if isinstance(value, list) else [value]) if i is not None}
    model = content["model"]
    if model.get("unk_token"):
        result.add(vocabulary[model["unk_token"]])
    if model["type"] == "BPE":
        if "ByteLevel" in json.dumps([content["pre_tokenizer"], content["decoder"]]):
            from tokenizers import pre_tokenizers
            result |= {vocabulary[c] for c in pre_tokenizers.ByteLevel.alphabet() if c in vocabulary}
        if model.get("byte_fallback"):
            result |= {vocabulary[f"<0x{i:02X}>"] for i in range(256)}
        ranks = {merge_parts(merge): rank for rank, merge in enumerate(model["merges"])}
        names = {index: text for text, index in vocabulary.items()}
        added = {token["content"] for token in content["added_tokens"]}
        for index in list(result):
            if index in names and names[index] not in added:
                result |= {vocabulary[part] for part in derivation(names[index], ranks) if part in vocabulary}
    if model["type"] == "Unigram":
        result.add(min(range(len(model["vocab"])), key=lambda i: model["vocab"][i][1]))
        if model.get("unk_id") is not None:
            result.add(model["unk_id"])
        if any(os.path.exists(os.path.join(folder, f)) for f in ("spiece.model", "sentencepiece.bpe.model")):
            result |= scores_of_pieces(folder, vocabulary)
    if config.model_type in ("roberta", "xlm-roberta"):
        result |= set(range(config.pad_token_id + 1))
    return sorted(index for index in result if 0 <= index < rows)


def scores_of_pieces(folder, vocabulary):
    import sentencepiece
    path = next(os.path.join(folder, f) for f in ("spiece.model", "sentencepiece.bpe.model")
                if os.path.exists(os.path.join(folder, f)))
    pieces = sentencepiece.SentencePieceProcessor(model_file=path)
    normal = [i for i in range(len(pieces))
              if not (pieces.is_control(i) or pieces.is_unknown(i) or pieces.is_byte(i) or pieces.is_unused(i))]
    ends = (min(normal, key=pieces.get_score), max(normal, key=pieces.get_score))
    return {vocabulary[pieces.id_to_piece(i)] for i in ends}


def expected(name, folder, model):
    import torch
    fast = tokenizer(folder)
    corpus = [fast(text)["input_ids"] for text in cases.CORPUS]
    rows = model.get_input_embeddings().weight.shape[0]
    ids = kept(folder, fast, {i for line in corpus for i in line}, rows, model.config)
    place = {index: number for number, index in enumerate(ids)}
    texts = []
    for text in cases.texts(name, 60):
        old = fast(text)["input_ids"]
        if name.startswith("bert") and fast.unk_token_id in old:
            continue
        if old and all(index in place for index in old):
            texts.append([text, old, [place[index] for index in old]])
    result = {"corpus": corpus, "kept": ids, "texts": texts}
    inputs = {"input_ids": torch.tensor([corpus[0]])}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor([[model.config.decoder_start_token_id] + corpus[0][:4]])
    with torch.no_grad():
        logits = getattr(model(**inputs), "logits", None)
    if logits is not None:
        result["logits"] = [[float(f"{x:.6g}") for x in row] for row in logits[0][:, ids].tolist()]
    return result
