import PollardBase

/// A way of splitting text, with the names that GGUF has for it.
///
/// The first name of a form is the one that a tokenizer of this form gets when its digest is not known.
struct PreTokenizerForm: Sendable {
  /// One step of a pre-tokenizer.
  enum Step: Sendable, Equatable {
    /// Matches of a pattern stand alone.
    case split(String)
    /// Digits stand alone, or runs of them.
    case digits(individual: Bool)
    /// Runs of punctuation stand alone.
    case punctuation
    /// Bytes become printable characters; with GPT-2's pattern before that or without.
    case byteLevel(splits: Bool)
  }

  /// The names in GGUF.
  let names: [String]
  /// The steps in order.
  let steps: [Step]
  /// The normaliser's type, when the model family has one.
  var normalizer: String?
  /// Whether a word that is a token is not divided, whatever the merges say.
  var ignoresMerges = false

  /// The form that a name stands for, or nil when it is not known.
  static func named(_ name: String) -> PreTokenizerForm? { all.first { $0.names.contains(name) } }

  /// All names, in the order of the forms.
  static var allNames: [String] { all.flatMap(\.names) }

  private static func pattern(
    _ names: [String], _ patterns: String..., normalizer: String? = nil, ignoresMerges: Bool = false
  ) -> PreTokenizerForm {
    PreTokenizerForm(
      names: names, steps: patterns.map { .split($0) } + [.byteLevel(splits: false)], normalizer: normalizer,
      ignoresMerges: ignoresMerges)
  }

