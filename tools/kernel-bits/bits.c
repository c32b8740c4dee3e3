// Prints a digest of every kernel's results on seeded inputs, for each instruction set of the machine it runs on.
#include "CTensorKernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;
static uint64_t next_random(void) {
  state += 0x9e3779b97f4a7c15ULL;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}
static float number(void) { return (float)(int32_t)(next_random() >> 32) * 0x1p-31f; }
static float any_float(void) {
  uint32_t bits = (uint32_t)next_random();
  float x;
  memcpy(&x, &bits, sizeof x);
  switch (next_random() % 4) {
  case 0: return x;
  case 1: return number() * 100;
  default: return number() * 6;
  }
}

static uint64_t digest;
static void add_bits(uint64_t bits) { digest = (digest ^ bits) * 0x100000001b3ULL ^ (digest >> 29); }
static void add_floats(const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    add_bits(x[i] != x[i] ? 0x7fc00000u : bits);
  }
}
static void add_doubles(const double *x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint64_t bits;
    memcpy(&bits, x + i, sizeof bits);
    add_bits(x[i] != x[i] ? 0x7ff8000000000000ULL : bits);
  }
}
static void add_bytes(const uint8_t *x, size_t count) { for (size_t i = 0; i < count; i++) add_bits(x[i]); }

static void start(const char *name) {
  printf("%s", name);
  state = 0;
  for (const char *c = name; *c; c++) state = state * 31 + (uint64_t)*c;
  digest = 1;
}
static void finish(void) { printf(" %016llx\n", (unsigned long long)digest); }

enum { most = 1 << 16 };
static float a[most], b[most], c[most], packed[most * 2], scratch[1 << 20];

static void fill(float *x, size_t count) { for (size_t i = 0; i < count; i++) x[i] = number(); }

static void elementwise(void) {
  static double wide[4001], result[4001];
  char name[40];
  for (int f = 0; f < POLLARD_UNARY_COUNT; f++) {
    snprintf(name, sizeof name, "unary %d", f);
    start(name);
    for (int i = 0; i < 4001; i++) a[i] = any_float(), wide[i] = (double)any_float() * 1.0000001;
    pollard_unary_f32(f, 1, 4001, a, 4001, b, 4001);
    pollard_unary_f64(f, 4001, wide, result);
    add_floats(b, 4001);
    add_doubles(result, 4001);
    finish();
  }
  for (int f = 0; f < POLLARD_BINARY_COUNT; f++) {
    snprintf(name, sizeof name, "binary %d", f);
    start(name);
    for (int i = 0; i < 4001; i++) a[i] = any_float(), b[i] = any_float();
    pollard_binary_f32(f, 1, 4001, (pollard_operand){a, 4001, 1}, (pollard_operand){b, 4001, 1}, c, 4001);
    add_floats(c, 4001);
    finish();
  }
  start("power of doubles");
  for (int i = 0; i < 4001; i++) wide[i] = fabs((double)any_float()), result[i] = any_float();
  pollard_power_f64(4001, wide, result, result);
  add_doubles(result, 4001);
  finish();
}

static void products(void) {
  static const size_t shapes[][3] = {{1, 1, 1}, {1, 40, 33}, {3, 17, 70}, {13, 600, 45}, {50, 64, 96}, {7, 0, 5}};
  char name[60];
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    size_t rows = shapes[s][0], depth = shapes[s][1], columns = shapes[s][2];
    for (int activation = 0; activation < POLLARD_UNARY_COUNT; activation += 6) {
      snprintf(name, sizeof name, "product %zu %zu %zu, %d", rows, depth, columns, activation);
      start(name);
      fill(a, rows * depth + 1);
      fill(b, depth * columns + 1);
      size_t panels = (columns + POLLARD_PANEL - 1) / POLLARD_PANEL;
      pollard_pack_panels(packed, POLLARD_F32, b, (ptrdiff_t)columns, 0, depth, columns, 0, panels);
      fill(b, columns);
      pollard_gemm g = {.a = a, .a_row_stride = (ptrdiff_t)depth, .packed = packed, .bias = b, .c = c,
        .c_row_stride = (ptrdiff_t)columns, .columns = columns, .depth = depth, .activation = activation};
      pollard_gemm_f32(&g, 0, rows, 0, panels);
      add_floats(c, rows * columns);
      finish();
    }
  }
}

