// One recurrent layer of the gate algebra over a whole sequence, forward and backward, for M models side by side.
//
//   a_k  = W_k x[t] + U_k h[t-1] + sum_j R_jk g_j[t-1] + p_k c + b_k       only the terms that gate k is fed by
//   c[t] = f c[t-1] + i z,   h[t] = o squash(c[t])
//
// Work is cut into pieces, one model and one tile of its batch each; a thread owns a piece for all time steps. How a
// piece is computed depends on the shape of one model only, so a model's bits are those it has alone.
//
// Columns. Every learned slot owns a block of columns of a step's plane `a` (rows of the tile x columns): H columns
// padded to whole vectors, or one vector of equal lanes for a gate shared by all units. A reset gate after the product
// adds a block q = U_z h[t-1] + bh. Blocks fed by the same sources stand side by side: a run, one matrix product.
#include <algorithm>
#include <cstdlib>
#include <new>
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "native_products.h"

// ---- what the caller says; native.py mirrors these structures ------------------------------------------------------

enum Slot { INPUT, FORGET, CANDIDATE, OUTPUT, RESET, REFINE, SLOTS };
enum Kind { ABSENT, LEARNED, CONSTANT, COMPLEMENT, SAME };
enum Part { X, H, B, C, BH, FROM_INPUT, FROM_FORGET, FROM_OUTPUT, PARTS };
constexpr int STATES = 5;  // h, c, and the input, forget and output gate where some gate sees them
constexpr int SEEN[3] = {INPUT, FORGET, OUTPUT};

struct Gate {
  int32_t kind, of, x, h, b, peephole, gates, activation, shared;
  float value, offset;
};

struct Cell {
  Gate gate[SLOTS];
  int32_t squash, normalise, reset_before, hidden_is_cell, seen[3];
};

struct Call {
  Cell cell;
  int64_t models, steps, batch, inputs, hidden, threads, keep;  // keep: the planes stay, for a backward pass
  int64_t x_model, x_step, x_row, dy_model, dy_step, dy_row;    // strides; all else is contiguous
  const float* x;                                               // (M, T, B, I)
  const int64_t* lengths;                                       // (M, B) or null
  const float* state[STATES];                                   // (M, B, H)
  const float* weights[SLOTS][PARTS];                           // (M, H, I), (M, H, H), (M, H); 1 for H if shared
  float* y;                                                     // (M, T, B, H)
  float* last[STATES];
  float* planes;
  const float *dy, *dlast[STATES];  // null: zeros
  float *dx, *dstate[STATES], *dweights[SLOTS][PARTS];  // null: not wanted
};

// ---- the layout that follows from it -------------------------------------------------------------------------------

struct Block {
  int slot;
  bool recurrent;  // the block q of a reset gate after the product
  bool x, h, g, late;
  int64_t first, units, width;
  int key() const { return late * 8 + x * 4 + h * 2 + g; }
};

struct Run {
  bool x, h, g, late;
  int64_t begin, end;  // blocks
  int64_t first, columns, k;
  Panels panels;
  int64_t packed, gradient;  // where its part begins in the packed weights, in a piece's gradients
};

constexpr int MAX_BLOCKS = SLOTS + 1;

struct Layout {
  Block block[MAX_BLOCKS];
  Run run[MAX_BLOCKS];
  int blocks = 0, runs = 0, seen = 0;
  int64_t at[SLOTS] = {}, q = 0;  // first column of each slot's block, and of q
  bool reset_after = false, reset_before = false, raw[SLOTS] = {};
  int64_t inputs, hidden, row;          // row: a hidden row padded to whole vectors
  int64_t columns = 0;                  // of a step's plane
  int64_t tile, tiles, ring;            // rows of a tile, tiles of a batch, steps between two gradient products
  int64_t packed = 0, bias, peephole;   // packed forward weights of a model
  Panels back_h, back_m, back_g, back_x;
  int64_t back_packed = 0, at_m, at_g, at_x;
  int64_t gradients = 0, bias_gradient, peephole_gradient;
  int64_t plane_a, plane_c, plane_m, plane_g, planes;  // floats of one piece

  explicit Layout(const Call& call);
  bool h_fed() const { return back_h.k > 0; }

 private:
  void place_blocks(const Cell& cell);
  void place_runs();
  void place_backward();
  void place_planes(const Call& call);
};

Layout::Layout(const Call& call) : inputs(call.inputs), hidden(call.hidden), row(padded(call.hidden)) {
  const Cell& cell = call.cell;
  const bool resets = cell.gate[RESET].kind != ABSENT;
  reset_before = resets && cell.reset_before;
  reset_after = resets && !cell.reset_before;
  for (int j = 0; j < 3; ++j) seen += cell.seen[j];
  // Where the value alone does not give back what the backward pass needs, the pre-activation is kept.
  raw[INPUT] = cell.normalise || cell.gate[FORGET].offset != 0;
  raw[FORGET] = cell.normalise || cell.gate[INPUT].offset != 0;
  place_blocks(cell);
  place_runs();
  place_backward();
  place_planes(call);
}

void Layout::place_blocks(const Cell& cell) {
  for (int slot = 0; slot < SLOTS; ++slot) {
    const Gate& gate = cell.gate[slot];
    if (gate.kind != LEARNED) continue;
    const int64_t units = gate.shared ? 1 : hidden;
    const bool resets = slot == CANDIDATE && (reset_after || reset_before);
    block[blocks++] = {slot,       false, gate.x != 0, gate.h && !(resets && reset_after), gate.gates != 0,
                       resets && reset_before, 0, units, padded(units)};
    if (resets && reset_after) block[blocks++] = {slot, true, false, true, false, false, 0, units, padded(units)};
  }
  std::stable_sort(block, block + blocks, [](const Block& a, const Block& b) { return a.key() < b.key(); });
  for (Block* b = block; b < block + blocks; ++b) {
    b->first = columns;
    columns += b->width;
    (b->recurrent ? q : at[b->slot]) = b->first;
  }
}

