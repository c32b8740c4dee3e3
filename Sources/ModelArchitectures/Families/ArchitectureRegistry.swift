import PollardBase

/// The architectures that are described.
public enum ArchitectureRegistry {
  static let all: [any Architecture] =
    BertArchitecture.all + [DistilBertArchitecture(), GPT2Architecture()] + LlamaArchitecture.all
    + [GPTNeoXArchitecture(), FalconArchitecture(), BloomArchitecture(), T5Architecture()]

  /// The values of `model_type` that are known, in alphabetical order.
  public static var modelTypes: [String] { all.map(\.modelType).sorted() }

  /// A tensor's name without the prefix that some family's files put before the base model's tensors.
  public static func withoutBasePrefix(_ name: String) -> String {
    let prefix = all.lazy.map(\.basePrefix).first { !$0.isEmpty && name.hasPrefix($0) } ?? ""
    return String(name.dropFirst(prefix.count))
  }

  /// The architecture that a configuration names.
  ///
  /// - Throws: `unknownArchitecture` with the known ones.
  static func find(_ config: ConfigurationReader) throws(FormatError) -> any Architecture {
    let known = "one of " + modelTypes.joined(separator: ", ")
    guard config.has("model_type") else {
      throw FormatError(
        .unknownArchitecture, file: config.file, subject: .key("model_type"), expected: known, found: "no value")
    }
    let name = try config.text("model_type", default: "")
    guard let found = all.first(where: { $0.modelType == name }) else {
      throw FormatError(
        .unknownArchitecture, file: config.file, subject: .key("model_type"), expected: known, found: "\"\(name)\"")
    }
    return found
  }

  /// The head that a configuration's class has; without a class, the head that the stored parameters show.
  ///
  /// - Throws: `unsupportedClass` with the classes that are described.
  static func task(
    of architecture: any Architecture, _ config: ConfigurationReader, _ tensors: CheckpointTensors
  ) throws(FormatError) -> ModelTask {
    guard let classes = config.value("architectures"), classes != [] else {
      return architecture.task(shownBy: tensors.contains)
    }
    guard let name = classes.arrayValue?.first?.stringValue else {
      throw config.unusable("architectures", expected: "a list of class names", classes)
    }
    if let task = architecture.tasks.first(where: { architecture.className($0) == name }) { return task }
    throw FormatError(
      .unsupportedClass, file: config.file, subject: .key("architectures"),
      expected: "one of " + architecture.tasks.map(architecture.className).joined(separator: ", "), found: "\"\(name)\""
    )
  }
}
