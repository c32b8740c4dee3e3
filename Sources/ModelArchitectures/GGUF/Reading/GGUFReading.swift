import CheckpointFormats
import PollardBase
import TensorStorage

/// A GGUF file while it is read as a checkpoint: typed access to its keys, as strict as llama.cpp's loader.
struct GGUFReading: Sendable {
  /// The path named in errors.
  let file: String?
  /// `general.architecture`.
  let architecture: String
  let metadata: GGUFMetadata
  /// The tensors by name.
  let tensors: [String: GGUFModel.Tensor]

  /// Most layers that llama.cpp takes.
  static let layerLimit = 512

  /// - Throws: `ggufKeyMissing`, `ggufValueTypeMismatch` for the architecture; `duplicateParameter`.
  init(_ model: GGUFModel, file: String?) throws(FormatError) {
    self.file = file
    metadata = model.metadata
    do throws(FormatError) {
      guard let value = model.metadata["general.architecture"] else {
        throw FormatError(.ggufKeyMissing, subject: .key("general.architecture"))
      }
      guard let text = value.text else { throw Self.mismatch("general.architecture", "string", value) }
      architecture = text
    } catch {
      throw file.map { error.inFile($0) } ?? error
    }
    var tensors: [String: GGUFModel.Tensor] = [:]
    tensors.reserveCapacity(model.tensors.count)
    for tensor in model.tensors where tensors.updateValue(tensor, forKey: tensor.name) != nil {
      throw FormatError(.duplicateParameter, file: file, subject: .tensor(tensor.name))
    }
    self.tensors = tensors
  }

  /// A key with the architecture before it.
  func key(_ name: String) -> String { "\(architecture).\(name)" }

  // MARK: Typed access

  /// A `uint32`, or nil when the key is absent.
  func count(_ name: String) throws(FormatError) -> Int? {
    let key = fullKey(name)
    guard let value = metadata[key] else { return nil }
    guard case .uint32(let number) = value else { throw Self.mismatch(key, "uint32", value).inFile(file ?? "") }
    return Int(number)
  }

  /// A `uint32` that must be there.
  func requiredCount(_ name: String) throws(FormatError) -> Int {
    guard let number = try count(name) else { throw missing(name) }
    return number
  }

  /// A finite `float32` in the shortest decimal notation, or nil when the key is absent.
  func number(_ name: String) throws(FormatError) -> JSONValue? {
    let key = fullKey(name)
    guard let value = metadata[key] else { return nil }
    guard case .float32(let number) = value else { throw Self.mismatch(key, "float32", value).inFile(file ?? "") }
    guard number.isFinite else {
      throw FormatError(
        .ggufValueOutOfRange, file: file, subject: .key(key), expected: "a finite number", found: "\(number)")
    }
    return Self.json(number)
  }

  /// A `bool`, or nil when the key is absent.
  func flag(_ name: String) throws(FormatError) -> Bool? {
    let key = fullKey(name)
    guard let value = metadata[key] else { return nil }
    guard case .bool(let flag) = value else { throw Self.mismatch(key, "bool", value).inFile(file ?? "") }
    return flag
  }

  /// A `string`, or nil when the key is absent.
  func text(_ name: String) throws(FormatError) -> String? {
    let key = fullKey(name)
    guard let value = metadata[key] else { return nil }
    guard let text = value.text else { throw Self.mismatch(key, "string", value).inFile(file ?? "") }
    return text
  }

