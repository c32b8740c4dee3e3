/// What a Python tokenizer class adds to its files: special tokens that they leave out, and its own begin and end marks.
///
/// Source: the constructors of the fast tokenizer classes of transformers 4.57.
struct TokenizerClass: Sendable {
  /// The special tokens by role (`bos`, `eos`, `unk`, `sep`, `pad`, `cls`, `mask`).
  var specialTokens: [(role: String, token: String)] = []
  /// Special tokens without a role.
  var additionalTokens: [String] = []
  /// Whether the class replaces the post-processor by one of its own, and adds a begin mark when nothing is said.
  var addsBeginning: Bool?

  /// The roles that a tokenizer knows, in transformers' order.
  static let roles = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"]

  /// The class of a name, with or without `Fast`; classes without anything of their own give an empty one.
  static func named(_ name: String) -> TokenizerClass {
    let endOfText = "<|endoftext|>"
    switch name.hasSuffix("Fast") ? String(name.dropLast(4)) : name {
    case "LlamaTokenizer":
      return TokenizerClass(
        specialTokens: [("bos", "<s>"), ("eos", "</s>"), ("unk", "<unk>")], addsBeginning: true)
    case "CodeLlamaTokenizer":
      return TokenizerClass(
        specialTokens: [("bos", "<s>"), ("eos", "</s>"), ("unk", "<unk>")],
        additionalTokens: ["\u{2581}<PRE>", "\u{2581}<MID>", "\u{2581}<SUF>", "\u{2581}<EOT>"], addsBeginning: true)
    case "GemmaTokenizer":
      return TokenizerClass(
        specialTokens: [("bos", "<bos>"), ("eos", "<eos>"), ("unk", "<unk>"), ("pad", "<pad>")], addsBeginning: true)
    case "CohereTokenizer":
      return TokenizerClass(
        specialTokens: [("bos", "<BOS_TOKEN>"), ("eos", "<|END_OF_TURN_TOKEN|>"), ("unk", "<UNK>")],
        addsBeginning: true)
    case "GPTNeoXTokenizer":
      return TokenizerClass(
        specialTokens: [("bos", endOfText), ("eos", endOfText), ("unk", endOfText)], addsBeginning: false)
    case "GPT2Tokenizer", "CodeGenTokenizer":
      return TokenizerClass(specialTokens: [("bos", endOfText), ("eos", endOfText), ("unk", endOfText)])
    case "Qwen2Tokenizer":
      return TokenizerClass(specialTokens: [("eos", endOfText), ("unk", endOfText), ("pad", endOfText)])
    case "BloomTokenizer":
      return TokenizerClass(specialTokens: [("bos", "<s>"), ("eos", "</s>"), ("unk", "<unk>"), ("pad", "<pad>")])
    case "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "RetriBertTokenizer":
      return TokenizerClass(specialTokens: [
        ("unk", "[UNK]"), ("sep", "[SEP]"), ("pad", "[PAD]"), ("cls", "[CLS]"), ("mask", "[MASK]"),
      ])
    case "RobertaTokenizer", "XLMRobertaTokenizer", "CamembertTokenizer":
      return TokenizerClass(specialTokens: [
        ("bos", "<s>"), ("eos", "</s>"), ("unk", "<unk>"), ("sep", "</s>"), ("pad", "<pad>"), ("cls", "<s>"),
        ("mask", "<mask>"),
      ])
    case "T5Tokenizer":
      return TokenizerClass(specialTokens: [("eos", "</s>"), ("unk", "<unk>"), ("pad", "<pad>")])
    default: return TokenizerClass()
    }
  }

  /// The name of the class that transformers takes for a model type when no file names one.
  static func name(modelType: String) -> String {
    switch modelType {
    case "llama", "mistral", "mixtral", "phi3": "LlamaTokenizer"
    case "gemma", "gemma2", "gemma3", "gemma3_text": "GemmaTokenizer"
    case "cohere", "cohere2": "CohereTokenizer"
    case "qwen2", "qwen3", "qwen2_moe", "qwen3_moe": "Qwen2Tokenizer"
    case "gpt2", "gpt_bigcode", "starcoder2": "GPT2Tokenizer"
    case "gpt_neox", "stablelm", "olmo", "olmo2", "mpt": "GPTNeoXTokenizer"
    case "phi": "CodeGenTokenizer"
    case "bloom": "BloomTokenizer"
    case "bert": "BertTokenizer"
    case "distilbert": "DistilBertTokenizer"
    case "roberta": "RobertaTokenizer"
    case "xlm-roberta": "XLMRobertaTokenizer"
    case "camembert": "CamembertTokenizer"
    case "t5", "mt5", "umt5": "T5Tokenizer"
    default: "PreTrainedTokenizer"
    }
  }
}
