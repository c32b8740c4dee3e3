import ArgumentParser
import Pollard

/// `pollard inspect`: what is inside a model, from its headers alone.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show a model's structure: layers, heads, neurons, parameters, bytes.")

  @Argument(help: "A Hugging Face directory, a .safetensors or PyTorch file, a shard index, a .gguf or an .onnx file.")
  var model: String

  @Flag(name: .long, help: "List every tensor.")
  var tensors = false

  @Flag(name: .long, help: "Look for dead heads and neurons in the weights (reads them).")
  var sparsity = false

  @Flag(name: .long, help: "Print the computation graph.")
  var graph = false

  @Option(name: .long, help: ArgumentHelp("Write an HTML page.", valueName: "file"))
  var html: String?

  @OptionGroup var scores: ScoreOptions

  @OptionGroup var global: GlobalOptions

  func run() throws {
    if html != nil { throw UsageError(description: "inspect --html does not work yet; use --json or the text output") }
    if graph, global.json { throw UsageError(description: "inspect --graph has no JSON form; leave --json out") }
    let inspection = try inspect(model, scores: scores.request())
    if graph {
      let model = try Model(at: model, scores: scores.request())
      Console.result(model.graph.description)
      return
    }
    var report = inspection
    report.listsTensors = tensors || global.json
    if sparsity { report.sparsity = try Model(at: model, scores: scores.request()).sparsity(pool: global.pool) }
    global.print(report)
  }
}
