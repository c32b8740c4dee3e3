#!/usr/bin/env python3
"""Makes the large GGUF models of tools/bench from tools/make-large's llama.

    large.py LARGE SOURCE       in the peer llama; makes what is missing in LARGE/gguf

- llama/: the checkpoint of 2.2 GB (a link) with a SentencePiece vocabulary of its 32000 rows
- llama-q4_k_m.gguf: the same through llama.cpp's converter and quantisers; masks.safetensors: one key/value group in four and
  seven of 22 blocks of 256 neurons in every layer, so that K-quants stay as they are
- slice/, slice-f32.gguf: its first two layers in f32, for the quantisers
"""

import json
import os
import shutil
import subprocess
import sys

import numpy


def vocabulary(folder, size):
    from sentencepiece import sentencepiece_model_pb2 as proto

    model = proto.ModelProto()
    model.trainer_spec.model_type = 2
    model.trainer_spec.vocab_size = size
    model.trainer_spec.byte_fallback = True
    for text, kind in (("<unk>", 2), ("<s>", 3), ("</s>", 3)):
        model.pieces.add(piece=text, score=0, type=kind)
    for byte in range(256):
        model.pieces.add(piece=f"<0x{byte:02X}>", score=0, type=6)
    for index in range(size - 259):
        model.pieces.add(piece=f"\u2581w{index}", score=-index, type=1)
    with open(os.path.join(folder, "tokenizer.model"), "wb") as file:
        file.write(model.SerializeToString())
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                   "tokenizer_class": "LlamaTokenizer"}, file)


def reference(source, jobs):
    done = subprocess.run([sys.executable, "-B", os.path.join(os.path.dirname(__file__), "reference.py"), source], check=True,
                          text=True, input=json.dumps(jobs), stdout=subprocess.PIPE).stdout
    for line in done.splitlines():
        if "error" in json.loads(line):
            sys.exit(f"large: {line}")


def make(large, folder, source):
    import torch
    from safetensors import safe_open
    from safetensors.numpy import save_file
    from safetensors.torch import save_file as save_torch

    import quantise

    dense = os.path.join(large, "llama", "dense")
    with open(os.path.join(dense, "config.json")) as file:
        config = json.load(file)
    llama, part = os.path.join(folder, "llama"), os.path.join(folder, "slice")
    for path in (llama, part):
        os.makedirs(path)
        vocabulary(path, config["vocab_size"])
    shutil.copy(os.path.join(dense, "config.json"), llama)
    os.link(os.path.join(dense, "model.safetensors"), os.path.join(llama, "model.safetensors"))
    with safe_open(os.path.join(dense, "model.safetensors"), framework="pt") as file:
        wanted = [name for name in file.keys() if ".layers." not in name or int(name.split(".")[2]) < 2]
        save_torch({name: file.get_tensor(name).to(torch.float32) for name in wanted}, os.path.join(part, "model.safetensors"),
                   {"format": "pt"})
    with open(os.path.join(part, "config.json"), "w") as file:
        json.dump(config | {"num_hidden_layers": 2, "torch_dtype": "float32"}, file)
    whole = os.path.join(folder, "llama-bf16.gguf")
    reference(source, [{"model": llama, "out": whole, "type": "bf16"},
                       {"model": part, "out": os.path.join(folder, "slice-f32.gguf"), "type": "f32"}])
    quantise.quantise(whole, os.path.join(folder, "llama-q4_k_m.gguf"), "q4_k_m", threads=os.cpu_count())
    os.remove(whole)
    layers, neurons = config["num_hidden_layers"], config["intermediate_size"]
    draw = numpy.random.default_rng(5)
    groups, ffn = numpy.ones((layers, 4), numpy.float32), numpy.ones((layers, neurons // 256, 256), numpy.float32)
    for layer in range(layers):
        groups[layer, draw.integers(4)] = 0
        ffn[layer, draw.permutation(neurons // 256)[:7]] = 0
    save_file({"kv_group_mask": groups, "ffn_mask": ffn.reshape(layers, neurons)}, os.path.join(folder, "masks.safetensors"))


def main(large, source):
    folder = os.path.join(large, "gguf")
    if not os.path.exists(os.path.join(folder, ".complete")):
        print("large: making gguf", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        make(large, folder, source)
        open(os.path.join(folder, ".complete"), "w").close()
    print(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
