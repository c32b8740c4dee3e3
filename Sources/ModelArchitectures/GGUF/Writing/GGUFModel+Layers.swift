import CheckpointFormats
import PollardBase

extension GGUFModel {
  /// The same model without some layers, the others numbered anew.
  ///
  /// All metadata stay as they are but the number of layers, arrays with one entry for each, and the pattern of sliding windows, which
  /// becomes one flag for each layer that is left.
  ///
  /// - Parameter dropped: the layers' numbers, stacks of an encoder and a decoder counted through.
  /// - Throws: `unknownArchitecture`; `cannotExpress` for a layer that does not exist, for all layers of a stack, and where llama.cpp would
  ///   compute what is left differently.
  func dropping(layers dropped: [Int], file: String?) throws(FormatError) -> GGUFModel {
    let reading = try GGUFReading(self, file: file)
    let family = try GGUFFamilies.find(reading)
    func failure(_ expected: String, _ found: String) -> FormatError {
      FormatError(.cannotExpress, file: file, subject: .option("--drop-layers"), expected: expected, found: found)
    }
    var result = self
    var total = 0
    var stacks: [(block: GGUFBlockTable, numbers: [Int: Int])] = []
    for block in family.blocks {
      let hasKey = metadata.contains(reading.key(block.countKey))
      let count = try reading.layerCount(hasKey ? block.countKey : "block_count")
      let kept = (0..<count).filter { !dropped.contains(total + $0) }
      guard !kept.isEmpty else { throw failure("at least one layer to stay", "none of \(count)") }
      if let special = family.specialLayerCounts.first(where: { $0 == count || $0 == kept.count }), kept.count < count {
        throw failure(
          "a number of layers other than \(special), by which llama.cpp recognises a model with another attention scale",
          "\(count) layers of which \(kept.count) stay")
      }
      if kept.count < count {
        let key = reading.key(block.countKey)
        result.metadata.set(key, to: .uint32(UInt32(kept.count)))
        try result.keep(kept, of: count, reading, family)
      }
      stacks.append((block, Dictionary(uniqueKeysWithValues: zip(kept, kept.indices))))
      total += count
    }
    if let outside = dropped.first(where: { !(0..<total).contains($0) }) {
      throw failure("layers from 0 to \(total - 1)", "\(outside)")
    }
    result.tensors = tensors.compactMap { tensor in
      var kept = tensor
      guard let name = Self.name(of: tensor.name, stacks) else { return nil }
      kept.name = name
      return kept
    }
    return result
  }

  /// Shortens what has an entry for each layer.
  private mutating func keep(
    _ kept: [Int], of count: Int, _ reading: GGUFReading, _ family: GGUFFamily
  ) throws(FormatError) {
    let pattern = reading.key("attention.sliding_window_pattern")
    for entry in metadata.entries where entry.key.hasPrefix(reading.architecture + ".") && entry.key != pattern {
      guard case .array(let array) = entry.value, array.count == count,
        array.elementType != .string,
        let shortened = GGUFArray(kept.map { array[$0] }, of: array.elementType)
      else { continue }
      metadata.set(entry.key, to: .array(shortened), keepingType: false)
    }
    let stated = try reading.slidingFlags(layers: count)
    guard stated != nil || (family.slidingPattern != nil && metadata.contains(reading.key("attention.sliding_window")))
    else { return }
    let period = family.slidingPattern?.period ?? 1
    let flags = stated ?? (0..<count).map { $0 % period < period - 1 }
    let left = kept.map { flags[$0] }
    if family.slidingPattern?.needsOne == true, !left.contains(true) {
      throw FormatError(
        .cannotExpress, file: reading.file, subject: .option("--drop-layers"),
        expected: "a layer with a sliding window to stay, without which llama.cpp ends the process",
        found: "layers \(kept.map(String.init).joined(separator: ", ")) without one")
    }
    metadata.set(pattern, to: .array(GGUFArray(left)), keepingType: false)
  }

  /// A tensor's name after the renumbering; nil when its layer is gone.
  private static func name(of tensor: String, _ stacks: [(block: GGUFBlockTable, numbers: [Int: Int])]) -> String? {
    for (block, numbers) in stacks where tensor.hasPrefix(block.prefix) {
      let rest = tensor.dropFirst(block.prefix.count)
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      guard let number = Int(digits), rest.dropFirst(digits.count).first == "." else { continue }
      let suffix = rest.dropFirst(digits.count)
      if let place = numbers[number] { return block.prefix + String(place) + suffix }
      // The table of relative positions stands in the first layer and serves the whole stack.
      return number == 0 && suffix.hasPrefix(".attn_rel_b.") ? block.prefix + "0" + suffix : nil
    }
    return tensor
  }
}

extension GGUFArray {
  /// An array of some elements of another one, which are all of one type; nil for what is none.
  fileprivate init?(_ values: [GGUFValue], of type: GGUFValueType) {
    switch type {
    case .bool: self.init(values.compactMap(\.boolean))
    case .float32: self.init(values.compactMap(\.double).map { Float($0) })
    case .string: self.init(values.compactMap { if case .string(let text) = $0 { text } else { nil } } as [ByteString])
    default: self.init(values.compactMap(\.integer), as: type)
    }
    if count != values.count { return nil }
  }
}
