import CheckpointFormats
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// The folder of checkpoints that transformers wrote.
let golden = Paths.join(Paths.parent(Paths.parent(Paths.parent(#filePath))), "golden")

/// One case of the golden set's manifest.
struct GoldenCase: Sendable, CustomTestStringConvertible {
  let entry: JSONValue

  var name: String { entry["name"]?.stringValue ?? "" }
  var testDescription: String { name }
  var className: String { entry["class"]?.stringValue ?? "" }
  var modelType: String { entry["model_type"]?.stringValue ?? "" }

  /// The number of layers that are a decoder's attentions to its encoder.
  var furtherBlockCount: Int {
    (entry["layers_ragged"]?.arrayValue ?? []).count { $0["ffn"]?["before"]?.intValue == 0 }
  }

  /// The names of the states before and after the layers.
  var hiddenStates: Set<String> {
    let listed = (entry["outputs"]?.arrayValue ?? []).compactMap(\.stringValue).filter { $0.contains("hidden_states.") }
    let count = entry["layers"]?.intValue ?? 0
    return listed.isEmpty ? Set((0...count).map { "hidden_states.\($0)" }) : Set(listed)
  }

  func path(_ key: String) -> String? { entry[key]?.stringValue.map { Paths.join(golden, $0) } }

  func integer(_ key: String) throws -> Int { try #require(entry[key]?.intValue) }

  /// Cases that own a checkpoint: those about odd masks borrow another's.
  static let all: [GoldenCase] = {
    guard let manifest = try? JSONValue(parsing: bytes(Paths.join(golden, "manifest.json"))) else { return [] }
    return (manifest["cases"]?.arrayValue ?? []).map(GoldenCase.init)
  }()

  /// The folders of all cases, each once.
  static let folders: [String] = {
    var seen: Set<String> = []
    return all.flatMap { [$0.path("dense"), $0.path("masked")] }.compactMap { $0 }.filter { seen.insert($0).inserted }
  }()

  static func named(_ name: String) throws -> GoldenCase { try #require(all.first { $0.name == name }) }
}

func bytes(_ path: String) throws -> [UInt8] {
  let source = try FileSource(path: path)
  return try source.bytes(0..<source.size)
}

/// The dense model of a golden case.
func dense(_ name: String) throws -> ImportedModel {
  try HuggingFaceFolder(at: Paths.join(golden, "\(name)/dense")).model()
}

/// A small configuration of a family and, for its tensors, zeros of the shapes that it asks for.
struct SmallModel {
  var config: JSONValue
  var tensors: [NamedTensor]

  static let llama = SmallModel(
    config: [
      "architectures": ["LlamaForCausalLM"], "head_dim": 16, "hidden_size": 8, "intermediate_size": 6,
      "max_position_embeddings": 16, "model_type": "llama", "num_attention_heads": 2, "num_hidden_layers": 1,
      "num_key_value_heads": 1, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": true,
      "vocab_size": 5,
    ],
    shapes: [
      ("model.embed_tokens.weight", [5, 8]), ("model.layers.0.input_layernorm.weight", [8]),
      ("model.layers.0.post_attention_layernorm.weight", [8]), ("model.layers.0.self_attn.q_proj.weight", [32, 8]),
      ("model.layers.0.self_attn.k_proj.weight", [16, 8]), ("model.layers.0.self_attn.v_proj.weight", [16, 8]),
      ("model.layers.0.self_attn.o_proj.weight", [8, 32]), ("model.layers.0.mlp.gate_proj.weight", [6, 8]),
      ("model.layers.0.mlp.up_proj.weight", [6, 8]), ("model.layers.0.mlp.down_proj.weight", [8, 6]),
      ("model.norm.weight", [8]),
    ])

  init(config: JSONValue, shapes: [(String, [Int])]) {
    self.config = config
    tensors = shapes.map { NamedTensor(name: $0, weight: .zeros(type: .f32, shape: Shape($1))) }
  }

  func setting(_ key: String, to value: JSONValue) -> SmallModel {
    var copy = self
    copy.config = config.settingKey(key, to: value)
    return copy
  }

  func replacing(_ name: String, with tensor: NamedTensor?) -> SmallModel {
    var copy = self
    copy.tensors = tensors.compactMap { $0.name == name ? tensor : $0 }
    return copy
  }

  func adding(_ name: String, _ shape: [Int], type: ElementType = .f32) -> SmallModel {
    var copy = self
    copy.tensors.append(NamedTensor(name: name, weight: .zeros(type: type, shape: Shape(shape))))
    return copy
  }

  func imported(ragged: Bool = false) throws(FormatError) -> ImportedModel {
    try ImportedModel(config: config, configPath: "config.json", tensors: tensors, allowingRagged: ragged)
  }

  /// The error of importing.
  func failure() -> FormatError? {
    do throws(FormatError) {
      _ = try imported()
      return nil
    } catch {
      return error
    }
  }
}