void Layout::place_runs() {
  for (int n = 0; n < blocks; ++n) {
    const Block& b = block[n];
    if (!n || b.key() != block[n - 1].key())
      run[runs++] = {b.x, b.h, b.g, b.late, n, n, b.first, 0, 0, Panels(), 0, 0};
    Run& r = run[runs - 1];
    r.end = n + 1;
    r.columns += b.width;
  }
  for (Run* r = run; r < run + runs; ++r) {
    r->k = r->x * inputs + r->h * hidden + r->g * seen * hidden;
    r->panels = Panels(r->k, r->columns);
    r->packed = packed;
    r->gradient = gradients;
    packed += r->panels.size();
    gradients += r->k * r->columns;
  }
  bias = packed;
  peephole = bias + columns;
  packed = peephole + SLOTS * row;
  bias_gradient = gradients;
  peephole_gradient = bias_gradient + columns;
  gradients = peephole_gradient + SLOTS * row;
}

void Layout::place_backward() {
  int64_t h = 0, m = 0, g = 0, x = 0;
  for (int n = 0; n < blocks; ++n) {
    const Block& b = block[n];
    if (b.h) (b.late ? m : h) += b.units;
    if (b.g) g += b.units;
    if (b.x) x += b.units;
  }
  back_h = Panels(h, row);
  back_m = Panels(m, row);
  back_g = Panels(g, seen * row);
  back_x = Panels(x, inputs);
  at_m = back_h.size();
  at_g = at_m + back_m.size();
  at_x = at_g + back_g.size();
  back_packed = at_x + back_x.size();
}

void Layout::place_planes(const Call& call) {
  // Rows enough to keep the registers busy, tiles enough to share one model among threads.
  tile = std::min<int64_t>(call.batch, call.batch >= 64 ? 32 : 16);
  tiles = (call.batch + tile - 1) / tile;
  ring = std::max<int64_t>(1, 128 / tile);
  const int64_t steps = call.keep ? call.steps : 1;
  plane_a = 0;
  plane_c = plane_a + steps * tile * columns;
  plane_m = plane_c + (call.cell.hidden_is_cell ? 0 : steps * tile * row);
  plane_g = plane_m + (reset_before ? steps * tile * row : 0);
  planes = plane_g + (seen ? steps * tile * seen * row : 0);
}

// ---- memory that is kept from call to call -------------------------------------------------------------------------

struct Scratch {
  float* data = nullptr;
  int64_t size = 0;

  ~Scratch() { std::free(data); }
  float* need(int64_t floats) {
    if (floats > size) {
      std::free(data);
      size = padded(floats) + LANES;
      data = static_cast<float*>(std::aligned_alloc(64, (size * sizeof(float) + 63) / 64 * 64));
      if (!data) throw std::bad_alloc();
    }
    return data;
  }
};
thread_local Scratch piece_scratch, call_scratch;

// Numbers too small to matter slow the arithmetic down a hundredfold: inside the kernel they are zeros.
struct FlushTiny {
#ifdef __SSE__
  unsigned before = _mm_getcsr();
  FlushTiny() { _mm_setcsr(before | 0x8040); }
  ~FlushTiny() { _mm_setcsr(before); }
#endif
};

// ---- packing weights -----------------------------------------------------------------------------------------------

// One block's rows of a weight (units x k, rows `k` apart) into columns `column`.. of packed rows `row`..
static void pack_columns(const float* w, int64_t units, int64_t k, bool shared, const Panels& panels, int64_t row,
                         int64_t column, float* packed) {
  for (int64_t u = 0; u < (shared ? 1 : units); u += LANES) {
    const int64_t vector = (column + u) / LANES, stride = panels.stride(vector);
    float* to = packed + panels.offset(vector) + row * stride;
    for (int64_t n = 0; n < k; ++n)
      for (int lane = 0; lane < LANES; ++lane)
        to[n * stride + lane] = shared ? w[n] : u + lane < units ? w[(u + lane) * k + n] : 0.0f;
  }
}

// One block's weight as rows `row`.. of a right-hand side for the way back, columns `column`..
static void pack_rows(const float* w, int64_t units, int64_t k, const Panels& panels, int64_t row, int64_t column,
                      float* packed) {
  for (int64_t n = 0; n < k; n += LANES) {
    const int64_t vector = (column + n) / LANES, stride = panels.stride(vector);
    float* to = packed + panels.offset(vector) + row * stride;
    for (int64_t u = 0; u < units; ++u) store(to + u * stride, load_first(w + u * k + n, k - n));
  }
}

static const float* weight(const Call& call, const Layout& p, int64_t m, int slot, int part) {
  const float* w = call.weights[slot][part];
  const int64_t units = call.cell.gate[slot].shared ? 1 : p.hidden;
  const int64_t width = part == X ? p.inputs : part == B || part == C || part == BH ? 1 : p.hidden;
  return w ? w + m * units * width : nullptr;
}

static void pack_forward(const Call& call, const Layout& p, int64_t m, float* packed) {
  for (const Run* r = p.run; r < p.run + p.runs; ++r)
    for (int64_t n = r->begin; n < r->end; ++n) {
      const Block& b = p.block[n];
      const bool shared = call.cell.gate[b.slot].shared;
      int64_t row = 0;
      auto pack = [&](int part, int64_t k) {
        pack_columns(weight(call, p, m, b.slot, part), b.units, k, shared, r->panels, row, b.first - r->first,
                     packed + r->packed);
        row += k;
      };
      if (b.h) pack(H, p.hidden);
      for (int j = 0; b.g && j < 3; ++j)
        if (call.cell.seen[j]) pack(FROM_INPUT + j, p.hidden);
      if (b.x) pack(X, p.inputs);
    }
  for (const Block* b = p.block; b < p.block + p.blocks; ++b) {
    const float* own = weight(call, p, m, b->slot, b->recurrent ? BH : B);
    const bool shared = call.cell.gate[b->slot].shared;
    for (int64_t u = 0; u < b->width; ++u)
      packed[p.bias + b->first + u] = own && (shared || u < b->units) ? own[shared ? 0 : u] : 0.0f;
  }
  for (int slot = 0; slot < SLOTS; ++slot) {
    const float* own = weight(call, p, m, slot, C);
    for (int64_t u = 0; u < p.row; ++u) packed[p.peephole + slot * p.row + u] = own && u < p.hidden ? own[u] : 0.0f;
  }
}

