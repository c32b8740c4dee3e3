import PollardBase
import TensorStorage

/// An ONNX file whose messages have been read; the tensors' data stay on disk.
///
///     let file = try ONNXFile(path: "model.onnx")
///     for node in file.graph.nodes { print(node.operatorType ?? "", node.inputs) }
public struct ONNXFile: Sendable {
  /// The newest `ir_version` that is read.
  public static let newestIRVersion: Int64 = 14

  /// The file.
  public let source: FileSource
  /// The message that fills it.
  public var model: ONNXModel
  /// The files beside it that hold tensors' data.
  public let externalFiles: ONNXExternalFiles

  /// Opens a file and reads its messages.
  ///
  /// - Throws: `cannotOpen`; `protobufMalformed`, `nestedTooDeeply`, `messageTooLarge`, `tooManyRecords`; `notONNX`,
  ///   `unsupportedIRVersion`, `operatorSetMissing` and the other codes of `ONNXModel.checkStructure()`.
  /// - Complexity: O(records); data of tensors are not read.
  public init(path: String) throws(FormatError) { try self.init(FileSource(path: path)) }

  /// Reads the messages of an open file.
  public init(_ source: FileSource) throws(FormatError) {
    self.source = source
    externalFiles = ONNXExternalFiles(modelPath: source.path)
    do throws(FormatError) {
      model = try ONNXModel(decoding: ONNXBytes(source))
      try model.checkStructure()
    } catch {
      throw (try recognizedOtherThanONNX(source, failure: error) ?? error).inFile(source.path)
    }
  }

  /// The model's graph; an empty one when it has been taken away.
  public var graph: ONNXGraph { model.graph ?? ONNXGraph() }

  /// The elements of a tensor of this file as a lazy weight.
  ///
  /// - Throws: as `ONNXTensor.weight(externalFiles:)`.
  public func weight(of tensor: ONNXTensor) throws(FormatError) -> Weight {
    do throws(FormatError) { return try tensor.weight(externalFiles: externalFiles) } catch {
      throw error.inFile(source.path)
    }
  }
}

extension ONNXTensor {
  /// Decodes a tensor that stands alone, as test data do; only the encoding is checked.
  public init(decoding bytes: ONNXBytes) throws(FormatError) { self = try ONNXDecoder.decode(from: bytes) }
}

extension ONNXSequence {
  /// Decodes a sequence that stands alone, as test data do; only the encoding is checked.
  public init(decoding bytes: ONNXBytes) throws(FormatError) { self = try ONNXDecoder.decode(from: bytes) }
}

extension ONNXOptional {
  /// Decodes an optional value that stands alone, as test data do; only the encoding is checked.
  public init(decoding bytes: ONNXBytes) throws(FormatError) { self = try ONNXDecoder.decode(from: bytes) }
}

extension ONNXModel {
  /// Decodes a model; only the encoding is checked.
  public init(decoding bytes: ONNXBytes) throws(FormatError) { self = try ONNXDecoder.decode(from: bytes) }

  /// The encoded model; unchanged messages keep their bytes.
  package func encoded(reuse: ONNXReuse = .unchangedMessages) throws(FormatError) -> ONNXEncoding {
    try ONNXEncoding(self, reuse: reuse)
  }

  /// Refuses what is no model, or one of an unknown version.
  ///
  /// - Throws: `notONNX`, `unsupportedIRVersion`, `operatorSetMissing`.
  public func checkHeader() throws(FormatError) {
    guard let irVersion, irVersion > 0, graph != nil else {
      throw FormatError(
        .notONNX, expected: "a model with an ir_version and a graph",
        found: graph == nil ? "no graph" : "no ir_version")
    }
    guard irVersion <= ONNXFile.newestIRVersion else {
      throw FormatError(
        .unsupportedIRVersion, expected: "at most \(ONNXFile.newestIRVersion)", found: "\(irVersion)",
        remedy: "export the model with an ir_version of at most \(ONNXFile.newestIRVersion)")
    }
    guard irVersion < 3 || !operatorSets.isEmpty else {
      throw FormatError(.operatorSetMissing, expected: "an opset_import, as ir_version \(irVersion) asks for")
    }
  }
}
