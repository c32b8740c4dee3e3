import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An external tensor of two floats with some entries.
private func external(_ entries: [(ByteString, ByteString)]) -> ONNXTensor {
  var tensor = ONNXTensor("w", .floats([1, 2], shape: [2]))
  tensor.rawData = nil
  tensor.dataLocation = 1
  tensor.externalData = entries.map { ONNXEntry($0.0, $0.1) }
  return tensor
}

/// A folder with a model and 16 bytes of data beside it.
private func folderWithModel() throws -> TemporaryFolder {
  let folder = try TemporaryFolder()
  try AtomicFile.write(
    Array(repeating: 0, count: 4) + [0, 0, 0x80, 0x3F, 0, 0, 0, 0x40, 9, 9, 9, 9], to: folder("data"))
  try AtomicFile.write(onnxModel(onnxGraph(outputs: ["x"])).bytes(), to: folder("model.onnx"))
  return folder
}

@Suite("ONNX external data")
struct ONNXExternalDataTests {
  @Test("A tensor is read where its entries say")
  func place() throws {
    let folder = try folderWithModel()
    let file = try ONNXFile(path: folder("model.onnx"))
    let tensor = external([("location", "./data"), ("offset", "4"), ("length", "8"), ("checksum", "x"), ("own", "y")])
    #expect(try file.weight(of: tensor).floats() == [1, 2])
    #expect(try file.weight(of: external([("location", "data"), ("offset", "4")])).floats() == [1, 2])
    #expect(file.externalFiles.openFiles.count == 1)
  }

  @Test(
    "Entries that make no sense are refused",
    arguments: [
      ("externalDataMalformed", [("offset", "0")]),
      ("externalDataMalformed", [("location", "data"), ("location", "data")]),
      ("externalDataMalformed", [("location", "data"), ("offset", "-4")]),
      ("externalDataMalformed", [("location", "data"), ("offset", "four")]),
      ("externalDataMalformed", [("location", "data"), ("offset", "")]),
      ("externalDataMalformed", [("location", "data"), ("offset", "99999999999999999999")]),
      ("externalDataMalformed", [("location", "data"), ("length", "0x8")]),
      ("sizeMismatch", [("location", "data"), ("length", "12")]),
      ("externalDataOutsideFile", [("location", "data"), ("offset", "12")]),
      ("externalDataOutsideFile", [("location", "data"), ("offset", "9223372036854775807")]),
      ("externalDataMissing", [("location", "elsewhere")]),
      ("cannotOpen", [("location", "folder")]),
      ("externalDataEscapes", [("location", "")]),
      ("externalDataEscapes", [("location", ".")]),
      ("externalDataEscapes", [("location", "/etc/passwd")]),
      ("externalDataEscapes", [("location", "../outside")]),
      ("externalDataEscapes", [("location", "folder/../../outside")]),
      ("externalDataEscapes", [("location", "folder/..")]),
      ("externalDataEscapes", [("location", "../\u{301}x")]),
      ("externalDataEscapes", [("location", "C:data")]),
      ("externalDataEscapes", [("location", "folder\\data")]),
      ("externalDataEscapes", [("location", "data\u{0}x")]),
      ("externalDataEscapes", [("location", "#0")]),
      ("externalDataEscapes", [("location", "*/_ORT_MEM_ADDR_/*")]),
      ("externalDataEscapes", [("location", "link")]),
      ("externalDataEscapes", [("location", "linked-folder/outside")]),
    ] as [(String, [(String, String)])])
  func refused(_ code: String, _ entries: [(String, String)]) throws {
    let folder = try folderWithModel()
    let outside = try TemporaryFolder()
    try AtomicFile.write(Array(repeating: 0, count: 16), to: outside("outside"))
    try Directories.create(folder("folder"))
    #expect(symlink(outside("outside"), folder("link")) == 0)
    #expect(symlink(outside.path, folder("linked-folder")) == 0)
    let file = try ONNXFile(path: folder("model.onnx"))
    let tensor = external(entries.map { (ByteString($0.0), ByteString($0.1)) })
    #expect(codeThrown { _ = try file.weight(of: tensor) } == code)
  }

  @Test("A location that is not UTF-8 is refused")
  func notUTF8() throws {
    let folder = try folderWithModel()
    let file = try ONNXFile(path: folder("model.onnx"))
    #expect(
      codeThrown { _ = try file.weight(of: external([("location", ByteString([0xFF]))])) } == "externalDataEscapes")
  }

  @Test("A snapshot whose files are links into a store is read, as downloads leave it")
  func snapshot() throws {
    let folder = try TemporaryFolder()
    let original = try folderWithModel()
    for name in ["blobs", "snapshots", "snapshots/1"] { try Directories.create(folder(name)) }
    for (name, blob) in [("model.onnx", "aa"), ("data", "bb")] {
      try AtomicFile.write(allBytes(original(name)), to: folder("blobs/\(blob)"))
      #expect(symlink("../../blobs/\(blob)", folder("snapshots/1/\(name)")) == 0)
    }
    let file = try ONNXFile(path: folder("snapshots/1/model.onnx"))
    #expect(try file.weight(of: external([("location", "data"), ("offset", "4")])).floats() == [1, 2])
  }
}
