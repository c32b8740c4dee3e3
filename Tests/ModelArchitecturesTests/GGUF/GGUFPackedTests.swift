import CheckpointFormats
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Cuts of packed GGUF tensors")
struct GGUFPackedTests {
  /// One Llama layer of width 64 with two query heads of 32, one key/value head and 64 neurons; matrices in Q8_0, of bytes that count up.
  private static let packed: GGUFModel = {
    func tensor(_ name: String, _ extents: [Int], _ isPacked: Bool = true) -> GGUFModel.Tensor {
      let shape = Shape(extents)
      guard isPacked else {
        return GGUFModel.Tensor(
          name: name, type: GGUFTensorType(id: 0) ?? GGUFTensorType(.q8_0), shape: shape,
          weight: .floats(Array(repeating: 1, count: shape.elementCount), shape: shape))
      }
      let type = GGUFTensorType(.q8_0)
      let stored = type.storedShape(shape)
      // Scales of one in each block; the rest tells blocks and rows apart.
      let bytes = (0..<stored.elementCount).map { place -> UInt8 in
        switch place % 34 {
        case 0: 0x00
        case 1: 0x3C
        default: UInt8(truncatingIfNeeded: place / 34 * 7 + place % 34)
        }
      }
      return GGUFModel.Tensor(
        name: name, type: type, shape: shape, weight: .literal(bytes: bytes, type: .u8, shape: stored))
    }
    return GGUFModel(
      metadata: [
        "general.architecture": .string("llama"), "llama.block_count": .uint32(1), "llama.context_length": .uint32(16),
        "llama.embedding_length": .uint32(64), "llama.feed_forward_length": .uint32(64),
        "llama.attention.head_count": .uint32(2), "llama.attention.head_count_kv": .uint32(1),
        "llama.attention.layer_norm_rms_epsilon": .float32(1e-5),
      ],
      tensors: [
        tensor("token_embd.weight", [5, 64]), tensor("output_norm.weight", [64], false),
        tensor("blk.0.attn_norm.weight", [64], false), tensor("blk.0.attn_q.weight", [64, 64]),
        tensor("blk.0.attn_k.weight", [32, 64]), tensor("blk.0.attn_v.weight", [32, 64]),
        tensor("blk.0.attn_output.weight", [64, 64]), tensor("blk.0.ffn_norm.weight", [64], false),
        tensor("blk.0.ffn_gate.weight", [64, 64]), tensor("blk.0.ffn_up.weight", [64, 64]),
        tensor("blk.0.ffn_down.weight", [64, 64]),
      ])
  }()

  private func cut(_ neurons: [Int], heads: [Int]) throws -> GGUFModel {
    let imported = try ImportedGGUFModel(Self.packed)
    var cut = HandCut(imported.model)
    let name = "model.layers.0"
    let rows = heads.flatMap { $0 * 32..<($0 + 1) * 32 }
    try cut.keep("\(name).self_attn.q_proj.weight", rows, axis: 0)
    try cut.keep("\(name).self_attn.o_proj.weight", rows, axis: 1)
    for part in ["gate", "up"] { try cut.keep("\(name).mlp.\(part)_proj.weight", neurons, axis: 0) }
    try cut.keep("\(name).mlp.down_proj.weight", neurons, axis: 1)
    cut.layers[0].heads = heads.count
    cut.layers[0].feedForward = neurons.count
    cut.keptHeads[0] = heads
    return try imported.exported(graph: cut.graph, layers: cut.layers, keptHeads: cut.keptHeads)
  }

  private func bytes(_ name: String, of model: GGUFModel) throws -> [UInt8] {
    try #require(model.tensors.first { $0.name == name }).weight.bytes()
  }

  @Test("whole heads and whole blocks of neurons are copied bytes")
  func copiesBlocks() throws {
    let written = try cut(Array(32..<64), heads: [1])
    #expect(written.requantizations == [])
    #expect(written.tensors.map(\.type) == Self.packed.tensors.map(\.type))
    let row = 2 * 34
    #expect(
      try bytes("blk.0.ffn_up.weight", of: written)
        == Array(bytes("blk.0.ffn_up.weight", of: Self.packed)[(32 * row)...]))
    #expect(
      try bytes("blk.0.attn_q.weight", of: written)
        == Array(bytes("blk.0.attn_q.weight", of: Self.packed)[(32 * row)...]))
    for name in ["blk.0.ffn_down.weight", "blk.0.attn_output.weight"] {
      let before = try bytes(name, of: Self.packed)
      #expect(try bytes(name, of: written) == (0..<64).flatMap { before[($0 * row + 34)..<($0 + 1) * row] })
    }
    #expect(written.metadata["llama.attention.key_length"] == .uint32(32))
    #expect(written.metadata["llama.attention.value_length"] == .uint32(32))
    #expect(written.metadata["llama.attention.head_count"] == .uint32(1))
  }

  @Test("neurons that cut through blocks round one tensor anew, and say so")
  func requantizes() throws {
    let written = try cut(Array(1..<33), heads: [0, 1])
    #expect(
      written.requantizations == [
        GGUFModel.Requantization(
          tensor: "blk.0.ffn_down.weight", from: GGUFTensorType(.q8_0), to: GGUFTensorType(.q8_0))
      ])
    #expect(try bytes("blk.0.attn_q.weight", of: written) == bytes("blk.0.attn_q.weight", of: Self.packed))
  }

  @Test("rows that fill no blocks any more fall back to half precision")
  func fallsBack() throws {
    let written = try cut(Array(0..<33), heads: [0, 1])
    let down = try #require(written.tensors.first { $0.name == "blk.0.ffn_down.weight" })
    #expect(down.type.name == "F16")
    #expect(written.requantizations.map(\.tensor) == ["blk.0.ffn_down.weight"])
  }
}
