import PollardBase

/// The name and type of a value: `ValueInfoProto`.
public struct ONNXValueInfo: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `name`.
  public var name: ByteString? { didSet { wire.touch() } }
  /// `type`.
  @Apart public var type: ONNXType? { didSet { wire.touch() } }
  /// `doc_string`.
  public var documentation: ByteString? { didSet { wire.touch() } }
  /// `metadata_props`: keys and values of whoever wrote the file.
  public var metadata: [ONNXEntry] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXValueInfo: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &name)
    try visitor.message(2, &type)
    try visitor.bytes(3, &documentation)
    try visitor.messages(4, &metadata)
  }
}

extension ONNXValueInfo {
  /// Describes a value.
  public init(_ name: ByteString, _ type: ONNXType?) {
    self.init()
    self.name = name
    self.type = type
  }
}

/// A key and its value: `StringStringEntryProto`.
public struct ONNXEntry: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `key`.
  public var key: ByteString? { didSet { wire.touch() } }
  /// `value`; absent is empty.
  public var value: ByteString? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXEntry: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &key)
    try visitor.bytes(2, &value)
  }
}

extension ONNXEntry {
  /// Makes an entry.
  public init(_ key: ByteString, _ value: ByteString) {
    self.init()
    self.key = key
    self.value = value
  }
}

extension [ONNXEntry] {
  /// The value of the first entry of a key.
  public subscript(key: ByteString) -> ByteString? { first { ($0.key ?? "") == key }.map { $0.value ?? "" } }
}

/// The version of an operator domain: `OperatorSetIdProto`.
public struct ONNXOperatorSet: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `domain`; absent, empty and "ai.onnx" are the standard one.
  public var domain: ByteString? { didSet { wire.touch() } }
  /// `version`.
  public var version: Int64? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXOperatorSet: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &domain)
    try visitor.integer(2, &version)
  }
}

extension ONNXOperatorSet {
  /// Imports a version of a domain.
  public init(domain: ByteString, version: Int64) {
    self.init()
    self.domain = domain
    self.version = version
  }

  /// The domain's one spelling: "ai.onnx" becomes "".
  public static func canonicalDomain(_ domain: ByteString?) -> ByteString {
    guard let domain, domain != "ai.onnx" else { return "" }
    return domain
  }
}

extension [ONNXOperatorSet] {
  /// The highest version that is imported of a domain.
  public func version(of domain: ByteString) -> Int64? {
    let domain = ONNXOperatorSet.canonicalDomain(domain)
    return lazy.filter { ONNXOperatorSet.canonicalDomain($0.domain) == domain }.map { $0.version ?? 0 }.max()
  }
}