static void pack_backward(const Call& call, const Layout& p, int64_t m, float* packed) {
  int64_t h = 0, late = 0, g = 0, x = 0;
  for (const Block* b = p.block; b < p.block + p.blocks; ++b) {
    if (b->h) {
      int64_t& row = b->late ? late : h;
      pack_rows(weight(call, p, m, b->slot, H), b->units, p.hidden, b->late ? p.back_m : p.back_h, row, 0,
                packed + (b->late ? p.at_m : 0));
      row += b->units;
    }
    if (b->g) {
      int64_t column = 0;
      for (int j = 0; j < 3; ++j)
        if (call.cell.seen[j]) {
          pack_rows(weight(call, p, m, b->slot, FROM_INPUT + j), b->units, p.hidden, p.back_g, g, column,
                    packed + p.at_g);
          column += p.row;
        }
      g += b->units;
    }
    if (b->x && call.dx) {
      pack_rows(weight(call, p, m, b->slot, X), b->units, p.inputs, p.back_x, x, 0, packed + p.at_x);
      x += b->units;
    }
  }
}

// ---- one step of one row -------------------------------------------------------------------------------------------

// What the compiler may take for granted about a cell: nothing, or that its gates are sigmoids and the candidate and the
// cell are squashed by tanh or not at all, as in most of the family.
struct AnyCell {
  static INLINE int gate(const Cell& cell, int k) { return cell.gate[k].activation; }
  static INLINE int squash(const Cell& cell) { return cell.squash; }
};
struct UsualCell {
  static INLINE int two(int activation) { return activation == TANH ? TANH : IDENTITY; }
  static INLINE int gate(const Cell& cell, int k) { return k == CANDIDATE ? two(cell.gate[k].activation) : SIGMOID; }
  static INLINE int squash(const Cell& cell) { return two(cell.squash); }
  static bool holds(const Cell& cell) {
    auto plain = [](int activation) { return activation == TANH || activation == IDENTITY; };
    for (int k = 0; k < SLOTS; ++k)
      if (cell.gate[k].kind == LEARNED && k != CANDIDATE && cell.gate[k].activation != SIGMOID) return false;
    return plain(cell.gate[CANDIDATE].activation) && plain(cell.squash);
  }
};

// The gates of LANES units, read from a row `a` of the plane.
template <class Known>
struct Gates {
  const Cell& cell;
  const Layout& p;
  float* a;
  const float* peephole;
  int64_t u;

  INLINE int activation(int k) const { return Known::gate(cell, k); }
  INLINE bool learned(int k) const { return cell.gate[k].kind == LEARNED; }
  INLINE bool raw(int k) const {
    return (k == INPUT || k == FORGET) && (cell.normalise || cell.gate[k == INPUT ? FORGET : INPUT].offset != 0);
  }
  INLINE float* at(int k) const { return a + p.at[k] + (cell.gate[k].shared ? 0 : u); }
  INLINE Vec peep(int k) const { return load(peephole + k * p.row + u); }

  // Squash the pre-activation in place; gives the stored form of phi.
  INLINE Vec squash(int k, Vec c) const {
    if (cell.gate[k].shared) return stored(k);
    Vec v = load(at(k));
    if (cell.gate[k].peephole) v += peep(k) * c;
    const Vec s = encode(activation(k), v);
    store(at(k), raw(k) ? v : s);
    return s;
  }
  INLINE Vec stored(int k) const {
    const Vec s = load(at(k));
    return raw(k) ? encode(activation(k), s) : s;
  }
  INLINE Vec value_of(int k, Vec s) const { return value(activation(k), s); }
  INLINE Vec slope_of(int k, Vec s) const { return slope(activation(k), s); }
  // phi(a - offset), stored form, of the gate k whose complement has the offset.
  INLINE Vec shifted(int k, float offset) const { return encode(activation(k), load(at(k)) - offset); }
};

// f / (f + i) and i / (f + i) of two sigmoids from their pre-activations, nothing overflowing.
INLINE void shares(Vec a_i, Vec a_f, Vec& i, Vec& f) {
  Vec m = a_i < a_f ? -a_i : -a_f;
  m = m < 0.0f ? all(0.0f) : m;
  const Vec one = exponential(-m), u = one + exponential(-a_i - m), v = one + exponential(-a_f - m);
  const Vec sum = u + v;
  f = u / sum;
  i = v / sum;
}

template <class Known>
INLINE void input_and_forget(const Gates<Known>& g, Vec s_i, Vec s_f, Vec v, Vec& i, Vec& f) {
  const Gate &input = g.cell.gate[INPUT], &forget = g.cell.gate[FORGET];
  if (g.cell.normalise) return shares(load(g.at(INPUT)), load(g.at(FORGET)), i, f);
  i = input.kind == LEARNED ? g.value_of(INPUT, s_i) : all(input.value);
  f = forget.kind == LEARNED ? g.value_of(FORGET, s_f) : all(forget.value);
  if (g.learned(REFINE)) f = 2.0f * v * f + (1.0f - 2.0f * v) * f * f;
  if (input.kind == COMPLEMENT)
    i = 1.0f - (input.offset != 0 ? g.value_of(FORGET, g.shifted(FORGET, input.offset)) : f);
  if (forget.kind == COMPLEMENT)
    f = 1.0f - (forget.offset != 0 ? g.value_of(INPUT, g.shifted(INPUT, forget.offset)) : i);
}

// A gate shared by all units is squashed once for its row.
template <class Known>
INLINE void squash_shared(const Cell& cell, const Layout& p, float* a) {
  const Gates<Known> g{cell, p, a, nullptr, 0};
  for (int k = 0; k < SLOTS; ++k)
    if (g.learned(k) && cell.gate[k].shared && !g.raw(k) && !(k == RESET && cell.reset_before)) {
      float* at = a + p.at[k];
      store(at, encode(g.activation(k), load(at)));
    }
}

// Before the candidate's product, for a reset gate before it: m = r h[t-1].
template <class Known>
void reset_row(const Cell& cell, const Layout& p, const float* peephole, float* a, const float* c, const float* h,
               float* m) {
  const Gate& reset = cell.gate[RESET];
  if (reset.kind == LEARNED && reset.shared) store(a + p.at[RESET], encode(Known::gate(cell, RESET), load(a + p.at[RESET])));
  for (int64_t u = 0; u < p.row; u += LANES) {
    const Gates<Known> g{cell, p, a, peephole, u};
    Vec r;
    if (reset.kind == LEARNED) {
      r = g.value_of(RESET, g.squash(RESET, load(c + u)));
    } else {
      Vec v = load(g.at(reset.of));
      if (cell.gate[reset.of].peephole) v += g.peep(reset.of) * load(c + u);
      r = g.value_of(reset.of, encode(g.activation(reset.of), v));
    }
    store(m + u, r * load_first(h + u, p.hidden - u));
  }
}

