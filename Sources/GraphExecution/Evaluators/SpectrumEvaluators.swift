import ModelGraph
import PollardBase
import TensorStorage

/// The discrete Fourier transform along an axis, or its inverse; real signals have a last axis of extent 1, complex ones of extent 2.
///
/// - x: `[…, n, …, 1 or 2]`; y: `[…, m, …, 2]`, m being `dft_length`, or half of it and one where `onesided`; the inverse of a one-sided
///   spectrum is real.
/// - Source: ONNX DFT-20.
func evaluateFourier(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  let x = try context.tensor(0)
  guard x.rank >= 2, let parts = x.extents.last, parts == 1 || parts == 2 else {
    throw context.failure(expected: "[…, 1] or […, 2]", found: "\(x.extents)")
  }
  let wanted = node.version >= 20 ? (context.has(2) ? try context.integer(2) : -2) : node.integer("axis", default: 1)
  let axis = try context.axis(wanted, rank: x.rank)
  guard axis < x.rank - 1 else { throw context.failure(expected: "an axis of the signal", found: "\(wanted)") }
  let isInverse = node.integer("inverse", default: 0) != 0
  let isOneSided = node.integer("onesided", default: 0) != 0
  let restoresReal = isInverse && isOneSided
  let given = x.extents[axis]
  let natural = restoresReal ? max(2 * (given - 1), 1) : given
  let length = context.has(1) ? try context.integer(1) : natural
  guard length > 0 else { throw context.failure(expected: "a length of 1 or more", found: "\(length)") }
  let bins = isOneSided && !isInverse ? length / 2 + 1 : length
  let resultParts = restoresReal ? 1 : 2
  var extents = x.extents
  extents[axis] = max(bins, length)
  extents[x.rank - 1] = 2
  try context.checkSize([wide] + extents)
  extents[axis] = bins
  extents[x.rank - 1] = resultParts
  if x.elementCount == 0 { return try context.memory.tensor(x.type, extents) }
  try context.checkTransform(length)
  let inner = x.extents[(axis + 1)..<(x.rank - 1)].reduce(1, *)
  let outer = x.extents[..<axis].reduce(1, *)
  let values = x.doubles()
  let transform = FourierTransform(length, isInverse: isInverse)
  var result = Array(repeating: 0.0, count: outer * bins * inner * resultParts)
  for row in 0..<outer * inner {
    let (block, place) = (row / inner, row % inner)
    var signal = FourierTransform.Signal(length)
    for position in 0..<min(given, restoresReal ? length / 2 + 1 : length) {
      let start = ((block * given + position) * inner + place) * parts
      signal.real[position] = values[start]
      if parts == 2 { signal.imaginary[position] = values[start + 1] }
    }
    if restoresReal {
      // The other half is the conjugate of this one; the ends of a real signal's spectrum are real.
      signal.imaginary[0] = 0
      if length % 2 == 0 { signal.imaginary[length / 2] = 0 }
      for position in (length / 2 + 1)..<max(length, length / 2 + 1) {
        signal.real[position] = signal.real[length - position]
        signal.imaginary[position] = -signal.imaginary[length - position]
      }
    }
    let spectrum = transform(signal)
    for position in 0..<bins {
      let start = ((block * bins + position) * inner + place) * resultParts
      result[start] = spectrum.real[position]
      if resultParts == 2 { result[start + 1] = spectrum.imaginary[position] }
    }
  }
  return try converted(Tensor(doubles: result, extents: extents), to: x.type, context)
}

