#!/usr/bin/env python3
"""Opens Hugging Face directories with transformers; reads jobs as JSON, prints one JSON line per job.

    job: {"folder", "class", "original", "tokens", "decoder", "output", "texts", "save"}
"""

import json
import os
import sys


def main():
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["HF_HUB_OFFLINE"] = "1"
    import fixtures
    import numpy
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    torch.set_num_threads(1)

    def ids(folder, texts):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        return [tokenizer(text)["input_ids"] for text in texts]

    for job in json.load(sys.stdin):
        result = {}
        try:
            cls = getattr(transformers, job["class"])
            model, info = cls.from_pretrained(job["folder"], dtype=torch.float32, attn_implementation="eager",
                                              output_loading_info=True)
            wrong = {key: sorted(map(str, value)) for key, value in info.items() if value and key != "error_msgs"}
            # What GGUF has no place for may be missing: BERT's pooler.
            wrong = {key: [name for name in names if "pooler" not in name] for key, names in wrong.items()}
            result["wrong"] = {key: names for key, names in wrong.items() if names}
            numpy.save(job["save"], fixtures.outputs(model.eval(), job, job["tokens"], job["decoder"]).numpy())
        except Exception as error:
            result["error"] = f"{type(error).__name__}: {str(error)[:300]}"
        try:
            found, expected = ids(job["folder"], job["texts"]), ids(job["original"], job["texts"])
            bad = [text for text, a, b in zip(job["texts"], found, expected) if a != b]
            result["ids"] = f"{bad[0]!r} differs: {found[job['texts'].index(bad[0])]} for {expected[job['texts'].index(bad[0])]}" if bad else None
        except Exception as error:
            result["ids"] = f"{type(error).__name__}: {str(error)[:300]}"
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
