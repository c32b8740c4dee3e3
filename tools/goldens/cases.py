"""The table of golden cases. Every row is plain data; `build.py` turns it into files.

Keys of a row:
  release   which transformers saves it and computes the outputs: 4 or 5
  family    row of `layout.ATTENTION` / `FEED_FORWARD`
  config    configuration class; `keys`: its arguments; `model`: model class
  shape     (layers, heads, key/value heads, head_dim, ffn, hidden)
  heads     per layer: removed query heads; `ffn`: per layer: how many neurons go
  inputs    (batch, length, padding) with padding right, left, ragged (a hole inside) or none
  dtype     storage type; `edits`: changes made to the saved file (see `build.edit_names`)
"""

ROPE_KINDS = {
    "llama3": dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=16),
    "linear": dict(rope_type="linear", factor=2.5),
    "dynamic": dict(rope_type="dynamic", factor=2.0),
    "yarn": dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=8, beta_fast=32.0, beta_slow=1.0),
}


def _case(release, family, config, model, shape, heads, ffn, inputs, keys=(), dtype="float32", edits=()):
    return dict(release=release, family=family, config=config, model=model, shape=shape, heads=heads, ffn=ffn,
                inputs=inputs, keys=dict(keys), dtype=dtype, edits=tuple(edits))


def _bert(release, model, shape, heads, ffn, inputs, family="Bert", edits=(), **keys):
    layers, count, _, head_dim, width, hidden = shape
    assert count * head_dim == hidden
    base = dict(vocab_size=101, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=count,
                intermediate_size=width, max_position_embeddings=24, type_vocab_size=2, pad_token_id=0)
    if family != "Bert":
        base.update(pad_token_id=1, type_vocab_size=1, layer_norm_eps=1e-5, max_position_embeddings=26)
    return _case(release, "bert", family + "Config", model, shape, heads, ffn, inputs, base | keys, edits=edits)


def _distilbert(release, model, shape, heads, ffn, inputs, **keys):
    layers, count, _, _, width, hidden = shape
    base = dict(vocab_size=113, dim=hidden, n_layers=layers, n_heads=count, hidden_dim=width,
                max_position_embeddings=24, pad_token_id=0)
    return _case(release, "distilbert", "DistilBertConfig", model, shape, heads, ffn, inputs, base | keys)


def _gpt2(release, model, shape, heads, ffn, inputs, edits=(), **keys):
    layers, count, _, _, width, hidden = shape
    base = dict(vocab_size=109, n_embd=hidden, n_layer=layers, n_head=count, n_inner=width, n_positions=20,
                bos_token_id=1, eos_token_id=2)
    return _case(release, "gpt2", "GPT2Config", model, shape, heads, ffn, inputs, base | keys, edits=edits)


def _gemma(release, kind, shape, heads, ffn, inputs, edits=(), dtype="float32", **keys):
    """Gemma 1, 2 or 3 (`kind` "", "2", "3"); `keys` may hold rope_parameters, which replaces the plain angles."""
    case = _llama(release, shape, heads, ffn, inputs, f"Gemma{kind}", tie_word_embeddings=True, pad_token_id=0,
                  dtype=dtype, edits=edits, **keys)
    if kind == "3":
        case["config"] = "Gemma3TextConfig"
    return case


def _phi3(release, shape, heads, ffn, inputs, long_rope=None, **keys):
    """Phi-3; `long_rope` is (short factors, long factors, the length of the shorter texts)."""
    original = keys.pop("original_max_position_embeddings", 32)
    if long_rope:
        short, long, original = long_rope
        if release == 4:
            keys["rope_scaling"] = dict(type="longrope", short_factor=short, long_factor=long)
        else:
            keys["rope_parameters"] = dict(rope_type="longrope", short_factor=short, long_factor=long,
                                           rope_theta=10000.0, original_max_position_embeddings=original,
                                           **keys.pop("angles", {}))
    case = _llama(release, shape, heads, ffn, inputs, "Phi3", pad_token_id=0,
                  original_max_position_embeddings=original, **keys)
    return case | {"family": "phi3"}


