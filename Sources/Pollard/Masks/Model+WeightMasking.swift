import CheckpointFormats
import PollardBase
import TensorStorage

/// What a mask of single weights takes out.
public struct WeightMaskReport: Report {
  /// The file that was written.
  public var output: String
  /// The rule, in words.
  public var rule: String
  /// Each matrix, with its weights and those that are masked.
  public var matrices: [(name: String, weights: Int, masked: Int)]
  /// Things worth knowing, in sentences.
  public var notes: [String]

  private var weights: Int { matrices.reduce(0) { $0 + $1.weights } }
  private var masked: Int { matrices.reduce(0) { $0 + $1.masked } }

  /// The document that `--json` prints.
  public var json: JSONValue {
    [
      "schema": reportSchema, "output": JSONValue(output), "rule": JSONValue(rule),
      "matrices": .array(
        matrices.map {
          ["name": JSONValue($0.name), "weights": JSONValue($0.weights), "masked": JSONValue($0.masked)]
        }),
      "weights": JSONValue(weights), "masked": JSONValue(masked), "notes": .array(notes.map { JSONValue($0) }),
    ]
  }

  /// The text that people read.
  public var text: String {
    let share = weights > 0 ? Double(masked) / Double(weights) * 100 : 0
    return
      ([
        "masked: \(rule)",
        "  \(humanCount(masked)) of \(humanCount(weights)) weights (\(rounded(share, 1)) %) in \(matrices.count) matrices",
      ] + notes.map { "  note: " + $0 } + ["", "wrote \(escapedForTerminal(output))"]).joined(separator: "\n")
  }
}

extension Model {
  /// Writes a mask of single weights: for each parameter `X` of a layer's matrices a tensor `X_mask` of BOOL, in the shape it is stored in; 1 keeps.
  ///
  /// Such a mask makes nothing smaller by itself. The matrices are read a chunk at a time.
  ///
  /// - Throws: `CompactionError` `notScorable` for a model without such matrices, `FormatError` from reading or writing.
  @discardableResult
  public func makeWeightMask(
    _ rule: WeightRule, to output: String, replacing: Bool = false, pool: ThreadPool = .allProcessors
  ) throws -> WeightMaskReport {
    let matrices = try weightMatrices()
    guard !matrices.isEmpty else {
      throw CompactionError(
        .unknownMask, file: path, expected: "matrices of numbers in numbered layers", found: "none",
        remedy: "mask the model before it is quantised, or before it is exported with names that say nothing")
    }
    let layout = try SafetensorsLayout(
      matrices.map { TensorDeclaration(name: $0.name + "_mask", type: .bool, shape: $0.weight.shape) },
      metadata: ["format": "pt"])
    let file = try AtomicFile(path: output, replacing: replacing, inputs: inputPaths)
    try file.file.write(layout.header)
    var thresholds: [MagnitudeThreshold] = []
    if case .magnitude(let share, let scope) = rule {
      func count(_ weights: Int) -> Int { min(weights, Int((share * Double(weights)).rounded(.toNearestOrEven))) }
      if scope == .global {
        let total = matrices.reduce(0) { $0 + $1.weight.shape.elementCount }
        thresholds = [
          try MagnitudeThreshold(removing: count(total)) { show throws(FormatError) in
            for matrix in matrices { try matrix.forEachChunk { _, values in show(values) } }
          }
        ]
      } else {
        for matrix in matrices {
          thresholds.append(
            try MagnitudeThreshold(removing: count(matrix.weight.shape.elementCount)) { show throws(FormatError) in
              try matrix.forEachChunk { _, values in show(values) }
            })
        }
      }
    }
    var masked = Array(repeating: 0, count: matrices.count)
    var ties = thresholds.map(\.ties)
    let offsets = Dictionary(
      uniqueKeysWithValues: zip(layout.givenPositions, layout.tensors.map(\.byteRange.lowerBound)))
    // In the order of the matrices: of equal magnitudes the first ones go.
    for (index, matrix) in matrices.enumerated() {
      let columns = matrix.weight.shape[1]
      let offset = offsets[index] ?? 0
      var multiple = 1
      if case .pattern(_, let count) = rule, matrix.summedAxis == 0 { multiple = count }
      let place = min(index, max(thresholds.count - 1, 0))
      try matrix.forEachChunk(rowsBy: multiple) { row, values throws(FormatError) in
        var kept = Array(repeating: UInt8(1), count: values.count)
        switch rule {
        case .magnitude:
          let threshold = thresholds[place].bits
          for (position, value) in values.enumerated() {
            let bits = value.magnitude.bitPattern
            if bits < threshold {
              kept[position] = 0
            } else if bits == threshold, ties[place] > 0 {
              kept[position] = 0
              ties[place] -= 1
            }
          }
        case .pattern(let keeping, let count):
          Self.keepLargest(keeping, of: count, values, columns, axis: matrix.summedAxis, &kept)
        }
        masked[index] += kept.count { $0 == 0 }
        try file.file.write(kept, at: offset + row * columns)
      }
    }
    try file.commit()
    return WeightMaskReport(
      output: output, rule: rule.phrase,
      matrices: zip(matrices, masked).map { ($0.name, $0.weight.shape.elementCount, $1) },
      notes: [
        "single weights are masked: no head and no neuron goes by this, and the model gets no smaller by itself"
      ])
  }

  /// Marks all but the largest of every run of weights along an axis; of equal ones the later stay. A shorter last run keeps as many.
  private static func keepLargest(
    _ keeping: Int, of count: Int, _ values: UnsafeBufferPointer<Float>, _ columns: Int, axis: Int,
    _ kept: inout [UInt8]
  ) {
    let rows = values.count / columns
    let (outer, length, step, across) = axis == 1 ? (rows, columns, 1, columns) : (columns, rows, columns, 1)
    for line in 0..<outer {
      for start in stride(from: 0, to: length, by: count) {
        let run = (start..<min(length, start + count)).map { line * across + $0 * step }
        for position in run.sorted(by: { (values[$0].magnitude, $0) < (values[$1].magnitude, $1) })
          .prefix(max(0, run.count - keeping))
        {
          kept[position] = 0
        }
      }
    }
  }
}
