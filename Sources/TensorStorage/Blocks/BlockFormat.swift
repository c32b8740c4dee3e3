/// How GGML packs consecutive elements of a row into a block of bytes with scales of its own.
///
/// The raw value is GGML's number of the type. Layouts are in `formats/gguf-blocks.md`.
public enum BlockFormat: UInt8, Sendable, Hashable, CaseIterable {
  case q4_0 = 2
  case q4_1 = 3
  case q5_0 = 6
  case q5_1 = 7
  case q8_0 = 8
  case q8_1 = 9
  case q2_k = 10
  case q3_k = 11
  case q4_k = 12
  case q5_k = 13
  case q6_k = 14
  case q8_k = 15
  case iq2_xxs = 16
  case iq2_xs = 17
  case iq3_xxs = 18
  case iq1_s = 19
  case iq4_nl = 20
  case iq3_s = 21
  case iq2_s = 22
  case iq4_xs = 23
  case iq1_m = 29
  case tq1_0 = 34
  case tq2_0 = 35
  case mxfp4 = 39
  case nvfp4 = 40
  case q1_0 = 41
  case q2_0 = 42

  /// GGML's name of the type, such as `Q4_K`.
  public var name: String { layout.name }
  /// The number of elements of one block.
  public var elementsPerBlock: Int { layout.elements }
  /// The number of bytes of one block.
  public var bytesPerBlock: Int { layout.bytes }

  private var layout: (name: String, elements: Int, bytes: Int) {
    switch self {
    case .q4_0: ("Q4_0", 32, 18)
    case .q4_1: ("Q4_1", 32, 20)
    case .q5_0: ("Q5_0", 32, 22)
    case .q5_1: ("Q5_1", 32, 24)
    case .q8_0: ("Q8_0", 32, 34)
    case .q8_1: ("Q8_1", 32, 36)
    case .q2_k: ("Q2_K", 256, 84)
    case .q3_k: ("Q3_K", 256, 110)
    case .q4_k: ("Q4_K", 256, 144)
    case .q5_k: ("Q5_K", 256, 176)
    case .q6_k: ("Q6_K", 256, 210)
    case .q8_k: ("Q8_K", 256, 292)
    case .iq2_xxs: ("IQ2_XXS", 256, 66)
    case .iq2_xs: ("IQ2_XS", 256, 74)
    case .iq3_xxs: ("IQ3_XXS", 256, 98)
    case .iq1_s: ("IQ1_S", 256, 50)
    case .iq4_nl: ("IQ4_NL", 32, 18)
    case .iq3_s: ("IQ3_S", 256, 110)
    case .iq2_s: ("IQ2_S", 256, 82)
    case .iq4_xs: ("IQ4_XS", 256, 136)
    case .iq1_m: ("IQ1_M", 256, 56)
    case .tq1_0: ("TQ1_0", 256, 54)
    case .tq2_0: ("TQ2_0", 256, 66)
    case .mxfp4: ("MXFP4", 32, 17)
    case .nvfp4: ("NVFP4", 64, 36)
    case .q1_0: ("Q1_0", 128, 18)
    case .q2_0: ("Q2_0", 64, 18)
    }
  }

  /// Whether numbers can be written in this format, with the bytes of the reference quantiser.
  public var isWritable: Bool {
    switch self {
    case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q2_k, .q3_k, .q4_k, .q5_k, .q6_k, .iq4_nl, .tq1_0, .tq2_0, .mxfp4: true
    case .q8_1, .q8_k, .iq1_s, .iq1_m, .iq2_xxs, .iq2_xs, .iq2_s, .iq3_xxs, .iq3_s, .iq4_xs, .nvfp4, .q1_0, .q2_0: false
    }
  }
}

extension BlockFormat: CustomStringConvertible {
  /// GGML's name of the type.
  public var description: String { name }
}