static void rows_and_heads(void) {
  static const size_t widths[] = {1, 15, 16, 17, 48, 129, 768};
  char name[40];
  for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
    size_t n = widths[w];
    snprintf(name, sizeof name, "rows of %zu", n);
    start(name);
    fill(a, 5 * n);
    fill(b, 2 * n);
    pollard_softmax_f32(5, n, a, (ptrdiff_t)n, c, (ptrdiff_t)n);
    add_floats(c, 5 * n);
    pollard_layer_norm_f32(5, n, a, (ptrdiff_t)n, b, b + n, 1e-5f, c, (ptrdiff_t)n);
    add_floats(c, 5 * n);
    pollard_rms_norm_f32(5, n, a, (ptrdiff_t)n, b, 1e-5f, c, (ptrdiff_t)n);
    add_floats(c, 5 * n);
    for (int r = 0; r < POLLARD_REDUCTION_COUNT; r++) {
      pollard_reduce_rows_f32(r, 5, n, a, (ptrdiff_t)n, c);
      add_floats(c, 5);
    }
    for (int interleaved = 0; interleaved < 2; interleaved++) {
      pollard_rotary_f32(5, n, n / 2, interleaved, a, (ptrdiff_t)n, b, b + n, 0, c, (ptrdiff_t)n);
      add_floats(c, 5 * n);
    }
    finish();
  }
  for (int form = 0; form < 6; form++) {
    snprintf(name, sizeof name, "attention %d", form);
    start(name);
    size_t queries = 53, keys = form % 2 ? 53 : 70, head = 24, width = 40;
    fill(a, queries * head);
    fill(b, keys * (head + width));
    fill(packed, queries * keys);
    static uint8_t mask[53 * 70];
    for (size_t i = 0; i < sizeof mask; i++) mask[i] = next_random() % 3 != 0;
    pollard_attention t = {.query = a, .query_stride = (ptrdiff_t)head, .key = b, .key_stride = (ptrdiff_t)head,
      .value = b + keys * head, .value_stride = (ptrdiff_t)width, .output = c, .output_stride = (ptrdiff_t)width,
      .queries = queries, .keys = keys, .head_dimension = head, .value_dimension = width, .scale = 0.3f,
      .softcap = form == 4 ? 5 : 0, .bias = form == 2 ? packed : NULL, .bias_stride = (ptrdiff_t)keys,
      .mask = form == 3 ? mask : NULL, .mask_stride = (ptrdiff_t)keys, .causal = form == 1 || form == 5,
      .causal_offset = (ptrdiff_t)keys - (ptrdiff_t)queries, .window = form == 5 ? 9 : 0};
    pollard_attention_f32(&t, 0, queries, scratch);
    add_floats(c, queries * width);
    finish();
  }
}

static void storage(void) {
  char name[40];
  for (int type = POLLARD_F16; type <= POLLARD_F8_E5M2; type++) {
    snprintf(name, sizeof name, "conversion %d", type);
    start(name);
    static uint8_t bytes[4001 * 8];
    for (int i = 0; i < 4001; i++) a[i] = any_float();
    // Which NaN a NaN becomes is left open.
    for (int i = 0; i < 4001; i++) if (a[i] != a[i]) a[i] = 1;
    pollard_convert_from_f32(type, a, bytes, 4001);
    add_bytes(bytes, 4001 * pollard_type_size(type));
    pollard_convert_to_f32(type, bytes, b, 4001);
    add_floats(b, 4001);
    finish();
  }
  for (int format = 0; format < POLLARD_BLOCK_FORMATS; format++) {
    size_t elements = pollard_block_elements(format), size = pollard_block_bytes(format);
    if (elements == 0) continue;
    snprintf(name, sizeof name, "blocks %d", format);
    start(name);
    static uint8_t bytes[1 << 16];
    for (size_t i = 0; i < 16 * size; i++) bytes[i] = (uint8_t)next_random();
    pollard_unpack_blocks(format, bytes, a, 16);
    add_floats(a, 16 * elements);
    if (pollard_block_writable(format)) {
      fill(a, 16 * elements);
      pollard_pack_blocks(format, a, bytes, 16);
      add_bytes(bytes, 16 * size);
    }
    finish();
  }
}

int main(void) {
  static const char *names[] = {"portable", "avx2", "avx512", "neon"};
  for (int isa = 0; isa < 4; isa++) {
    if (!pollard_isa_select(isa)) continue;
    printf("== %s\n", names[isa]);
    elementwise();
    products();
    rows_and_heads();
    storage();
  }
}
