import PollardBase

/// The families that are described.
public enum GGUFFamilies {
  static let all: [GGUFFamily] = llamas + encoders + [gpt2] + gemmas + [phi3, stableLM] + fused + t5s

  /// The architecture strings that are read, in alphabetical order.
  public static var architectures: [String] { Set(all.map(\.architecture)).sorted() }

  /// The values of `model_type` that are written, in alphabetical order.
  public static var modelTypes: [String] { Set(all.map(\.modelType)).sorted() }

  /// The architecture string that a configuration is written under.
  ///
  /// - Throws: `unknownArchitecture` with the `model_type`s that are known.
  public static func architecture(modelType: String) throws(FormatError) -> String {
    try find(modelType: modelType).architecture
  }

  /// The family that a file belongs to.
  ///
  /// - Throws: `unknownArchitecture` with those that are known.
  static func find(_ reading: GGUFReading) throws(FormatError) -> GGUFFamily {
    let candidates = all.filter { $0.architecture == reading.architecture }
    if let family = candidates.first(where: { $0.isRecognized(reading) }) ?? candidates.last { return family }
    throw FormatError(
      .unknownArchitecture, subject: .key("general.architecture"),
      expected: "one of " + architectures.joined(separator: ", "), found: "\"\(reading.architecture)\"")
  }

  /// The family that a configuration is written as.
  ///
  /// - Throws: `unknownArchitecture` with those that are known.
  static func find(modelType: String, file: String? = nil) throws(FormatError) -> GGUFFamily {
    if let family = all.first(where: { $0.modelType == modelType }) { return family }
    throw FormatError(
      .unknownArchitecture, file: file, subject: .key("model_type"),
      expected: "one of " + modelTypes.joined(separator: ", ") + " for GGUF", found: "\"\(modelType)\"")
  }

  /// The family of an architecture string that serves as a carrier.
  static func carrier(_ architecture: String) -> GGUFFamily? { all.first { $0.architecture == architecture } }
}
