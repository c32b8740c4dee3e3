import PollardBase
import TensorStorage

/// A weight file of a checkpoint: safetensors, or what `torch.save` wrote.
public enum CheckpointFile: Sendable {
  /// A safetensors file.
  case safetensors(SafetensorsFile)
  /// A PyTorch file.
  case pytorch(PyTorchFile)

  /// Opens a file and checks its header; the format is known from the first bytes, whatever the name.
  ///
  /// - Throws: what `PyTorchFile` throws for a file that begins like one of PyTorch's, else what `SafetensorsFile` throws.
  public init(path: String) throws(FormatError) {
    let source = try FileSource(path: path)
    self = try PyTorchFile.recognizes(source) ? .pytorch(PyTorchFile(source)) : .safetensors(SafetensorsFile(source))
  }

  /// The file, open for reading.
  public var source: FileSource {
    switch self {
    case .safetensors(let file): file.source
    case .pytorch(let file): file.source
    }
  }

  /// The strings under `__metadata__`; nil when there are none, or the format has no place for them.
  public var metadata: SafetensorsMetadata? {
    switch self {
    case .safetensors(let file): file.metadata
    case .pytorch: nil
    }
  }

  /// The tensors in the order of the file.
  public var records: [TensorRecord] {
    switch self {
    case .safetensors(let file): Array(file.tensors)
    case .pytorch(let file): file.tensors
    }
  }

  /// Whether the file is one of PyTorch's.
  public var isPyTorch: Bool { if case .pytorch = self { true } else { false } }

  /// Sentences about what was found beside the tensors.
  public var notes: [String] { if case .pytorch(let file) = self { file.notes } else { [] } }
}