// The step: c (in and out), h (p.hidden long), the plane row `a` from pre-activations to stored forms, seen gates.
template <class Known>
void forward_row(const Cell& cell, const Layout& p, const float* peephole, float* a, float* c, float* h, float* seen) {
  const Gate &reset = cell.gate[RESET], &output = cell.gate[OUTPUT];
  squash_shared<Known>(cell, p, a);
  for (int64_t u = 0; u < p.row; u += LANES) {
    const Gates<Known> g{cell, p, a, peephole, u};
    const Vec before = load(c + u);
    Vec i, f, s_i = {}, s_f = {}, v = {};
    if (g.learned(INPUT)) s_i = g.squash(INPUT, before);
    if (g.learned(FORGET)) s_f = g.squash(FORGET, before);
    if (g.learned(REFINE)) v = g.value_of(REFINE, g.squash(REFINE, before));
    input_and_forget(g, s_i, s_f, v, i, f);

    Vec a_z = load(g.at(CANDIDATE));
    if (reset.kind != ABSENT && !cell.reset_before) {
      const Vec r = reset.kind == SAME ? (reset.of == INPUT ? i : f) : g.value_of(RESET, g.squash(RESET, before));
      a_z += r * load(a + p.q + u);
    }
    const Vec s_z = encode(g.activation(CANDIDATE), a_z);
    store(g.at(CANDIDATE), s_z);

    const Vec now = f * before + i * g.value_of(CANDIDATE, s_z);
    const Vec o = output.kind == LEARNED ? g.value_of(OUTPUT, g.squash(OUTPUT, now)) : all(output.value);
    store(c + u, now);
    store_first(h + u, o * value(Known::squash(cell), encode(Known::squash(cell), now)), p.hidden - u);
    for (int j = 0, n = 0; seen && j < 3; ++j)
      if (cell.seen[j]) store(seen + n++ * p.row + u, j == 0 ? i : j == 1 ? f : o);
  }
}

// ---- the same step backward ----------------------------------------------------------------------------------------

struct BackwardRow {
  float* a;                              // stored forms
  const float *c_now, *c_before, *h_before;  // rows of c[t], c[t-1], h[t-1]
  int64_t c_now_size, c_before_size;
  const float* e;     // outside gradient on h[t], or null
  float *dh, *dc;     // carried gradients, padded; in: on h[t], c[t]; out: on c[t-1] and what does not pass U on h[t-1]
  float* dg;          // carried gradients on the seen gates, or null
  float* da;          // out: gradients on the pre-activations
  float *di, *df, *dm;  // reset before: gradients kept between the two phases
  float* dp;          // peephole gradients, added to
};

enum Phase { WHOLE, UNTIL_CANDIDATE, FROM_RESET };

template <class Known, Phase PHASE>
void backward_row(const Cell& cell, const Layout& p, const float* peephole, const BackwardRow& row) {
  const Gate &input = cell.gate[INPUT], &forget = cell.gate[FORGET], &output = cell.gate[OUTPUT],
             &reset = cell.gate[RESET];
  Vec sum[SLOTS] = {};  // gates shared by all units
  for (int64_t u = 0; u < p.row; u += LANES) {
    const Gates<Known> g{cell, p, row.a, peephole, u};
    const Vec before = load_first(row.c_before + u, row.c_before_size - u);
    Vec dc = load(row.dc + u), extra = {};
    auto give = [&](int k, Vec da) {  // the gradient on gate k's pre-activation
      if (cell.gate[k].shared) {
        sum[k] += keep_first(da, p.hidden - u);
      } else {
        store(row.da + p.at[k] + u, da);
      }
      if (cell.gate[k].peephole) {
        const Vec c = k == OUTPUT ? load_first(row.c_now + u, row.c_now_size - u) : before;
        float* dp = row.dp + k * p.row + u;
        store(dp, load(dp) + da * c);
        extra += da * g.peep(k);
      }
    };
    Vec i, f, s_i = {}, s_f = {}, s_v = {}, v = {}, r = {}, dr = {};
    if (g.learned(INPUT)) s_i = g.stored(INPUT);
    if (g.learned(FORGET)) s_f = g.stored(FORGET);
    if (g.learned(REFINE)) v = g.value_of(REFINE, s_v = g.stored(REFINE));
    input_and_forget(g, s_i, s_f, v, i, f);
    if (reset.kind == SAME) r = reset.of == INPUT ? i : f;
    if (reset.kind == LEARNED) r = g.value_of(RESET, g.stored(RESET));

    Vec di, df;
    if (PHASE != FROM_RESET) {
      Vec d = load(row.dh + u);
      if (row.e) d += load_first(row.e + u, p.hidden - u);
      const Vec now = load_first(row.c_now + u, row.c_now_size - u);
      const Vec s = encode(Known::squash(cell), now);
      Vec o = all(output.value);
      if (output.kind == LEARNED) {
        const Vec s_o = g.stored(OUTPUT);
        o = g.value_of(OUTPUT, s_o);
        Vec d_o = d * value(Known::squash(cell), s);
        if (row.dg && cell.seen[2]) d_o += load(row.dg + (cell.seen[0] + cell.seen[1]) * p.row + u);
        give(OUTPUT, d_o * g.slope_of(OUTPUT, s_o));
      }
      dc += d * o * slope(Known::squash(cell), s) + extra;
      extra = Vec{};
      const Vec s_z = load(g.at(CANDIDATE));
      df = dc * before;
      di = dc * g.value_of(CANDIDATE, s_z);
      if (row.dg && cell.seen[0]) di += load(row.dg + u);
      if (row.dg && cell.seen[1]) df += load(row.dg + cell.seen[0] * p.row + u);
      const Vec da_z = dc * i * g.slope_of(CANDIDATE, s_z);
      store(row.da + p.at[CANDIDATE] + u, da_z);
      if (PHASE == UNTIL_CANDIDATE) {
        store(row.di + u, di);
        store(row.df + u, df);
        store(row.dc + u, dc);
        continue;
      }
      store(row.dh + u, Vec{});
      if (reset.kind != ABSENT) {
        dr = da_z * load(row.a + p.q + u);
        store(row.da + p.q + u, da_z * r);
      }
    } else {
      di = load(row.di + u);
      df = load(row.df + u);
      const Vec dm = load(row.dm + u);
      dr = dm * load_first(row.h_before + u, p.hidden - u);
      store(row.dh + u, dm * r);
    }

    if (reset.kind == LEARNED) give(RESET, dr * g.slope_of(RESET, g.stored(RESET)));
    if (reset.kind == SAME) (reset.of == INPUT ? di : df) += dr;
    if (cell.normalise) {  // f = s(log s(a_f) - log s(a_i)), i = 1 - f, and 1 - s(a) = s(-a)
      const Vec w = (df - di) * f * i;
      give(FORGET, w * logistic(-load(g.at(FORGET))));
      give(INPUT, -w * logistic(-load(g.at(INPUT))));
    } else {
      Vec more_i = {}, more_f = {};
      if (input.kind == COMPLEMENT) {
        if (input.offset != 0) more_f = -di * g.slope_of(FORGET, g.shifted(FORGET, input.offset));
        else df -= di;
      }
      if (forget.kind == COMPLEMENT) {
        if (forget.offset != 0) more_i = -df * g.slope_of(INPUT, g.shifted(INPUT, forget.offset));
        else di -= df;
      }
      if (g.learned(REFINE)) {
        const Vec plain = g.value_of(FORGET, s_f);
        give(REFINE, df * 2.0f * plain * (1.0f - plain) * g.slope_of(REFINE, s_v));
        df *= 2.0f * v + 2.0f * (1.0f - 2.0f * v) * plain;
      }
      if (input.kind == LEARNED) give(INPUT, di * g.slope_of(INPUT, s_i) + more_i);
      if (forget.kind == LEARNED) give(FORGET, df * g.slope_of(FORGET, s_f) + more_f);
    }
    store(row.dc + u, dc * f + extra);
  }
  for (int k = 0; k < SLOTS; ++k)
    if (cell.gate[k].kind == LEARNED && cell.gate[k].shared &&
        (k == OUTPUT ? PHASE != FROM_RESET : PHASE != UNTIL_CANDIDATE)) {
      Vec first = {};
      first[0] = sum_of_lanes(sum[k]);
      store(row.da + p.at[k], first);
    }
}

