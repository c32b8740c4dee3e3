import PollardBase

/// The index of a sharded checkpoint: which shard holds which tensor.
///
///     { "metadata": { "total_size": 1234 }, "weight_map": { "wte.weight": "model-00001-of-00002.safetensors", … } }
public struct ShardIndex: Sendable, Hashable {
  /// Tensor names with the file names of their shards, in the order of the file.
  public struct Assignment: Sendable, Hashable {
    /// The tensor's name.
    public let tensor: String
    /// The shard's file name, relative to the folder of the index.
    public let shard: String

    /// Assigns a tensor to a shard.
    public init(tensor: String, shard: String) {
      self.tensor = tensor
      self.shard = shard
    }
  }

  /// What stands under `metadata`: `total_size` (bytes of all tensors, headers not counted), `total_parameters` and others.
  /// Older files have none, or a `total_size` with a decimal point.
  public var metadata: JSONObject
  /// The assignments.
  public let assignments: [Assignment]

  /// The size in bytes above which an index is refused unread.
  package static let sizeLimit = 64 << 20

  /// An index of assignments.
  public init(metadata: JSONObject, assignments: [Assignment]) {
    self.metadata = metadata
    self.assignments = assignments
  }

  /// Reads an index.
  ///
  /// - Throws: what parsing JSON throws; `indexMalformed`; `unsafeShardName` for a shard that is not a `.safetensors` or `.bin` file
  ///   inside the folder of the index. Everything names the path.
  public init(path: String) throws(FormatError) {
    let value = try JSONValue(file: path, limit: Self.sizeLimit)
    do throws(FormatError) { try self.init(value) } catch { throw error.inFile(path) }
  }

  /// Reads an index from its JSON.
  public init(_ value: JSONValue) throws(FormatError) {
    guard let object = value.objectValue else {
      throw FormatError(.indexMalformed, expected: "an object", found: value.kindDescription)
    }
    guard let map = object["weight_map"], let members = map.objectValue else {
      throw FormatError(
        .indexMalformed, subject: .key("weight_map"), expected: "an object of file names",
        found: object["weight_map"]?.kindDescription ?? "none")
    }
    switch object["metadata"] {
    case nil, .null?: metadata = [:]
    case .object(let stated)?: metadata = stated
    case let other?:
      throw FormatError(
        .indexMalformed, subject: .key("metadata"), expected: "an object", found: other.kindDescription)
    }
    var assignments: [Assignment] = []
    assignments.reserveCapacity(members.count)
    for (tensor, value) in members.members.lazy.map({ ($0.key, $0.value) }) {
      guard let shard = value.stringValue else {
        throw FormatError(
          .indexMalformed, subject: .tensor(tensor), expected: "a file name", found: value.kindDescription)
      }
      guard Paths.isContained(shard), shard.hasSuffix(".safetensors") || shard.hasSuffix(".bin") else {
        throw FormatError(
          .unsafeShardName, subject: .tensor(tensor),
          expected: "the name of a .safetensors or .bin file beside the index",
          found: "\"\(shard)\"")
      }
      assignments.append(Assignment(tensor: tensor, shard: shard))
    }
    self.assignments = assignments
  }

  /// The stated bytes of all tensors; nil when they are not stated as a whole number.
  public var totalSize: Int? { metadata["total_size"]?.intValue }

  /// The stated number of parameters, which transformers writes.
  public var totalParameters: Int? { metadata["total_parameters"]?.intValue }

  /// The file names of the shards, each once, in byte order, which is the order of their numbers.
  public var shards: [String] {
    Set(assignments.map { ExactString($0.shard) }).map(\.text).sorted(by: precedesInByteOrder)
  }

  /// The bytes of the index file: two spaces of indentation, keys sorted, a newline at the end, as transformers writes it.
  public func serialized() -> [UInt8] {
    let sortedMetadata = metadata.members.sorted { precedesInByteOrder($0.key, $1.key) }
    let sortedMap = assignments.sorted { precedesInByteOrder($0.tensor, $1.tensor) }
    let index: JSONValue = .object([
      "metadata": .object(JSONObject(sortedMetadata.map { (key: $0.key, value: $0.value) })),
      "weight_map": .object(JSONObject(sortedMap.map { (key: $0.tensor, value: JSONValue.string($0.shard)) })),
    ])
    return index.serializedBytes() + [UInt8(ascii: "\n")]
  }
}
