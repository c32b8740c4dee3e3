import GraphExecution
import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage
import Testing

@Suite("The order of summation", .serialized)
struct OrderContractTests {
  private func run(
    _ sample: TransformerSample, threads: ThreadPool = oneThread, weights: WeightResidency = .automatic
  ) throws -> Tensor? {
    try GraphExecutor(sample.build().graph, threads: threads, weights: weights)
      .run(inputs: sample.inputs())["last_hidden_state"]
  }

  @Test("Two threads give the bits of one")
  func threadsDoNotMatter() throws {
    var sample = TransformerSample()
    #expect(try sameBits(run(sample), run(sample, threads: twoThreads)))
    sample.hidden = 128
    sample.headSize = 32
    sample.neurons = 517
    #expect(try sameBits(run(sample), run(sample, threads: twoThreads)))
  }

  @Test("Every instruction set of this machine gives the same bits")
  func instructionSetsDoNotMatter() throws {
    let sample = TransformerSample()
    let before = InstructionSet.current
    defer { before.select() }
    let expected = try run(sample)
    for set in InstructionSet.available {
      #expect(set.select())
      #expect(try sameBits(run(sample), expected), "\(set)")
    }
  }

  @Test("Streamed weights give the bits of resident ones")
  func residencyDoesNotMatter() throws {
    let sample = TransformerSample()
    let streamed = try GraphExecutor(sample.build().graph, threads: oneThread, weights: .streamed)
    #expect(!streamed.isResident)
    let limited = try GraphExecutor(sample.build().graph, threads: oneThread, weights: .residentUpTo(bytes: 100))
    #expect(!limited.isResident)
    let found = try streamed.run(inputs: sample.inputs())["last_hidden_state"]
    #expect(try sameBits(found, run(sample, weights: .resident)))
  }

  @Test("Asking for every value changes no bit, so joined and single nodes agree")
  func collectingDoesNotMatter() throws {
    let sample = TransformerSample()
    let (graph, _) = try sample.build()
    let executor = try GraphExecutor(graph, threads: oneThread)
    let inputs = sample.inputs()
    let plain = try executor.run(inputs: inputs)
    let everything = Set(graph.values.indices.map { graph.value(named: graph.values[$0].name) }.compactMap { $0 })
    let (outputs, values) = try executor.run(inputs: inputs, collectingValues: everything)
    #expect(sameBits(plain["last_hidden_state"], outputs["last_hidden_state"]))
    #expect(values.count == graph.values.count)
    for id in everything {
      let alone = try executor.run(inputs: inputs, collectingValues: [id]).values[id]
      #expect(sameBits(alone, values[id]), "\(graph[id].name)")
    }
  }

  @Test("A second run of the same executor, on reused memory, gives the same bits")
  func runsDoNotInterfere() throws {
    let sample = TransformerSample()
    let executor = try GraphExecutor(sample.build().graph, threads: twoThreads)
    let first = try executor.run(inputs: sample.inputs())["last_hidden_state"]
    _ = try executor.run(inputs: sample.inputs(batch: 1, sequence: 5))
    let third = try executor.run(inputs: sample.inputs())["last_hidden_state"]
    #expect(sameBits(first, third))
  }

  @Test(
    "Leaving out dead heads and neurons changes no bit of the output or of what stays",
    arguments: [([1], [0, 5, 36]), ([0, 3], Array(3..<30)), ([], [17]), ([0, 1, 2], Array(1..<37))])
  func removalLeavesNoTrace(heads: [Int], neurons: [Int]) throws {
    var sample = TransformerSample()
    sample.dead = .init(heads: heads, neurons: neurons)
    let (masked, maskedPlaces) = try sample.build()
    sample.removesDead = true
    let (smaller, smallerPlaces) = try sample.build()
    let inputs = sample.inputs()
    let a = try GraphExecutor(masked, threads: twoThreads)
      .run(inputs: inputs, collectingValues: Set(maskedPlaces.heads + maskedPlaces.neurons))
    let b = try GraphExecutor(smaller, threads: oneThread)
      .run(inputs: inputs, collectingValues: Set(smallerPlaces.heads + smallerPlaces.neurons))
    #expect(sameBits(a.outputs["last_hidden_state"], b.outputs["last_hidden_state"]))
    let keptHeads = (0..<sample.heads).filter { !heads.contains($0) }
    let keptNeurons = (0..<sample.neurons).filter { !neurons.contains($0) }
    for layer in 0..<sample.layers {
      let whole = try #require(a.values[maskedPlaces.heads[layer]])
      let rest = try #require(b.values[smallerPlaces.heads[layer]])
      let block = whole.extents[2] * whole.extents[3]
      for batch in 0..<whole.extents[0] {
        for (place, head) in keptHeads.enumerated() {
          let x = whole.floats()[(batch * sample.heads + head) * block..<(batch * sample.heads + head + 1) * block]
          let start = (batch * keptHeads.count + place) * block
          #expect(x.map(\.bitPattern) == rest.floats()[start..<start + block].map(\.bitPattern))
        }
      }
      let active = try #require(a.values[maskedPlaces.neurons[layer]]).floats()
      let left = try #require(b.values[smallerPlaces.neurons[layer]]).floats()
      for token in 0..<active.count / sample.neurons {
        for (place, neuron) in keptNeurons.enumerated() {
          let x = active[token * sample.neurons + neuron]
          #expect(x.bitPattern == left[token * keptNeurons.count + place].bitPattern)
        }
      }
    }
  }

