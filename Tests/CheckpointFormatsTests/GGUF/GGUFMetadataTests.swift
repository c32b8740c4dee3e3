import CheckpointFormats
import PollardBase
import Testing

@Suite("GGUF metadata keep order and exact types")
struct GGUFMetadataTests {
  private let metadata: GGUFMetadata = [
    "general.architecture": .string("llama"), "llama.block_count": .uint32(2), "llama.eps": .float32(1e-5),
    "llama.heads": .array(GGUFArray([4, 2] as [Int32])), "flag": .bool(true), "big": .uint64(.max),
    "flags": .array(GGUFArray([true, false])), "tokens": .array(GGUFArray(["a", "é", ""])),
    "scores": .array(GGUFArray([0.5, -1] as [Float])), "u8": .uint8(7),
  ]

  @Test("Getters give values of their type")
  func getters() throws {
    #expect(try metadata.string("general.architecture") == "llama")
    #expect(try metadata.integer("llama.block_count") == 2)
    #expect(try metadata.float("llama.eps") == 1e-5)
    #expect(try metadata.bool("flag"))
    #expect(try metadata.strings("tokens") == ["a", "é", ""])
    #expect(try metadata.floats("scores") == [0.5, -1])
    #expect(try metadata.integers("llama.heads", count: 2) == [4, 2])
    #expect(try metadata.integers("llama.block_count", count: 3) == [2, 2, 2])
    #expect(try metadata.integers("flags", count: 2) == [1, 0])
    #expect(try metadata.array("llama.heads", of: .int32).count == 2)
    #expect(try metadata.integer(ifPresent: "none") == nil && metadata.float(ifPresent: "none") == nil)
    #expect(try metadata.bool(ifPresent: "none") == nil && metadata.string(ifPresent: "none") == nil)
    #expect(try metadata.strings(ifPresent: "none") == nil && metadata.array(ifPresent: "none") == nil)
    #expect(try metadata.integers(ifPresent: "none", count: 2) == nil)
  }

