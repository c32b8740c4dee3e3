import ModelGraph
import PollardBase
import TensorStorage

/// What the weights prove about residual channels.
public struct ChannelVerdicts: Sendable, Hashable {
  /// Channels that nothing writes: zero at every norm, for every input.
  public var dead: Set<Int> = []
  /// Channels that nothing writes and that some matrix reads by a number that is not finite.
  public var void: Set<Int> = []
}

extension HiddenWidth {
  /// The channels that every writer leaves at zero, for every input on which the model stays finite.
  ///
  /// A channel that is merely not read is none of them: it counts in the norms.
  ///
  /// - Throws: `FormatError` from reading weights.
  /// - Complexity: reads every writer once, and of readers the slices of channels that nothing writes.
  public func verdicts(in graph: Graph, pool: ThreadPool) throws(FormatError) -> ChannelVerdicts {
    var silent = Array(repeating: true, count: size)
    for use in writers {
      guard let weight = graph[use.value].initializer else { return ChannelVerdicts() }
      let found = try Self.structure(weight, use.axis, pool)
      for channel in 0..<size where found.nonzero[channel] { silent[channel] = false }
    }
    let channels = silent.indices.filter { silent[$0] }
    var verdicts = ChannelVerdicts()
    verdicts.void = try notFinite(among: channels, in: graph, pool: pool)
    verdicts.dead = Set(channels).subtracting(verdicts.void)
    return verdicts
  }

  /// Those of some channels that a reader multiplies by a number that is not finite.
  ///
  /// - Throws: `FormatError` from reading weights.
  public func notFinite(
    among channels: [Int], in graph: Graph, pool: ThreadPool
  ) throws(FormatError) -> Set<Int> {
    if channels.isEmpty { return [] }
    var result: Set<Int> = []
    for use in readers {
      guard let weight = graph[use.value].initializer else { continue }
      let found = try Self.structure(weight.keeping(channels, axis: use.axis), use.axis, pool)
      for (place, channel) in channels.enumerated() where found.notFinite[place] { result.insert(channel) }
    }
    return result
  }

  /// For each position of an axis of a matrix or vector whether it holds anything but zero, and anything not finite.
  private static func structure(
    _ weight: Weight, _ axis: Int, _ pool: ThreadPool
  ) throws(FormatError) -> (nonzero: [Bool], notFinite: [Bool]) {
    let matrix = weight.shape.rank == 1 ? weight.reshaped([1, weight.shape[0]]) : weight
    let found = try matrix.nonzeroStructure(pool: pool)
    return axis == 0 && weight.shape.rank == 2
      ? (found.rowNonzero, found.rowNonfinite) : (found.columnNonzero, found.columnNonfinite)
  }

  /// The graph in which writers leave some channels at zero: the masked model of a mask of channels.
  public func silencing(_ channels: Set<Int>, in graph: Graph) -> Graph {
    var graph = graph
    let positions = channels.sorted()
    for use in writers {
      guard let weight = graph[use.value].initializer else { continue }
      graph[use.value].initializer = weight.zeroing(positions, axis: use.axis)
    }
    return graph
  }
}