// ---- a piece: one model, one tile of the batch, all steps ----------------------------------------------------------

struct Piece {
  const Call& call;
  const Layout& p;
  int64_t m, b0, rows, steps;  // steps: of its longest sequence
  float *a, *c, *held_m, *seen;  // its planes

  Piece(const Call& call, const Layout& p, int64_t piece, float* planes)
      : call(call), p(p), m(piece / p.tiles), b0(piece % p.tiles * p.tile), rows(std::min(p.tile, call.batch - b0)) {
    steps = call.lengths ? 0 : call.steps;
    for (int64_t r = 0; call.lengths && r < rows; ++r) steps = std::max(steps, length(r));
    a = planes + p.plane_a;
    c = planes + p.plane_c;
    held_m = planes + p.plane_m;
    seen = planes + p.plane_g;
  }
  int64_t at(int64_t t) const { return call.keep ? t : 0; }  // without a backward pass the planes are one step long
  int64_t length(int64_t r) const { return std::min(call.lengths[m * call.batch + b0 + r], call.steps); }
  bool running(int64_t t, int64_t r) const { return !call.lengths || t < length(r); }
  const float* state(int n, int64_t r) const { return call.state[n] + ((m * call.batch) + b0 + r) * p.hidden; }
  float* y(int64_t t) const { return call.y + ((m * call.steps + t) * call.batch + b0) * p.hidden; }
  const float* h_before(int64_t t) const { return t ? y(t - 1) : state(0, 0); }
  const float* x(int64_t t) const { return call.x + m * call.x_model + t * call.x_step + b0 * call.x_row; }
  float* plane_a(int64_t t) const { return a + at(t) * p.tile * p.columns; }
  float* plane_c(int64_t t) const { return c + at(t) * p.tile * p.row; }
  float* plane_m(int64_t t) const { return held_m + at(t) * p.tile * p.row; }
  int64_t seen_row() const { return p.seen * p.row; }
  float* plane_seen(int64_t t) const { return seen + at(t) * p.tile * seen_row(); }
};

static void copy_padded(const float* from, int64_t size, float* to, int64_t width) {
  if (from) std::memcpy(to, from, size * sizeof(float));
  std::memset(to + (from ? size : 0), 0, (width - (from ? size : 0)) * sizeof(float));
}

// Products of the step's runs into its rows `a`. `late`: the candidate behind a reset gate, fed by m.
static void project(const Piece& s, const float* packed, int64_t t, const float* seen_before, bool late,
                    float* a) {
  const Layout& p = s.p;
  for (const Run* r = p.run; r < p.run + p.runs; ++r) {
    if (r->late != late) continue;
    Segment segments[2 + 3];
    int count = 0;
    if (r->h && late) segments[count++] = {s.plane_m(t), p.row, p.hidden};
    if (r->h && !late) segments[count++] = {s.h_before(t), p.hidden, p.hidden};
    for (int j = 0; r->g && j < p.seen; ++j) segments[count++] = {seen_before + j * p.row, s.seen_row(), p.hidden};
    if (r->x) segments[count++] = {s.x(t), s.call.x_row, p.inputs};
    product(segments, count, s.rows, r->panels, packed + r->packed, packed + p.bias + r->first, 0,
            a + r->first, p.columns);
  }
}

// Ask for the next step's row of a plane while this step's is computed.
template <int WRITE>
static INLINE void prefetch(const float* row, int64_t floats) {
  for (int64_t n = 0; n < floats; n += 16) __builtin_prefetch(row + n, WRITE, 2);
}

// Planes of this many floats in all do not stay in the cache until the way back.
constexpr int64_t LARGE = 4 << 20;

// To memory past the cache, where the instructions are there; both ends on whole lines.
static INLINE void copy_past_cache(const float* from, int64_t floats, float* to) {
#if defined(__AVX512F__)
  for (int64_t n = 0; n < floats; n += LANES) _mm512_stream_ps(to + n, (__m512)load(from + n));
#else
  std::memcpy(to, from, floats * sizeof(float));
#endif
}

