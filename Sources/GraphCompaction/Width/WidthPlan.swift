import PollardBase

/// Over which channels the norms of a model masked by channels take their mean.
public enum HiddenNorm: String, Sendable, Hashable, CaseIterable {
  /// Over all: removed channels are zeros. Norms need compensation.
  case all
  /// Over those that are kept, as gates of channels are trained. Nothing is compensated.
  case kept
}

/// Which residual channels go.
public struct WidthPlan: Sendable, Hashable {
  /// The channels; no rule but `R1` (nothing writes it) and `R5` (the mask).
  public var units: UnitPlan
  /// What the masked model's norms run over.
  public var norm: HiddenNorm
  /// How the function is kept.
  public var rewrite: WidthRewriteKind

  /// Creates a plan, as a receipt tells it.
  public init(units: UnitPlan, norm: HiddenNorm, rewrite: WidthRewriteKind) {
    self.units = units
    self.norm = norm
    self.rewrite = rewrite
  }

  /// The channels of the larger model that are not there any more.
  public var missing: Set<Int> { Set(0..<units.before).subtracting(units.kept) }

  /// Chooses channels.
  ///
  /// - Parameters:
  ///   - size: the number of channels.
  ///   - verdicts: what the weights prove.
  ///   - declared: the channels that a mask removes; nil to remove those that are dead.
  ///   - multiple: what the number of channels must be a multiple of; dead channels stay as fill until it is.
  /// - Throws: `paddingNeeded` where fill is not allowed.
  public init(
    size: Int, verdicts: ChannelVerdicts, declared: Set<Int>?, multiple: Int, allowsPadding: Bool, norm: HiddenNorm
  ) throws(CompactionError) {
    let asked = (declared ?? verdicts.dead).sorted()
    let (rounded, overflows) = max(size - asked.count, 1).dividedRoundingUp(by: multiple)
      .multipliedReportingOverflow(by: multiple)
    let count = overflows ? size : min(size, rounded)
    let padded = Array(asked.prefix(max(0, count - (size - asked.count))))
    if !allowsPadding, let first = padded.first {
      throw CompactionError(
        .paddingNeeded, subject: .option("--width"), expected: "a number of channels that is a multiple of \(multiple)",
        found: "\(size - asked.count), so that channel \(first) would stay as fill",
        remedy: "allow padding, or choose another mask")
    }
    let gone = Set(asked.dropFirst(padded.count))
    units = UnitPlan(
      before: size, kept: (0..<size).filter { !gone.contains($0) }, padded: padded,
      removed: gone.sorted().map { channel in
        verdicts.dead.contains(channel)
          ? RemovedUnit(index: channel, reason: .dead, rule: "R1")
          : RemovedUnit(index: channel, reason: .declared, rule: "R5")
      }, void: declared == nil ? verdicts.void.sorted() : [])
    self.norm = norm
    rewrite = .none
  }
}

extension Int {
  fileprivate func dividedRoundingUp(by divisor: Int) -> Int { self / divisor + (self % divisor == 0 ? 0 : 1) }
}
