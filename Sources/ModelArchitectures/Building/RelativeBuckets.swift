import ModelGraph
import PollardBase
import TensorStorage

/// The number of the bucket that a distance between a key and a query falls into, as T5 has them.
///
/// Half of the buckets (of each direction's, where both directions are told apart) hold one distance each, the others ranges that grow
/// logarithmically up to a largest distance; everything beyond shares the last.
package struct RelativeBuckets: Sendable, Hashable {
  /// The number of buckets.
  package var count: Int
  /// The distance from which on all share a bucket.
  package var maximumDistance: Int
  /// Whether keys after the query have buckets of their own; else they fall into the first.
  package var isBidirectional: Bool

  /// Creates buckets.
  package init(count: Int, maximumDistance: Int, isBidirectional: Bool) {
    self.count = count
    self.maximumDistance = maximumDistance
    self.isBidirectional = isBidirectional
  }

  /// The bucket of a distance, the key's place less the query's; in single precision step by step as transformers computes it.
  ///
  /// - Source: Raffel et al. 2020, section 2.1; `_relative_position_bucket` of transformers.
  package func bucket(_ distance: Int) -> Int {
    let perDirection = isBidirectional ? count / 2 : count
    let first = isBidirectional && distance > 0 ? perDirection : 0
    let size = isBidirectional ? abs(distance) : max(-distance, 0)
    let exact = perDirection / 2
    if size < exact { return first + size }
    let logarithm = singleLogarithm(Float(size) / Float(exact))
    let whole = Float(naturalLogarithm(Double(maximumDistance) / Double(exact)))
    let place = exact + Int(logarithm / whole * Float(perDirection - exact))
    return first + min(place, perDirection - 1)
  }

  /// The buckets of the distances from `-maximumDistance` to `maximumDistance`.
  var table: [Int] { (-maximumDistance...maximumDistance).map(bucket) }
}

extension RelativeBuckets {
  /// - Throws: `configurationValue` when there are too few buckets, or the largest distance lies among the exact ones.
  init(_ config: ConfigurationReader, isBidirectional: Bool) throws(FormatError) {
    let limit = 1 << 16
    count = try config.optionalInteger("relative_attention_num_buckets", in: 4...limit) ?? 32
    maximumDistance = try config.optionalInteger("relative_attention_max_distance", in: 1...limit) ?? 128
    self.isBidirectional = isBidirectional
    guard maximumDistance > (isBidirectional ? count / 2 : count) / 2 else {
      throw FormatError(
        .configurationValue, file: config.file, subject: .key("relative_attention_max_distance"),
        expected: "more than the \((isBidirectional ? count / 2 : count) / 2) distances with a bucket of their own",
        found: "\(maximumDistance)")
    }
  }
}

extension ModelBuilder {
  /// The bucket of every key for every query of a text, `[sequence, sequence]`.
  mutating func buckets(_ buckets: RelativeBuckets, tokens: ValueID, name: String) throws(FormatError) -> ValueID {
    let places = try self.places(of: tokens)
    let keys = try add("Unsqueeze", [places, integers([0])])
    let queries = try add("Unsqueeze", [places, integers([1])])
    let largest = integerScalar(buckets.maximumDistance)
    let near = try add(
      "Min", [add("Max", [add("Sub", [keys, queries]), integerScalar(-buckets.maximumDistance)]), largest])
    let table = buckets.table
    let numbers = constant("\(name).buckets", .integers(table.map(Int64.init), shape: [table.count]))
    return try add("Gather", [numbers, add("Add", [near, largest])])
  }

  /// What a layer adds to its scores: its heads' column of the table for each bucket, the lowest number where a key does not exist.
  ///
  /// Every layer reads the table by itself, so that its heads are its own.
  ///
  /// - table: `[buckets, heads]`; buckets: `[queries, keys]`; mask: `[batch, 1, 1, keys]`; result: `[batch, heads, queries, keys]`.
  mutating func relativeBias(
    _ table: ValueID, _ buckets: ValueID, mask: ValueID
  ) throws(FormatError) -> ValueID {
    let values = try add("Gather", [table, buckets])
    let byHead = try add("Transpose", [values], ["perm": .integers([2, 0, 1])])
    return try add("Where", [mask, byHead, scalar(-.greatestFiniteMagnitude)])
  }

  /// 0, 1, 2 … for the tokens `[batch, sequence]` of a text: `[sequence]`.
  private mutating func places(of tokens: ValueID) throws(FormatError) -> ValueID {
    let extent = try add("Shape", [tokens], ["start": .integer(1), "end": .integer(2)])
    return try add("Range", [integerScalar(0), add("Squeeze", [extent, integers([0])]), integerScalar(1)])
  }
}
