import ModelGraph
import PollardBase
import TensorStorage

/// Strings of two tensors joined, broadcast.
///
/// - Source: ONNX StringConcat-20.
func evaluateStringConcat(_ context: EvaluationContext) throws -> Tensor {
  let (a, b) = (try context.texts(0), try context.texts(1))
  let extents = try context.broadcast([a.extents, b.extents])
  try context.checkSize([wide] + extents)
  let (left, right) = (a.broadcast(to: extents).strings(), b.broadcast(to: extents).strings())
  // Texts are kept for the life of the process, so they may not take all of its memory.
  var byteCount = StringTable.byteCount
  for (first, second) in zip(left, right) {
    byteCount = byteCount.addingReportingOverflow(first.count + second.count).partialValue
    guard (0...Memory.limit / 4).contains(byteCount) else {
      throw context.failure(.tooLarge, expected: "at most \(Memory.limit / 4) bytes of text", found: "more")
    }
  }
  let joined = zip(left, right).map { $0 + $1 }
  return Tensor(strings: joined, extents: extents)
}

/// Strings cut at a delimiter, or at runs of white space, into at most `maxsplit` + 1 parts; and how many parts each has.
///
/// - x: `[…]`; parts: `[…, most]`, filled up with empty strings; counts: `[…]`.
/// - Source: ONNX StringSplit-20.
func evaluateStringSplit(_ context: EvaluationContext) throws -> [Tensor] {
  let x = try context.texts(0)
  let delimiter = Array((context.node.string("delimiter") ?? "").utf8)
  let wanted = context.node.integer("maxsplit", default: -1)
  let limit = wanted < 0 ? .max : wanted
  let parts = x.strings().map { delimiter.isEmpty ? words(of: $0, limit) : pieces(of: $0, at: delimiter, limit) }
  let most = parts.map(\.count).max() ?? 0
  try context.checkSize([wide] + x.extents + [most])
  let filled = parts.flatMap { $0 + Array(repeating: [], count: most - $0.count) }
  return [
    Tensor(strings: filled, extents: x.extents + [most]),
    Tensor(integers: parts.map { Int64($0.count) }, extents: x.extents),
  ]
}

private func pieces(of text: [UInt8], at delimiter: [UInt8], _ limit: Int) -> [[UInt8]] {
  var result: [[UInt8]] = []
  var start = 0
  var place = 0
  while place + delimiter.count <= text.count, result.count < limit {
    if text[place..<place + delimiter.count].elementsEqual(delimiter) {
      result.append(Array(text[start..<place]))
      place += delimiter.count
      start = place
    } else {
      place += 1
    }
  }
  return result + [Array(text[start...])]
}

private func words(of text: [UInt8], _ limit: Int) -> [[UInt8]] {
  func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
  var result: [[UInt8]] = []
  var place = 0
  while true {
    while place < text.count, isSpace(text[place]) { place += 1 }
    if place == text.count { return result }
    var end = place
    if result.count == limit {
      end = text.count
      while isSpace(text[end - 1]) { end -= 1 }
    } else {
      while end < text.count, !isSpace(text[end]) { end += 1 }
    }
    result.append(Array(text[place..<end]))
    if result.count > limit { return result }
    place = end
  }
}

/// Strings without stop words, in lower or upper case.
///
/// - x: `[C]` or `[1, C]`; y: the same with the strings that are left, or with one empty string when none is.
/// - Source: ONNX StringNormalizer-10.
func evaluateStringNormalizer(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  let x = try context.texts(0)
  guard x.rank == 1 || (x.rank == 2 && x.extents[0] == 1) else {
    throw context.failure(expected: "[C] or [1, C]", found: "\(x.extents)")
  }
  let minds = node.integer("is_case_sensitive", default: 0) != 0
  var stopWords: Set<String> = []
  if case .strings(let given)? = node.attributes["stopwords"] {
    stopWords = Set(given.map { minds ? $0 : $0.lowercased() })
  }
  var texts = x.strings()
    .filter {
      let text = String(decoding: $0, as: UTF8.self)
      return !stopWords.contains(minds ? text : text.lowercased())
    }
  switch node.string("case_change_action") ?? "NONE" {
  case "LOWER": texts = texts.map { Array(String(decoding: $0, as: UTF8.self).lowercased().utf8) }
  case "UPPER": texts = texts.map { Array(String(decoding: $0, as: UTF8.self).uppercased().utf8) }
  case "NONE": break
  case let action: throw context.failure(.unsupported, expected: "a known case_change_action", found: "\"\(action)\"")
  }
  if texts.isEmpty { texts = [[]] }
  return Tensor(strings: texts, extents: x.rank == 1 ? [texts.count] : [1, texts.count])
}

