import PollardBase
import TensorStorage

/// Which tensors of GGUF and of a checkpoint are the same, for one model.
struct GGUFTensorMap: Sendable {
  /// One row of the family's table, for one layer and `weight` or `bias`.
  struct Slot: Sendable {
    var row: GGUFTensorRow
    /// The layer, stacks counted through; nil outside the layers.
    var layer: Int?
    /// Full names in GGUF, one for each part that GGUF stores apart.
    var names: [String]
    /// Full names in the checkpoint without base prefix; none for a tensor that only GGUF has.
    var roles: [String]
  }

  /// The slots in the order of the names they were found by.
  private(set) var slots: [Slot] = []

  /// Where a name belongs.
  private struct Place: Hashable {
    var block: Int
    var number: Int
    var row: Int
    var suffix: String
  }

  /// The slots of a file's tensors.
  ///
  /// - Parameter layerCounts: for each stack of the family the number of layers.
  /// - Throws: `unexpectedTensor` for a name that the architecture does not have; `missingTensor` for a part.
  init(names: [String], family: GGUFFamily, layerCounts: [Int], file: String?) throws(FormatError) {
    try self.init(
      names, family, layerCounts, prefixes: family.blocks.map(\.prefix), stems: \.names, includesAlternatives: true
    ) { name throws(FormatError) in
      throw FormatError(
        .unexpectedTensor, file: file, subject: .tensor(name),
        expected: "a tensor of architecture \(family.architecture) with \(layerCounts.reduce(0, +)) layers",
        found: "one that llama.cpp would not ask for, and so refuse the file")
    }
    let present = Set(names)
    for slot in slots {
      if let name = slot.names.first(where: { !present.contains($0) }) {
        throw FormatError(
          .missingTensor, file: file, subject: .tensor(name),
          expected: "a part of " + slot.roles.joined(separator: ", "))
      }
    }
  }

  /// The slots of a checkpoint's parameters.
  ///
  /// - Parameter onUnknown: called with a name that the table does not have; returns where it can be left out.
  init(
    roles: [String], family: GGUFFamily, layerCounts: [Int], onUnknown: (String) throws(FormatError) -> Void
  ) throws(FormatError) {
    try self.init(
      roles, family, layerCounts, prefixes: family.blocks.map(\.checkpointPrefix), stems: \.checkpointNames,
      includesAlternatives: false, onUnknown: onUnknown)
  }

  private init(
    _ names: [String], _ family: GGUFFamily, _ layerCounts: [Int], prefixes: [String],
    stems: (GGUFTensorRow) -> [String], includesAlternatives: Bool, onUnknown: (String) throws(FormatError) -> Void
  ) throws(FormatError) {
    func index(_ rows: [GGUFTensorRow]) -> [String: Int] {
      var result: [String: Int] = [:]
      for (position, row) in rows.enumerated() where includesAlternatives || !row.isAlternative {
        for stem in stems(row) where result[stem] == nil { result[stem] = position }
      }
      return result
    }
    let global = index(family.tensors)
    let blocks = family.blocks.map { index($0.rows) }
    var firstLayers: [Int] = []
    var total = 0
    for count in layerCounts {
      firstLayers.append(total)
      total += count
    }
    var seen: Set<Place> = []
    for name in names {
      guard let place = Self.place(name, global, blocks, prefixes) else {
        try onUnknown(name)
        continue
      }
      let isGlobal = place.block < 0
      let row = isGlobal ? family.tensors[place.row] : family.blocks[place.block].rows[place.row]
      guard isGlobal || place.number < layerCounts[place.block], row.presence(of: place.suffix) != .never else {
        try onUnknown(name)
        continue
      }
      guard seen.insert(place).inserted else { continue }
      func full(_ prefix: String, _ stem: String) -> String {
        isGlobal ? "\(stem).\(place.suffix)" : "\(prefix)\(place.number).\(stem).\(place.suffix)"
      }
      let block = isGlobal ? nil : family.blocks[place.block]
      slots.append(
        Slot(
          row: row, layer: isGlobal ? nil : firstLayers[place.block] + place.number,
          names: row.names.map { full(block?.prefix ?? "", $0) },
          roles: row.checkpointNames.map { full(block?.checkpointPrefix ?? "", $0) }))
    }
  }

  /// Takes a name apart; nil when the table does not have it.
  private static func place(
    _ name: String, _ global: [String: Int], _ blocks: [[String: Int]], _ prefixes: [String]
  ) -> Place? {
    guard let dot = name.lastIndex(of: ".") else { return nil }
    let suffix = String(name[name.index(after: dot)...])
    let stem = name[..<dot]
    if let row = global[String(stem)] { return Place(block: -1, number: 0, row: row, suffix: suffix) }
    for (block, prefix) in prefixes.enumerated() where stem.hasPrefix(prefix) {
      let rest = stem.dropFirst(prefix.count)
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      guard let number = Int(digits), String(number) == digits, rest.dropFirst(digits.count).first == "." else {
        continue
      }
      if let row = blocks[block][String(rest.dropFirst(digits.count + 1))] {
        return Place(block: block, number: number, row: row, suffix: suffix)
      }
    }
    return nil
  }
}

extension GGUFTensorMap.Slot {
  /// The tensors as the checkpoint has them, one for each role.
  ///
  /// - Parameter weights: the numbers of `names`.
  /// - Throws: `wrongShape` where a joined tensor does not have the rows of its parts.
  func read(
    _ weights: [Weight], _ context: GGUFTransform.Context, file: String?
  ) throws(FormatError) -> [Weight] {
    guard row.parts.count > 1 else { return [row.transforms[0].read(weights[0], context)] }
    if roles.count == 1 { return [.concatenated(weights, axis: 0)] }
    guard let layer = context.layer else { return [] }
    let rows = row.parts.map { $0.rows(layer) }
    guard let whole = weights.first, whole.shape.extents.first == rows.reduce(0, +) else {
      throw FormatError(
        .wrongShape, file: file, subject: .tensor(names[0]), expected: "\(rows.reduce(0, +)) rows",
        found: "\(weights.first?.shape ?? [])")
    }
    var result: [Weight] = []
    var start = 0
    for (count, transform) in zip(rows, row.transforms) {
      result.append(transform.read(whole.keeping(Array(start..<start + count), axis: 0), context))
      start += count
    }
    return result
  }

  /// The tensors as GGUF has them, one for each name.
  ///
  /// - Parameter weights: the parameters of `roles`.
  /// - Throws: `wrongShape` where a fused parameter does not have the rows of its parts.
  func written(
    _ weights: [Weight], _ context: GGUFTransform.Context, file: String?
  ) throws(FormatError) -> [Weight] {
    guard row.parts.count > 1 else { return [row.transforms[0].written(weights[0], context)] }
    if names.count == 1 {
      return [.concatenated(zip(row.transforms, weights).map { $0.written($1, context) }, axis: 0)]
    }
    guard let layer = context.layer, let whole = weights.first else { return [] }
    let rows = row.parts.map { $0.rows(layer) }
    guard whole.shape.extents.first == rows.reduce(0, +) else {
      throw FormatError(
        .wrongShape, file: file, subject: .tensor(roles[0]), expected: "\(rows.reduce(0, +)) rows",
        found: "\(whole.shape)")
    }
    var result: [Weight] = []
    var start = 0
    for count in rows {
      result.append(whole.keeping(Array(start..<start + count), axis: 0))
      start += count
    }
    return result
  }
}
