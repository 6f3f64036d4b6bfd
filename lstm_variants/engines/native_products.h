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

// A right-hand side (k rows of `columns` numbers) is packed in panels of 1 to BLOCK_VECTORS vectors of columns, each
// panel with its k rows one after another.
struct Panels {
  int64_t k = 0, count = 0, narrow = 0, wide_panels = 0;  // the first wide_panels have narrow + 1 vectors

  Panels() = default;
  Panels(int64_t k, int64_t columns) : k(k) {
    count = (vectors(columns) + BLOCK_VECTORS - 1) / BLOCK_VECTORS;
    narrow = count ? vectors(columns) / count : 0;
    wide_panels = count ? vectors(columns) % count : 0;
  }
  int64_t width(int64_t panel) const { return narrow + (panel < wide_panels); }
  int64_t first(int64_t panel) const { return panel * narrow + std::min(panel, wide_panels); }
  int64_t size() const { return count ? k * LANES * (first(count - 1) + width(count - 1)) : 0; }
  int64_t panel_of(int64_t vector) const {
    int64_t in_wide = wide_panels * (narrow + 1);
    return vector < in_wide ? vector / (narrow + 1) : wide_panels + (vector - in_wide) / narrow;
  }
  // Where the LANES columns of one vector begin in row 0, and how far apart the rows are.
  int64_t offset(int64_t vector) const {
    int64_t panel = panel_of(vector);
    return (k * first(panel) + vector - first(panel)) * LANES;
  }
  int64_t stride(int64_t vector) const { return width(panel_of(vector)) * LANES; }
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
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const int64_t column = panels.first(panel) * LANES;
    const float* own_b = b + panels.k * column;
    with_constant<BLOCK_VECTORS>(panels.width(panel), [&](auto width) {
      for (int64_t row = 0; row < rows; row += BLOCK_ROWS)
        with_constant<BLOCK_ROWS>(std::min<int64_t>(BLOCK_ROWS, rows - row), [&](auto height) {
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
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const int64_t column = panels.first(panel) * LANES;
    with_constant<BLOCK_VECTORS>(panels.width(panel), [&](auto width) {
      for (int64_t row = 0; row < height; row += BLOCK_ROWS)
        with_constant<BLOCK_ROWS>(std::min<int64_t>(BLOCK_ROWS, height - row), [&](auto part) {
          block_outer<part.value, width.value>(a + row, a_step, a_row, b + column, b_step, b_row, steps, rows,
                                               c + row * c_stride + column, c_stride);
        });
    });
  }
}
