import Foundation
import ModelArchitectures
import Testing

@Suite("The table of GGUF families")
struct GGUFTableTests {
  private static let introduction = """
    # GGUF and Hugging Face checkpoints

    *Written by `Tests/ModelArchitecturesTests/GGUF/GGUFTableTests.swift` from the tables; not edited by hand.*

    One section for each family: keys in the order in which they are written, then tensors by stem (each with `.weight`, some also with
    `.bias`). Checkpoint names are without the base model's prefix. Vectors and norms are stored as F32.

    Intended differences from llama.cpp's own converter: GPT-2's `feed_forward_length` is what the tensors have, where the converter writes four
    times the width whatever `n_inner` says; a model whose activation or scores llama.cpp would compute otherwise is refused.


    """

  @Test("in formats/gguf-models.md is what the program reads and writes (POLLARD_RECORD=1 writes it again)")
  func isCurrent() throws {
    let text = Self.introduction + GGUFFamilies.tableText
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../../formats/gguf-models.md").standardizedFileURL
    if ProcessInfo.processInfo.environment["POLLARD_RECORD"] == "1" {
      try Data(text.utf8).write(to: file, options: .atomic)
    }
    #expect(String(decoding: try Data(contentsOf: file), as: UTF8.self) == text)
  }
}