template <class Known>
static void forward_piece(const Call& call, const Layout& p, int64_t piece, const float* packed_models, bool large) {
  const int64_t seen_rows = 2 * p.tile * p.seen * p.row;
  const int64_t own = p.tile * (p.row + p.columns) + seen_rows;
  float* c = piece_scratch.need(own + (call.keep ? 0 : p.planes));
  float* apart = c + p.tile * p.row + seen_rows;  // a step's rows until they are copied to a large plane
  const Piece s(call, p, piece, call.keep ? call.planes + piece * p.planes : c + own);
  const float* packed = packed_models + s.m * padded(p.packed);
  float *seen_old = c + p.tile * p.row, *seen_new = seen_old + p.tile * s.seen_row();
  for (int64_t r = 0; r < s.rows; ++r) {
    copy_padded(s.state(1, r), p.hidden, c + r * p.row, p.row);
    for (int j = 0; j < p.seen; ++j)
      copy_padded(s.state(2 + j, r), p.hidden, seen_old + r * s.seen_row() + j * p.row, p.row);
  }
  const float* peephole = packed + p.peephole;
  for (int64_t t = 0; t < s.steps; ++t) {
    float *a = large ? apart : s.plane_a(t), *h = s.y(t);
    project(s, packed, t, seen_old, false, a);
    if (p.reset_before) {
      for (int64_t r = 0; r < s.rows; ++r) {
        float* m = s.plane_m(t) + r * p.row;
        if (s.running(t, r))
          reset_row<Known>(call.cell, p, peephole, a + r * p.columns, c + r * p.row, s.h_before(t) + r * p.hidden, m);
        else
          std::memset(m, 0, p.row * sizeof(float));
      }
      project(s, packed, t, seen_old, true, a);
    }
    for (int64_t r = 0; r < s.rows; ++r) {
      float* own_seen = p.seen ? seen_new + r * s.seen_row() : nullptr;
      if (call.keep && !large && t + 1 < s.steps) prefetch<1>(s.plane_a(t + 1) + r * p.columns, p.columns);
      if (s.running(t, r)) {
        forward_row<Known>(call.cell, p, peephole, a + r * p.columns, c + r * p.row, h + r * p.hidden, own_seen);
      } else {
        std::memcpy(h + r * p.hidden, s.h_before(t) + r * p.hidden, p.hidden * sizeof(float));
        std::copy_n(seen_old + r * s.seen_row(), s.seen_row(), seen_new + r * s.seen_row());
      }
    }
    if (large) copy_past_cache(a, s.rows * p.columns, s.plane_a(t));
    if (!call.cell.hidden_is_cell) {
      if (large) copy_past_cache(c, s.rows * p.row, s.plane_c(t));
      else std::memcpy(s.plane_c(t), c, s.rows * p.row * sizeof(float));
    }
    if (p.seen) std::memcpy(s.plane_seen(t), seen_new, s.rows * s.seen_row() * sizeof(float));
    std::swap(seen_old, seen_new);
  }
  for (int64_t t = s.steps; t < call.steps; ++t) std::memcpy(s.y(t), s.h_before(t), s.rows * p.hidden * sizeof(float));
  for (int64_t r = 0; r < s.rows; ++r) {
    const int64_t row = (s.m * call.batch + s.b0 + r) * p.hidden;
    std::memcpy(call.last[0] + row, s.h_before(call.steps) + r * p.hidden, p.hidden * sizeof(float));
    std::memcpy(call.last[1] + row, c + r * p.row, p.hidden * sizeof(float));
    for (int j = 0; j < p.seen; ++j)
      std::memcpy(call.last[2 + j] + row, seen_old + r * s.seen_row() + j * p.row, p.hidden * sizeof(float));
  }
}

// What a piece needs on its way back: the carried gradients, and a ring of steps of pre-activation gradients `da`,
// from which the weights' gradients are taken while it is in the cache.
struct Back {
  float *c0, *dh, *dc, *dg, *di, *df, *dm, *dp, *x, *dx, *da, *end;

  Back(const Layout& p, float* from) {
    const int64_t plane = p.tile * p.row;
    auto take = [&](int64_t floats) {
      float* own = from;
      from += padded(floats);
      return own;
    };
    c0 = take(plane), dh = take(plane), dc = take(plane), dg = take(plane * p.seen);
    di = take(plane), df = take(plane), dm = take(plane), dp = take(SLOTS * p.row);
    x = take(p.ring * p.tile * p.inputs), dx = take(p.ring * p.tile * padded(p.inputs));
    da = take(p.ring * p.tile * p.columns);
    end = from;
  }
};

// to += the sum of all rows, in groups: short chains keep the errors small.
static void add_columns(const float* da, int64_t rows, int64_t columns, float* to) {
  for (int64_t column = 0; column < columns; column += LANES) {
    Vec sum = {};
    for (int64_t first = 0; first < rows; first += 16) {
      Vec group = {};
      for (int64_t r = first; r < std::min(first + 16, rows); ++r) group += load(da + r * columns + column);
      sum += group;
    }
    store(to + column, load(to + column) + sum);
  }
}

// Adds the weights' gradients of `steps` steps from t0, whose da lie in the ring; writes dx.
static void flush(const Piece& s, const Back& w, const float* packed, float* gradient, int64_t t0, int64_t steps) {
  const Layout& p = s.p;
  const Call& call = s.call;
  const int64_t step = s.rows * p.columns;
  const float* x = s.x(t0);
  int64_t x_step = call.x_step, x_row = call.x_row;
  if (call.lengths) {  // padding counts as zeros
    for (int64_t t = 0; t < steps; ++t)
      for (int64_t r = 0; r < s.rows; ++r)
        copy_padded(s.running(t0 + t, r) ? s.x(t0 + t) + r * x_row : nullptr, p.inputs,
                    w.x + (t * s.rows + r) * p.inputs, p.inputs);
    x = w.x, x_step = s.rows * p.inputs, x_row = p.inputs;
  }
  for (const Run* r = p.run; r < p.run + p.runs; ++r) {
    const float* da = w.da + r->first;
    float* to = gradient + r->gradient;
    // What step t0 reads of step t0 - 1; the value before step 0 lies apart from the plane that holds the others.
    auto carried = [&](const float* first, const float* plane, int64_t plane_step, int64_t row) {
      const int64_t apart = t0 ? 0 : 1;
      outer(first, 0, p.hidden, p.hidden, da, step, p.columns, r->columns, apart, s.rows, to, r->columns);
      outer(plane + (apart ? 0 : t0 - 1) * plane_step, plane_step, row, p.hidden, da + apart * step, step, p.columns,
            r->columns, steps - apart, s.rows, to, r->columns);
      to += p.hidden * r->columns;
    };
    if (r->x) {
      outer(x, x_step, x_row, p.inputs, da, step, p.columns, r->columns, steps, s.rows, to, r->columns);
      to += p.inputs * r->columns;
    }
    if (r->h && r->late) {
      outer(s.plane_m(t0), p.tile * p.row, p.row, p.hidden, da, step, p.columns, r->columns, steps, s.rows, to,
            r->columns);
      to += p.hidden * r->columns;
    } else if (r->h) {
      carried(s.state(0, 0), s.y(0), call.batch * p.hidden, p.hidden);
    }
    for (int j = 0; r->g && j < p.seen; ++j)
      carried(s.state(2 + j, 0), s.plane_seen(0) + j * p.row, p.tile * s.seen_row(), s.seen_row());
  }
  add_columns(w.da, steps * s.rows, p.columns, gradient + p.bias_gradient);
  for (int64_t u = 0; u < SLOTS * p.row; u += LANES) {
    float* to = gradient + p.peephole_gradient + u;
    store(to, load(to) + load(w.dp + u));
    store(w.dp + u, Vec{});
  }
  if (!call.dx) return;
  Segment segments[MAX_BLOCKS];
  int count = 0;
  for (const Block* b = p.block; b < p.block + p.blocks; ++b)
    if (b->x) segments[count++] = {w.da + b->first, p.columns, b->units};
  const int64_t width = padded(p.inputs);
  product(segments, count, steps * s.rows, p.back_x, packed + p.at_x, nullptr, 0, w.dx, width);
  for (int64_t t = 0; t < steps; ++t)
    for (int64_t r = 0; r < s.rows; ++r)
      std::memcpy(call.dx + (((s.m * call.steps + t0 + t) * call.batch) + s.b0 + r) * p.inputs,
                  w.dx + (t * s.rows + r) * width, p.inputs * sizeof(float));
}

