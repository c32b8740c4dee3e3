import GraphExecution
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// Reference numbers: `ROPE_INIT_FUNCTIONS` of transformers 4.57.6 with torch on a CPU, head_dim 16.
@Suite("Rotary angles are those of transformers")
struct RotaryTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var config: JSONValue
    var frequencies: [Float]
    var attentionFactor: Double = 1
  }

  static let cases: [Case] = [
    Case(
      testDescription: "default", config: ["rope_theta": 10000.0, "rope_scaling": nil],
      frequencies: [
        1.0, 0.3162277638912201, 0.10000000149011612, 0.03162277862429619, 0.009999999776482582, 0.003162277862429619,
        0.0010000000474974513, 0.0003162277862429619,
      ]),
    Case(
      testDescription: "default, transformers 5",
      config: ["rope_parameters": ["rope_theta": 500000.0, "rope_type": "default"]],
      frequencies: [
        1.0, 0.193922758102417, 0.03760603070259094, 0.00729266507551074, 0.001414213445968926, 0.00027424818836152554,
        5.3182957344688475e-05, 1.0313385246263351e-05,
      ]),
    Case(
      testDescription: "linear, old key", config: ["rope_scaling": ["type": "linear", "factor": 2.5]],
      frequencies: [
        0.4000000059604645, 0.12649109959602356, 0.03999999910593033, 0.012649111449718475, 0.003999999724328518,
        0.0012649111449718475, 0.0004000000189989805, 0.0001264911115868017,
      ]),
    Case(
      testDescription: "llama3",
      config: [
        "rope_theta": 500000.0,
        "rope_scaling": [
          "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64,
        ],
      ],
      frequencies: [
        1.0, 0.07940301299095154, 0.004700753837823868, 0.0009115831344388425, 0.00017677668074611574,
        3.428102354519069e-05, 6.647869668086059e-06, 1.289173155782919e-06,
      ]),
    Case(
      testDescription: "yarn",
      config: [
        "max_position_embeddings": 128,
        "rope_scaling": ["rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32],
      ],
      frequencies: [
        1.0, 0.19764235615730286, 0.02500000037252903, 0.007905694656074047, 0.0024999999441206455,
        0.0007905694656074047, 0.0002500000118743628, 7.905694656074047e-05,
      ], attentionFactor: 1.138629436111989),
    Case(
      testDescription: "yarn, magnitudes, not truncated",
      config: [
        "max_position_embeddings": 128,
        "rope_scaling": [
          "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "mscale": 0.7,
          "mscale_all_dim": 1.3, "truncate": false,
        ],
      ],
      frequencies: [
        1.0, 0.14849025011062622, 0.02500000037252903, 0.007905694656074047, 0.0024999999441206455,
        0.0007905694656074047, 0.0002500000118743628, 7.905694656074047e-05,
      ], attentionFactor: 0.9295234923939468),
  ]

  /// Powers of a few units in the last place: torch and the C library round them differently.
  private func expectClose(_ found: [Float], _ expected: [Float]) {
    #expect(found.count == expected.count)
    for (a, b) in zip(found, expected) { #expect(abs(a - b) <= 4 * b.ulp, "\(a), not \(b)") }
  }

  @Test("inverse frequencies and the factor of cosine and sine", arguments: cases)
  func frequencies(_ example: Case) throws {
    let rotary = try RotaryConfiguration(json: example.config)
    expectClose(try #require(RotaryFrequencies.values(rotary, headDim: 16)), example.frequencies)
    #expect(abs(rotary.attentionFactor - example.attentionFactor) < 1e-12)
  }

  /// The angles at position 1 of a text are the inverse frequencies.
  private func angles(_ scaling: JSONValue, positions: Int, length: Int) throws -> [Float] {
    let model = try SmallModel.llama.setting("max_position_embeddings", to: JSONValue(length))
      .setting("rope_scaling", to: scaling).imported()
    let node = try #require(
      model.graph.nodes.first { $0.scope == "rotary_emb" && $0.op.name == "Cos" }?.input(0))
    let executor = try GraphExecutor(model.graph, threads: ThreadPool(threadCount: 1))
    let ids = Tensor(integers: Array(repeating: 0, count: positions), extents: [1, positions])
    let found = try executor.run(inputs: ["input_ids": ids], collecting: [model.graph[node].name])
    return Array(try #require(found[model.graph[node].name]).floats()[8..<16])
  }

  @Test("dynamic angles grow with a text longer than the model's")
  func dynamic() throws {
    let scaling: JSONValue = ["rope_type": "dynamic", "factor": 2.0]
    expectClose(try angles(scaling, positions: 16, length: 16), Self.cases[0].frequencies)
    expectClose(
      try angles(scaling, positions: 40, length: 16),
      [
        1.0, 0.25941282510757446, 0.06729500740766525, 0.01745718903839588, 0.0045286184176802635,
        0.0011747815879061818, 0.0003047533973585814, 7.905694656074047e-05,
      ])
  }

  @Test("long texts take the other list of divisors")
  func longRope() throws {
    let scaling: JSONValue = [
      "rope_type": "longrope", "factor": 4.0, "original_max_position_embeddings": 32,
      "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
      "long_factor": [2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5],
    ]
    expectClose(
      try angles(scaling, positions: 32, length: 128),
      [
        1.0, 0.2874797582626343, 0.0833333358168602, 0.024325214326381683, 0.0071428571827709675,
        0.0021081853192299604, 0.0006249999860301614, 0.0001860163320088759,
      ])
    expectClose(
      try angles(scaling, positions: 33, length: 128),
      [
        0.5, 0.12649111449718475, 0.03333333507180214, 0.009035078808665276, 0.0024999999441206455,
        0.0007027284009382129, 0.00019999999494757503, 5.749595584347844e-05,
      ])
  }

  @Test("what is not described is refused by name")
  func refusals() {
    let cases: [(JSONValue, String)] = [
      (["rope_scaling": ["rope_type": "mrope"]], "mrope"),
      (["rope_parameters": ["full_attention": ["rope_type": "default"]]], "full_attention"),
      (["rope_parameters": ["rope_type": "default", "partial_rotary_factor": 0.5]], "partial_rotary_factor"),
      (["rope_scaling": ["rope_type": "linear"]], "factor"),
      (["rope_scaling": ["rope_type": "linear", "factor": "2"]], "\"2\""),
    ]
    for (config, word) in cases {
      let error = #expect(throws: FormatError.self) { try RotaryConfiguration(json: config) }
      #expect(error?.description.contains(word) == true, "\(error?.description ?? "")")
    }
  }
}
