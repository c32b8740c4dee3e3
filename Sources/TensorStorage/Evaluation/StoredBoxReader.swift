import PollardBase

/// Reads a box of a stored tensor from its file, of which some axes keep only some indices.
///
/// Bytes that follow each other in the file and in the target are one piece. Along the axis where pieces begin (the piece
/// axis) a row is a fixed pattern of pieces. Where gaps are small, whole rows, or several, are read at once into scratch
/// and their pieces copied out; where gaps are large, each piece is read for itself, neighbours together.
struct StoredBoxReader {
  private let tensor: StoredTensor
  /// The offset in the file of the row at the box's origin, apart from the axes that keep a list.
  private var origin: Int
  /// For each axis outside the piece axis, byte offsets by position (a list) or a stride.
  private var outer: [OuterAxis] = []
  private var pieces: [Piece] = []
  private let isElementwise: Bool
  private let size: Int
  private let outerExtents: [Int]

  /// A gap of so many bytes costs about as much to read over as another system call does.
  private static let cheapGap = 8192
  /// How much is read at once into scratch, when several rows or pieces are.
  private static let batchBytes = 256 << 10
  /// A single row may take this much scratch.
  private static let rowBytes = 1 << 20
  /// Longer pieces are read straight to their place.
  private static let directBytes = 32 << 10

  private struct Piece {
    /// Offset in the file from the row's own offset.
    var source: Int
    /// Offset in the target from the row's own offset.
    var target: Int
    var count: Int
  }

  private enum OuterAxis {
    case stride(Int)
    case offsets([Int])

    func offset(of position: Int) -> Int {
      switch self {
      case .stride(let stride): position * stride
      case .offsets(let offsets): offsets[position]
      }
    }
  }

  init(_ tensor: StoredTensor, kept: [IndexSelection?], box: Box, size: Int, targetStrides: [Int]) {
    self.tensor = tensor
    let rank = box.extents.count
    let strides = denseStrides(tensor.shape.extents, size: size)
    origin = tensor.byteOffset
    guard rank > 0 else {
      pieces = [Piece(source: 0, target: 0, count: size)]
      isElementwise = false
      self.size = size
      outerExtents = []
      return
    }
    var axis = rank - 1
    var chunk = size
    while axis > 0, kept[axis] == nil, box.extents[axis] == tensor.shape[axis], targetStrides[axis] == chunk,
      targetStrides[axis - 1] == chunk * box.extents[axis] || box.extents[axis - 1] == 1
    {
      chunk *= box.extents[axis]
      axis -= 1
    }
    for outerAxis in 0..<axis {
      let lower = box.lower[outerAxis]
      if let selection = kept[outerAxis] {
        let indices = selection.indices[lower..<lower + box.extents[outerAxis]]
        outer.append(.offsets(indices.map { $0 * strides[outerAxis] }))
      } else {
        origin += lower * strides[outerAxis]
        outer.append(.stride(strides[outerAxis]))
      }
    }
    let lower = box.lower[axis]
    let count = box.extents[axis]
    if let selection = kept[axis] {
      pieces = selection.runs(first: lower, count: count).map {
        Piece(source: $0.source * chunk, target: ($0.position - lower) * chunk, count: $0.count * chunk)
      }
    } else {
      pieces = [Piece(source: lower * chunk, target: 0, count: count * chunk)]
    }
    isElementwise = [1, 2, 4, 8].contains(chunk) && pieces.count * 32 > count * chunk
    self.size = chunk
    outerExtents = Array(box.extents[..<axis])
  }

  /// Reads the box into a target of the strides given before.
  func read(into target: BoxTarget, _ arena: ScratchArena) throws(FormatError) {
    guard let first = pieces.first else { return }
    let lowest = pieces.reduce(first.source) { min($0, $1.source) }
    let highest = pieces.reduce(0) { max($0, $1.source + $1.count) }
    let wanted = pieces.reduce(0) { $0 + $1.count }
    let span = highest - lowest
    let isDense = span <= Self.rowBytes && span - wanted <= pieces.count * Self.cheapGap
    if isDense, !(pieces.count == 1 && wanted >= Self.directBytes) {
      try readRowsTogether(lowest: lowest, span: span, into: target, arena)
    } else {
      try readPieces(into: target, arena)
    }
  }

  /// The offsets of each row in the file and in the target, in the target's order.
  private struct RowCursor {
    private let outer: [OuterAxis]
    private let extents: [Int]
    private let strides: [Int]
    private var position: [Int]
    private let origin: Int
    private(set) var source: Int
    private(set) var target = 0