/// The transforms of frames of a signal, each weighted by a window.
///
/// - signal: `[B, L, 1 or 2]`; y: `[B, frames, bins, 2]`.
/// - Source: ONNX STFT-17.
func evaluateShortTimeFourier(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let step = try context.integer(1)
  let window = try context.optionalTensor(2)?.doubles()
  let length = context.has(3) ? try context.integer(3) : window?.count ?? 0
  guard x.rank == 3, x.extents[2] == 1 || x.extents[2] == 2, step > 0, length > 0, length <= x.extents[1],
    window.map({ $0.count == length }) ?? true
  else {
    throw context.failure(
      expected: "[B, L, 1 or 2], a step and a frame within L",
      found: "\(x.extents), \(step), \(length) and a window of \(window?.count ?? length)")
  }
  let (batch, total, parts) = (x.extents[0], x.extents[1], x.extents[2])
  let isOneSided = context.node.integer("onesided", default: 1) != 0
  let bins = isOneSided ? length / 2 + 1 : length
  let frames = (total - length) / step + 1
  try context.checkSize([wide, max(batch, 1), frames, length, 2])
  try context.checkTransform(length)
  let values = x.doubles()
  let transform = FourierTransform(length, isInverse: false)
  var result: [Double] = []
  result.reserveCapacity(batch * frames * bins * 2)
  for row in 0..<batch {
    for frame in 0..<frames {
      var signal = FourierTransform.Signal(length)
      for position in 0..<length {
        let start = (row * total + frame * step + position) * parts
        let weight = window?[position] ?? 1
        signal.real[position] = values[start] * weight
        if parts == 2 { signal.imaginary[position] = values[start + 1] * weight }
      }
      let spectrum = transform(signal)
      for bin in 0..<bins { result += [spectrum.real[bin], spectrum.imaginary[bin]] }
    }
  }
  return try converted(Tensor(doubles: result, extents: [batch, frames, bins, 2]), to: x.type, context)
}

extension EvaluationContext {
  /// Refuses lengths whose odd part, which takes its square of steps, is large.
  fileprivate func checkTransform(_ length: Int) throws {
    // The signal, its halves and their spectra, each of two numbers a position.
    try checkSize([8 * wide, length])
    guard length >> length.trailingZeroBitCount <= 1 << 15 else {
      throw failure(.unsupported, expected: "a length whose odd part is at most \(1 << 15)", found: "\(length)")
    }
  }
}

/// The discrete Fourier transform of one length: by halves while it is even, by its definition otherwise.
private struct FourierTransform {
  /// Complex numbers.
  struct Signal {
    var real: [Double]
    var imaginary: [Double]

    init(_ count: Int) {
      real = Array(repeating: 0, count: count)
      imaginary = real
    }
  }

  private let length: Int
  private let isInverse: Bool
  /// Cosines and sines of the whole circle.
  private let cosines: [Double]
  private let sines: [Double]

  init(_ length: Int, isInverse: Bool) {
    self.length = length
    self.isInverse = isInverse
    let angles = (0..<length).map { 2 * Double.pi * Double($0) / Double(length) }
    cosines = angles.map { cosine($0) }
    sines = angles.map { isInverse ? sine($0) : -sine($0) }
  }

  func callAsFunction(_ signal: Signal) -> Signal {
    var result = transformed(signal, stride: 1)
    if isInverse {
      let count = Double(length)
      result.real = result.real.map { $0 / count }
      result.imaginary = result.imaginary.map { $0 / count }
    }
    return result
  }

  /// - Parameter stride: how many places of the circle one step of this transform is.
  private func transformed(_ signal: Signal, stride: Int) -> Signal {
    let count = signal.real.count
    var result = Signal(count)
    if count % 2 == 0 {
      let half = count / 2
      var parts = [Signal(half), Signal(half)]
      for index in 0..<count {
        parts[index % 2].real[index / 2] = signal.real[index]
        parts[index % 2].imaginary[index / 2] = signal.imaginary[index]
      }
      let even = transformed(parts[0], stride: stride * 2)
      let odd = transformed(parts[1], stride: stride * 2)
      for index in 0..<half {
        let (c, s) = (cosines[index * stride], sines[index * stride])
        let real = c * odd.real[index] - s * odd.imaginary[index]
        let imaginary = c * odd.imaginary[index] + s * odd.real[index]
        result.real[index] = even.real[index] + real
        result.imaginary[index] = even.imaginary[index] + imaginary
        result.real[index + half] = even.real[index] - real
        result.imaginary[index + half] = even.imaginary[index] - imaginary
      }
      return result
    }
    for index in 0..<count {
      for term in 0..<count {
        let place = index * term % count * stride
        result.real[index] += cosines[place] * signal.real[term] - sines[place] * signal.imaginary[term]
        result.imaginary[index] += cosines[place] * signal.imaginary[term] + sines[place] * signal.real[term]
      }
    }
    return result
  }
}