def _llama(release, shape, heads, ffn, inputs, family="Llama", model=None, rope=None, theta=10000.0, explicit=True,
           dtype="float32", edits=(), positions=32, **keys):
    layers, count, groups, head_dim, width, hidden = shape
    base = dict(vocab_size=127, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=count,
                num_key_value_heads=groups, intermediate_size=width, max_position_embeddings=positions,
                bos_token_id=1, eos_token_id=2, tie_word_embeddings=False)
    if explicit:
        base["head_dim"] = head_dim
    if release == 4:
        base["rope_theta"] = theta
        if rope:
            base["rope_scaling"] = ROPE_KINDS[rope]
    else:
        base["rope_parameters"] = dict(ROPE_KINDS[rope] if rope else dict(rope_type="default"), rope_theta=theta)
    return _case(release, "llama", family + "Config", model or family + "ForCausalLM", shape, heads, ffn, inputs,
                 base | keys, dtype, edits)


def _gpt_neox(release, model, shape, heads, ffn, inputs, share, theta=10000, edits=(), **keys):
    layers, count, _, _, width, hidden = shape
    base = dict(vocab_size=61, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=count,
                intermediate_size=width, max_position_embeddings=16, bos_token_id=1, eos_token_id=2)
    if release == 4:
        base.update(rotary_pct=share, rotary_emb_base=theta)
    else:
        base["rope_parameters"] = dict(rope_type="default", rope_theta=theta, partial_rotary_factor=share)
    return _case(release, "gpt_neox", "GPTNeoXConfig", model, shape, heads, ffn, inputs, base | keys, edits=edits)


def _falcon(release, model, shape, heads, ffn, inputs, edits=(), dtype="float32", **keys):
    layers, count, groups, _, width, hidden = shape
    base = dict(vocab_size=67, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=count,
                ffn_hidden_size=width, max_position_embeddings=32, bos_token_id=1, eos_token_id=2)
    if keys.get("new_decoder_architecture"):
        base["num_kv_heads"] = groups
    family = "falcon_multi_query" if groups == 1 and count > 1 else "falcon"
    return _case(release, family, "FalconConfig", model, shape, heads, ffn, inputs, base | keys, dtype, edits)


def _bloom(release, model, shape, heads, ffn, inputs, edits=(), **keys):
    layers, count, _, _, width, hidden = shape
    base = dict(vocab_size=59, hidden_size=hidden, n_layer=layers, n_head=count, bos_token_id=1, eos_token_id=2)
    assert width is None
    return _case(release, "bloom", "BloomConfig", model, shape, heads, ffn, inputs, base | keys, edits=edits)


def _t5(release, model, blocks, shape, heads, ffn, inputs, form="relu", **keys):
    _, count, _, head_dim, width, hidden = shape
    base = dict(vocab_size=53, d_model=hidden, d_kv=head_dim, d_ff=width, num_heads=count, num_layers=blocks[0],
                num_decoder_layers=blocks[1], feed_forward_proj=form, relative_attention_num_buckets=8,
                relative_attention_max_distance=12, decoder_start_token_id=0)
    return _case(release, "t5", "T5Config", model, shape, heads, ffn, inputs, base | keys)


