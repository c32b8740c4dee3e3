"""llama.cpp through its C API, as the wheel xllamacpp exports it.

Layouts are those of include/llama.h; the wheel's context parameters have one pointer more than the source package's,
which its default values show. `library` checks the defaults, so that another layout is noticed.
"""

import ctypes
import glob
import importlib.util
import os
from ctypes import POINTER, byref, c_bool, c_char_p, c_float, c_int8, c_int32, c_int64, c_size_t, c_uint32, c_void_p


class ModelParameters(ctypes.Structure):
    _fields_ = [
        ("devices", c_void_p), ("tensor_buft_overrides", c_void_p), ("n_gpu_layers", c_int32), ("split_mode", c_int32),
        ("load_mode", c_int32), ("lazy_mode", c_int32), ("main_gpu", c_int32), ("tensor_split", c_void_p),
        ("progress_callback", c_void_p), ("progress_callback_user_data", c_void_p), ("kv_overrides", c_void_p),
        ("vocab_only", c_bool), ("check_tensors", c_bool), ("use_extra_bufts", c_bool), ("no_host", c_bool),
        ("no_alloc", c_bool), ("load_mtp", c_bool)]


class ContextParameters(ctypes.Structure):
    _fields_ = [
        ("n_ctx", c_uint32), ("n_batch", c_uint32), ("n_ubatch", c_uint32), ("n_seq_max", c_uint32), ("n_rs_seq", c_uint32),
        ("n_outputs_max", c_uint32), ("n_outputs_max_per_seq", c_uint32), ("n_threads", c_int32),
        ("n_threads_batch", c_int32), ("ctx_type", c_int32), ("rope_scaling_type", c_int32), ("pooling_type", c_int32),
        ("attention_type", c_int32), ("flash_attn_type", c_int32), ("rope_freq_base", c_float),
        ("rope_freq_scale", c_float), ("yarn_ext_factor", c_float), ("yarn_attn_factor", c_float),
        ("yarn_beta_fast", c_float), ("yarn_beta_slow", c_float), ("yarn_orig_ctx", c_uint32), ("defrag_thold", c_float),
        ("cb_eval", c_void_p), ("cb_eval_user_data", c_void_p), ("type_k", c_int32), ("type_v", c_int32),
        ("abort_callback", c_void_p), ("abort_callback_data", c_void_p), ("reserved", c_void_p), ("embeddings", c_bool), ("offload_kqv", c_bool),
        ("no_perf", c_bool), ("op_offload", c_bool), ("swa_full", c_bool), ("kv_unified", c_bool), ("samplers", c_void_p),
        ("n_samplers", c_size_t), ("ctx_other", c_void_p)]


class Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", c_int32), ("token", POINTER(c_int32)), ("embd", POINTER(c_float)), ("pos", POINTER(c_int32)),
        ("n_seq_id", POINTER(c_int32)), ("seq_id", POINTER(POINTER(c_int32))), ("logits", POINTER(c_int8))]


LogCallback = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)
POOLING_NONE, POOLING_RANK = 0, 4
GGML_F32, GGML_F16 = 0, 1
LOG_WARN = 3


def library():
    """The shared library, checked to be the version these layouts are of."""
    folder = os.path.dirname(importlib.util.find_spec("xllamacpp").origin)
    lib = ctypes.CDLL(glob.glob(os.path.join(folder, "xllamacpp*.so"))[0])

    def declare(name, result, *arguments):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, list(arguments)

    declare("llama_version", c_char_p)
    declare("llama_backend_init", None)
    declare("llama_log_set", None, LogCallback, c_void_p)
    declare("llama_model_default_params", ModelParameters)
    declare("llama_context_default_params", ContextParameters)
    declare("llama_model_load_from_file", c_void_p, c_char_p, ModelParameters)
    declare("llama_model_free", None, c_void_p)
    declare("llama_init_from_model", c_void_p, c_void_p, ContextParameters)
    declare("llama_free", None, c_void_p)
    declare("llama_model_get_vocab", c_void_p, c_void_p)
    declare("llama_vocab_n_tokens", c_int32, c_void_p)
    declare("llama_model_n_embd_out", c_int32, c_void_p)
    declare("llama_model_n_cls_out", c_uint32, c_void_p)
    declare("llama_model_has_encoder", c_bool, c_void_p)
    declare("llama_model_has_decoder", c_bool, c_void_p)
    declare("llama_batch_init", Batch, c_int32, c_int32, c_int32)
    declare("llama_batch_free", None, Batch)
    declare("llama_encode", c_int32, c_void_p, Batch)
    declare("llama_decode", c_int32, c_void_p, Batch)
    declare("llama_get_logits_ith", POINTER(c_float), c_void_p, c_int32)
    declare("llama_get_embeddings_ith", POINTER(c_float), c_void_p, c_int32)
    declare("llama_get_embeddings_seq", POINTER(c_float), c_void_p, c_int32)
    declare("llama_tokenize", c_int32, c_void_p, c_char_p, c_int32, POINTER(c_int32), c_int32, c_bool, c_bool)
    declare("ggml_quantize_chunk", c_size_t, c_int32, c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p)
    declare("ggml_row_size", c_size_t, c_int32, c_int64)

    version = lib.llama_version().decode()
    context, model = lib.llama_context_default_params(), lib.llama_model_default_params()
    sound = (version.startswith("0.6.") and context.n_batch == 2048 and context.n_seq_max == 1
             and context.type_k == context.type_v == GGML_F16 and context.offload_kqv and context.no_perf
             and context.op_offload and context.swa_full and not context.embeddings and not context.kv_unified
             and context.samplers is None and context.n_samplers == 0 and context.ctx_other is None and model.use_extra_bufts and not model.vocab_only)
    if not sound:
        raise RuntimeError(f"the layouts of llama.h 0.6 do not fit llama.cpp {version}")
    return lib