// dh[t-1] += sum_k da_k U_k (not of a candidate behind a reset gate) and dg[t-1] = sum_k da_k R_k.
static void carry_back(const Piece& s, const Back& w, const float* packed, const float* da) {
  const Layout& p = s.p;
  Segment h[MAX_BLOCKS], g[MAX_BLOCKS];
  int h_count = 0, g_count = 0;
  for (const Block* b = p.block; b < p.block + p.blocks; ++b) {
    if (b->h && !b->late) h[h_count++] = {da + b->first, p.columns, b->units};
    if (b->g) g[g_count++] = {da + b->first, p.columns, b->units};
  }
  if (h_count) product(h, h_count, s.rows, p.back_h, packed, w.dh, p.row, w.dh, p.row);
  if (p.seen) product(g, g_count, s.rows, p.back_g, packed + p.at_g, w.dg, s.seen_row(), w.dg, s.seen_row());
}

template <class Known>
static void backward_step(const Piece& s, const Back& w, const float* peephole, const float* packed, int64_t t,
                          float* da) {
  const Layout& p = s.p;
  const Call& call = s.call;
  const bool h_is_c = call.cell.hidden_is_cell;
  auto row_at = [&](int64_t r) {
    const float* c_now = h_is_c ? s.y(t) + r * p.hidden : s.plane_c(t) + r * p.row;
    const float* c_before = !t       ? w.c0 + r * p.row
                            : h_is_c ? s.y(t - 1) + r * p.hidden
                                     : s.plane_c(t - 1) + r * p.row;
    const float* e = call.dy ? call.dy + s.m * call.dy_model + t * call.dy_step + (s.b0 + r) * call.dy_row : nullptr;
    const int64_t at = r * p.row;
    return BackwardRow{s.plane_a(t) + r * p.columns, c_now,     c_before,
                       s.h_before(t) + r * p.hidden, h_is_c ? p.hidden : p.row, t && h_is_c ? p.hidden : p.row,
                       e,                            w.dh + at, w.dc + at,
                       p.seen ? w.dg + r * s.seen_row() : nullptr, da + r * p.columns, w.di + at,
                       w.df + at,                    w.dm + at, w.dp};
  };
  // A sequence past its end passes its gradients on: dh + e, dc, dg, and da = 0.
  auto hold = [&](int64_t r) {
    const BackwardRow row = row_at(r);
    for (int64_t u = 0; row.e && u < p.row; u += LANES)
      store(row.dh + u, load(row.dh + u) + load_first(row.e + u, p.hidden - u));
    std::memset(row.da, 0, p.columns * sizeof(float));
  };
  for (int64_t r = 0; r < s.rows; ++r) {
    if (t) prefetch<0>(s.plane_a(t - 1) + r * p.columns, p.columns);
    if (t > 1 && !h_is_c) prefetch<0>(s.plane_c(t - 2) + r * p.row, p.row);
    if (t && call.dy)
      prefetch<0>(call.dy + s.m * call.dy_model + (t - 1) * call.dy_step + (s.b0 + r) * call.dy_row, p.hidden);
    if (!s.running(t, r)) hold(r);
    else if (p.reset_before) backward_row<Known, UNTIL_CANDIDATE>(call.cell, p, peephole, row_at(r));
    else backward_row<Known, WHOLE>(call.cell, p, peephole, row_at(r));
  }
  if (p.reset_before) {
    const Segment z{da + p.at[CANDIDATE], p.columns, p.hidden};
    product(&z, 1, s.rows, p.back_m, packed + p.at_m, nullptr, 0, w.dm, p.row);
    for (int64_t r = 0; r < s.rows; ++r)
      if (s.running(t, r)) backward_row<Known, FROM_RESET>(call.cell, p, peephole, row_at(r));
  }
  for (int64_t r = 0; p.seen && r < s.rows; ++r)
    if (s.running(t, r)) std::memset(w.dg + r * s.seen_row(), 0, s.seen_row() * sizeof(float));
  carry_back(s, w, packed, da);
}

