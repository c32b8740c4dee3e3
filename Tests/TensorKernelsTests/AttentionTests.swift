import PollardBase
import TensorKernels
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The vectors of the heads `which`, of `[positions, heads, dimension]`.
private func pickHeads(_ which: [Int], of heads: Int, dimension: Int, positions: Int, from x: [Float]) -> [Float] {
  var result: [Float] = []
  for position in 0..<positions {
    for head in which {
      let start = (position * heads + head) * dimension
      result += x[start..<(start + dimension)]
    }
  }
  return result
}

/// One attention problem: tensors `[batch, positions, heads, dimension]`.
private struct Problem {
  var attention: Attention
  var query: [Float], key: [Float], value: [Float]
  var bias: [Float]?
  var mask: [UInt8]?

  init(_ attention: Attention, seed: UInt64) {
    self.attention = attention
    var numbers = SeededNumbers(seed: seed)
    let a = attention
    query = numbers.numbers(a.batch * a.queries * a.queryHeads * a.headDimension)
    key = numbers.numbers(a.batch * a.keys * a.keyValueHeads * a.headDimension)
    value = numbers.numbers(a.batch * a.keys * a.keyValueHeads * a.valueDimension)
  }

  func output(pool: ThreadPool = oneThread) -> [Float] {
    var call = attention
    let a = attention
    var result = [Float](repeating: 44, count: a.batch * a.queries * a.queryHeads * a.valueDimension)
    func heads<Pointer>(_ base: Pointer, _ positions: Int, _ heads: Int, _ dimension: Int) -> HeadsView<Pointer> {
      HeadsView(
        base: base, batchStride: positions * heads * dimension, headStride: dimension,
        positionStride: heads * dimension)
    }
    func scores<Pointer>(_ base: Pointer) -> HeadsView<Pointer> {
      HeadsView(base: base, batchStride: a.queries * a.keys, headStride: 0, positionStride: a.keys)
    }
    query.withUnsafeBufferPointer { query in
      key.withUnsafeBufferPointer { key in
        value.withUnsafeBufferPointer { value in
          (bias ?? []).withUnsafeBufferPointer { biasBuffer in
            (mask ?? []).withUnsafeBufferPointer { maskBuffer in
              result.withUnsafeMutableBufferPointer { result in
                guard let q = query.baseAddress, let k = key.baseAddress, let v = value.baseAddress,
                  let o = result.baseAddress
                else { return }
                if bias != nil { call.bias = biasBuffer.baseAddress.map(scores) }
                if mask != nil { call.mask = maskBuffer.baseAddress.map(scores) }
                call(
                  query: heads(q, a.queries, a.queryHeads, a.headDimension),
                  key: heads(k, a.keys, a.keyValueHeads, a.headDimension),
                  value: heads(v, a.keys, a.keyValueHeads, a.valueDimension),
                  output: heads(o, a.queries, a.queryHeads, a.valueDimension), pool: pool)
              }
            }
          }
        }
      }
    }
    return result
  }

  /// The definition, in double precision.
  func reference() -> [Double] {
    let a = attention
    var result: [Double] = []
    for b in 0..<a.batch {
      for i in 0..<a.queries {
        for h in 0..<a.queryHeads {
          let g = h / (a.queryHeads / a.keyValueHeads)
          var scores: [Double] = []
          for j in 0..<a.keys {
            var s = 0.0
            for d in 0..<a.headDimension {
              s +=
                Double(query[((b * a.queries + i) * a.queryHeads + h) * a.headDimension + d])
                * Double(key[((b * a.keys + j) * a.keyValueHeads + g) * a.headDimension + d])
            }
            s *= Double(a.scale)
            if a.softcap > 0 { s = Double(a.softcap) * tanh(s / Double(a.softcap)) }
            if let bias { s += Double(bias[(b * a.queries + i) * a.keys + j]) }
            if let mask, mask[(b * a.queries + i) * a.keys + j] == 0 { s = -.infinity }
            if let offset = a.causalOffset, j > i + offset { s = -.infinity }
            if a.window > 0, j <= i + (a.causalOffset ?? 0) - a.window { s = -.infinity }
            scores.append(s)
          }
          let top = scores.max() ?? 0
          let weights = top == -.infinity ? scores.map { _ in 0 } : scores.map { exp($0 - top) }
          let sum = max(weights.reduce(0, +), 1e-300)
          for d in 0..<a.valueDimension {
            result.append(
              (0..<a.keys).reduce(0.0) {
                $0 + weights[$1] / sum
                  * Double(value[((b * a.keys + $1) * a.keyValueHeads + g) * a.valueDimension + d])
              })
          }
        }
      }
    }
    return result
  }

