import PollardBase
import TensorStorage

/// The tensors of a safetensors header in the order of their bytes.
///
/// A header may hold a million tensors, so they are kept as rows of numbers over one array of name bytes, and become
/// `TensorRecord`s when they are looked at.
public struct SafetensorsTable: Sendable, RandomAccessCollection {
  struct Row: Sendable {
    var nameStart: UInt32
    var nameLength: UInt32
    /// Where the name stands in the header.
    var keyPosition: UInt32
    var extentStart: UInt32
    var rank: UInt32
    var type: ElementType
    var begin: UInt64
    var end: UInt64
  }

  var rows: [Row] = []
  var nameBytes: [UInt8] = []
  var extents: [UInt64] = []
  /// Where the data begins in the file.
  var dataStart = 0
  /// Row numbers plus one at the places their names hash to; zero is free. The length is a power of two.
  private var slots: [UInt32] = []

  /// The position of the first tensor.
  public var startIndex: Int { 0 }
  /// The position after the last tensor.
  public var endIndex: Int { rows.count }

  /// The tensor at a position.
  ///
  /// - Complexity: O(length of name and shape).
  public subscript(position: Int) -> TensorRecord {
    let row = rows[position]
    return TensorRecord(
      name: name(of: row), type: row.type, shape: Shape(extents(of: row).map { Int(clamping: $0) }),
      byteRange: dataStart + Int(clamping: row.begin)..<dataStart + Int(clamping: row.end))
  }

  /// The tensor of a name, compared byte by byte.
  ///
  /// - Complexity: O(length of the name) on average.
  public subscript(name: String) -> TensorRecord? { position(of: name).map { self[$0] } }

  /// Where the tensor of a name is.
  public func position(of name: String) -> Int? {
    guard !slots.isEmpty else { return nil }
    var name = name
    return name.withUTF8 { bytes in
      let bytes = UnsafeRawBufferPointer(bytes)
      var slot = hash(bytes) & (slots.count - 1)
      while slots[slot] != 0 {
        let position = Int(slots[slot]) - 1
        if hasName(bytes, rows[position]) { return position }
        slot = (slot + 1) & (slots.count - 1)
      }
      return nil
    }
  }

  func name(of row: Row) -> String { String(decoding: nameBytes[nameRange(row)], as: UTF8.self) }

  func extents(of row: Row) -> ArraySlice<UInt64> {
    extents[Int(row.extentStart)..<Int(row.extentStart) + Int(row.rank)]
  }

  /// Builds the index of names; gives the rows of a name that occurs twice, if there is one.
  mutating func indexNames() -> (first: Row, second: Row)? {
    guard !rows.isEmpty else { return nil }
    var size = 8
    while size < rows.count * 2 { size *= 2 }
    var slots = [UInt32](repeating: 0, count: size)
    let twice = nameBytes.withUnsafeBytes { arena -> (Int, Int)? in
      for (position, row) in rows.enumerated() {
        let name = UnsafeRawBufferPointer(rebasing: arena[nameRange(row)])
        var slot = hash(name) & (size - 1)
        while slots[slot] != 0 {
          let other = Int(slots[slot]) - 1
          if name.elementsEqual(arena[nameRange(rows[other])]) { return (other, position) }
          slot = (slot + 1) & (size - 1)
        }
        slots[slot] = UInt32(truncatingIfNeeded: position + 1)
      }
      return nil
    }
    self.slots = slots
    return twice.map { (rows[$0.0], rows[$0.1]) }
  }

  private func nameRange(_ row: Row) -> Range<Int> { Int(row.nameStart)..<Int(row.nameStart) + Int(row.nameLength) }

  private func hasName(_ name: UnsafeRawBufferPointer, _ row: Row) -> Bool {
    Int(row.nameLength) == name.count && nameBytes[nameRange(row)].elementsEqual(name)
  }

  private func hash(_ bytes: UnsafeRawBufferPointer) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: bytes)
    return hasher.finalize()
  }
}
