/// Problems of files: unreadable, malformed, inconsistent, or not writable.
public enum FormatDomain: DiagnosticDomain {}
/// Problems of graphs: ill-formed, or using what is not supported.
public enum GraphDomain: DiagnosticDomain {}
/// Requests that cannot be honoured on a well-formed model.
public enum CompactionDomain: DiagnosticDomain {}

/// A file is unreadable, malformed, inconsistent, or cannot be written.
public typealias FormatError = Diagnostic<FormatDomain>
/// A graph is ill-formed or uses what is not supported.
public typealias GraphError = Diagnostic<GraphDomain>
/// A request cannot be honoured on a well-formed model.
public typealias CompactionError = Diagnostic<CompactionDomain>

extension DiagnosticCode where Domain == FormatDomain {
  /// A system call on a file failed.
  public static let cannotOpen = Self("cannotOpen", "the file cannot be opened")
  /// A read returned an error.
  public static let cannotRead = Self("cannotRead", "the file cannot be read")
  /// A write, sync or rename returned an error.
  public static let cannotWrite = Self("cannotWrite", "the output cannot be written")
  /// The file ends before the bytes that its own header promises.
  public static let truncated = Self("truncated", "the file ends early")
  /// The device has no room for the output.
  public static let diskFull = Self("diskFull", "there is no space left on the device")
  /// The output exists already and may not be replaced.
  public static let outputExists = Self("outputExists", "the output exists already")
}

extension DiagnosticCode where Domain == GraphDomain {
  /// The operands of a node do not fit together.
  public static let shapeMismatch = Self("shapeMismatch", "the shapes of the operands do not fit together")
  /// An operator, version or attribute value is not supported.
  public static let unsupported = Self("unsupported", "this operator or attribute is not supported")
  /// A rule about well-formed graphs is broken.
  public static let illFormed = Self("illFormed", "the graph is not well formed")
}