  @Test("Heads read through strides give the bits of heads copied apart")
  func viewsGiveTheBitsOfCopies() throws {
    var random = RandomNumbers(seed: 11)
    let (batch, places, heads, size) = (2, 9, 3, 8)
    let packed = (0..<3).map { _ in random.floats(batch * places * heads * size) }
    var strided = GraphBuilder(name: "strided")
    var copied = GraphBuilder(name: "copied")
    var stridedInputs: [String: Tensor] = [:]
    var copiedInputs: [String: Tensor] = [:]
    var stridedOperands: [ValueID] = []
    var copiedOperands: [ValueID] = []
    for (slot, values) in packed.enumerated() {
      let name = "x\(slot)"
      let together = strided.input(name, ValueType(.f32, [Size(batch), Size(places), Size(heads * size)]))
      let shape = strided.integers([0, 0, heads, size])
      stridedOperands.append(
        try strided.add(
          "Transpose", [strided.add("Reshape", [together, shape])], ["perm": .integers([0, 2, 1, 3])]))
      stridedInputs[name] = Tensor(floats: values, extents: [batch, places, heads * size])
      copiedOperands.append(copied.input(name, ValueType(.f32, [Size(batch), Size(heads), Size(places), Size(size)])))
      var apart: [Float] = []
      for b in 0..<batch {
        for h in 0..<heads {
          for p in 0..<places {
            let start = ((b * places + p) * heads + h) * size
            apart += values[start..<start + size]
          }
        }
      }
      copiedInputs[name] = Tensor(floats: apart, extents: [batch, heads, places, size])
    }
    strided.output("y", try strided.add("Attention", stridedOperands, ["is_causal": .integer(1)]))
    copied.output("y", try copied.add("Attention", copiedOperands, ["is_causal": .integer(1)]))
    let a = try GraphExecutor(strided.graph, threads: oneThread).run(inputs: stridedInputs)["y"]
    let b = try GraphExecutor(copied.graph, threads: oneThread).run(inputs: copiedInputs)["y"]
    #expect(sameBits(a, b))
  }

  @Test("A fused projection cut into three gives the bits of three projections")
  func splitProjections() throws {
    var random = RandomNumbers(seed: 12)
    let matrices = (0..<3).map { _ in Weight.floats(random.floats(16 * 12), shape: [16, 12]) }
    let x = Tensor(floats: random.floats(5 * 16), extents: [1, 5, 16])
    var fused = GraphBuilder(name: "fused")
    let input = fused.input("x", ValueType(.f32, [1, 5, 16]))
    let product = try fused.add(
      "MatMul", [input, fused.initializer("all", .concatenated(matrices, axis: 1))])
    let parts: [ValueID] = try fused.add("Split", [product], ["axis": .integer(-1)], outputs: 3)
    for (slot, part) in parts.enumerated() { fused.output("y\(slot)", try fused.add("Tanh", [part])) }
    let found = try GraphExecutor(fused.graph, threads: oneThread).run(inputs: ["x": x])
    for slot in 0..<3 {
      var single = GraphBuilder(name: "single")
      let input = single.input("x", ValueType(.f32, [1, 5, 16]))
      let product = try single.add("MatMul", [input, single.initializer("w", matrices[slot])])
      single.output("y", try single.add("Tanh", [product]))
      let expected = try GraphExecutor(single.graph, threads: oneThread).run(inputs: ["x": x])["y"]
      #expect(sameBits(found["y\(slot)"], expected))
    }
  }
}