/// Triangles on the mel scale that gather the bins of a spectrum.
///
/// - y: `[dft_length / 2 + 1, num_mel_bins]`.
/// - Source: ONNX MelWeightMatrix-17.
func evaluateMelWeights(_ context: EvaluationContext) throws -> Tensor {
  let (count, length, rate) = (try context.integer(0), try context.integer(1), try context.integer(2))
  let bounds = try (3...4).map { try context.tensor($0).doubles().first ?? 0 }
  let limit = 1 << 31
  guard (0..<limit).contains(count), (0..<limit).contains(length), rate > 0, rate < limit,
    bounds.allSatisfy({ $0.isFinite && $0 >= 0 && $0 < 1e12 })
  else { throw context.failure(expected: "counts and frequencies", found: "\(count), \(length), \(rate), \(bounds)") }
  let bins = length / 2 + 1
  try context.checkSize([wide, bins, max(count, 1)])
  // The mel scale has decimal logarithms.
  let scale = 2595 / logarithm(10)
  let (low, high) = (scale * logarithm(1 + bounds[0] / 700), scale * logarithm(1 + bounds[1] / 700))
  let step = (high - low) / Double(count + 2)
  let places = (0..<count + 2).map { index in
    let frequency = 700 * (raised(10, to: (Double(index) * step + low) / 2595) - 1)
    return Int(min((Double(length + 1) * frequency / Double(rate)).rounded(.down), Double(limit)))
  }
  var result = Array(repeating: 0.0, count: bins * count)
  func set(_ bin: Int, _ mel: Int, _ value: Double) {
    if (0..<bins).contains(bin) { result[bin * count + mel] = value }
  }
  for mel in 0..<count {
    let (lower, centre, upper) = (places[mel], places[mel + 1], places[mel + 2])
    if centre == lower {
      set(centre, mel, 1)
    } else {
      for bin in lower...max(lower, min(centre, bins)) { set(bin, mel, Double(bin - lower) / Double(centre - lower)) }
    }
    for bin in centre..<max(centre, min(upper, bins)) { set(bin, mel, Double(upper - bin) / Double(upper - centre)) }
  }
  let tensor = Tensor(doubles: result, extents: [bins, count])
  return try cast(
    converted(tensor, to: context.memory.floatType, context),
    to: castTargets[context.node.integer("output_datatype", default: 1)] ?? .f32, context)
}

extension EvaluatorTable {
  static let spectra: [OperatorName: Evaluator] = [
    OperatorName("DFT"): { [try evaluateFourier($0)] },
    OperatorName("STFT"): { [try evaluateShortTimeFourier($0)] },
    OperatorName("MelWeightMatrix"): { [try evaluateMelWeights($0)] },
    OperatorName("Det"): { [try evaluateDeterminant($0)] },
  ]
}

/// The determinants of matrices, by elimination with the largest pivot of each column.
///
/// - x: `[…, n, n]`; y: `[…]`.
/// - Source: ONNX Det-22.
func evaluateDeterminant(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  guard x.rank >= 2, x.extents[x.rank - 1] == x.extents[x.rank - 2] else {
    throw context.failure(expected: "square matrices", found: "\(x.extents)")
  }
  let size = x.extents[x.rank - 1]
  let extents = Array(x.extents.dropLast(2))
  let values = x.doubles()
  let results = (0..<extents.reduce(1, *)).map { index -> Double in
    var matrix = Array(values[index * size * size..<(index + 1) * size * size])
    var product = 1.0
    for column in 0..<size {
      var pivot = column
      for row in column..<size where abs(matrix[row * size + column]) > abs(matrix[pivot * size + column]) {
        pivot = row
      }
      if matrix[pivot * size + column] == 0 { return 0 }
      if pivot != column {
        for place in 0..<size { matrix.swapAt(pivot * size + place, column * size + place) }
        product = -product
      }
      product *= matrix[column * size + column]
      for row in (column + 1)..<max(size, column + 1) {
        let factor = matrix[row * size + column] / matrix[column * size + column]
        for place in column..<size { matrix[row * size + place] -= factor * matrix[column * size + place] }
      }
    }
    return product
  }
  return try converted(Tensor(doubles: results, extents: extents), to: x.type, context)
}
