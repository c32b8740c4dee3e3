import PollardBase
import TensorStorage
import CheckpointFormats

/// The type, or mix of types, that a GGUF file is to be written in, by llama.cpp's names.
public enum GGUFTypeRequest: String, Sendable, Hashable, CaseIterable {
  /// The type of the checkpoint's first matrix that is stored in half precision or BF16; half precision where none is.
  case auto
  case f32
  case f16
  case bf16
  case q8_0
  case q4_0
  case q4_1
  case q5_0
  case q5_1
  case q4_k_s
  case q4_k_m
  case q5_k_s
  case q5_k_m
  case q6_k

  /// The number in `general.file_type`.
  var fileType: UInt32 {
    switch self {
    case .f32: 0
    case .auto, .f16: 1
    case .q4_0: 2
    case .q4_1: 3
    case .q8_0: 7
    case .q5_0: 8
    case .q5_1: 9
    case .q4_k_s: 14
    case .q4_k_m: 15
    case .q5_k_s: 16
    case .q5_k_m: 17
    case .q6_k: 18
    case .bf16: 32
    }
  }

  /// The type of a matrix without a choice of its own.
  var defaultType: GGUFTensorType {
    switch self {
    case .f32: .f32
    case .auto, .f16: .f16
    case .bf16: GGUFTensorType(.bf16 as ElementType) ?? .f16
    case .q8_0: GGUFTensorType(.q8_0)
    case .q4_0: GGUFTensorType(.q4_0)
    case .q4_1: GGUFTensorType(.q4_1)
    case .q5_0: GGUFTensorType(.q5_0)
    case .q5_1: GGUFTensorType(.q5_1)
    case .q4_k_s, .q4_k_m: GGUFTensorType(.q4_k)
    case .q5_k_s, .q5_k_m: GGUFTensorType(.q5_k)
    case .q6_k: GGUFTensorType(.q6_k)
    }
  }

  /// Whether the reference converter writes the type itself; the others are llama.cpp's quantise tool's.
  var isDirect: Bool { [.auto, .f32, .f16, .bf16, .q8_0].contains(self) }

  /// The type that `auto` stands for.
  ///
  /// The configuration's word for the type is not asked, as finetunes keep that of the model they began with.
  func resolved(_ weights: some Sequence<Weight>) -> GGUFTypeRequest {
    guard self == .auto else { return self }
    for weight in weights where weight.shape.rank >= 2 {
      switch weight.storedType {
      case .bf16: return .bf16
      case .f16: return .f16
      default: continue
      }
    }
    return .f16
  }
}

/// Chooses the type of each tensor of a file, as the reference converter and llama.cpp's quantise tool do.
struct GGUFTypeChoice {
  private let request: GGUFTypeRequest
  private let types: [String: GGUFTensorType]
  /// The types that rows are too short for, with those taken instead, each with the number of tensors.
  private let replaced: [Replacement: Int]

  /// A packed type whose blocks the rows of a tensor do not fill, and the type that takes its place.
  struct Replacement: Hashable {
    var wanted: GGUFTensorType
    var taken: GGUFTensorType
  }

  /// - Parameters:
  ///   - tensors: names and extents, outermost first, of all tensors of the file.
  ///   - layers: the counts of the layers.
  init(
    _ request: GGUFTypeRequest, architecture: String, layers: [LayerSummary], tensors: [(name: String, shape: Shape)]
  ) {
    self.request = request
    var types: [String: GGUFTensorType] = [:]
    var replaced: [Replacement: Int] = [:]
    func note(_ wanted: GGUFTensorType, _ taken: GGUFTensorType) {
      if wanted != taken { replaced[Replacement(wanted: wanted, taken: taken), default: 0] += 1 }
    }
    for (name, shape) in tensors {
      let type = Self.converted(name, shape, request)
      types[name] = type
      if request.isDirect, type == .f16, request.defaultType.blockFormat != nil { note(request.defaultType, type) }
    }
    if !request.isDirect {
      var mix = Mix(request, architecture, layers, tensors.map(\.name))
      // Some choices count the tensors before, layer by layer and by name.
      for (name, shape) in tensors.sorted(by: Self.precedes) where Self.isQuantized(name, shape) {
        let columns = shape.extents.last ?? 1
        let wanted = mix.type(of: name, columns: columns)
        types[name] = wanted.fitting(row: columns)
        note(wanted, wanted.fitting(row: columns))
      }
    }
    self.types = types
    self.replaced = replaced
  }