  /// The same problem with only these query heads, each with its own key/value head.
  func keeping(_ heads: [Int]) -> Problem {
    var short = self
    let a = attention
    short.attention.queryHeads = heads.count
    short.attention.keyValueHeads = heads.count
    func pick(_ x: [Float], _ positions: Int, _ count: Int, _ dimension: Int, _ which: [Int]) -> [Float] {
      pickHeads(which, of: count, dimension: dimension, positions: positions, from: x)
    }
    let groups = heads.map { $0 / (a.queryHeads / a.keyValueHeads) }
    short.query = pick(query, a.batch * a.queries, a.queryHeads, a.headDimension, heads)
    short.key = pick(key, a.batch * a.keys, a.keyValueHeads, a.headDimension, groups)
    short.value = pick(value, a.batch * a.keys, a.keyValueHeads, a.valueDimension, groups)
    return short
  }
}

#if DEBUG
  private let sizes = [(5, 9), (50, 50)]
#else
  private let sizes = [(1, 1), (1, 70), (5, 9), (50, 50), (100, 133), (33, 600)]
#endif

private func attention(queries: Int, keys: Int) -> Attention {
  Attention(
    batch: 2, queryHeads: 4, keyValueHeads: 2, queries: queries, keys: keys, headDimension: 19, valueDimension: 37,
    scale: 0.7)
}

private func variants(queries: Int, keys: Int) -> [(String, Problem)] {
  let plain = Problem(attention(queries: queries, keys: keys), seed: UInt64(queries * 1000 + keys))
  var numbers = SeededNumbers(seed: 17)
  var capped = plain, biased = plain, masked = plain, causal = plain, window = plain
  capped.attention.softcap = 0.9
  biased.bias = (0..<(2 * queries * keys)).map { _ in
    numbers.integer(below: 5) == 0 ? -.infinity : numbers.number() * 3
  }
  masked.mask = (0..<(2 * queries * keys)).map { _ in UInt8(numbers.integer(below: 2)) }
  causal.attention.causalOffset = keys - queries
  window.attention.causalOffset = keys - queries
  window.attention.window = 6
  return [
    ("plain", plain), ("softcap", capped), ("bias", biased), ("mask", masked), ("causal", causal), ("window", window),
  ]
}

extension KernelTests {
  @Suite("Attention")
  struct AttentionTests {
    @Test("agrees with its definition in double precision, and to the bit with itself everywhere", arguments: sizes)
    func definition(queries: Int, keys: Int) {
      for (name, problem) in variants(queries: queries, keys: keys) {
        let expected = problem.reference()
        let results = onEveryInstructionSet { problem.output() }
        for (set, found) in results {
          let worst = zip(found, expected).map { abs(Double($0) - $1) }.max() ?? 0
          #expect(worst < 2e-6, "\(set), \(name)")
          #expect(firstDifference(canonicalBits(found), canonicalBits(results[0].1)) == nil, "\(set), \(name)")
          let threaded = using(set) { problem.output(pool: twoThreads) }
          #expect(firstDifference(canonicalBits(found), canonicalBits(threaded)) == nil, "\(set), \(name), two threads")
        }
      }
    }

    @Test("gives a head the same bits when other heads are removed", arguments: InstructionSet.available)
    func removedHeads(set: InstructionSet) {
      using(set) {
        for (name, problem) in variants(queries: 53, keys: 61) {
          let whole = problem.output()
          let kept = [1, 3], dimension = problem.attention.valueDimension
          let short = problem.keeping(kept).output()
          let expected = pickHeads(kept, of: 4, dimension: dimension, positions: 2 * 53, from: whole)
          #expect(firstDifference(canonicalBits(short), canonicalBits(expected)) == nil, "\(name)")
        }
      }
    }

    @Test("gives zeros for a query that may see nothing, whatever the values", arguments: InstructionSet.available)
    func nothingToSee(set: InstructionSet) {
      using(set) {
        var problem = Problem(attention(queries: 3, keys: 5), seed: 1)
        problem.mask = [UInt8](repeating: 0, count: 2 * 3 * 5)
        #expect(problem.output().allSatisfy { $0 == 0 })
        problem.mask = nil
        problem.bias = [Float](repeating: -.infinity, count: 2 * 3 * 5)
        #expect(problem.output().allSatisfy { $0 == 0 })
      }
    }

    @Test("does not see masked keys", arguments: InstructionSet.available)
    func maskedKeys(set: InstructionSet) {
      using(set) {
        // Sequences of 4 keys, of which the last is padding with large values.
        var padded = Problem(attention(queries: 2, keys: 4), seed: 8)
        padded.mask = [UInt8]((0..<16).map { $0 % 4 == 3 ? 0 : 1 })
        let before = padded.output()
        for b in 0..<2 {
          for i in 0..<(2 * 37) { padded.value[(b * 4 + 3) * 2 * 37 + i] = 1e30 }
          for i in 0..<(2 * 19) { padded.key[(b * 4 + 3) * 2 * 19 + i] = 1e30 }
        }
        #expect(firstDifference(canonicalBits(padded.output()), canonicalBits(before)) == nil)
      }
    }
  }
}
