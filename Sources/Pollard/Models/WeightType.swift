import PollardBase
import TensorStorage

/// The types that weights can be written in: element types, and the packed types and mixes of GGUF by llama.cpp's names.
public enum WeightType: String, Sendable, Hashable, CaseIterable {
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

  /// The element type, for what every format can hold; nil for packed types.
  public var elementType: ElementType? {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    default: nil
    }
  }

  /// A type by its name; `q4_k` and `q5_k` mean their middle mixes, as in llama.cpp.
  public init?(name: String) {
    let lower = name.lowercased()
    let aliases: [String: WeightType] = ["q4_k": .q4_k_m, "q5_k": .q5_k_m]
    guard let type = aliases[lower] ?? WeightType(rawValue: lower) else { return nil }
    self = type
  }

  /// The element type for a format that has no packed ones.
  ///
  /// - Throws: `typeNotInFormat` for a packed type.
  func requireElementType(_ format: ModelFormat) throws(CompactionError) -> ElementType {
    if let elementType { return elementType }
    throw CompactionError(
      .typeNotInFormat, subject: .option("--type \(rawValue)"), expected: "f32, f16 or bf16 for \(format.rawValue)",
      found: rawValue, remedy: "packed types are GGUF's: ask for --to gguf")
  }
}
