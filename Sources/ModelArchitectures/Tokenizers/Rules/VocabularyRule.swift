import PollardBase

/// Which way of the reference converter a model's tokenizer takes into GGUF.
enum VocabularyRule: Sendable, Equatable {
  /// SentencePiece, else byte-fallback BPE, else byte-level BPE.
  case llama
  /// Byte-level BPE of 128256 tokens, else byte-fallback BPE.
  case deci
  /// SentencePiece if there is a tokenizer.model, else byte-level BPE.
  case sentencePieceOrBytePair
  /// SentencePiece, then CodeGemma's end of turn, then no space before the text.
  case gemma
  /// SentencePiece, then no space before the text.
  case gemma2
  /// As `gemma2` if there is a tokenizer.model, else byte-level BPE; unused embedding rows are cut off.
  case gemma3
  /// SentencePiece with the added tokens of tokenizer.json, unless the class is GPT2Tokenizer.
  case phi3
  /// SentencePiece alone.
  case sentencePiece
  /// Byte-level BPE.
  case bytePair
  /// WordPiece.
  case wordPiece
  /// Byte-level BPE with a count of token types, or WordPiece.
  case roberta
  /// Byte-level BPE whose begin, end and separator are always added.
  case modernBert
  /// Unigram with XLM-R's order of ids.
  case xlmRoberta
  /// WordPiece, or Unigram with XLM-R's order, as tokenizer.json says.
  case nomicBert
  /// Unigram from a SentencePiece file.
  case t5

  /// The rule for a model.
  ///
  /// - Parameters:
  ///   - className: the first of config.json's `architectures`; decides where it is known.
  ///   - architecture: GGUF's `general.architecture`; decides otherwise.
  static func of(className: String?, architecture: String) -> VocabularyRule {
    if let className, let rule = byClass(className) { return rule }
    return byArchitecture(architecture)
  }

  private static func byClass(_ name: String) -> VocabularyRule? {
    switch name {
    case "LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "LlamaModel",
      "Mistral3ForConditionalGeneration", "Ministral3ForCausalLM":
      .llama
    case "DeciLMForCausalLM": .deci
    case "Qwen2ForCausalLM", "Qwen2Model", "Qwen3ForCausalLM", "Qwen3Model", "Qwen2MoeForCausalLM":
      .sentencePieceOrBytePair
    case "GemmaForCausalLM": .gemma
    case "Gemma2ForCausalLM": .gemma2
    case "Gemma3ForCausalLM", "Gemma3ForConditionalGeneration", "Gemma3TextModel": .gemma3
    case "Phi3ForCausalLM": .phi3
    case "OpenELMForCausalLM": .sentencePiece
    case "BertModel", "BertForMaskedLM", "CamembertModel", "BertForSequenceClassification", "DistilBertModel",
      "DistilBertForMaskedLM", "DistilBertForSequenceClassification":
      .wordPiece
    case "RobertaModel", "RobertaForSequenceClassification": .roberta
    case "XLMRobertaModel", "XLMRobertaForSequenceClassification": .xlmRoberta
    case "NomicBertModel": .nomicBert
    case "ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification": .modernBert
    case "T5WithLMHeadModel", "T5ForConditionalGeneration", "MT5ForConditionalGeneration",
      "UMT5ForConditionalGeneration", "UMT5Model", "T5EncoderModel":
      .t5
    case "GPT2LMHeadModel", "GPTNeoXForCausalLM", "FalconForCausalLM", "RWForCausalLM", "BloomForCausalLM",
      "BloomModel", "PhiForCausalLM", "StableLmForCausalLM", "StableLMEpochForCausalLM",
      "LlavaStableLMEpochForCausalLM", "MPTForCausalLM", "GPTBigCodeForCausalLM", "Starcoder2ForCausalLM":
      .bytePair
    default: nil
    }
  }

  private static func byArchitecture(_ name: String) -> VocabularyRule {
    switch name {
    case "llama", "mistral3", "deci": .llama
    case "qwen2", "qwen3", "qwen2moe", "qwen3moe": .sentencePieceOrBytePair
    case "gemma": .gemma
    case "gemma2": .gemma2
    case "gemma3", "gemma-embedding": .gemma3
    case "phi3": .phi3
    case "openelm": .sentencePiece
    case "bert": .wordPiece
    case "nomic-bert", "nomic-bert-moe": .nomicBert
    case "modern-bert": .modernBert
    case "t5", "t5encoder": .t5
    case "gpt2", "gptneox", "falcon", "bloom", "phi2", "stablelm", "mpt", "starcoder", "starcoder2": .bytePair
    default: .llama
    }
  }
}
