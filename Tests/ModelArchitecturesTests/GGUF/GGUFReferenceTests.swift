import CheckpointFormats
import Foundation
import ModelArchitectures
import PollardBase
import TensorStorage
import Testing

/// Files of llama.cpp's converter and the models they were made from, by tools/make-gguf-fixtures; outside the checkout.
struct GGUFFixture: CustomTestStringConvertible, Sendable {
  let name: String
  var testDescription: String { name }

  static let root: String = {
    let cache = ProcessInfo.processInfo.environment["XDG_CACHE_HOME"] ?? NSHomeDirectory() + "/.cache"
    return cache + "/pollard/gguf-fixtures"
  }()

  static let all: [GGUFFixture] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
    return names.sorted().filter { name in
      let config = (try? JSONValue(file: "\(root)/\(name)/\(name)/config.json")) ?? .null
      return GGUFFamilies.modelTypes.contains(config["model_type"]?.stringValue ?? "")
    }.map { GGUFFixture(name: $0) }
  }()

  var folder: String { "\(Self.root)/\(name)/\(name)" }
  func reference(_ type: String) -> String { "\(Self.root)/\(name)/reference/\(type).gguf" }
  func hasReference(_ type: String) -> Bool { FileManager.default.fileExists(atPath: reference(type)) }

  var naming: GGUFNaming {
    GGUFNaming(
      folderName: name, modelCard: try? String(contentsOfFile: folder + "/README.md", encoding: .utf8),
      generationConfig: try? JSONValue(file: folder + "/generation_config.json"))
  }
}

/// What two files say differently, in sentences.
func differences(
  _ ours: GGUFModel, _ theirs: GGUFCheckpoint, ignoringOrder: Bool = false, types: Bool = true
) throws -> [String] {
  var found: [String] = []
  let keys = ours.metadata.entries.filter { !$0.key.hasPrefix("tokenizer.") }
  let expected = theirs.metadata.entries.filter { !$0.key.hasPrefix("tokenizer.") }
  for entry in expected where ours.metadata[entry.key] != entry.value {
    found.append("\(entry.key): \(ours.metadata[entry.key].map { "\($0)" } ?? "none"), expected \(entry.value)")
  }
  for entry in keys where theirs.metadata[entry.key] == nil {
    found.append("\(entry.key): \(entry.value), expected none")
  }
  if found.isEmpty, !ignoringOrder, keys.map(\.key) != expected.map(\.key) {
    found.append("order \(keys.map(\.key)), expected \(expected.map(\.key))")
  }
  let names = ours.tensors.map(\.name)
  let expectedNames = theirs.tensors.map(\.name)
  if ignoringOrder ? Set(names) != Set(expectedNames) : names != expectedNames {
    found.append("tensors \(names), expected \(expectedNames)")
    return found
  }
  for tensor in ours.tensors {
    guard let other = theirs[tensor.name] else { continue }
    if types, tensor.type != other.type {
      found.append("\(tensor.name): \(tensor.type), expected \(other.type)")
      continue
    }
    let shape = tensor.shape.extents
    if shape != other.shape.extents, shape.drop(while: { $0 == 1 }) != other.shape.extents.drop(while: { $0 == 1 }) {
      found.append("\(tensor.name): \(tensor.shape), expected \(other.shape)")
      continue
    }
    if tensor.type.blockFormat != nil, tensor.weight.requantizes, !canPack { continue }
    if try tensor.weight.bytes() != theirs.weight(other).bytes() { found.append("\(tensor.name): other bytes") }
  }
  return found
}

/// Whether the quantisers are there.
let canPack = ProcessInfo.processInfo.environment["POLLARD_NO_QUANTISERS"] == nil

@Suite("GGUF against llama.cpp's converter")
struct GGUFReferenceTests {
  @Test("a checkpoint becomes the converter's file", arguments: GGUFFixture.all, ["f32", "f16", "bf16", "auto"])
  func converts(_ fixture: GGUFFixture, _ type: String) throws {
    guard fixture.hasReference(type) else { return }
    let model = try HuggingFaceFolder(at: fixture.folder).model()
    let request = try #require(GGUFTypeRequest(rawValue: type))
    let ours = try GGUFModel(converting: model.exported(), of: model, type: request, naming: fixture.naming)
    #expect(try differences(ours, GGUFCheckpoint(at: fixture.reference(type))) == [])
  }

