import CheckpointFormats
import GraphExecution
import ModelGraph
import Pollard
import PollardBase
import TensorKernels
import TensorStorage
import Testing

#if !DEBUG
  /// A model of any format, with inputs for it.
  struct DeterministicModel: Sendable, CustomTestStringConvertible {
    var path: String
    /// A file; nil for tokens drawn from a seed.
    var inputs: String?

    var testDescription: String { String(path.dropFirst(golden.count + 1)) }

    /// Every masked checkpoint and ONNX file of the golden set, and the GGUF files, packed in blocks and not.
    static let all: [DeterministicModel] = {
      let checkpoints = GoldenCase.all.compactMap { entry -> DeterministicModel? in
        guard let path = entry.path("masked"), let inputs = entry.path("inputs"), entry.path("expected") != nil else {
          return nil
        }
        return DeterministicModel(path: path, inputs: inputs)
      }
      let files = ((try? Directories.names(in: golden + "/onnx")) ?? []).sorted().compactMap {
        name -> DeterministicModel? in
        let folder = golden + "/onnx/" + name
        let inputs = ((try? Directories.names(in: folder)) ?? []).filter { $0.hasPrefix("inputs") }.sorted()
        guard let last = inputs.last, Directories.kind(of: folder + "/masked.onnx") == .file else { return nil }
        return DeterministicModel(path: folder + "/masked.onnx", inputs: folder + "/" + last)
      }
      let packed = ["f16", "q8_0", "q4_0"].map { DeterministicModel(path: golden + "/gguf/tiny-\($0).gguf") }
      return checkpoints + files + packed
    }()

    /// Those whose sequences do not meet: a scale for numbers quantised on the way is one for the whole batch.
    static let separable = all.filter { !$0.path.contains("int8") }

    func tensors() throws -> [String: Tensor] {
      guard let inputs else {
        var numbers = SystemIndependentNumbers(seed: 9)
        let ids = (0..<3 * 13).map { _ in Int64(numbers.next() % 32) }
        return ["input_ids": Tensor(integers: ids, extents: [3, 13])]
      }
      let file = try SafetensorsFile(path: inputs)
      var result: [String: Tensor] = [:]
      for record in file.tensors { result[record.name] = try Tensor(reading: file.weight(record)) }
      return result
    }

    func run(
      _ graph: Graph, _ tensors: [String: Tensor], threads: Int = 1, weights: WeightResidency = .streamed,
      precision: ComputingPrecision = .declared
    ) throws -> [String: Tensor] {
      let names = Set(graph.inputs.map { graph[$0].name })
      return try GraphExecutor(graph, threads: ThreadPool(threadCount: threads), weights: weights, precision: precision)
        .run(inputs: tensors.filter { names.contains($0.key) }, collecting: Set(graph.taps.map(\.name)))
    }
  }

  /// SplitMix64.
  struct SystemIndependentNumbers {
    var seed: UInt64
    mutating func next() -> UInt64 {
      seed &+= 0x9e37_79b9_7f4a_7c15
      var z = seed
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      return z ^ (z >> 31)
    }
  }

  /// Bits of all elements, with one pattern for all NaN.
  private func bits(_ tensor: Tensor) -> [UInt64] {
    switch tensor.type {
    case .f64: tensor.doubles().map { $0.isNaN ? 0x7ff8_0000_0000_0000 : $0.bitPattern }
    case .f32: tensor.floats().map { UInt64($0.isNaN ? 0x7fc0_0000 : $0.bitPattern) }
    default: tensor.integers().map { UInt64(bitPattern: $0) }
    }
  }

  private func expectSame(
    _ a: [String: Tensor], _ b: [String: Tensor], _ what: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(Set(a.keys) == Set(b.keys), sourceLocation: sourceLocation)
    for (name, tensor) in a {
      guard let other = b[name] else { continue }
      #expect(tensor.extents == other.extents, "\(what): \(name)", sourceLocation: sourceLocation)
      let isSame = bits(tensor) == bits(other)
      #expect(isSame, "\(what): \(name)", sourceLocation: sourceLocation)
    }
  }

  @Suite("A model gives the same bits", .serialized)
  struct DeterminismTests {
    @Test(
      "for any number of threads, on every instruction set, with weights resident or streamed",
      arguments: DeterministicModel.all)
    func machines(_ test: DeterministicModel) throws {
      let graph = try Model(at: test.path).graph
      let tensors = try test.tensors()
      let former = InstructionSet.current
      defer { former.select() }
      let expected = try test.run(graph, tensors)
      for threads in [2, 5] {
        expectSame(expected, try test.run(graph, tensors, threads: threads), "\(threads) threads")
      }
      expectSame(expected, try test.run(graph, tensors, weights: .resident), "resident weights")
      for set in InstructionSet.available {
        set.select()
        expectSame(expected, try test.run(graph, tensors), "\(set)")
      }
      let double = try test.run(graph, tensors, precision: .double)
      for set in InstructionSet.available {
        set.select()
        expectSame(double, try test.run(graph, tensors, threads: 2, precision: .double), "\(set), in double precision")
      }
    }

    @Test("for a sequence alone and in a batch of sequences as long", arguments: DeterministicModel.separable)
    func batches(_ test: DeterministicModel) throws {
      let graph = try Model(at: test.path).graph
      let tensors = try test.tensors()
      let batch = try #require((tensors["input_ids"] ?? tensors.values.first { $0.rank > 1 })?.extents.first)
      guard batch > 1 else { return }
      func alone(_ tensors: [String: Tensor], _ sequence: Int) -> [String: Tensor] {
        tensors.mapValues {
          $0.rank > 0 && $0.extents[0] == batch ? $0.selecting([sequence], axis: 0) : $0
        }
      }
      for precision in [ComputingPrecision.declared, .double] {
        let together = try test.run(graph, tensors, precision: precision)
        for sequence in 0..<batch {
          let single = try test.run(graph, alone(tensors, sequence), precision: precision)
          expectSame(alone(together, sequence), single, "sequence \(sequence), \(precision)")
        }
      }
    }
  }
#endif
