/// An error that names what went wrong, where, and what was expected and found there.
///
/// `Domain` keeps the codes of different layers apart: a codec throws `FormatError`, the graph layer
/// `GraphError`, the compaction pass `CompactionError`. All three read the same to a person:
///
///     model.safetensors: tensor "h.3.attn.c_attn.weight" (header byte 5120): the byte range does not fit the shape:
///       expected 7077888 bytes for F32[768, 2304], found 9437184 bytes
///
/// Codes are values of an open set, so adding one never breaks a `switch` in client code.
public struct Diagnostic<Domain: DiagnosticDomain>: Error, Sendable, Equatable, CustomStringConvertible {
  /// What kind of problem this is; stable across releases.
  public var code: DiagnosticCode<Domain>
  /// The path of the file the problem was found in, if there is one.
  public var file: String?
  /// The thing the problem is about: a tensor, a configuration key, a node.
  public var subject: DiagnosticSubject?
  /// Where in the file the problem sits.
  public var location: DiagnosticLocation?
  /// What the rule asks for.
  public var expected: String?
  /// What was there instead.
  public var found: String?
  /// What the user can do about it.
  public var remedy: String?

  /// Creates a diagnostic; every part but the code is optional.
  public init(
    _ code: DiagnosticCode<Domain>, file: String? = nil, subject: DiagnosticSubject? = nil,
    at location: DiagnosticLocation? = nil, expected: String? = nil, found: String? = nil, remedy: String? = nil
  ) {
    self.code = code
    self.file = file
    self.subject = subject
    self.location = location
    self.expected = expected
    self.found = found
    self.remedy = remedy
  }

  /// One sentence for a person; names that come from files are escaped.
  public var description: String {
    var text = ""
    if let file { text += escapedForTerminal(file) + ": " }
    if let subject { text += subject.description }
    if let location { text += (subject == nil ? "" : " ") + "(\(location))" }
    if subject != nil || location != nil { text += ": " }
    text += code.summary
    switch (expected, found) {
    case (let expected?, let found?):
      text += ": expected \(escapedForTerminal(expected)), found \(escapedForTerminal(found))"
    case (let expected?, nil): text += ": expected \(escapedForTerminal(expected))"
    case (nil, let found?): text += ": found \(escapedForTerminal(found))"
    case (nil, nil): break
    }
    if let remedy { text += "; " + escapedForTerminal(remedy) }
    return text
  }

  /// The same diagnostic with the file filled in where it was not known.
  public func inFile(_ path: String) -> Self {
    var copy = self
    if copy.file == nil { copy.file = path }
    return copy
  }
}

/// Separates the error codes of one layer from those of another.
public protocol DiagnosticDomain: Sendable {}

/// A stable identifier of a kind of problem, with the sentence that describes it.
public struct DiagnosticCode<Domain: DiagnosticDomain>: Sendable, Hashable {
  /// The stable spelling, in lower camel case.
  public let name: String
  /// The problem in a few words, in the present tense, without a full stop.
  public let summary: String

  /// Creates a code. Codes are declared as static members in extensions, next to what throws them.
  public init(_ name: String, _ summary: String) {
    self.name = name
    self.summary = summary
  }

  /// Two codes are the same when their names are.
  public static func == (a: Self, b: Self) -> Bool { a.name == b.name }

  /// Hashes the name only.
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// What a diagnostic is about.
public enum DiagnosticSubject: Sendable, Equatable, CustomStringConvertible {
  /// A named tensor of a checkpoint.
  case tensor(String)
  /// A key of a configuration or metadata object.
  case key(String)
  /// A node of a graph.
  case node(String)
  /// A value (edge) of a graph.
  case value(String)
  /// A layer, by number.
  case layer(Int)
  /// A command-line option or another named request.
  case option(String)

  /// The subject as it appears in a message.
  public var description: String {
    switch self {
    case .tensor(let name): "tensor \"\(escapedForTerminal(name))\""
    case .key(let name): "key \"\(escapedForTerminal(name))\""
    case .node(let name): "node \"\(escapedForTerminal(name))\""
    case .value(let name): "value \"\(escapedForTerminal(name))\""
    case .layer(let index): "layer \(index)"
    case .option(let name): escapedForTerminal(name)
    }
  }
}

/// Where in a file a diagnostic sits.
public enum DiagnosticLocation: Sendable, Equatable, CustomStringConvertible {
  /// A byte offset from the start of the file.
  case byte(Int)
  /// A byte offset from the start of a file's header.
  case headerByte(Int)
  /// Two places that contradict each other.
  case bytes(Int, Int)

  /// The location as it appears in a message.
  public var description: String {
    switch self {
    case .byte(let offset): "byte \(offset)"
    case .headerByte(let offset): "header byte \(offset)"
    case .bytes(let first, let second): "bytes \(first) and \(second)"
    }
  }
}