class Failure(Exception):
    """llama.cpp said no; carries what it logged."""


class Llama:
    """Loads files and evaluates them, in f32 wherever the stored type is: f32 cache, no flash attention, no repacking."""

    def __init__(self):
        self.lib, self.said = library(), []
        self.callback = LogCallback(self.listen)
        self.lib.llama_log_set(self.callback, None)
        self.lib.llama_backend_init()
        self.level = 0

    def listen(self, level, text, _):
        self.level = level if level != 5 else self.level  # 5 continues the line before
        if self.level >= LOG_WARN:
            self.said.append((text or b"").decode(errors="replace"))

    def fail(self, what):
        raise Failure(" ".join(f"{what}: {''.join(self.said)}".split()))

    def load(self, path, vocabulary_only=False, check=True):
        self.said.clear()
        parameters = self.lib.llama_model_default_params()
        parameters.n_gpu_layers, parameters.use_extra_bufts = 0, False
        parameters.vocab_only, parameters.check_tensors = vocabulary_only, check
        model = self.lib.llama_model_load_from_file(os.fsencode(path), parameters)
        return model or self.fail("not loaded")

    def tokenize(self, model, text, special):
        """The ids of a text; `special` adds what the model begins and ends with, and reads control tokens in the text."""
        data, room = text.encode(), len(text.encode()) + 16
        ids = (c_int32 * room)()
        count = self.lib.llama_tokenize(self.lib.llama_model_get_vocab(model), data, len(data), ids, room, special, special)
        return list(ids[:count])

    def evaluate(self, model, tokens, decoder_tokens=None, output="logits", window=512):
        """f32 logits [position, vocabulary], embeddings [position, width] or class scores [1, classes]."""
        import numpy

        lib = self.lib
        parameters = lib.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = window
        parameters.n_threads = parameters.n_threads_batch = 2
        parameters.type_k = parameters.type_v = GGML_F32
        parameters.flash_attn_type, parameters.swa_full, parameters.op_offload = 0, True, False
        parameters.embeddings = output != "logits"
        if output != "logits":
            parameters.pooling_type = POOLING_RANK if output == "classes" else POOLING_NONE
        context = lib.llama_init_from_model(model, parameters)
        if not context:
            self.fail("no context")
        try:
            last = decoder_tokens if decoder_tokens is not None else tokens
            if decoder_tokens is not None:
                self.step(context, tokens, lib.llama_encode)
            self.step(context, last, lib.llama_decode)
            if output == "classes":
                return self.row(lib.llama_get_embeddings_seq(context, 0), lib.llama_model_n_cls_out(model))[None]
            width = (lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model)) if output == "logits"
                     else lib.llama_model_n_embd_out(model))
            read = lib.llama_get_logits_ith if output == "logits" else lib.llama_get_embeddings_ith
            return numpy.stack([self.row(read(context, i), width) for i in range(len(last))])
        finally:
            lib.llama_free(context)

    def step(self, context, tokens, function):
        batch = self.lib.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
            batch.seq_id[i][0] = 0
        code = function(context, batch)
        self.lib.llama_batch_free(batch)
        if code != 0:
            self.fail(f"evaluation returned {code}")

    def row(self, pointer, width):
        import numpy

        if not pointer:
            self.fail("no output")
        return numpy.ctypeslib.as_array(pointer, (width,)).copy()
