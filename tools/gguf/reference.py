#!/usr/bin/env python3
"""llama.cpp's own converter, and its quantise tool where the wheel lacks it.

    reference.py SOURCE < JOBS      JSON lines out
        jobs: [{"model": FOLDER, "out": FILE, "type": TYPE, "pre": NAME}, {"from": FILE, "out": FILE, "type": MIX, "quantise": true}]

The converter refuses tokenizers whose digest it does not know. Where a job names the pre-tokenizer, that is taken.
"""

import contextlib
import json
import logging
import os
import sys

PRE = {}


def load_converter(source):
    sys.path[:0] = [source, os.path.join(source, "gguf-py")]
    logging.disable(logging.ERROR)
    import conversion.base as base

    known = base.TextModel.get_vocab_base_pre
    base.TextModel.get_vocab_base_pre = lambda model, tokenizer: PRE.get("name") or known(model, tokenizer)


def convert(job):
    """What convert_hf_to_gguf.py does with --outtype, in this process."""
    import convert_hf_to_gguf

    PRE["name"] = job.get("pre")
    sys.argv = ["convert_hf_to_gguf.py", job["model"], "--outfile", job["out"], "--outtype", job["type"]]
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
        convert_hf_to_gguf.main()


def main(source):
    load_converter(source)
    for job in json.load(sys.stdin):
        result = {}
        try:
            if job.get("quantise"):
                import quantise

                quantise.quantise(job["from"], job["out"], job["type"])
            else:
                convert(job)
        except (Exception, SystemExit) as error:
            result["error"] = f"{type(error).__name__}: {str(error)[:400]}"
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
