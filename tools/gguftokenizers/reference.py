"""Runs the reference converter's vocabulary code on a folder, and reads its vocabulary files."""

import glob
import hashlib
import json
import os
from pathlib import Path

import gguf
from conversion import get_model_class, load_all_models
from conversion.base import ModelBase, ModelType, TextModel, get_model_architecture

TYPES = gguf.GGUFValueType
TEXTS = [
    "", "Hello, world!", "The quick brown fox jumps over 13 lazy dogs.", "I've seen that he'LL come; it's 1234567.89",
    "  two  spaces\tand\ttabs\n\nand lines \n", "größer, naïve, éclair — “quoted”", "我想在apple工作1314151天～",
    "нещо на Български", "🚀 (normal) 😶‍🌫️ ✅ 🦙🦙", "def f(x):\n    return x ** 2  # square", "<s>special</s> <|end|> [MASK]",
    "Ⅷ ½ ２ ﬁ", "x", " leading", "trailing ", "aaaaaaaaaaaaaaaaaaaaaaaa",
]


def sub_type(value):
    if isinstance(value, (bytes, bytearray)):
        return "u8"
    first = value[0]
    if isinstance(first, (str, bytes, bytearray)):
        return "str"
    return {TYPES.INT32: "i32", TYPES.FLOAT32: "f32", TYPES.BOOL: "bool", TYPES.STRING: "str"}[TYPES.get_type(first)]


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return list(value)
    if isinstance(value, str):
        return value
    return [v.decode("utf-8") if isinstance(v, (bytes, bytearray)) else
            v if isinstance(v, (str, float)) else int(v) for v in value]


def entries(writer):
    result = []
    for key, value in writer.kv_data[0].items():
        if key == "general.architecture":
            continue
        if value.type == TYPES.ARRAY:
            result.append([key, "[" + sub_type(value.value) + "]", plain(value.value)])
        else:
            name = {TYPES.STRING: "str", TYPES.UINT32: "u32", TYPES.INT32: "i32", TYPES.FLOAT32: "f32",
                    TYPES.BOOL: "bool"}[value.type]
            result.append([key, name, value.value])
    return result


def convert(folder, pre):
    """The metadata that the converter writes for a folder; its table of digests answers `pre`."""
    load_all_models()
    folder = Path(folder)
    hparams = ModelBase.load_hparams(folder, False)
    hf_arch = get_model_architecture(hparams, ModelType.TEXT)
    cls = get_model_class(hf_arch)
    model = object.__new__(cls)
    raw = json.load(open(folder / "config.json"))
    if "text_config" in hparams:
        hparams = {**hparams, **hparams["text_config"]}
    model.dir_model, model.hparams, model.hf_arch = folder, hparams, hf_arch
    model.origin_hf_arch = raw["architectures"][0]
    model._tokenizer_is_xlmroberta = False
    model.gguf_writer = gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[cls.model_arch])
    seen = {}

    def name(self, tokenizer):
        import inspect
        source = inspect.getsource(original)
        text = eval(source[source.index("chktxt = ") + 9:].split("\n")[0])
        seen["digest"] = hashlib.sha256(str(tokenizer.encode(text)).encode()).hexdigest()
        return pre

    original = TextModel.get_vocab_base_pre
    TextModel.get_vocab_base_pre = name
    try:
        model.set_vocab()
    finally:
        TextModel.get_vocab_base_pre = original
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [[text, tokenizer.encode(text, add_special_tokens=False)] for text in TEXTS]
    result = {"architecture": gguf.MODEL_ARCH_NAMES[cls.model_arch], **seen, "metadata": entries(model.gguf_writer),
              "texts": texts, "template": tokenizer.encode("x")}
    return result


def vocabularies(models, cache):
    """Real vocabulary files as metadata in JSON, with the texts of .inp and the ids of .out."""
    for path in sorted(glob.glob(os.path.join(models, "ggml-vocab-*.gguf"))):
        name = os.path.basename(path)[len("ggml-vocab-"):-len(".gguf")]
        folder = os.path.join(cache, name)
        os.makedirs(folder, exist_ok=True)
        reader = gguf.GGUFReader(path)
        metadata = []
        for key, field in reader.fields.items():
            if not key.startswith("tokenizer."):
                continue
            kind = field.types[0]
            if kind == TYPES.ARRAY:
                element = field.types[1]
                kinds = {TYPES.STRING: "[str]", TYPES.FLOAT32: "[f32]", TYPES.INT32: "[i32]", TYPES.UINT8: "[u8]"}
                metadata.append([key, kinds[element], field.contents()])
            else:
                kinds = {TYPES.STRING: "str", TYPES.UINT32: "u32", TYPES.INT32: "i32", TYPES.FLOAT32: "f32",
                         TYPES.BOOL: "bool"}
                metadata.append([key, kinds[kind], field.contents()])
        texts = []
        if os.path.exists(path + ".inp"):
            inputs = open(path + ".inp", encoding="utf-8", newline="").read().split("\n__ggml_vocab_test__\n")
            outputs = open(path + ".out", encoding="utf-8").read().split("\n")
            texts = [[text, [int(v) for v in line.split()]] for text, line in zip(inputs, outputs)]
        architecture = reader.fields["general.architecture"].contents()
        with open(os.path.join(folder, "metadata.json"), "w", encoding="utf-8") as file:
            json.dump({"architecture": architecture, "metadata": metadata, "texts": texts}, file, ensure_ascii=False)
        print(name, len(texts))
