// Zeros and non-finite values of a block, by row and by column.
#pragma once

typedef int64_t scan_lanes_64 __attribute__((ext_vector_type(8)));
typedef int32_t scan_lanes_32 __attribute__((ext_vector_type(16)));
typedef int16_t scan_lanes_16 __attribute__((ext_vector_type(32)));
typedef int8_t scan_lanes_8 __attribute__((ext_vector_type(64)));
typedef int8_t scan_flags_64 __attribute__((ext_vector_type(8)));
typedef int8_t scan_flags_32 __attribute__((ext_vector_type(16)));
typedef int8_t scan_flags_16 __attribute__((ext_vector_type(32)));
typedef int8_t scan_flags_8 __attribute__((ext_vector_type(64)));

/// Scans rows of elements of BITS bits, 64 bytes at a time. Without its sign bit, a pattern of 0 is zero and one of
/// `least_nonfinite` or more is infinite or NaN.
#define SCAN(BITS)                                                                                              \
  static void scan_##BITS(                                                                                      \
    const char *data, ptrdiff_t row_stride, size_t rows, size_t columns, int##BITS##_t least_nonfinite,         \
    const uint8_t *row_select, pollard_scan_flags flags) {                                                      \
    enum { LANES = 512 / BITS };                                                                                \
    const int##BITS##_t magnitude = INT##BITS##_MAX;                                                            \
    for (size_t r = 0; r < rows; r++) {                                                                         \
      if (row_select && !row_select[r]) continue;                                                               \
      const char *row = data + (ptrdiff_t)r * row_stride * (BITS / 8);                                          \
      scan_lanes_##BITS most = {0};                                                                             \
      for (size_t i = 0; i < columns; i += LANES) {                                                             \
        size_t count = columns - i < LANES ? columns - i : LANES;                                               \
        scan_lanes_##BITS v = {0};                                                                              \
        if (count == LANES) memcpy(&v, row + i * (BITS / 8), sizeof v);                                         \
        else memcpy(&v, row + i * (BITS / 8), count * (BITS / 8));                                              \
        v &= magnitude;                                                                                         \
        scan_lanes_##BITS larger = (scan_lanes_##BITS)(v > most);                                               \
        most = (larger & v) | (~larger & most);                                                                 \
        if (flags.column_nonzero) {                                                                             \
          scan_flags_##BITS nonzero =                                                                           \
            __builtin_convertvector((scan_lanes_##BITS)(v != 0), scan_flags_##BITS) & 1;                        \
          if (count == LANES) {                                                                                 \
            scan_flags_##BITS old;                                                                              \
            memcpy(&old, flags.column_nonzero + i, sizeof old);                                                 \
            old |= nonzero;                                                                                     \
            memcpy(flags.column_nonzero + i, &old, sizeof old);                                                 \
          } else {                                                                                              \
            for (size_t j = 0; j < count; j++) flags.column_nonzero[i + j] |= (uint8_t)nonzero[j];              \
          }                                                                                                     \
        }                                                                                                       \
      }                                                                                                         \
      int##BITS##_t lanes[LANES], top = 0;                                                                      \
      memcpy(lanes, &most, sizeof most);                                                                        \
      for (size_t j = 0; j < LANES; j++) top = lanes[j] > top ? lanes[j] : top;                                 \
      if (top > 0 && flags.row_nonzero) flags.row_nonzero[r] = 1;                                               \
      if (top < least_nonfinite) continue;                                                                      \
      if (flags.row_nonfinite) flags.row_nonfinite[r] = 1;                                                      \
      if (!flags.column_nonfinite) continue;                                                                    \
      for (size_t i = 0; i < columns; i++) {                                                                    \
        int##BITS##_t element;                                                                                  \
        memcpy(&element, row + i * (BITS / 8), sizeof element);                                                 \
        if ((element & magnitude) >= least_nonfinite) flags.column_nonfinite[i] = 1;                            \
      }                                                                                                         \
    }                                                                                                           \
  }

SCAN(64)
SCAN(32)
SCAN(16)
SCAN(8)
#undef SCAN

static void scan_block(
  int type, const void *data, ptrdiff_t row_stride, size_t rows, size_t columns, const uint8_t *row_select,
  pollard_scan_flags flags) {
  switch (type) {
  case POLLARD_F32: scan_32(data, row_stride, rows, columns, 0x7f800000, row_select, flags); break;
  case POLLARD_F16: scan_16(data, row_stride, rows, columns, 0x7c00, row_select, flags); break;
  case POLLARD_BF16: scan_16(data, row_stride, rows, columns, 0x7f80, row_select, flags); break;
  case POLLARD_F64: scan_64(data, row_stride, rows, columns, 0x7ff0000000000000, row_select, flags); break;
  case POLLARD_F8_E4M3FN: scan_8(data, row_stride, rows, columns, 0x7f, row_select, flags); break;
  case POLLARD_F8_E5M2: scan_8(data, row_stride, rows, columns, 0x7c, row_select, flags); break;
  }
}
