import CTensorKernels
import PollardBase

/// Packs numbers into blocks and unpacks them.
package enum BlockCodec {
  /// Unpacks `count` blocks into `count · elementsPerBlock` numbers.
  ///
  /// Any bytes are blocks. The numbers are the ones of the reference to the bit, but for the bits of NaN.
  package static func decode(
    _ format: BlockFormat, _ count: Int, from source: UnsafeRawPointer, to target: UnsafeMutablePointer<Float>
  ) {
    pollard_unpack_blocks(Int32(format.rawValue), source, target, count)
  }

  /// Packs `count · elementsPerBlock` numbers into `count` blocks, byte for byte as the reference does.
  ///
  /// Returns the first block that holds NaN or infinity, nil when there is none; such blocks become zero bytes.
  package static func encode(
    _ format: BlockFormat, _ count: Int, from source: UnsafePointer<Float>, to target: UnsafeMutableRawPointer
  ) -> Int? {
    precondition(format.isWritable, "there is a packer for the format")
    let bad = pollard_pack_blocks(Int32(format.rawValue), source, target, count)
    return bad == count ? nil : bad
  }
}

extension DiagnosticCode where Domain == FormatDomain {
  /// Numbers that are to be packed into blocks hold NaN or infinity.
  public static let notFinite = Self("notFinite", "packed blocks hold finite numbers only")
}