  @Test("Getters name key, expected and found type")
  func mismatches() {
    func expectMismatch(_ key: String, _ expected: String, _ found: String, _ body: () throws -> Void) {
      #expect(
        throws: FormatError(.ggufValueTypeMismatch, subject: .key(key), expected: expected, found: found),
        performing: body)
    }
    expectMismatch("flag", "an integer", "bool") { _ = try metadata.integer("flag") }
    expectMismatch("u8", "float32", "uint8") { _ = try metadata.float("u8") }
    expectMismatch("u8", "bool", "uint8") { _ = try metadata.bool("u8") }
    expectMismatch("u8", "string", "uint8") { _ = try metadata.string("u8") }
    expectMismatch("scores", "array of string", "array of float32") { _ = try metadata.strings("scores") }
    expectMismatch("u8", "array of string", "uint8") { _ = try metadata.strings("u8") }
    expectMismatch("tokens", "array of float32", "array of string") { _ = try metadata.floats("tokens") }
    expectMismatch("scores", "array of integers", "array of float32") { _ = try metadata.integers("scores", count: 2) }
    #expect(codeThrown { _ = try metadata.integer("none") } == "ggufKeyMissing")
    #expect(codeThrown { _ = try metadata.integer("big") } == "ggufValueOutOfRange")
    #expect(codeThrown { _ = try metadata.integers("llama.heads", count: 3) } == "ggufArrayLengthMismatch")
  }

  @Test("Setting keeps place and stored type, where that holds the value")
  func setting() {
    var copy = metadata
    copy.set("u8", to: .uint32(9))
    #expect(copy["u8"] == .uint8(9))
    copy.set("u8", to: .uint32(300))
    #expect(copy["u8"] == .uint32(300))
    copy.set("llama.block_count", to: .int64(-1))
    #expect(copy["llama.block_count"] == .int64(-1))
    copy.set("llama.heads", to: .array(GGUFArray([3, 1] as [UInt32])))
    #expect(copy["llama.heads"] == .array(GGUFArray([3, 1] as [Int32])))
    copy.set("llama.eps", to: .float64(0.5))
    #expect(copy["llama.eps"] == .float32(0.5))
    copy.set("flag", to: .string("x"))
    copy.set("new", to: .bool(false))
    #expect(copy.keys == metadata.keys + ["new"])
    copy.append("big", .uint32(1))
    #expect(copy["big"] == .uint32(1))
  }

  @Test("Keys are removed and renamed in place")
  func removing() {
    var copy = metadata
    #expect(copy.remove("llama.eps") == .float32(1e-5))
    #expect(copy.remove("llama.eps") == nil)
    #expect(copy["u8"] == .uint8(7) && copy.keys == metadata.keys.filter { $0 != "llama.eps" })
    copy.removeAll { $0.hasPrefix("llama.") }
    #expect(copy.count == metadata.count - 3 && copy["u8"] == .uint8(7))
    copy.rename("flag", to: "banner")
    copy.rename("u8", to: "big")
    #expect(copy.keys == ["general.architecture", "banner", "flags", "tokens", "scores", "big"])
    #expect(copy["big"] == .uint8(7) && copy["flag"] == nil && copy["banner"] == .bool(true))
  }

  @Test("Equality is of bits, types and order")
  func equality() {
    #expect(metadata == metadata)
    #expect(GGUFValue.float32(.nan) == .float32(.nan) && GGUFValue.float32(0) != .float32(-0.0))
    #expect(GGUFValue.uint32(1) != .int32(1) && GGUFValue.uint64(.max) == .uint64(.max))
    #expect(GGUFValue.uint64(.max) != .uint64(.max - 1))
    let a: GGUFMetadata = ["a": .uint8(1), "b": .uint8(2)]
    let b: GGUFMetadata = ["b": .uint8(2), "a": .uint8(1)]
    #expect(a != b && a.hasSameEntries(as: b))
    let equivalent: GGUFMetadata = ["\u{E9}": .uint8(1), "e\u{301}": .uint8(2)]
    #expect(equivalent.count == 2 && equivalent["e\u{301}"] == .uint8(2))
  }

  @Test("Strings of an array are found by position", arguments: [0, 1, 31, 32, 33, 64, 1000])
  func strings(count: Int) {
    let texts = (0..<count).map { String(repeating: "x", count: $0 % 7) + "\($0)" }
    let array = GGUFArray(texts)
    #expect(array.count == count && array.strings == texts)
    for index in 0..<count { #expect(array.string(at: index) == texts[index]) }
    #expect(array.firstInvalidString == nil && array.integers == nil && array.floats == nil && array.bools == nil)
  }

  @Test("Strings that are not UTF-8 keep their bytes")
  func invalidStrings() {
    let bytes: [ByteString] = ["ok", ByteString([0xFF, 0x61]), ""]
    let array = GGUFArray(bytes)
    #expect(array.byteStrings == bytes && array.byteString(at: 1) == bytes[1])
    #expect(array.firstInvalidString == 1)
    #expect(array.string(at: 1) == "\u{FFFD}a")
  }

  @Test("Integers go into a type that holds them")
  func integerArrays() {
    for type in GGUFValueType.allCases where type.isInteger {
      #expect(GGUFArray([0, 1, 127], as: type)?.integers == [0, 1, 127])
      #expect(GGUFArray([0, 1, 127], as: type)?.elementType == type)
      #expect(GGUFArray([-129], as: type) != nil || type.name.hasPrefix("u") || type == .int8)
    }
    #expect(GGUFArray([256], as: .uint8) == nil && GGUFArray([1], as: .float32) == nil)
    #expect(GGUFArray([UInt64.max]).integers == nil)
    #expect(GGUFArray([1.5, 2] as [Double]).floats == [1.5, 2])
  }

  @Test("Tensor types have GGML's numbers and names")
  func tensorTypes() {
    #expect(GGUFTensorType.all.count == 35)
    for type in GGUFTensorType.all {
      #expect(GGUFTensorType(id: type.id) == type && GGUFTensorType(name: type.name) == type)
      #expect(type.elementsPerBlock > 0 && type.bytesPerBlock > 0)
    }
    #expect(GGUFTensorType(name: "q4_k")?.id == 12 && GGUFTensorType(name: "bf16")?.id == 30)
    for id in [4, 5, 31, 32, 33, 36, 37, 38, 43] as [UInt32] { #expect(GGUFTensorType(id: id) == nil) }
    #expect(GGUFTensorType(.u8) == nil && GGUFTensorType(.f16)?.id == 1)
  }
}