CASES = {
    # BERT and its classes.
    "bert-plain": _bert(4, "BertModel", (3, 3, 3, 8, 37, 24), [[1], [], [0, 2]], [9, 0, 21], (3, 11, "right")),
    "bert-plain-5": _bert(5, "BertModel", (2, 3, 3, 12, 53, 36), [[0, 2], [1]], [17, 30], (2, 9, "ragged")),
    "bert-masked-lm": _bert(4, "BertForMaskedLM", (2, 4, 4, 8, 53, 32), [[3], [0, 1]], [20, 5], (3, 10, "left")),
    "bert-masked-lm-5": _bert(5, "BertForMaskedLM", (3, 4, 4, 8, 37, 32), [[], [1, 2, 3], [0]], [1, 36, 10],
                              (2, 12, "right"), hidden_act="gelu_new"),
    "bert-sequence-classification": _bert(4, "BertForSequenceClassification", (2, 5, 5, 6, 53, 30), [[4], [1, 2]],
                                          [11, 26], (3, 8, "right"), num_labels=3),
    "bert-token-classification": _bert(5, "BertForTokenClassification", (2, 3, 3, 8, 41, 24), [[0], [1]], [14, 3],
                                       (3, 9, "ragged"), num_labels=5),
    "bert-question-answering": _bert(5, "BertForQuestionAnswering", (2, 4, 4, 8, 37, 32), [[1, 3], []], [8, 18],
                                     (2, 13, "right")),
    "bert-legacy-names": _bert(4, "BertModel", (2, 3, 3, 8, 37, 24), [[2], [0]], [5, 6], (2, 7, "right"),
                               edits=["legacy_norm_names", "position_ids"], hidden_act="relu"),
    "bert-prefixed-base": _bert(4, "BertModel", (2, 3, 3, 8, 29, 24), [[0], [1, 2]], [7, 2], (2, 8, "none"),
                                edits=["add_prefix:bert."]),

    # RoBERTa and XLM-RoBERTa: positions are counted from the padding token.
    "roberta-plain": _bert(4, "RobertaModel", (2, 4, 4, 8, 53, 32), [[0], [2, 3]], [13, 25], (3, 10, "right"),
                           "Roberta"),
    "roberta-masked-lm-5": _bert(5, "RobertaForMaskedLM", (2, 3, 3, 8, 37, 24), [[1], [0]], [6, 19],
                                 (3, 12, "right"), "Roberta"),
    "roberta-sequence-classification": _bert(4, "RobertaForSequenceClassification", (2, 3, 3, 8, 41, 24),
                                             [[0, 1], []], [20, 4], (2, 9, "right"), "Roberta", num_labels=2),
    "xlm-roberta-plain-5": _bert(5, "XLMRobertaModel", (2, 3, 3, 12, 53, 36), [[2], [1]], [12, 0], (2, 9, "left"),
                                 "XLMRoberta", edits=["drop_pooler"]),
    "xlm-roberta-masked-lm": _bert(4, "XLMRobertaForMaskedLM", (2, 4, 4, 8, 37, 32), [[], [0, 3]], [0, 15],
                                   (3, 11, "right"), "XLMRoberta"),

    # DistilBERT.
    "distilbert-plain": _distilbert(4, "DistilBertModel", (3, 4, 4, 8, 37, 32), [[1], [0, 2], []], [7, 16, 30],
                                    (3, 10, "left")),
    "distilbert-masked-lm-5": _distilbert(5, "DistilBertForMaskedLM", (2, 3, 3, 8, 53, 24), [[2], [0]], [22, 9],
                                          (2, 11, "right")),
    "distilbert-sequence-classification": _distilbert(4, "DistilBertForSequenceClassification", (2, 3, 3, 8, 41, 24),
                                                      [[0], [1, 2]], [5, 17], (3, 9, "right"), num_labels=4),

    # GPT-2: transposed matrices, fused query|key|value.
    "gpt2-plain": _gpt2(4, "GPT2Model", (3, 3, 3, 8, 53, 24), [[0], [1, 2], []], [9, 30, 1], (2, 11, "right"),
                        edits=["causal_buffers"]),
    "gpt2-lm": _gpt2(4, "GPT2LMHeadModel", (2, 3, 3, 8, 91, 24), [[1, 2], [0]], [40, 12], (3, 10, "left"),
                     edits=["copy_tied:transformer.wte.weight=lm_head.weight"]),
    "gpt2-lm-5": _gpt2(5, "GPT2LMHeadModel", (2, 3, 3, 8, None, 24), [[2], [0]], [50, 21], (2, 12, "right")),

    # GPT-NeoX: fused by head, a part of each head turned, sub-layers side by side or in turn.
    "gpt-neox-lm": _gpt_neox(4, "GPTNeoXForCausalLM", (2, 3, 3, 8, 37, 24), [[1], [0, 2]], [10, 25],
                             (2, 11, "right"), 0.25, edits=["attention_buffers"]),
    "gpt-neox-lm-5": _gpt_neox(5, "GPTNeoXForCausalLM", (2, 3, 3, 8, 29, 24), [[2], [0, 1]], [20, 3], (3, 9, "left"),
                               0.5, theta=2500),
    "gpt-neox-plain": _gpt_neox(4, "GPTNeoXModel", (2, 3, 3, 8, 31, 24), [[0, 1], [2]], [12, 7], (2, 9, "none"), 1.0,
                                use_parallel_residual=False, attention_bias=False),
    "gpt-neox-sequential-5": _gpt_neox(5, "GPTNeoXModel", (2, 3, 3, 8, 31, 24), [[2], []], [0, 18], (2, 8, "ragged"),
                                       0.5, use_parallel_residual=False, attention_bias=False),

    # Falcon: one key and value after all queries, fused by group, fused by head; one norm, two or in turn; linear biases.
    "falcon-multi-query": _falcon(4, "FalconForCausalLM", (2, 3, 1, 8, None, 24), [[1], [0, 2]], [30, 41],
                                  (2, 9, "right")),
    "falcon-multi-query-5": _falcon(5, "FalconForCausalLM", (2, 4, 1, 6, 37, 24), [[0, 3], [2]], [11, 5],
                                    (3, 10, "left"), bias=True, rope_parameters=dict(rope_type="default",
                                                                                     rope_theta=500000.0)),
    "falcon-grouped": _falcon(4, "FalconForCausalLM", (2, 6, 2, 4, 37, 24), [[3, 4, 5], [0, 4]], [9, 20],
                              (2, 10, "right"), new_decoder_architecture=True, dtype="bfloat16"),
    "falcon-grouped-5": _falcon(5, "FalconModel", (2, 8, 4, 4, 29, 32), [[2, 3], [0, 3, 4, 7]], [4, 17],
                                (2, 9, "ragged"), new_decoder_architecture=True, num_ln_in_parallel_attn=1),
    "falcon-linear": _falcon(4, "FalconForCausalLM", (2, 3, 3, 8, 41, 24), [[2], [0, 1]], [22, 6], (3, 9, "right"),
                             alibi=True, multi_query=False, parallel_attn=False, bias=True),
    "falcon-linear-5": _falcon(5, "FalconForCausalLM", (2, 4, 4, 6, 33, 24), [[1, 2], [0]], [3, 15], (2, 9, "left"),
                               alibi=True, multi_query=False, tie_word_embeddings=False),

    # BLOOM: linear biases, a norm after the embedding.
    "bloom-lm": _bloom(4, "BloomForCausalLM", (2, 3, 3, 8, None, 24), [[1], [0, 2]], [40, 12], (3, 9, "left")),
    "bloom-lm-5": _bloom(5, "BloomForCausalLM", (2, 4, 4, 6, None, 24), [[0], [1, 3]], [25, 60], (2, 10, "right"),
                         edits=["copy_tied:transformer.word_embeddings.weight=lm_head.weight"]),
    "bloom-plain-5": _bloom(5, "BloomModel", (2, 6, 6, 4, None, 24), [[5, 2], [0]], [7, 33], (3, 9, "ragged"),
                            apply_residual_connection_post_layernorm=True),

    # T5: an encoder alone or with a decoder; layers are the encoder's, the decoder's, and its second attentions.
    "t5-encoder": _t5(4, "T5EncoderModel", (2, 2), (2, 3, 3, 6, 29, 20), [[1], [1]], [5, 12], (2, 15, "right"),
                      "gated-gelu"),
    "t5-encoder-5": _t5(5, "T5EncoderModel", (3, 3), (3, 3, 3, 8, 23, 16), [[0, 2]] * 3, [0, 9, 4], (2, 14, "left")),
    "t5-base": _t5(4, "T5Model", (1, 1), (3, 4, 4, 4, 19, 16), [[3], [0], [2]], [7, 3, 0], (2, 9, "right"), "gated-silu"),
    "t5-lm": _t5(4, "T5ForConditionalGeneration", (2, 2), (6, 3, 3, 8, 29, 20), [[1], [1], [0], [0], [2], [0]],
                 [5, 12, 0, 20, 0, 0], (2, 11, "right")),
    "t5-lm-5": _t5(5, "T5ForConditionalGeneration", (2, 1), (4, 4, 4, 4, 31, 16), [[0, 2], [0, 2], [], [1]],
                   [8, 30, 11, 0], (3, 10, "right"), "gated-gelu"),
    "t5-lm-untied": _t5(4, "T5ForConditionalGeneration", (1, 2), (5, 3, 3, 4, 17, 16), [[], [2], [2], [0], []],
                        [1, 2, 3, 0, 0], (2, 9, "none"), "gated-gelu", tie_word_embeddings=False),

    # Llama: multi-head, grouped, every rotary scaling, biases, ties, shards, half types.
    "llama-multi-head": _llama(4, (3, 3, 3, 8, 53, 24), [[1], [0, 2], [2]], [10, 25, 0], (3, 11, "right"),
                               explicit=False, edits=["config_drop:head_dim,num_key_value_heads,rope_theta,mlp_bias",
                                                      "config_rename:dtype=torch_dtype"]),
    "llama-grouped": _llama(4, (2, 8, 4, 8, 37, 48), [[2, 3], [0, 2, 4, 6]], [12, 7], (3, 12, "left"),
                            dtype="bfloat16"),
    "llama-grouped-5": _llama(5, (2, 8, 2, 6, 53, 48), [[4, 5, 6, 7], [0, 5]], [33, 40], (2, 10, "ragged"),
                              explicit=False),
    "llama-rope-llama3": _llama(4, (2, 4, 2, 12, 37, 28), [[0, 1], [2, 3]], [9, 9], (2, 30, "right"), rope="llama3",
                                theta=500000.0, positions=64),
    "llama-rope-llama3-5": _llama(5, (2, 4, 2, 8, 37, 24), [[1, 2], [0, 1]], [4, 19], (2, 30, "right"),
                                  rope="llama3", theta=500000.0, positions=64),
    "llama-rope-linear-5": _llama(5, (2, 4, 4, 8, 41, 24), [[3], [1]], [11, 13], (2, 14, "right"), rope="linear"),
    "llama-rope-dynamic": _llama(4, (2, 4, 4, 8, 41, 24), [[0, 2], [1]], [18, 2], (2, 15, "left"), rope="dynamic",
                                 positions=8),
    "llama-rope-yarn": _llama(4, (2, 4, 2, 12, 37, 24), [[2, 3], [0, 2]], [14, 6], (2, 20, "right"), rope="yarn"),
    "llama-rope-yarn-5": _llama(5, (2, 4, 2, 12, 37, 24), [[0, 1], [1, 3]], [1, 23], (2, 20, "right"), rope="yarn"),
    "llama-biases-5": _llama(5, (2, 4, 2, 8, 41, 24), [[0, 1], [0, 1]], [15, 31], (3, 9, "right"),
                             attention_bias=True, mlp_bias=True),
    "llama-tied": _llama(4, (2, 4, 4, 8, 37, 32), [[1, 2], [0, 3]], [7, 20], (2, 10, "right"), explicit=False,
                         tie_word_embeddings=True),
    "llama-sharded": _llama(4, (3, 4, 2, 8, 53, 32), [[2, 3], [], [0, 1]], [21, 3, 40], (2, 9, "none"),
                            dtype="float16", edits=["shard:20KB"]),
    "llama-base": _llama(4, (2, 4, 4, 8, 37, 32), [[0], [3]], [5, 5], (2, 8, "right"), model="LlamaModel"),

    # Mistral: a window shorter than the input. Qwen2: biases on query, key and value. Qwen3: norms per head.
    "mistral-window": _llama(4, (2, 4, 2, 12, 53, 24), [[0, 1], [2, 3]], [19, 8], (2, 14, "right"), "Mistral",
                             sliding_window=5),
    "mistral-window-5": _llama(5, (2, 8, 2, 8, 37, 40), [[1, 2, 5, 6], [0, 3, 4, 7]], [6, 30], (2, 14, "left"),
                               "Mistral", sliding_window=4),
    "qwen2": _llama(4, (2, 4, 2, 8, 53, 32), [[2, 3], []], [26, 11], (3, 10, "right"), "Qwen2", dtype="bfloat16",
                    theta=1000000.0, explicit=False),
    "qwen2-5": _llama(5, (2, 8, 2, 6, 37, 48), [[4, 5, 6, 7], [1, 6]], [3, 29], (2, 11, "left"),
                      "Qwen2", theta=1000000.0, explicit=False, tie_word_embeddings=True),
    "qwen3": _llama(4, (2, 4, 2, 16, 53, 24), [[1, 3], [0, 1]], [17, 24], (2, 10, "left"), "Qwen3",
                    theta=1000000.0),
    "qwen3-5": _llama(5, (2, 8, 4, 12, 37, 40), [[0, 1, 6, 7], [2, 3]], [10, 16], (3, 9, "right"), "Qwen3",
                      dtype="float16", theta=1000000.0, tie_word_embeddings=True),

    # Gemma: norms that add one, scaled embeddings; from 2 on four norms per layer, caps, windows, a scale of its own.
    "gemma": _gemma(4, "", (2, 4, 1, 12, 37, 28), [[1], [3]], [9, 20], (3, 11, "right")),
    "gemma-5": _gemma(5, "", (2, 4, 4, 12, 41, 36), [[0, 2], [1, 3]], [17, 4], (2, 9, "left"), dtype="bfloat16",
                      hidden_act="gelu"),
    "gemma2": _gemma(4, "2", (3, 4, 2, 12, 37, 32), [[0, 1], [2, 3], [0, 1]], [12, 7, 20], (2, 13, "right"),
                     sliding_window=4, query_pre_attn_scalar=10, attn_logit_softcapping=1.5,
                     final_logit_softcapping=2.0, edits=["config_drop:layer_types"]),
    "gemma2-5": _gemma(5, "2", (2, 4, 2, 8, 41, 24), [[0, 2], [1, 3]], [5, 30], (2, 12, "left"), sliding_window=5,
                       query_pre_attn_scalar=12, attn_logit_softcapping=2.0, final_logit_softcapping=None,
                       layer_types=["full_attention", "sliding_attention"]),
    "gemma3": _gemma(4, "3", (4, 4, 2, 12, 37, 32), [[2, 3], [0, 1], [2, 3], []], [4, 19, 25, 1],
                     (2, 14, "right"), theta=1000000.0, sliding_window=5, query_pre_attn_scalar=10,
                     sliding_window_pattern=3, edits=["config_drop:layer_types"],
                     rope_scaling=dict(rope_type="linear", factor=8.0)),
    "gemma3-5": _gemma(5, "3", (2, 4, 2, 12, 41, 32), [[1, 2], [0, 3]], [11, 8], (2, 12, "left"), sliding_window=4,
                       query_pre_attn_scalar=14, layer_types=["sliding_attention", "full_attention"],
                       rope_parameters=dict(full_attention=dict(rope_type="linear", factor=4.0, rope_theta=500000.0),
                                            sliding_attention=dict(rope_type="default", rope_theta=20000.0))),

    # Phi-3: fused matrices, part of each head unturned, angles for short and long texts.
    "phi3": _phi3(4, (2, 4, 2, 8, 37, 32), [[0, 1], [2, 3]], [16, 9], (2, 11, "right"), explicit=False,
                  partial_rotary_factor=0.75, sliding_window=6, tie_word_embeddings=True),
    "phi3-5": _phi3(5, (2, 6, 3, 8, 41, 36), [[0, 2, 4], [1, 3, 5]], [3, 28], (3, 10, "left"), dtype="bfloat16",
                    rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)),
    "phi3-longrope": _phi3(4, (2, 4, 4, 8, 37, 32), [[1], [0, 2]], [12, 21], (2, 13, "right"), explicit=False,
                           long_rope=([1.0, 1.25, 1.5, 2.0], [1.5, 3.0, 7.0, 12.0], 10), positions=40),
    "phi3-longrope-5": _phi3(5, (2, 4, 2, 8, 29, 32), [[2, 3], [0, 1]], [7, 14], (2, 9, "right"), explicit=False,
                             long_rope=([1.0, 1.125, 1.75], [2.0, 3.0, 8.0], 16), positions=64,
                             angles=dict(partial_rotary_factor=0.75)),

    # StableLM: layer norms, a quarter of each head turned, biases; one norm for both halves, norms of each head.
    "stablelm": _llama(4, (2, 4, 2, 8, 37, 32), [[0, 1], [2, 3]], [14, 22], (2, 10, "right"), "StableLm",
                       explicit=False, use_qkv_bias=True),
    "stablelm-5": _llama(5, (2, 3, 3, 8, 41, 24), [[1], [0, 2]], [8, 25], (3, 9, "left"), "StableLm", explicit=False,
                         use_parallel_residual=True, rope_parameters=dict(
                             rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)),
    "stablelm-head-norms-5": _llama(5, (2, 4, 2, 8, 37, 32), [[0, 1], [1, 2]], [6, 30], (2, 12, "left"), "StableLm",
                                    explicit=False, use_parallel_residual=True, qk_layernorm=True),
}

# The shipped demonstration: a masked encoder whose result is visibly smaller.
DEMO = {
    "demo": _bert(4, "BertForMaskedLM", (4, 8, 8, 16, 512, 128), [[1, 4, 6], [0, 7], [2, 3, 4, 5, 6], [0, 1, 5, 7]],
                  [150, 301, 77, 340], (2, 16, "right"), vocab_size=1000, max_position_embeddings=64),
}
