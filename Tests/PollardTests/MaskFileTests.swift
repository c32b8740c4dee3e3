import GraphCompaction
import Pollard
import PollardBase
import TensorStorage
import Testing

private let numericTypes: [TensorStorage.ElementType] = [.f32, .f16, .bf16, .f64, .i64, .i32, .u8, .bool]

@Suite("The same wish, written in different ways")
struct MaskFileTests {
  /// `llama-grouped` has 2 layers, each with 8 query heads in 4 groups and 37 neurons.
  private let grouped = golden + "/llama-grouped/dense"

  private func layers(_ model: String, _ path: String) throws -> [LayerPlan] {
    try Model(at: model).plan(masks: .file(path), options: PlanOptions(shape: .ragged), pool: pool).layers
  }

  private func mask(_ count: Int, without gone: [Int]) -> [Float] { (0..<count).map { gone.contains($0) ? 0 : 1 } }

  private func bytes(_ values: [Float], _ type: ElementType) throws -> [UInt8] {
    switch type {
    case .bool, .u8, .i8: values.map { UInt8($0) }
    default: try Weight.floats(values, shape: [values.count]).cast(to: type).bytes()
    }
  }

  @Test("JSON that removes, JSON that keeps, and the pruned_heads of a configuration")
  func lists() throws {
    let folder = try TemporaryFolder()
    try folder.write("remove.json", #"{"remove": {"heads": {"0": [2, 3], "1": [0, 1]}}}"#)
    try folder.write("keep.json", #"{"keep": {"heads": {"1": [7, 6, 5, 4, 3, 2], "0": [0, 1, 4, 5, 6, 7]}}}"#)
    try folder.write("pruned.json", #"{"hidden_size": 48, "pruned_heads": {"0": [3, 2], "1": [1, 0]}}"#)
    try folder.write("groups.json", #"{"remove": {"kv_groups": {"0": [1], "1": [0]}}}"#)
    let expected = try layers(grouped, folder("remove.json"))
    #expect(expected.map { $0.heads?.units.kept } == [[0, 1, 4, 5, 6, 7], [2, 3, 4, 5, 6, 7]])
    #expect(expected.map { $0.heads?.keptGroups } == [[0, 2, 3], [1, 2, 3]])
    for name in ["keep.json", "pruned.json", "groups.json"] {
      #expect(try layers(grouped, folder(name)) == expected, "\(name)")
    }
  }

  @Test("tensors of any numeric type", arguments: numericTypes)
  func types(_ element: TensorStorage.ElementType) throws {
    let folder = try TemporaryFolder()
    let values = mask(8, without: [2, 3]) + mask(8, without: [])
    try Tensors.write([("head_mask", element, [2, 8], bytes(values, element))], to: folder("m.safetensors"))
    let plans = try layers(grouped, folder("m.safetensors"))
    #expect(plans.map { $0.heads?.units.removed.map(\.index) } == [[2, 3], []])
  }

  @Test("one tensor for all layers, one for each layer, and groups instead of heads")
  func tensors() throws {
    let folder = try TemporaryFolder()
    let gone = [[0, 1], [6, 7]]
    let neurons = [[5, 36], [0]]
    try Tensors.write(
      [
        ("head_mask", .f32, [2, 8], bytes(gone.flatMap { mask(8, without: $0) }, .f32)),
        ("ffn_mask", .f32, [2, 37], bytes(neurons.flatMap { mask(37, without: $0) }, .f32)),
      ], to: folder("a"))
    try Tensors.write(
      [
        ("layers.0.head_mask", .f32, [8], bytes(mask(8, without: gone[0]), .f32)),
        ("layers.1.kv_group_mask", .f32, [4], bytes(mask(4, without: [3]), .f32)),
        ("layers.0.ffn_mask", .f32, [37], bytes(mask(37, without: neurons[0]), .f32)),
        ("layers.1.ffn_mask", .f32, [37], bytes(mask(37, without: neurons[1]), .f32)),
      ], to: folder("b"))
    let expected = try layers(grouped, folder("a"))
    #expect(expected.map { $0.neurons?.removed.map(\.index) } == neurons)
    #expect(try layers(grouped, folder("b")) == expected)
  }

  @Test(
    "what is no mask is refused by name",
    arguments: [
      ("{}", "maskVerb"), (#"{"remove": {"wings": {"0": [1]}}}"#, "unknownMask"),
      (#"{"remove": {"heads": {"2": [1]}}}"#, "maskIndex"), (#"{"remove": {"heads": {"-1": [1]}}}"#, "maskIndex"),
      (#"{"remove": {"heads": {"0": [8]}}}"#, "maskIndex"), (#"{"remove": {"heads": {"0": [-1]}}}"#, "maskIndex"),
      (#"{"remove": {"heads": {"0": [0.5]}}}"#, "maskIndex"), (#"{"remove": {"heads": {"0": 1}}}"#, "unknownMask"),
      (#"{"remove": {"heads": [1]}}"#, "unknownMask"), (#"{"keep": {}, "remove": {}}"#, "maskVerb"),
      (#"{"remove": {"heads": {"0": [1]}}, "remove": {}}"#, "unknownMask"), ("{", "unknownMask"),
    ])
  func refused(_ text: String, _ code: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("m.json", text)
    #expect(codeThrown { _ = try layers(grouped, folder("m.json")) } == code)
  }

  @Test("what does not start with a brace is read as safetensors, and refused as such", arguments: ["", "[1]", "mask"])
  func noMask(_ text: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("m.json", text)
    let failure = #expect(throws: FormatError.self) { _ = try layers(grouped, folder("m.json")) }
    #expect(failure?.file == folder("m.json"))
  }

  @Test(
    "kinds of mask that do not work yet say so",
    arguments: ["expert_mask"])
  func later(_ name: String) throws {
    let folder = try TemporaryFolder()
    try Tensors.write([(name, .f32, [2], bytes([1, 1], .f32))], to: folder("m"))
    let failure = #expect(throws: CompactionError.self) { _ = try layers(grouped, folder("m")) }
    #expect(failure?.code == .unknownMask)
    #expect(failure?.description.contains("does not work yet") == true)
  }

  #if !DEBUG
    @Test("fractions are multiplied in, and only a verifier with the same mask agrees")
    func fractions() throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted("bert-fractional", .masks, in: folder)
      #expect(try scenario.verify(output).equal)
      let without = try verify(original: scenario.original, compacted: output, pool: pool)
      #expect(!without.equal)
      #expect(without.report.proof?.ok == false)
    }

    @Test("prune pairs: verified against their product, and a flipped bit is seen")
    func prunePairs() throws {
      let folder = try TemporaryFolder()
      let (scenario, output) = try compacted("bert-prune-pairs", .zeros, in: folder)
      let names = try Tensors.stored(output).keys
      #expect(!names.contains { $0.hasSuffix("_orig") || $0.hasSuffix("_mask") })
      #expect(try scenario.verify(output).equal)
      for name in names.sorted() {
        try Tensors.flipBit(5, ofByte: 1, of: name, in: output)
        #expect(try !scenario.verify(output, options: VerificationOptions(batch: 1, length: 4)).equal, "\(name)")
        try Tensors.flipBit(5, ofByte: 1, of: name, in: output)
      }
    }
  #endif
}
