"""Which fixtures there are. A name says model, exporter, opset and attention."""

GEOMETRIES = ("uneven", "equal")
TORCHSCRIPT, TORCH_EXPORT = (11, 14, 17), (18, 20, 23)
PLAIN = ("bert", "bert-mlm", "bert-classifier", "roberta", "distilbert", "gpt2", "llama", "qwen2", "qwen3", "vit", "t5", "t5-encoder")
ROTARY = ("llama", "qwen2", "qwen3")


def exported():
    """name → case, for every model × exporter × opset × attention. The geometries take turns."""
    cases, turn = {}, 0
    for model in PLAIN:
        for exporter, short, opsets in (("torchscript", "ts", TORCHSCRIPT), ("torch.export", "te", TORCH_EXPORT)):
            for opset in opsets:
                for attention in ("eager", "sdpa"):
                    cases[f"{model}-{short}{opset}-{attention}"] = {
                        "model": model + ("+positions" if opset == 23 and model in ROTARY else ""), "exporter": exporter, "opset": opset, "attention": attention,
                        "geometry": GEOMETRIES[turn % 2]}
                    turn += 1
                turn += 1
    return cases


# What golden/onnx holds: these with the dense model and its mask file …
WITH_MASKS = ("bert-ts17-eager", "bert-te23-sdpa", "gpt2-ts17-sdpa", "llama-optimum14-sdpa", "bert-ort-fused-eager")
# … and these as masked models only.
COMMITTED = WITH_MASKS + (
    "bert-ts11-eager", "bert-te18-sdpa", "roberta-ts14-eager", "distilbert-ts17-eager",
    "gpt2-ts11-eager", "gpt2-te18-eager", "gpt2-merged17-sdpa", "llama-ts17-sdpa", "llama-te18-sdpa",
    "llama-te23-eager", "vit-ts14-sdpa", "t5-optimum14-encoder", "t5-optimum14-decoder-merged",
    "t5-ts17-eager", "bert-ort-multihead", "bert-ort-fastgelu", "bert-int8", "bert-int8-fused", "llama-gqa", "llama-nbits4",
    "llama-attention23-equal", "resnet-ts17-norms", "resnet-te18-folded", "mobilenet-ts17-norms", 
    "control-biases-ts17", "control-halves-ts17", "control-keys-ts17", "llama-queries-ts17",
)
