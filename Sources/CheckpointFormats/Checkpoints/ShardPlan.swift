import PollardBase
import TensorStorage

/// The safetensors files that a checkpoint is written to: one file, or shards with their index.
public struct ShardPlan: Sendable {
  /// A file to be written.
  public struct File: Sendable {
    /// The file's name, relative to the checkpoint's folder.
    public let name: String
    /// Where everything goes in it.
    public let layout: SafetensorsLayout
  }

  /// The files in the order of their names' numbers.
  public let files: [File]
  /// The name and the content of the index; nil for a single file.
  public let index: (name: String, content: ShardIndex)?

  /// The name of the single file, and the stem of the shards' names and of the index's.
  public static let defaultStem = "model"

  /// Plans files of at most a size, cut as huggingface_hub cuts them.
  ///
  /// Tensors are taken in the order given; one that would make the current shard too large begins the next, and one that is
  /// larger than the limit gets a shard to itself while the current one goes on. A single shard needs no index.
  ///
  /// - Parameters:
  ///   - maximumShardSize: bytes of tensors per shard, or nil for one file.
  ///   - indexMetadata: what the index is to hold beside `total_size`, such as an input's other keys.
  /// - Throws: what `SafetensorsLayout` throws.
  public init(
    _ tensors: [TensorDeclaration], metadata: SafetensorsMetadata?, maximumShardSize: Int?,
    order: SafetensorsLayout.Order = .reference, indexMetadata: JSONObject = [:], stem: String = defaultStem
  ) throws(FormatError) {
    var groups: [[TensorDeclaration]] = []
    var current: [TensorDeclaration] = []
    var currentSize = 0
    for tensor in tensors {
      let size = Shape(checking: tensor.shape.extents, of: tensor.type)?.byteCount(of: tensor.type) ?? 0
      guard let maximumShardSize else {
        current.append(tensor)
        continue
      }
      if size > maximumShardSize {
        groups.append([tensor])
        continue
      }
      if size > maximumShardSize - currentSize {
        groups.append(current)
        current = []
        currentSize = 0
      }
      current.append(tensor)
      currentSize += size
    }
    if !current.isEmpty || groups.isEmpty { groups.append(current) }
    let names = groups.indices.map { Self.shardName(stem: stem, number: $0 + 1, count: groups.count) }
    try self.init(
      zip(names, groups).map { (name: $0, tensors: $1, metadata: metadata) },
      indexName: groups.count == 1 ? nil : stem + ".safetensors.index.json", order: order, indexMetadata: indexMetadata)
  }

  /// Plans files whose names and content are decided already, such as an input's own shards.
  ///
  /// - Parameter indexName: the name of the index; nil when there is none.
  /// - Throws: `duplicateTensor` also across files; what `SafetensorsLayout` throws.
  public init(
    _ groups: [(name: String, tensors: [TensorDeclaration], metadata: SafetensorsMetadata?)], indexName: String?,
    order: SafetensorsLayout.Order = .reference, indexMetadata: JSONObject = [:]
  ) throws(FormatError) {
    var files: [File] = []
    var assignments: [ShardIndex.Assignment] = []
    var names: Set<ExactString> = []
    var totalSize = 0
    for group in groups {
      do throws(FormatError) {
        let layout = try SafetensorsLayout(group.tensors, metadata: group.metadata, order: order)
        for tensor in group.tensors {
          guard names.insert(ExactString(tensor.name)).inserted else {
            throw FormatError(.duplicateTensor, subject: .tensor(tensor.name))
          }
          assignments.append(ShardIndex.Assignment(tensor: tensor.name, shard: group.name))
        }
        let (sum, overflow) = totalSize.addingReportingOverflow(layout.dataSize)
        guard !overflow else { throw FormatError(.shapeOverflow, expected: "less than 2^63 bytes") }
        totalSize = sum
        files.append(File(name: group.name, layout: layout))
      } catch { throw error.inFile(group.name) }
    }
    self.files = files
    index = indexName.map { name in
      var metadata = indexMetadata
      metadata.set("total_size", to: JSONValue(totalSize))
      return (name, ShardIndex(metadata: metadata, assignments: assignments))
    }
  }

  /// The bytes of all files together, the index included.
  public var totalFileSize: Int {
    files.reduce(index?.content.serialized().count ?? 0) { total, file in
      let (sum, overflow) = total.addingReportingOverflow(file.layout.fileSize)
      return overflow ? Int.max : sum
    }
  }

  private static func shardName(stem: String, number: Int, count: Int) -> String {
    if count == 1 { return stem + ".safetensors" }
    func fiveDigits(_ value: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, 5 - digits.utf8.count)) + digits
    }
    return "\(stem)-\(fiveDigits(number))-of-\(fiveDigits(count)).safetensors"
  }
}