/// How often the n-grams of a pool occur, weighted.
///
/// - x: `[C]` or `[B, C]`, integers or strings; y: `[width]` or `[B, width]`, width being one more than the largest of `ngram_indexes`.
/// - Source: ONNX TfIdfVectorizer-9.
func evaluateTermFrequencies(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  let x = try context.tensor(0)
  guard x.rank == 1 || x.rank == 2 else { throw context.failure(expected: "[C] or [B, C]", found: "\(x.extents)") }
  let pool: [Int64]
  let items: [Int64]
  if case .strings(let given)? = node.attributes["pool_strings"] {
    pool = given.map { StringTable.number(of: Array($0.utf8)) }
    items = try context.texts(0).elements(Int64.self)
  } else {
    pool = (node.integers("pool_int64s") ?? []).map { Int64($0) }
    items = try context.integers(0).map { Int64($0) }
  }
  let starts = node.integers("ngram_counts") ?? []
  let columns = node.integers("ngram_indexes") ?? []
  let (least, most) = (node.integer("min_gram_length", default: 1), node.integer("max_gram_length", default: 1))
  let skips = node.integer("max_skip_count", default: 0)
  let width = (columns.max() ?? -1) + 1
  guard least >= 1, least <= most, most <= starts.count, skips >= 0, columns.allSatisfy({ (0..<1 << 31).contains($0) }),
    starts == starts.sorted(), starts.allSatisfy({ (0...pool.count).contains($0) })
  else { throw context.failure(.illFormed, expected: "a pool of n-grams", found: "\(starts), \(least) to \(most)") }
  let rows = x.rank == 1 ? 1 : x.extents[0]
  let length = x.extents[x.rank - 1]
  try context.checkSize([wide, max(rows, 1), max(width, 1)])
  // The n-grams in the order of the pool; each has a column.
  var known: [[Int64]: Int] = [:]
  var number = 0
  for size in 1...starts.count {
    let end = size < starts.count ? starts[size] : pool.count
    for start in stride(from: starts[size - 1], to: end, by: size) where start + size <= end {
      if number < columns.count, (least...most).contains(size) {
        known[Array(pool[start..<start + size])] = columns[number]
      }
      number += 1
    }
  }
  var counts = Array(repeating: Float(0), count: rows * width)
  for row in 0..<rows {
    for size in least...most {
      for distance in 1...(size == 1 ? 1 : min(skips, length) + 1) {
        let reach = (size - 1) * distance
        for start in 0..<max(0, length - reach) {
          let gram = (0..<size).map { items[row * length + start + $0 * distance] }
          if let column = known[gram] { counts[row * width + column] += 1 }
        }
      }
    }
  }
  var weights = Array(repeating: Float(1), count: width)
  for (column, weight) in zip(columns, node.floats("weights") ?? []) { weights[column] = weight }
  switch node.string("mode") ?? "TF" {
  case "TF": break
  case "IDF": for index in counts.indices where counts[index] > 0 { counts[index] = weights[index % width] }
  case "TFIDF": for index in counts.indices { counts[index] *= weights[index % width] }
  case let mode: throw context.failure(.unsupported, expected: "a known mode", found: "\"\(mode)\"")
  }
  let result = Tensor(floats: counts, extents: x.rank == 1 ? [width] : [rows, width])
  return try converted(result, to: context.memory.floatType, context)
}

extension EvaluationContext {
  /// An operand of strings.
  func texts(_ slot: Int) throws -> Tensor {
    let tensor = try tensor(slot)
    guard tensor.type == .string else {
      throw failure(.typeMismatch, expected: "strings in operand \(slot)", found: "\(tensor.type)")
    }
    return tensor
  }
}

extension EvaluatorTable {
  static let texts: [OperatorName: Evaluator] = [
    OperatorName("StringConcat"): { [try evaluateStringConcat($0)] },
    OperatorName("StringSplit"): { try evaluateStringSplit($0) },
    OperatorName("StringNormalizer"): { [try evaluateStringNormalizer($0)] },
    OperatorName("TfIdfVectorizer"): { [try evaluateTermFrequencies($0)] },
    OperatorName("Unique"): { try evaluateUnique($0) },
  ]
}
