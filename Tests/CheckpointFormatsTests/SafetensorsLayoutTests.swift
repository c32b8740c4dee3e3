import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

@Suite("A safetensors header is written as the reference writes it")
struct SafetensorsLayoutTests {
  /// Headers of the reference implementation's own unit tests.
  @Test(
    "Padding and length",
    arguments: [
      ([], "{}      ", 8),
      (
        [TensorDeclaration(name: "test", type: .i32, shape: [2, 2])],
        #"{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}    "#, 0x40
      ),
      (
        [TensorDeclaration(name: "attn.0", type: .f32, shape: [1, 2, 3])],
        #"{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}"#, 0x40
      ),
      (
        [TensorDeclaration(name: "attn0", type: .f32, shape: [1, 1, 2, 3])],
        #"{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       "#, 0x48
      ),
      (
        [TensorDeclaration(name: "attn.0", type: .f4, shape: [1, 2])],
        #"{"attn.0":{"dtype":"F4","shape":[1,2],"data_offsets":[0,1]}}    "#, 0x40
      ),
    ] as [([TensorDeclaration], String, UInt8)])
  func vectors(tensors: [TensorDeclaration], text: String, length: UInt8) throws {
    let layout = try SafetensorsLayout(tensors, metadata: nil)
    #expect(layout.header == [length, 0, 0, 0, 0, 0, 0, 0] + Array(text.utf8))
  }

  @Test("Wide types come first, then names by bytes, and metadata before both")
  func referenceOrder() throws {
    let layout = try SafetensorsLayout(
      [
        .init(name: "é", type: .u8, shape: [3]), .init(name: "z", type: .u8, shape: [1]),
        .init(name: "b", type: .bool, shape: []), .init(name: "q\"\n", type: .i64, shape: [0, 2]),
        .init(name: "h", type: .f32, shape: [1]), .init(name: "i", type: .i32, shape: [1]),
      ], metadata: ["z": "/", "format": "pt"])
    #expect(
      String(decoding: layout.header.dropFirst(8), as: UTF8.self).trimmingSpaces
        == #"{"__metadata__":{"format":"pt","z":"/"},"q\"\n":{"dtype":"I64","shape":[0,2],"data_offsets":[0,0]},"#
        + #""h":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"i":{"dtype":"I32","shape":[1],"data_offsets":[4,8]},"#
        + #""z":{"dtype":"U8","shape":[1],"data_offsets":[8,9]},"é":{"dtype":"U8","shape":[3],"data_offsets":[9,12]},"#
        + #""b":{"dtype":"BOOL","shape":[],"data_offsets":[12,13]}}"#)
    #expect(layout.givenPositions == [3, 4, 5, 1, 0, 2])
    #expect(layout.header.count % 8 == 0)
    #expect(layout.fileSize == layout.header.count + 13)
  }

  @Test("Empty metadata is written and absent metadata is not")
  func emptyMetadata() throws {
    #expect(try SafetensorsLayout([], metadata: [:]).header.dropFirst(8).starts(with: #"{"__metadata__":{}}"#.utf8))
    #expect(try SafetensorsLayout([], metadata: nil).header.count == 16)
  }

  @Test("What no reader could open is not written")
  func refusals() {
    func code(_ tensors: TensorDeclaration...) -> String? {
      codeThrown { _ = try SafetensorsLayout(tensors, metadata: nil) }
    }
    #expect(code(.init(name: "__metadata__", type: .u8, shape: [1])) == "reservedName")
    #expect(code(.init(name: "a", type: .u8, shape: [1]), .init(name: "a", type: .u8, shape: [1])) == "duplicateTensor")
    #expect(code(.init(name: "\u{E9}", type: .u8, shape: [1]), .init(name: "e\u{301}", type: .u8, shape: [1])) == nil)
    #expect(code(.init(name: "a", type: .f4, shape: [3])) == "misalignedSize")
    #expect(code(.init(name: "a", type: .f64, shape: [1 << 60])) == "shapeOverflow")
    let half = Int.max / 8
    let many = (0..<9).map { TensorDeclaration(name: "\($0)", type: .u8, shape: [half]) }
    #expect(codeThrown { _ = try SafetensorsLayout(many, metadata: nil) } == "shapeOverflow")
    let long = String(repeating: "n", count: SafetensorsHeader.maximumLength)
    #expect(code(.init(name: long, type: .u8, shape: [1])) == "headerTooLarge")
  }
}

extension String {
  fileprivate var trimmingSpaces: String {
    var text = self
    while text.hasSuffix(" ") { text.removeLast() }
    return text
  }
}
