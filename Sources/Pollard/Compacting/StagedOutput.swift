import PollardBase

/// An output that is complete but not published yet, so that it can be verified first.
///
/// When the value goes away without `commit`, nothing of it is left.
package struct StagedOutput {
  /// Where the finished model lies until it is published.
  var path: String
  /// Bytes of its weight files.
  var weightBytes: Int
  /// Names of weight files in other formats, which were not carried over.
  var leftBehind: [String] = []
  /// Sentences about how it was written.
  var notes: [String] = []
  /// The names of a split file's parts, in order; empty when the output has the name that was asked for.
  var parts: [String] = []
  /// Gives it its name.
  var commit: () throws(FormatError) -> Void

  /// Where it is after `commit()`: the first part of a split file, else the path that was asked for.
  func published(as path: String) -> String {
    parts.first.map { Paths.join(Paths.parent(path), $0) } ?? path
  }
}