    init(_ reader: StoredBoxReader, strides: [Int]) {
      outer = reader.outer
      extents = reader.outerExtents
      self.strides = strides
      position = extents.map { _ in 0 }
      origin = reader.origin
      source = zip(outer, position).reduce(origin) { $0 + $1.0.offset(of: $1.1) }
    }

    mutating func advance() -> Bool {
      var axis = extents.count - 1
      while axis >= 0 {
        let old = position[axis]
        let new = old + 1 == extents[axis] ? 0 : old + 1
        source += outer[axis].offset(of: new) - outer[axis].offset(of: old)
        target += (new - old) * strides[axis]
        position[axis] = new
        if new != 0 { return true }
        axis -= 1
      }
      return false
    }
  }

  // MARK: Small gaps

  private func readRowsTogether(
    lowest: Int, span: Int, into target: BoxTarget, _ arena: ScratchArena
  ) throws(FormatError) {
    let capacity = max(span, Self.batchBytes)
    let scratch = arena.enter(byteCount: capacity)
    defer { arena.leave() }
    var offsets: [UInt32] = []
    if isElementwise {
      for piece in pieces {
        for start in stride(from: piece.source - lowest, to: piece.source - lowest + piece.count, by: size) {
          offsets.append(UInt32(truncatingIfNeeded: start))
        }
      }
    }
    var cursor = RowCursor(self, strides: target.strides)
    var rows: [(source: Int, target: Int)] = []
    var hasMore = true
    while hasMore {
      // As many rows as follow each other closely enough and fit.
      rows.removeAll(keepingCapacity: true)
      let start = cursor.source + lowest
      var end = start
      repeat {
        let rowStart = cursor.source + lowest
        let isClose = rowStart >= end && rowStart - end <= Self.cheapGap && rowStart + span - start <= capacity
        if !rows.isEmpty, !isClose { break }
        rows.append((rowStart - start, cursor.target))
        end = rowStart + span
        hasMore = cursor.advance()
      } while hasMore
      if rows.count == 1, pieces.count == 1 {
        let place = UnsafeMutableRawBufferPointer(start: target.base + rows[0].target, count: span)
        try tensor.file.read(into: place, at: start)
        continue
      }
      try tensor.file.read(into: UnsafeMutableRawBufferPointer(start: scratch, count: end - start), at: start)
      for row in rows {
        let to = target.base + row.target
        let from = UnsafeRawPointer(scratch + row.source)
        if isElementwise {
          gather(offsets, from: from, to: to)
        } else {
          for piece in pieces {
            (to + piece.target).copyMemory(from: from + (piece.source - lowest), byteCount: piece.count)
          }
        }
      }
    }
  }

  private func gather(_ offsets: [UInt32], from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer) {
    switch size {
    case 1: Self.gather(UInt8.self, offsets, from: source, to: target)
    case 2: Self.gather(UInt16.self, offsets, from: source, to: target)
    case 4: Self.gather(UInt32.self, offsets, from: source, to: target)
    default: Self.gather(UInt64.self, offsets, from: source, to: target)
    }
  }

  @inline(__always)
  private static func gather<Element: FixedWidthInteger>(
    _ type: Element.Type, _ offsets: [UInt32], from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer
  ) {
    offsets.withUnsafeBufferPointer { offsets in
      var place = target
      for offset in offsets {
        place.storeBytes(of: source.loadUnaligned(fromByteOffset: Int(offset), as: type), as: type)
        place += MemoryLayout<Element>.size
      }
    }
  }

  // MARK: Large gaps

  private func readPieces(into target: BoxTarget, _ arena: ScratchArena) throws(FormatError) {
    let scratch = arena.enter(byteCount: Self.batchBytes)
    defer { arena.leave() }
    var cursor = RowCursor(self, strides: target.strides)
    repeat {
      let row = target.base + cursor.target
      var next = 0
      while next < pieces.count {
        let start = pieces[next].source
        var end = start + pieces[next].count
        var after = next + 1
        if pieces[next].count < Self.directBytes {
          while after < pieces.count, pieces[after].source >= end, pieces[after].source - end <= Self.cheapGap,
            pieces[after].source + pieces[after].count - start <= Self.batchBytes
          {
            end = pieces[after].source + pieces[after].count
            after += 1
          }
        }
        let offset = cursor.source + start
        if after == next + 1 {
          let place = UnsafeMutableRawBufferPointer(start: row + pieces[next].target, count: end - start)
          try tensor.file.read(into: place, at: offset)
        } else {
          try tensor.file.read(into: UnsafeMutableRawBufferPointer(start: scratch, count: end - start), at: offset)
          for piece in pieces[next..<after] {
            (row + piece.target).copyMemory(from: scratch + (piece.source - start), byteCount: piece.count)
          }
        }
        next = after
      }
    } while cursor.advance()
  }
}
