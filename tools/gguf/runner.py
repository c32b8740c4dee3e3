#!/usr/bin/env python3
"""Evaluates GGUF files in llama.cpp, in processes of their own, since a bad file may abort the process.

    runner.py FILE.gguf TOKEN… [--decoder TOKEN…] [--output logits|embeddings|classes] [--save OUT.npy]

Prints shape and first values, or what the loader says. As a module: `run(python, jobs)`.
"""

import argparse
import json
import os
import subprocess
import sys

TIME_LIMIT = 60


def work(jobs):
    """One JSON line per job, as soon as it is done: {"error"} or {"shape"}, values in job["save"]."""
    import numpy

    import llama

    runtime = llama.Llama()
    for job in jobs:
        result = {}
        try:
            model = runtime.load(job["file"], vocabulary_only=job.get("vocabulary", False))
            if job.get("texts") is not None:
                result["ids"] = [runtime.tokenize(model, text, special)
                                 for text in job["texts"] for special in (False, True)]
            if job.get("tokens"):
                values = runtime.evaluate(model, job["tokens"], job.get("decoder"), job.get("output", "logits"),
                                          job.get("window", 512))
                numpy.save(job["save"], values)
                result["shape"] = list(values.shape)
            runtime.lib.llama_model_free(model)
        except llama.Failure as error:
            result["error"] = str(error)[-600:]
        print(json.dumps(result), flush=True)


def run(python, jobs, limit=TIME_LIMIT):
    """A result per job. A job that takes its process down is `{"error": "the process died …"}`; the others go on."""
    results = []
    while len(results) < len(jobs):
        rest = jobs[len(results):]
        child = subprocess.Popen([python, os.path.abspath(__file__), "--worker"], text=True, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, talk = child.communicate(json.dumps(rest), timeout=limit + 3 * len(rest))
        except subprocess.TimeoutExpired:
            child.kill()
            out, talk = child.communicate()
            talk = f"not done in {limit} seconds; {talk}"
        lines = [json.loads(line) for line in out.splitlines() if line.startswith("{") and line.endswith("}")]
        results += lines[:len(rest)]
        if len(lines) < len(rest):
            results.append({"error": f"the process died (exit {child.returncode}): {' '.join(talk.split())[-400:]}"})
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("tokens", nargs="+", type=int)
    parser.add_argument("--decoder", nargs="+", type=int)
    parser.add_argument("--output", default="logits", choices=("logits", "embeddings", "classes"))
    parser.add_argument("--save", default="/dev/null")
    options = parser.parse_args()
    work([vars(options)])


if __name__ == "__main__":
    if sys.argv[1:] == ["--worker"]:
        work(json.load(sys.stdin))
    else:
        main()
