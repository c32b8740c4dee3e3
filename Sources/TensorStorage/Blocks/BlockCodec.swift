import CTensorKernels

/// Packs numbers into blocks and unpacks them.
enum BlockCodec {
  /// Unpacks `count` blocks into `count · elementsPerBlock` numbers.
  static func decode(
    _ format: BlockFormat, _ count: Int, from source: UnsafeRawPointer, to target: UnsafeMutablePointer<Float>
  ) {
    pollard_unpack_blocks(Int32(format.rawValue), source, target, count)
  }

  /// Packs `count · elementsPerBlock` numbers into `count` blocks.
  static func encode(
    _ format: BlockFormat, _ count: Int, from source: UnsafePointer<Float>, to target: UnsafeMutableRawPointer
  ) {
    pollard_pack_blocks(Int32(format.rawValue), source, target, count)
  }
}
