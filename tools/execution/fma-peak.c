// The rate of fused multiply-adds that the machine's threads reach together, and at which they read memory.
//
//   cc -O3 -march=native -pthread fma-peak.c && ./a.out THREADS     prints {"gflops": …, "gigabytes": …}
//
// Twelve independent accumulators per thread, no memory. Each thread takes the best of many short runs, so that others on the
// machine do not count; the threads run at the same time.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX__)
#define WIDTH 8
#else
#define WIDTH 4
#endif
#define COUNT 12
#define ROUNDS 100000L
#define RUNS 2000
#define BYTES (128L << 20)

typedef float vector __attribute__((vector_size(4 * WIDTH)));

static volatile float sink[64];
static pthread_barrier_t barrier;
static double flops[64], rates[64];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void multiply(long index) {
  vector a, b, c, d, e, f, g, h, i, j, k, l, x, y;
  for (int lane = 0; lane < WIDTH; lane++) x[lane] = 0.999f, y[lane] = 1e-3f;
  a = b = c = d = e = f = g = h = i = j = k = l = y;
  __asm__ volatile("" : "+x"(x), "+x"(y));
  for (long round = 0; round < ROUNDS; round++) {
    a = a * x + y, b = b * x + y, c = c * x + y, d = d * x + y, e = e * x + y, f = f * x + y;
    g = g * x + y, h = h * x + y, i = i * x + y, j = j * x + y, k = k * x + y, l = l * x + y;
    __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d), "+x"(e), "+x"(f));
    __asm__ volatile("" : "+x"(g), "+x"(h), "+x"(i), "+x"(j), "+x"(k), "+x"(l));
  }
  a = a + b + c + d + e + f + g + h + i + j + k + l;
  sink[index] = a[0];
}

static void read_memory(long index, const vector *from) {
  vector sum[4];
  memset(sum, 0, sizeof sum);
  for (long i = 0; i + 4 <= BYTES / (long)sizeof(vector); i += 4)
    for (int j = 0; j < 4; j++) sum[j] += from[i + j];
  sum[0] += sum[1] + sum[2] + sum[3];
  sink[index] = sum[0][0];
}

static void *work(void *argument) {
  long index = (long)argument;
  vector *memory = aligned_alloc(4096, BYTES);
  if (!memory) exit(2);
  memset(memory, 1, BYTES);
  double best = 1e9;
  pthread_barrier_wait(&barrier);
  for (int run = 0; run < RUNS; run++) {
    double start = now();
    multiply(index);
    double seconds = now() - start;
    if (seconds < best) best = seconds;
  }
  flops[index] = 2.0 * WIDTH * COUNT * (double)ROUNDS / best;
  best = 1e9;
  pthread_barrier_wait(&barrier);
  for (int run = 0; run < RUNS / 40; run++) {
    double start = now();
    read_memory(index, memory);
    double seconds = now() - start;
    if (seconds < best) best = seconds;
  }
  rates[index] = (double)BYTES / best;
  return NULL;
}

int main(int count, char **arguments) {
  long threads = count > 1 ? atol(arguments[1]) : 1;
  if (threads < 1 || threads > 64) return 64;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  pthread_t handles[64];
  double gflops = 0, gigabytes = 0;
  for (long i = 0; i < threads; i++) pthread_create(&handles[i], NULL, work, (void *)i);
  for (long i = 0; i < threads; i++) {
    pthread_join(handles[i], NULL);
    gflops += flops[i] / 1e9;
    gigabytes += rates[i] / 1e9;
  }
  printf("{\"gflops\": %.1f, \"gigabytes\": %.1f}\n", gflops, gigabytes);
}
