import PollardBase
extension Weight {
  func evaluate(elements: Range<Int>, into base: UnsafeMutableRawPointer, _ arena: ScratchArena) throws(FormatError) {
    preconditionFailure("unreachable")
  }
}
