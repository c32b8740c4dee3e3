/// Makes names for people unique: the first of a name keeps it, later ones are numbered.
///
/// Names that are told apart by their bytes can be one string: Swift finds canonically equivalent text equal.
struct ONNXUniqueNames {
  private var taken: Set<String> = []
  private var counts: [String: Int] = [:]

  /// The name, or a numbered one where it is taken or empty.
  mutating func unique(_ name: String) -> String {
    let base = name.isEmpty ? "unnamed" : name
    if taken.insert(base).inserted { return base }
    var number = counts[base, default: 1]
    var candidate: String
    repeat {
      number += 1
      candidate = "\(base)#\(number)"
    } while !taken.insert(candidate).inserted
    counts[base] = number
    return candidate
  }
}
