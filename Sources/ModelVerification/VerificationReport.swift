/// The verdict of a verification, leg by leg. A leg that could not be applied is nil, never true.
public struct VerificationReport: Sendable {
  /// Configurations, counts and names fit together.
  public struct Structure: Sendable {
    /// Whether they do.
    public var ok: Bool
    /// What does not fit, in sentences.
    public var problems: [String]

    /// Creates the leg; it is ok without problems.
    public init(problems: [String]) {
      ok = problems.isEmpty
      self.problems = problems
    }
  }

  /// Every kept byte is the original's, every removed unit is dead or declared.
  public struct Proof: Sendable {
    /// Whether both hold.
    public var ok: Bool
    /// Tensors that hold exactly what they must.
    public var keptTensors: Int
    /// Units that are gone.
    public var removedUnits: Int
    /// Removed units that the original's weights prove dead.
    public var dead: Int
    /// Removed units that the verifier's own masks declare off.
    public var declared: Int
    /// Units that contribute a constant, kept or folded.
    public var constant: Int
    /// Removed units that contribute a constant, which a recomputed bias holds.
    public var folded = 0
    /// Units kept as fill with zero weights.
    public var padded: Int
    /// Removed units that are neither dead nor declared.
    public var unproven: Int
    /// What does not hold, in sentences.
    public var problems: [String]
    /// Layers of the original that are gone and add nothing for any input.
    public var deadLayers: [Int] = []
    /// Layers of the original that are gone because the verifier was told so.
    public var droppedLayers: [Int] = []
    /// Parts of layers that are gone and add nothing for any input, those of dead layers among them.
    public var deadParts = 0

    /// Creates the leg.
    public init(
      ok: Bool, keptTensors: Int, removedUnits: Int, dead: Int, declared: Int, constant: Int, padded: Int,
      unproven: Int,
      problems: [String]
    ) {
      self.ok = ok
      self.keptTensors = keptTensors
      self.removedUnits = removedUnits
      self.dead = dead
      self.declared = declared
      self.constant = constant
      self.padded = padded
      self.unproven = unproven
      self.problems = problems
    }
  }

  /// Both models on the same inputs.
  public struct Run: Sendable {
    /// Whether every value agrees within the tolerance.
    public var ok: Bool
    /// Agreement value by value.
    public var comparison: RunComparison
    /// What ran: sequences, tokens, where they come from.
    public var inputs: String
    /// How far the masked model is from the unmasked original, relative to its largest output; nil when it is the same file.
    public var distanceFromUnmasked: Double?

    /// Creates the leg.
    public init(ok: Bool, comparison: RunComparison, inputs: String, distanceFromUnmasked: Double?) {
      self.ok = ok
      self.comparison = comparison
      self.inputs = inputs
      self.distanceFromUnmasked = distanceFromUnmasked
    }
  }

  /// The structure leg.
  public var structure: Structure
  /// The proof leg; nil when there is no mapping to prove along.
  public var proof: Proof?
  /// The run leg; nil when the structures do not admit a run.
  public var run: Run?
  /// How the mapping of units was found: from the receipt, or by matching rows.
  public var mapping: String
  /// Whether a proof can be asked for: not between formats, where no tensor is the other's byte for byte.
  public var asksForProof: Bool
  /// Tensors that were rounded to a type which does not hold the original's numbers; nil where that is not known.
  public var roundedTensors: Int?
  /// What else there is to know, in sentences.
  public var notes: [String] = []
  /// The biases that hold what removed units contributed; with any, outputs are equal up to rounding and never claimed to be more.
  public var foldedBiases: Int
  /// Whether weights were multiplied to make up for channels that are gone, so that the run is equal up to rounding.
  public var rescaled = false

  /// Creates a report.
  public init(
    structure: Structure, proof: Proof?, run: Run?, mapping: String, asksForProof: Bool = true, foldedBiases: Int = 0
  ) {
    self.foldedBiases = foldedBiases
    self.structure = structure
    self.proof = proof
    self.run = run
    self.mapping = mapping
    self.asksForProof = asksForProof
  }

  /// Whether the two are the same function: every leg that can be asked for was applied and holds.
  public var equal: Bool { structure.ok && (proof?.ok == true || !asksForProof && proof == nil) && run?.ok == true }
  /// Whether every compared number is equal bit for bit; nil when nothing ran. Never true where biases are folded: those are rounded.
  public var bitIdentical: Bool? { run.map { $0.comparison.isBitIdentical && foldedBiases == 0 } }
}