  /// One number for all layers, or an array of `uint32` or `int32` with one for each; nil when the key is absent.
  ///
  /// - Throws: `ggufValueTypeMismatch`, `ggufArrayLengthMismatch`, `ggufValueOutOfRange`.
  func layerCounts(_ name: String, layers: Int) throws(FormatError) -> [Int]? {
    let key = fullKey(name)
    guard let value = metadata[key] else { return nil }
    guard case .array(let array) = value else {
      return Array(repeating: try requiredCount(name), count: layers)
    }
    guard [.uint32, .int32].contains(array.elementType) else {
      throw Self.mismatch(key, "array of uint32 or int32", value).inFile(file ?? "")
    }
    guard array.count == layers else {
      throw FormatError(
        .ggufArrayLengthMismatch, file: file, subject: .key(key), expected: "\(layers) elements, one for each layer",
        found: "\(array.count)")
    }
    let counts = array.integers ?? []
    if let negative = counts.first(where: { $0 < 0 }) {
      throw FormatError(
        .ggufValueOutOfRange, file: file, subject: .key(key), expected: "counts from 0 on", found: "\(negative)")
    }
    return counts
  }

  /// Which layers see a window of keys: an array of flags or numbers, or a period; nil when the key is absent.
  func slidingFlags(layers: Int) throws(FormatError) -> [Bool]? {
    let key = key("attention.sliding_window_pattern")
    guard let value = metadata[key] else { return nil }
    if case .uint32(let period) = value {
      return (0..<layers).map { period == 0 ? false : UInt32($0) % period < period - 1 }
    }
    guard case .array(let array) = value, [.bool, .uint32, .int32].contains(array.elementType) else {
      throw Self.mismatch(key, "uint32, or an array of bool, uint32 or int32", value).inFile(file ?? "")
    }
    let flags = array.bools ?? array.integers?.map { $0 != 0 } ?? []
    // llama.cpp does not check the length: what is missing sees everything.
    return (0..<layers).map { $0 < flags.count && flags[$0] }
  }

  func missing(_ name: String) -> FormatError {
    FormatError(.ggufKeyMissing, file: file, subject: .key(fullKey(name)))
  }

  private func fullKey(_ name: String) -> String {
    name.hasPrefix("general.") || name.hasPrefix("tokenizer.") ? name : key(name)
  }

  static func mismatch(_ key: String, _ expected: String, _ value: GGUFValue) -> FormatError {
    FormatError(
      .ggufValueTypeMismatch, subject: .key(key), expected: "\(expected), which is the only type llama.cpp takes",
      found: value.typeDescription)
  }

  /// A single-precision number by its shortest decimal digits.
  static func json(_ number: Float) -> JSONValue { JSONValue(Double("\(number)") ?? Double(number)) }

  // MARK: Tensors

  /// Whether any layer has a tensor with an ending.
  func hasLayerTensor(_ ending: String) -> Bool { tensors.keys.contains { $0.hasSuffix("." + ending) } }

  /// Whether queries, keys and values have biases and the output matrix has none.
  var hasBiasesOfQueriesOnly: Bool {
    (hasLayerTensor("attn_q.bias") || hasLayerTensor("attn_qkv.bias")) && !hasLayerTensor("attn_output.bias")
  }

  /// The number of layers.
  ///
  /// - Throws: `ggufKeyMissing`, `ggufValueTypeMismatch`, `ggufValueOutOfRange`.
  func layerCount(_ key: String = "block_count") throws(FormatError) -> Int {
    let count = try requiredCount(key)
    guard (1...Self.layerLimit).contains(count) else {
      throw FormatError(
        .ggufValueOutOfRange, file: file, subject: .key(self.key(key)), expected: "1 to \(Self.layerLimit)",
        found: "\(count)")
    }
    return count
  }

  /// The numbers of a vector that only GGUF has.
  func vector(_ name: String) throws(FormatError) -> [Float]? {
    guard let tensor = tensors[name] else { return nil }
    guard tensor.shape.rank == 1, tensor.type.elementType == .f32, tensor.shape.elementCount <= 1 << 16 else {
      throw FormatError(
        .wrongShape, file: file, subject: .tensor(name), expected: "a vector of F32",
        found: "\(tensor.type)\(tensor.shape)")
    }
    return try tensor.values.floats()
  }
}

extension FormatError {
  /// The same error without a file where there is none to name.
  fileprivate func inFile(_ file: String) -> FormatError {
    if file.isEmpty || self.file != nil { return self }
    var copy = self
    copy.file = file
    return copy
  }
}