  /// What took the place of types that rows are too short for, in sentences.
  var notes: [String] {
    replaced.map { change, count in
      "the rows of \(count == 1 ? "1 tensor" : "\(count) tensors") do not fill blocks of \(change.wanted) "
        + "(\(change.wanted.elementsPerBlock) numbers), so \(count == 1 ? "it is" : "they are") written as \(change.taken)"
    }.sorted()
  }

  /// The type of a tensor.
  func type(of name: String) -> GGUFTensorType { types[name] ?? .f32 }

  /// What the reference converter writes; for a mix, what the quantise tool finds before it begins.
  private static func converted(_ name: String, _ shape: Shape, _ request: GGUFTypeRequest) -> GGUFTensorType {
    if shape.rank <= 1 || name.hasSuffix("_norm.weight") || !name.hasSuffix(".weight") { return .f32 }
    if ["position_embd.weight", "token_types.weight"].contains(name) || name.hasSuffix("ffn_gate_inp.weight") {
      return .f32
    }
    guard request.isDirect else { return .f32 }
    let type = request.defaultType
    return (shape.extents.last ?? 1) % type.elementsPerBlock == 0 ? type : .f16
  }

  private static func isQuantized(_ name: String, _ shape: Shape) -> Bool {
    shape.extents.dropLast().contains { $0 > 1 } && name.hasSuffix("weight")
      && !["_norm.weight", "ffn_gate_inp.weight", "attn_rel_b.weight", ".position_embd"].contains(where: name.contains)
      && name != "position_embd.weight" && name != "token_types.weight"
  }

  private static func layer(of name: String) -> Int {
    name.hasPrefix("blk.") ? Int(name.dropFirst(4).prefix { $0.isASCII && $0.isNumber }) ?? -1 : -1
  }

  private static func precedes(_ a: (name: String, shape: Shape), _ b: (name: String, shape: Shape)) -> Bool {
    let layers = (layer(of: a.name), layer(of: b.name))
    return layers.0 == layers.1 ? a.name.utf8.lexicographicallyPrecedes(b.name.utf8) : layers.0 < layers.1
  }

  /// The choices of the quantise tool, for models without experts and without an importance matrix.
  private struct Mix {
    let request: GGUFTypeRequest
    let isFalcon: Bool
    let isTied: Bool
    let isSeventyBillion: Bool
    let layerCount: Int
    let valueCount: Int
    var valuesSeen = 0
    var downsSeen = 0

    init(_ request: GGUFTypeRequest, _ architecture: String, _ layers: [LayerSummary], _ names: [String]) {
      self.request = request
      isFalcon = architecture == "falcon"
      isTied = !names.contains("output.weight")
      layerCount = layers.count
      valueCount = names.count { Self.isValue($0) }
      let isGrouped = layers.first.map { $0.heads != $0.keyValueHeads } ?? false
      isSeventyBillion =
        layers.count == 80
        && (["deci", "qwen2", "olmo"].contains(architecture) || (architecture == "llama" && isGrouped))
    }

    static func isValue(_ name: String) -> Bool { name.contains("attn_v.weight") || name.contains("attn_qkv.weight") }

    private func more(_ index: Int, _ count: Int) -> Bool {
      index < count / 8 || index >= 7 * count / 8 || (index - count / 8) % 3 == 2
    }

    mutating func type(of name: String, columns: Int) -> GGUFTensorType {
      var type = request.defaultType
      if name == "output.weight" || (isTied && name == "token_embd.weight") {
        if isFalcon || columns % type.elementsPerBlock != 0 {
          type = GGUFTensorType(.q8_0)
        } else {
          type = GGUFTensorType(.q6_k)
        }
      } else if Self.isValue(name) {
        switch request {
        case .q4_k_m, .q5_k_m: if more(valuesSeen, valueCount) { type = GGUFTensorType(.q6_k) }
        case .q4_k_s: if valuesSeen < 4 { type = GGUFTensorType(.q5_k) }
        default: break
        }
        if isSeventyBillion, type == GGUFTensorType(.q4_k) { type = GGUFTensorType(.q5_k) }
        valuesSeen += 1
      } else if name.contains("ffn_down") {
        switch request {
        case .q4_k_m where isFalcon:
          if downsSeen < layerCount / 16 {
            type = GGUFTensorType(.q6_k)
          } else if more(downsSeen, layerCount) {
            type = GGUFTensorType(.q5_k)
          }
        case .q4_k_m, .q5_k_m: if more(downsSeen, layerCount) { type = GGUFTensorType(.q6_k) }
        case .q4_k_s: if !isFalcon, downsSeen < layerCount / 8 { type = GGUFTensorType(.q5_k) }
        default: break
        }
        downsSeen += 1
      }
      return type
    }
  }
}
