import GraphCompaction
import PollardBase

extension MaskTable {
  /// What a mask file says of the residual channels.
  struct Channels: Sendable, Hashable {
    /// How it names them.
    enum Selection: Sendable, Hashable {
      /// For each channel 1 to keep it, 0 to remove it.
      case mask([Float])
      /// Some channels, and whether they are those that go.
      case list([Int], removes: Bool)
    }

    /// The channels; nil where the file only says what norms run over.
    var selection: Selection?
    /// Over which channels the norms of the masked model run; nil where the file does not say.
    var norm: HiddenNorm?

    /// The channels that go, of as many as there are; nil where the file says nothing.
    ///
    /// - Throws: `maskShape` for another number of channels, `maskValue` for one that is neither kept nor removed, `maskIndex`.
    func removed(of count: Int) throws(CompactionError) -> Set<Int>? {
      switch selection {
      case nil: return nil
      case .mask(let mask):
        guard mask.count == count else {
          throw CompactionError(
            .maskShape, subject: .tensor("hidden_mask"), expected: "[\(count)]", found: "[\(mask.count)]")
        }
        guard let odd = mask.firstIndex(where: { $0 != 0 && $0 != 1 }) else {
          return Set(mask.indices.filter { mask[$0] == 0 })
        }
        throw CompactionError(
          .maskValue, subject: .tensor("hidden_mask"), expected: "0 or 1 for every channel",
          found: "\(mask[odd]) for channel \(odd)", remedy: "multiply the rows that write the channel by it first")
      case .list(let channels, let removes):
        if let outside = channels.first(where: { !(0..<count).contains($0) }) {
          throw CompactionError(
            .maskIndex, subject: .key("hidden"), expected: "channels from 0 to \(count - 1)", found: "\(outside)")
        }
        return removes ? Set(channels) : Set(0..<count).subtracting(channels)
      }
    }
  }

  /// Reads a mask of channels.
  mutating func readChannels(_ values: [Float]) { channels = Channels(selection: .mask(values), norm: channels?.norm) }

  /// Reads a list of channels under a verb.
  mutating func readChannels(_ value: JSONValue, removes: Bool) throws(CompactionError) {
    let numbers = value.arrayValue?.compactMap(\.intValue) ?? []
    guard let count = value.arrayValue?.count, numbers.count == count else {
      throw CompactionError(
        .unknownMask, subject: .key("hidden"), expected: "a list of channels", found: value.kindDescription)
    }
    channels = Channels(selection: .list(numbers, removes: removes), norm: channels?.norm)
  }

  /// Reads over which channels the masked model's norms run: the string `hidden_norm` beside the masks.
  mutating func readHiddenNorm(_ text: String) throws(CompactionError) {
    guard let norm = HiddenNorm(rawValue: text) else {
      throw CompactionError(.unknownMask, subject: .key("hidden_norm"), expected: "all or kept", found: "\"\(text)\"")
    }
    channels = Channels(selection: channels?.selection, norm: norm)
  }
}

extension DiagnosticCode where Domain == CompactionDomain {
  /// A mask removes residual channels and nobody asked for a result that is equal only up to rounding.
  public static let widthNotAsked = Self(
    "widthNotAsked", "the mask removes hidden channels, after which a model is the same function only up to rounding")
}
