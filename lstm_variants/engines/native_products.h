// Small matrix products in registers. Each element is one chain of fused multiply-adds in the order of k, whatever the
// block it falls in, so its bits do not depend on how rows and columns are cut.
#pragma once

#include <algorithm>

#include "native_vectors.h"

#if defined(__AVX512F__)
constexpr int BLOCK_ROWS = 6, BLOCK_VECTORS = 4;  // 24 sums in 32 registers
#else
constexpr int BLOCK_ROWS = 4, BLOCK_VECTORS = 2;  // 8 sums in 16 registers
#endif

INLINE int64_t vectors(int64_t n) { return (n + LANES - 1) / LANES; }
INLINE int64_t padded(int64_t n) { return vectors(n) * LANES; }

// `size` things in as few parts of at most `most` as can be, the parts as equal as can be, the larger ones first.
struct Cuts {
  int64_t count = 0, narrow = 0, wide = 0;

  Cuts() = default;
  Cuts(int64_t size, int64_t most) : count((size + most - 1) / most) {
    narrow = count ? size / count : 0;
    wide = count ? size % count : 0;
  }
  int64_t width(int64_t part) const { return narrow + (part < wide); }
  int64_t first(int64_t part) const { return part * narrow + std::min(part, wide); }
  int64_t part_of(int64_t thing) const {
    const int64_t in_wide = wide * (narrow + 1);
    return thing < in_wide ? thing / (narrow + 1) : wide + (thing - in_wide) / narrow;
  }
};

// A right-hand side (k rows of `columns` numbers) is packed in panels of 1 to BLOCK_VECTORS vectors of columns, each
// panel with its k rows one after another.
struct Panels : Cuts {
  int64_t k = 0, columns = 0;

  Panels() = default;
  Panels(int64_t k, int64_t columns) : Cuts(vectors(columns), BLOCK_VECTORS), k(k), columns(padded(columns)) {}
  int64_t size() const { return k * columns; }
  // Where the LANES columns of one vector begin in row 0, and how far apart the rows are.
  int64_t offset(int64_t vector) const {
    const int64_t panel_first = first(part_of(vector));
    return (k * panel_first + vector - panel_first) * LANES;
  }
  int64_t stride(int64_t vector) const { return width(part_of(vector)) * LANES; }
};

// A run of k columns of the left-hand side; row r begins at a + r * stride.
struct Segment {
  const float* a;
  int64_t stride, k;
};

// Long segments are summed apart, which keeps the chains short and the errors small.
constexpr int64_t LONG = 32;

template <int ROWS, int WIDTH>
void block_product(const Segment* segments, int count, int64_t row, const float* b, const float* start,
                   int64_t start_stride, float* c, int64_t c_stride) {
  Vec sum[ROWS][WIDTH] = {};
  for (int s = 0; s < count; ++s) {
    const int64_t stride = segments[s].stride;
    const float* a = segments[s].a + row * stride;
    for (int64_t k = 0; k < segments[s].k; ++k, b += WIDTH * LANES) {
      Vec right[WIDTH];
#pragma GCC unroll 4
      for (int v = 0; v < WIDTH; ++v) right[v] = load(b + v * LANES);
#pragma GCC unroll 16
      for (int r = 0; r < ROWS; ++r) {
        const Vec left = all(a[r * stride + k]);
#pragma GCC unroll 4
        for (int v = 0; v < WIDTH; ++v) sum[r][v] += left * right[v];
      }
    }
    if (s + 1 < count && segments[s + 1].k < LONG) continue;
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < WIDTH; ++v) {
        const Vec before = start ? load(start + r * start_stride + v * LANES) : Vec{};
        store(c + r * c_stride + v * LANES, sum[r][v] + before);
        sum[r][v] = Vec{};
      }
    start = c, start_stride = c_stride;
  }
}

// c += a' b over steps x rows: a[t][r] begins at a + t * a_step + r * a_row, b[t][r] at b + t * b_step + r * b_row.
template <int ROWS, int WIDTH>
void block_outer(const float* a, int64_t a_step, int64_t a_row, const float* b, int64_t b_step, int64_t b_row,
                 int64_t steps, int64_t rows, float* c, int64_t c_stride) {
  Vec sum[ROWS][WIDTH] = {};
  for (int64_t t = 0; t < steps; ++t) {
    const float *left = a + t * a_step, *right_row = b + t * b_step;
    for (int64_t n = 0; n < rows; ++n, left += a_row, right_row += b_row) {
      Vec right[WIDTH];
#pragma GCC unroll 4
      for (int v = 0; v < WIDTH; ++v) right[v] = load(right_row + v * LANES);
#pragma GCC unroll 16
      for (int r = 0; r < ROWS; ++r) {
        const Vec factor = all(left[r]);
#pragma GCC unroll 4
        for (int v = 0; v < WIDTH; ++v) sum[r][v] += factor * right[v];
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < WIDTH; ++v) {
      float* at = c + r * c_stride + v * LANES;
      store(at, load(at) + sum[r][v]);
    }
}

// Calls f(Constant<n>{}) for an n from 1 to N known only at run time.
template <int N>
struct Constant {
  static constexpr int value = N;
};
template <int N, class F>
INLINE void with_constant(int64_t n, F&& f) {
  if constexpr (N == 1) {
    f(Constant<1>{});
  } else {
    if (n == N) return f(Constant<N>{});
    with_constant<N - 1>(n, f);
  }
}

// c = start + [segments] b; `start` has rows start_stride apart (0: one row for all), null: zeros. May be c itself.
inline void product(const Segment* segments, int count, int64_t rows, const Panels& panels, const float* b,
                    const float* start, int64_t start_stride, float* c, int64_t c_stride) {
  const Segment none{c, 0, 0};
  if (!count) segments = &none, count = 1;  // fed by nothing: c = start
  const Cuts cuts(rows, BLOCK_ROWS);
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const int64_t column = panels.first(panel) * LANES;
    const float* own_b = b + panels.k * column;
    with_constant<BLOCK_VECTORS>(panels.width(panel), [&](auto width) {
      for (int64_t block = 0, row = 0; block < cuts.count; row += cuts.width(block++))
        with_constant<BLOCK_ROWS>(cuts.width(block), [&](auto height) {
          block_product<height.value, width.value>(segments, count, row, own_b,
                                                   start ? start + row * start_stride + column : nullptr, start_stride,
                                                   c + row * c_stride + column, c_stride);
        });
    });
  }
}

// c += a' b, c having `height` rows (columns of a) and `columns` columns, a multiple of LANES.
inline void outer(const float* a, int64_t a_step, int64_t a_row, int64_t height, const float* b, int64_t b_step,
                  int64_t b_row, int64_t columns, int64_t steps, int64_t rows, float* c, int64_t c_stride) {
  if (steps <= 0) return;
  const Panels panels(1, columns);
  const Cuts cuts(height, BLOCK_ROWS);
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const int64_t column = panels.first(panel) * LANES;
    with_constant<BLOCK_VECTORS>(panels.width(panel), [&](auto width) {
      for (int64_t block = 0, row = 0; block < cuts.count; row += cuts.width(block++))
        with_constant<BLOCK_ROWS>(cuts.width(block), [&](auto part) {
          block_outer<part.value, width.value>(a + row, a_step, a_row, b + column, b_step, b_row, steps, rows,
                                               c + row * c_stride + column, c_stride);
        });
    });
  }
}