template <class Known>
static void backward_piece(const Piece& s, const float* packed_forward, const float* packed, float* gradient) {
  const Layout& p = s.p;
  const Call& call = s.call;
  const int64_t size = Back(p, nullptr).end - static_cast<float*>(nullptr);
  const Back w(p, piece_scratch.need(size));
  std::memset(gradient, 0, p.gradients * sizeof(float));
  std::memset(w.dp, 0, SLOTS * p.row * sizeof(float));
  auto outside = [&](int n, int64_t r) {
    return call.dlast[n] ? call.dlast[n] + (s.m * call.batch + s.b0 + r) * p.hidden : nullptr;
  };
  for (int64_t r = 0; r < s.rows; ++r) {
    copy_padded(s.state(1, r), p.hidden, w.c0 + r * p.row, p.row);
    copy_padded(outside(0, r), p.hidden, w.dh + r * p.row, p.row);
    copy_padded(outside(1, r), p.hidden, w.dc + r * p.row, p.row);
    for (int j = 0; j < p.seen; ++j)
      copy_padded(outside(2 + j, r), p.hidden, w.dg + r * s.seen_row() + j * p.row, p.row);
  }
  for (int64_t t = call.steps - 1; t >= s.steps; --t) {
    for (int64_t r = 0; call.dy && r < s.rows; ++r)
      for (int64_t u = 0; u < p.row; u += LANES) {
        const float* e = call.dy + s.m * call.dy_model + t * call.dy_step + (s.b0 + r) * call.dy_row;
        store(w.dh + r * p.row + u, load(w.dh + r * p.row + u) + load_first(e + u, p.hidden - u));
      }
    if (call.dx)
      std::memset(call.dx + ((s.m * call.steps + t) * call.batch + s.b0) * p.inputs, 0,
                  s.rows * p.inputs * sizeof(float));
  }
  for (int64_t t = s.steps - 1; t >= 0; --t) {
    const int64_t slot = t % p.ring;
    backward_step<Known>(s, w, packed_forward + p.peephole, packed, t, w.da + slot * s.rows * p.columns);
    if (!slot) flush(s, w, packed, gradient, t, std::min(p.ring, s.steps - t));
  }
  for (int64_t r = 0; r < s.rows; ++r) {
    const int64_t row = (s.m * call.batch + s.b0 + r) * p.hidden;
    auto give = [&](int n, const float* from) {
      if (call.dstate[n]) std::memcpy(call.dstate[n] + row, from, p.hidden * sizeof(float));
    };
    give(0, w.dh + r * p.row);
    give(1, w.dc + r * p.row);
    for (int j = 0; j < p.seen; ++j) give(2 + j, w.dg + r * s.seen_row() + j * p.row);
  }
}

// Adds a model's pieces in the order of its tiles and writes the gradients of its weights.
static void unpack(const Call& call, const Layout& p, int64_t m, float* gradients) {
  float* sum = gradients + m * p.tiles * p.gradients;
  for (int64_t tile = 1; tile < p.tiles; ++tile)
    for (int64_t n = 0; n < p.gradients; ++n) sum[n] += sum[tile * p.gradients + n];
  for (const Run* r = p.run; r < p.run + p.runs; ++r)
    for (int64_t n = r->begin; n < r->end; ++n) {
      const Block& b = p.block[n];
      const float* from = sum + r->gradient + b.first - r->first;
      auto give = [&](int part, int64_t k) {
        float* to = call.dweights[b.slot][part];
        if (to) {
          to += m * b.units * k;
          for (int64_t u = 0; u < b.units; ++u)
            for (int64_t i = 0; i < k; ++i) to[u * k + i] = from[i * r->columns + u];
        }
        from += k * r->columns;
      };
      if (b.x) give(X, p.inputs);
      if (b.h) give(H, p.hidden);
      for (int j = 0; b.g && j < 3; ++j)
        if (call.cell.seen[j]) give(FROM_INPUT + j, p.hidden);
    }
  for (const Block* b = p.block; b < p.block + p.blocks; ++b)
    if (float* to = call.dweights[b->slot][b->recurrent ? BH : B])
      std::memcpy(to + m * b->units, sum + p.bias_gradient + b->first, b->units * sizeof(float));
  for (int slot = 0; slot < SLOTS; ++slot)
    if (float* to = call.dweights[slot][C])
      std::memcpy(to + m * p.hidden, sum + p.peephole_gradient + slot * p.row, p.hidden * sizeof(float));
}

// ---- the calls -----------------------------------------------------------------------------------------------------

// f(n) for n in 0..count-1 on the threads of an enclosing parallel region, which wait for each other at the end.
#define SHARED_LOOP _Pragma("omp for schedule(dynamic, 1)")

extern "C" {

int64_t sizeof_call() { return sizeof(Call); }

// Floats that `planes` must hold.
int64_t planes_needed(const Call* call) {
  const Layout p(*call);
  return call->keep ? p.planes * call->models * p.tiles : 0;
}

void forward(const Call* given) {
  const Call& call = *given;
  const Layout p(call);
  const bool usual = UsualCell::holds(call.cell);
  const int64_t size = padded(p.packed), pieces = call.models * p.tiles;
  const bool large = call.keep && pieces * p.planes > LARGE;
  float* packed = call_scratch.need(call.models * size);
#pragma omp parallel num_threads(call.threads) if (call.threads > 1)
  {
    const FlushTiny flush_tiny;
    SHARED_LOOP for (int64_t m = 0; m < call.models; ++m) pack_forward(call, p, m, packed + m * size);
    SHARED_LOOP for (int64_t n = 0; n < pieces; ++n)
      (usual ? forward_piece<UsualCell> : forward_piece<AnyCell>)(call, p, n, packed, large);
#ifdef __SSE__
    _mm_sfence();  // what went past the cache is there for other threads
#endif
  }
}

void backward(const Call* given) {
  const Call& call = *given;
  const Layout p(call);
  const bool usual = UsualCell::holds(call.cell);
  const int64_t size = padded(p.packed), back_size = padded(p.back_packed), pieces = call.models * p.tiles;
  float* packed = call_scratch.need(call.models * (size + back_size) + pieces * p.gradients);
  float* packed_back = packed + call.models * size;
  float* gradients = packed_back + call.models * back_size;
#pragma omp parallel num_threads(call.threads) if (call.threads > 1)
  {
    const FlushTiny flush_tiny;
    SHARED_LOOP for (int64_t m = 0; m < call.models; ++m) {
      pack_forward(call, p, m, packed + m * size);
      pack_backward(call, p, m, packed_back + m * back_size);
    }
    SHARED_LOOP for (int64_t n = 0; n < pieces; ++n) {
      const Piece piece(call, p, n, call.planes + n * p.planes);
      (usual ? backward_piece<UsualCell> : backward_piece<AnyCell>)(piece, packed + piece.m * size, packed_back + piece.m * back_size,
                              gradients + n * p.gradients);
    }
    SHARED_LOOP for (int64_t m = 0; m < call.models; ++m) unpack(call, p, m, gradients);
  }
}

}  // extern "C"

#include "native_training.h"
