// Unpacking of blocks of 256 with scales of their own for sub-blocks.
#pragma once

UNPACK(unpack_q2_k, 84, 256) {
  float d = half_at(b + 80), least = half_at(b + 82);
  for (int k = 0; k < 16; k++) {
    float scale = d * (float)(b[k] & 15), minimum = least * (float)(b[k] >> 4);
    v16b q = (load_bytes(b + 16 + 32 * (k / 8) + 16 * (k % 2)) >> (uint8_t)(2 * (k / 2 % 4))) & 3;
    store(y + 16 * k, scale * float_of_bytes(q) - minimum);
  }
}

UNPACK(unpack_q3_k, 110, 256) {
  float d = half_at(b + 108);
  for (int k = 0; k < 16; k++) {
    float scale = d * (float)(scale_of_three(b + 96, k) - 32);
    v16b low = (load_bytes(b + 32 + 32 * (k / 8) + 16 * (k % 2)) >> (uint8_t)(2 * (k / 2 % 4))) & 3;
    v16b high = ((load_bytes(b + 16 * (k % 2)) >> (uint8_t)(k / 2)) & 1) << 2;
    store(y + 16 * k, scale * float_of_ints(int_of_bytes(low | high) - 4));
  }
}

UNPACK(unpack_q4_k, 144, 256) {
  float d = half_at(b), least = half_at(b + 2);
  for (int k = 0; k < 8; k++) {
    int s, m;
    scale_and_minimum(b + 4, k, &s, &m);
    float scale = d * (float)s, minimum = least * (float)m;
    for (int l = 0; l < 32; l += 16) {
      v16b q = load_bytes(b + 16 + 32 * (k / 2) + l);
      q = k % 2 ? q >> 4 : q & 15;
      store(y + 32 * k + l, scale * float_of_bytes(q) - minimum);
    }
  }
}

UNPACK(unpack_q5_k, 176, 256) {
  float d = half_at(b), least = half_at(b + 2);
  for (int k = 0; k < 8; k++) {
    int s, m;
    scale_and_minimum(b + 4, k, &s, &m);
    float scale = d * (float)s, minimum = least * (float)m;
    for (int l = 0; l < 32; l += 16) {
      v16b q = load_bytes(b + 48 + 32 * (k / 2) + l);
      q = k % 2 ? q >> 4 : q & 15;
      q |= ((load_bytes(b + 16 + l) >> (uint8_t)k) & 1) << 4;
      store(y + 32 * k + l, scale * float_of_bytes(q) - minimum);
    }
  }
}

UNPACK(unpack_q6_k, 210, 256) {
  float d = half_at(b + 208);
  for (int part = 0; part < 2; part++)
    for (int l = 0; l < 32; l += 16) {
      v16b a = load_bytes(b + 64 * part + l), c = load_bytes(b + 64 * part + 32 + l);
      v16b high = load_bytes(b + 128 + 32 * part + l);
      const v16b q[4] = {
        (a & 15) | (high & 3) << 4, (c & 15) | (high >> 2 & 3) << 4, a >> 4 | (high >> 4 & 3) << 4, c >> 4 | high >> 6 << 4,
      };
      for (int n = 0; n < 4; n++) {
        float scale = d * (float)(int8_t)b[192 + 8 * part + 2 * n + l / 16];
        store(y + 128 * part + 32 * n + l, scale * float_of_ints(int_of_bytes(q[n]) - 32));
      }
    }
}

UNPACK(unpack_iq4_xs, 136, 256) {
  float d = half_at(b);
  uint32_t high = short_at(b + 2);
  for (int k = 0; k < 8; k++) {
    int s = (b[4 + k / 2] >> (4 * (k % 2)) & 15) | (int)(high >> (2 * k) & 3) << 4;
    float scale = d * (float)(s - 32);
    v16b q = load_bytes(b + 8 + 16 * k);
    store(y + 32 * k, scale * look_up(block_fours, q & 15));
    store(y + 32 * k + 16, scale * look_up(block_fours, q >> 4));
  }
}