  /// Every form that can be written as the pre-tokenizer of a byte-level tokenizer.json.
  static let all: [PreTokenizerForm] = [
    PreTokenizerForm(
      names: [
        "gpt-2", "phi-2", "roberta-bpe", "jina-v1-en", "jina-v2-code", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de",
        "gigachat", "a.x-4.0", "mellum", "modern-bert", "exaone4", "jais", "trillion", "granite-docling",
      ],
      steps: [.byteLevel(splits: true)]),
    PreTokenizerForm(names: ["olmo", "mpt"], steps: [.byteLevel(splits: true)], normalizer: "NFC"),
    PreTokenizerForm(
      names: ["starcoder", "smollm", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"],
      steps: [.digits(individual: true), .byteLevel(splits: true)]),
    PreTokenizerForm(
      names: ["command-r"], steps: [.digits(individual: true), .byteLevel(splits: true)], normalizer: "NFC"),
    pattern(
      [
        "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
      ], SplitPatterns.llama3, ignoresMerges: true),
    pattern(["dbrx", "smaug-bpe", "chatglm-bpe"], SplitPatterns.llama3),
    pattern(["glm4", "glm5"], SplitPatterns.llama3, ignoresMerges: true),
    pattern(["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez"], SplitPatterns.qwen2, normalizer: "NFC"),
    pattern(["stablelm2"], SplitPatterns.qwen2, normalizer: "NFC"),
    pattern(["hunyuan", "solar-open", "grok-2"], SplitPatterns.qwen2),
    pattern(["qwen35"], SplitPatterns.qwen35),
    pattern(["tekken"], SplitPatterns.tekken, ignoresMerges: true),
    pattern(["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], SplitPatterns.gpt4o),
    pattern(["granite-embed-multi-97m"], SplitPatterns.gpt4o, ignoresMerges: true),
    PreTokenizerForm(
      names: ["falcon"],
      steps: [
        .punctuation, .byteLevel(splits: true), .digits(individual: false), .split(SplitPatterns.asciiTriples),
      ]),
    pattern(["bloom", "gpt3-finnish", "poro-chat"], SplitPatterns.bloom),
    PreTokenizerForm(
      names: ["viking"],
      steps: [.split(SplitPatterns.bloom), .digits(individual: true), .byteLevel(splits: false)]),
    pattern(
      ["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"], SplitPatterns.digitTriples,
      SplitPatterns.chineseAndKana, SplitPatterns.deepseekText),
    PreTokenizerForm(
      names: ["deepseek-llm"],
      steps: [
        .split(SplitPatterns.lineBreak), .split(SplitPatterns.deepseekLetters), .split(SplitPatterns.deepseekSigns),
        .split(SplitPatterns.trailingSpace), .split(SplitPatterns.chineseAndHangul), .digits(individual: true),
        .byteLevel(splits: false),
      ]),
    PreTokenizerForm(
      names: ["deepseek-coder"],
      steps: [
        .split(SplitPatterns.lineBreak), .split(SplitPatterns.coderLetters), .split(SplitPatterns.coderSigns),
        .split(SplitPatterns.chineseAndHangul), .digits(individual: true), .byteLevel(splits: false),
      ]),
    pattern(["jais-2"], SplitPatterns.jais2),
    pattern(["seed-coder"], SplitPatterns.seedCoder),
    pattern(["bailingmoe", "bailingmoe2", "llada-moe"], SplitPatterns.bailing),
    pattern(["exaone-moe"], SplitPatterns.exaoneMixture),
    pattern(["ufakzeka"], SplitPatterns.ufakzeka),
    pattern(["minicpm5"], SplitPatterns.digitTriples, SplitPatterns.minicpm5, ignoresMerges: true),
    pattern(["tiny_aya", "cohere2moe"], SplitPatterns.tinyAyaDigits, SplitPatterns.gpt4o),
    pattern(["youtu"], SplitPatterns.youtuScripts, SplitPatterns.youtu, ignoresMerges: true),
    pattern(
      ["spark2_5"], SplitPatterns.digitTriples, SplitPatterns.chineseAndKana, SplitPatterns.sparkText,
      SplitPatterns.singleDigits),
    pattern(["superbpe"], SplitPatterns.digitRuns, SplitPatterns.groupedDigits),
    pattern(["laguna"], SplitPatterns.lines, SplitPatterns.qwen2),
    PreTokenizerForm(
      names: ["default"],
      steps: [
        .split(SplitPatterns.plainSigns), .split(SplitPatterns.gpt2), .split(SplitPatterns.digitRuns),
        .split(SplitPatterns.asciiTriples), .byteLevel(splits: false),
      ]),
  ]
}

extension PreTokenizerForm {
  /// The steps of a tokenizer.json's pre-tokenizer, or nil when one of them is of another kind.
  static func steps(of preTokenizer: JSONValue) -> [Step]? {
    let parts =
      preTokenizer["type"]?.stringValue == "Sequence"
      ? preTokenizer["pretokenizers"]?.arrayValue ?? [] : [preTokenizer]
    var result: [Step] = []
    for part in parts {
      switch part["type"]?.stringValue {
      case "ByteLevel": result.append(.byteLevel(splits: part["use_regex"]?.boolValue ?? true))
      case "Digits": result.append(.digits(individual: part["individual_digits"]?.boolValue ?? false))
      case "Punctuation" where part["behavior"]?.stringValue == "Contiguous": result.append(.punctuation)
      case "Split":
        guard let regex = part["pattern"]?["Regex"]?.stringValue, let behavior = part["behavior"]?.stringValue else {
          return nil
        }
        let inverted = part["invert"]?.boolValue ?? false
        // Cutting out everything but the matches is the same where the matches cover the text.
        guard behavior == "Isolated" && !inverted || behavior == "Removed" && inverted else { return nil }
        result.append(.split(regex))
      default: return nil
      }
    }
    return result.isEmpty ? nil : result
  }

  /// The form whose steps a pre-tokenizer has, the one with the same treatment of merges first.
  static func matching(_ preTokenizer: JSONValue, ignoresMerges: Bool) -> PreTokenizerForm? {
    guard let steps = steps(of: preTokenizer) else { return nil }
    let found = all.filter { $0.steps == steps }
    return found.first { $0.ignoresMerges == ignoresMerges } ?? found.first
  }

  /// The pre-tokenizer as tokenizer.json spells it.
  var preTokenizer: JSONValue {
    let parts: [JSONValue] = steps.map { step in
      switch step {
      case .split(let regex):
        [
          "type": "Split", "pattern": ["Regex": JSONValue(regex)], "behavior": "Isolated",
          "invert": false,
        ]
      case .digits(let individual): ["type": "Digits", "individual_digits": JSONValue(individual)]
      case .punctuation: ["type": "Punctuation", "behavior": "Contiguous"]
      case .byteLevel(let splits):
        ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": JSONValue(splits)]
      }
    }
    return parts.count == 1 ? parts[0] : ["type": "Sequence", "pretokenizers": .array(parts)]
  }
}
