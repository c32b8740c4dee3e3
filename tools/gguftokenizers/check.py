"""Compares tokenizers that were exported from GGUF metadata with the ids that are known of them."""

import json
import os


def check(folder, golden, cache):
    import transformers
    from transformers import AutoTokenizer
    failures = 0
    for kind, root, file in (("golden", golden, "expected.json"), ("real", cache, "metadata.json")):
        base = os.path.join(folder, kind)
        for name in sorted(os.listdir(base)) if os.path.isdir(base) else []:
            expected = json.load(open(os.path.join(root, name, file), encoding="utf-8"))
            tokenizer = AutoTokenizer.from_pretrained(os.path.join(base, name))
            bad = [(text, tokenizer.encode(text, add_special_tokens=False), ids) for text, ids in expected["texts"]]
            bad = [entry for entry in bad if entry[1] != entry[2]]
            if "template" in expected and tokenizer.encode("x") != expected["template"]:
                bad.append(("x, with special tokens", tokenizer.encode("x"), expected["template"]))
            print(f"{kind}/{name}: {len(expected['texts']) - len(bad)} of {len(expected['texts'])} texts agree")
            for text, found, ids in bad[:2]:
                print(f"    {text[:60]!r}\n      found    {found[:40]}\n      expected {ids[:40]}")
            failures += bool(bad)
    print(f"transformers {transformers.__version__}: {failures} tokenizers differ")
    return 1 if failures else 0