  @Test(
    "types of mixes are the quantise tool's", arguments: GGUFFixture.all,
    ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k_s", "q4_k_m", "q5_k_m", "q6_k"])
  func choosesTypes(_ fixture: GGUFFixture, _ type: String) throws {
    guard fixture.hasReference(type) else { return }
    let model = try HuggingFaceFolder(at: fixture.folder).model()
    let request = try #require(GGUFTypeRequest(rawValue: type))
    let ours = try GGUFModel(converting: model.exported(), of: model, type: request, naming: fixture.naming)
    #expect(try differences(ours, GGUFCheckpoint(at: fixture.reference(type)), ignoringOrder: true) == [])
  }

  @Test(
    "a file is read and written back as its own bytes", arguments: GGUFFixture.all, ["f32", "f16", "q8_0", "q4_k_m"])
  func returns(_ fixture: GGUFFixture, _ type: String) throws {
    guard fixture.hasReference(type) else { return }
    let checkpoint = try GGUFCheckpoint(at: fixture.reference(type))
    let imported = try ImportedGGUFModel(checkpoint: checkpoint)
    let written = try imported.exported()
    #expect(written.metadata == checkpoint.metadata)
    #expect(written.requantizations == [])
    #expect(written.tensors.map(\.name) == checkpoint.tensors.map(\.name))
    for tensor in written.tensors {
      let original = try #require(checkpoint[tensor.name])
      #expect(tensor.type == original.type && tensor.shape == original.shape)
      #expect(tensor.weight.sourceSlice?.isWhole == true, "\(tensor.name) is not its stored bytes: \(tensor.weight)")
    }
  }

  @Test("a file read as a checkpoint is the checkpoint it was made from", arguments: GGUFFixture.all)
  func readsBack(_ fixture: GGUFFixture) throws {
    let original = try HuggingFaceFolder(at: fixture.folder).model()
    let back = try ImportedGGUFModel(checkpoint: GGUFCheckpoint(at: fixture.reference("f32"))).model
    #expect(back.layers == original.layers)
    var tensors: [String: Weight] = [:]
    for tensor in try original.exported().tensors { tensors[original.role(of: tensor.name)] = tensor.weight }
    for tensor in try back.exported().tensors {
      let role = back.role(of: tensor.name)
      let expected = try #require(tensors[role], "\(role)")
      #expect(tensor.weight.shape == expected.shape, "\(role)")
      if role.hasSuffix("position_embeddings.weight"), back.modelType == "roberta" { continue }
      if back.modelType.hasPrefix("gemma"), role.hasSuffix("norm.weight") {
        // The one that the file adds is rounded away from the last bits.
        for (a, b) in zip(try tensor.weight.floats(), try expected.cast(to: .f32).floats()) {
          #expect((a - b).magnitude <= 2.4e-7, "\(role)")
        }
        continue
      }
      #expect(try tensor.weight.cast(to: .f32).bytes() == expected.cast(to: .f32).bytes(), "\(role)")
    }
    for key in [
      "hidden_size", "num_attention_heads", "num_key_value_heads", "intermediate_size", "rms_norm_eps", "rope_scaling",
      "max_position_embeddings", "vocab_size", "n_embd", "n_head", "n_positions", "layer_norm_eps", "bos_token_id",
      "type_vocab_size", "attention_bias", "mlp_bias", "dim", "n_heads", "hidden_dim", "layer_norm_epsilon",
    ] {
      // Narrow heads leave the parameters of a stretching open.
      if key == "rope_scaling", fixture.name == "llama3" { continue }
      if let value = back.config[key], let expected = original.config[key] {
        #expect(
          same(value, expected), "\(key): \(value.serialized(.compact)), expected \(expected.serialized(.compact))")
      }
    }
  }

  private func same(_ a: JSONValue, _ b: JSONValue) -> Bool {
    if let a = a.doubleValue, let b = b.doubleValue { return Float(a) == Float(b) }
    guard let a = a.objectValue, let b = b.objectValue else { return a == b }
    return a.keys.sorted() == b.keys.sorted() && a.keys.allSatisfy { same(a[$0] ?? .null, b[$0] ?? .null) }
  }
}
