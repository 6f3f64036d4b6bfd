// What a training step does around the layers: read-out and loss with their gradients, and the optimiser.
//
// A thread owns a model, and a model's sums run over its own rows in their order: its bits are those it has alone.
#pragma once

#include <cmath>

enum Loss { CROSS_ENTROPY, MSE, BCE, SIGMOID_MSE };
enum Method { ADAM, RMSPROP, SGD };

struct Readout {
  int64_t models, hidden, outputs, model_rows, loss, threads;  // model_rows: T * B
  const float *y, *weight, *bias;                              // (M, T * B, H), (M, O, H), (M, O)
  const int64_t *rows, *first;  // rows (N,) of y that count, model m's at first[m] to first[m + 1] - 1
  const int64_t* classes;       // (N,), of cross entropy
  const float* targets;         // (N, O), of the others
  float *losses, *dy, *dweight, *dbias;
  float* values;  // (M, T * B, O): the outputs, if they alone are wanted
  int64_t wrong;  // the first row whose class is no output, or -1
};

constexpr int64_t READ_ROWS = 64;  // rows at a time
constexpr int64_t WORTH = 1 << 20;  // multiply-adds from which on a second thread is worth waking

struct ReadoutScratch {
  Panels forward, back;
  int64_t wide, tall;  // O and H padded to whole vectors
  float *weight, *weight_back, *bias, *dbias, *dweight, *h, *z, *dh, *end;

  ReadoutScratch(const Readout& call, float* from)
      : forward(call.hidden, call.outputs), back(call.outputs, call.hidden), wide(padded(call.outputs)),
        tall(padded(call.hidden)) {
    auto take = [&](int64_t floats) {
      float* own = from;
      from += padded(floats);
      return own;
    };
    weight = take(forward.size()), weight_back = take(back.size());
    bias = take(wide), dbias = take(wide), dweight = take(call.hidden * wide);
    h = take(READ_ROWS * call.hidden), z = take(READ_ROWS * wide), dh = take(READ_ROWS * tall);
    end = from;
  }
};

// Each of these turns a row of logits z into its gradient times `scale` and gives the row's loss. Lanes past the
// outputs become 0.
inline double cross_entropy_row(float* z, int64_t outputs, int64_t right, float scale) {
  float largest = z[0];
  for (int64_t k = 1; k < outputs; ++k) largest = z[k] > largest ? z[k] : largest;
  const float chosen = z[right];
  Vec sums = {};
  for (int64_t k = 0; k < outputs; k += LANES) {
    const Vec e = keep_first(exponential_clamped(load(z + k) - largest), outputs - k);
    store(z + k, e);
    sums += e;
  }
  const float sum = sum_of_lanes(sums), factor = scale / sum;
  for (int64_t k = 0; k < outputs; k += LANES) store(z + k, load(z + k) * factor);
  z[right] -= scale;
  return double(std::log(sum)) + (double(largest) - double(chosen));
}

inline double mse_row(float* z, int64_t outputs, const float* target, float scale) {
  double loss = 0;
  for (int64_t k = 0; k < outputs; ++k) {
    const float off = z[k] - target[k];
    loss += double(off) * off;
    z[k] = 2 * scale / outputs * off;
  }
  for (int64_t k = outputs; k < padded(outputs); ++k) z[k] = 0;
  return loss / outputs;
}

inline double bce_row(float* z, int64_t outputs, const float* target, float scale) {
  double loss = 0;
  for (int64_t k = 0; k < outputs; k += LANES) {
    const Vec a = load(z + k), t = load_first(target + k, outputs - k), e = exponential_clamped(-absolute(a));
    const Vec q = reciprocal(1.0f + e), p = a < 0.0f ? e * q : q;
    store(z + k, keep_first((p - t) * scale, outputs - k));
    const Vec straight = (a < 0.0f ? all(0.0f) : a) - a * t;
    for (int64_t n = 0; n < std::min<int64_t>(LANES, outputs - k); ++n) loss += straight[n] + std::log1p(e[n]);
  }
  return loss;
}

inline double sigmoid_mse_row(float* z, int64_t outputs, const float* target, float scale) {
  double loss = 0;
  for (int64_t k = 0; k < outputs; k += LANES) {
    const Vec a = load(z + k), t = load_first(target + k, outputs - k), e = exponential_clamped(-absolute(a));
    const Vec q = reciprocal(1.0f + e), off = (a < 0.0f ? e * q : q) - t + 0.0f * a;  // not finite if a is not
    store(z + k, keep_first(2 * scale / outputs * off * e * q * q, outputs - k));
    for (int64_t n = 0; n < std::min<int64_t>(LANES, outputs - k); ++n) loss += double(off[n]) * off[n];
  }
  return loss / outputs;
}

static double loss_row(const Readout& call, float* z, int64_t n, float scale) {
  const float* target = call.targets + n * call.outputs;
  switch (call.loss) {
    case CROSS_ENTROPY: return cross_entropy_row(z, call.outputs, call.classes[n], scale);
    case MSE: return mse_row(z, call.outputs, target, scale);
    case SIGMOID_MSE: return sigmoid_mse_row(z, call.outputs, target, scale);
    default: return bce_row(z, call.outputs, target, scale);
  }
}

static void readout_model(const Readout& call, const ReadoutScratch& w, int64_t m) {
  const int64_t H = call.hidden, O = call.outputs, begin = call.first[m], end = call.first[m + 1];
  const float *y = call.y + m * call.model_rows * H, *weight = call.weight + m * O * H;
  float* dy = call.dy + m * call.model_rows * H;
  pack_columns(weight, O, H, false, w.forward, 0, 0, w.weight);
  pack_rows(weight, O, H, w.back, 0, 0, w.weight_back);
  copy_padded(call.bias + m * O, O, w.bias, w.wide);
  std::memset(w.dbias, 0, w.wide * sizeof(float));
  std::memset(w.dweight, 0, H * w.wide * sizeof(float));
  std::memset(dy, 0, call.model_rows * H * sizeof(float));
  double loss = 0;
  for (int64_t n = begin; n < end; n += READ_ROWS) {
    const int64_t rows = std::min(READ_ROWS, end - n);
    for (int64_t r = 0; r < rows; ++r) std::memcpy(w.h + r * H, y + call.rows[n + r] * H, H * sizeof(float));
    const Segment h{w.h, H, H}, dz{w.z, w.wide, O};
    product(&h, 1, rows, w.forward, w.weight, w.bias, 0, w.z, w.wide);
    for (int64_t r = 0; r < rows; ++r) loss += loss_row(call, w.z + r * w.wide, n + r, 1.0f / float(end - begin));
    outer(w.h, 0, H, H, w.z, 0, w.wide, w.wide, 1, rows, w.dweight, w.wide);
    add_columns(w.z, rows, w.wide, w.dbias);
    product(&dz, 1, rows, w.back, w.weight_back, nullptr, 0, w.dh, w.tall);
    for (int64_t r = 0; r < rows; ++r) std::memcpy(dy + call.rows[n + r] * H, w.dh + r * w.tall, H * sizeof(float));
  }
  call.losses[m] = float(loss / double(end - begin));
  for (int64_t o = 0; o < O; ++o) {
    call.dbias[m * O + o] = w.dbias[o];
    for (int64_t k = 0; k < H; ++k) call.dweight[(m * O + o) * H + k] = w.dweight[k * w.wide + o];
  }
}

// The outputs at every step.
static void outputs_model(const Readout& call, const ReadoutScratch& w, int64_t m) {
  const int64_t H = call.hidden, O = call.outputs;
  pack_columns(call.weight + m * O * H, O, H, false, w.forward, 0, 0, w.weight);
  copy_padded(call.bias + m * O, O, w.bias, w.wide);
  for (int64_t n = 0; n < call.model_rows; n += READ_ROWS) {
    const int64_t rows = std::min(READ_ROWS, call.model_rows - n), at = m * call.model_rows + n;
    const Segment h{call.y + at * H, H, H};
    product(&h, 1, rows, w.forward, w.weight, w.bias, 0, w.z, w.wide);
    for (int64_t r = 0; r < rows; ++r) std::memcpy(call.values + (at + r) * O, w.z + r * w.wide, O * sizeof(float));
  }
}

// One tensor of all models: (M, size), and what the optimiser remembers of it.
struct Parameter {
  int64_t size;
  float *value, *gradient, *moment[2];
};

struct Update {
  int64_t models, parameters, method, threads;
  Parameter* parameter;
  const float *lr, *decay, *momentum, *clip;  // (M,)
  float* norms;                               // (M,), before clipping
  float mean_scale, square_scale;             // Adam: 1 - beta1^t and the square root of 1 - beta2^t
  float kept[2], added[2], eps;               // how much of each moment is kept, and of the new value added
};

static float gradient_norm(const Update& call, int64_t m) {
  double total = 0;
  for (const Parameter* p = call.parameter; p < call.parameter + call.parameters; ++p) {
    const float* g = p->gradient + m * p->size;
    double sums[8] = {};
    int64_t n = 0;
    for (; n + 8 <= p->size; n += 8)
      for (int k = 0; k < 8; ++k) sums[k] += double(g[n + k]) * g[n + k];
    for (; n < p->size; ++n) sums[0] += double(g[n]) * g[n];
    for (double sum : sums) total += sum;
  }
  return float(std::sqrt(total));
}

static void update_model(const Update& call, int64_t m) {
  const float norm = call.norms[m] = gradient_norm(call, m);
  const float ratio = call.clip[m] / (norm + 1e-6f), scale = ratio > 1 ? 1.0f : ratio;  // a NaN stays one
  const float lr = call.lr[m], decay = call.decay[m], momentum = call.momentum[m], eps = call.eps;
  const float keep = call.kept[0], add = call.added[0], keep_square = call.kept[1], add_square = call.added[1];
  const float rate = lr / call.mean_scale, root = 1 / call.square_scale;
  for (const Parameter* p = call.parameter; p < call.parameter + call.parameters; ++p) {
    const int64_t at = m * p->size, size = p->size;
    float* __restrict value = p->value + at;
    const float* __restrict gradient = p->gradient + at;
    float* __restrict a = p->moment[0] + at;
    float* __restrict b = p->moment[1] + at;
    for (int64_t n = 0; n < size; ++n) {
      const float g = gradient[n] * scale + decay * value[n];
      if (call.method == ADAM) {
        a[n] = keep * a[n] + add * g;
        b[n] = keep_square * b[n] + add_square * g * g;
        value[n] -= rate * (a[n] / (std::sqrt(b[n]) * root + eps));
      } else if (call.method == RMSPROP) {
        a[n] = keep * a[n] + add * g * g;
        value[n] -= lr * (g / (std::sqrt(a[n]) + eps));
      } else {
        a[n] = momentum * a[n] + g;
        value[n] -= lr * a[n];
      }
    }
  }
}

extern "C" {

int64_t sizeof_readout() { return sizeof(Readout); }
int64_t sizeof_update() { return sizeof(Update); }

void readout(Readout* call) {
  call->wrong = -1;
  for (int64_t n = 0; !call->values && call->loss == CROSS_ENTROPY && n < call->first[call->models]; ++n)
    if (call->classes[n] < 0 || call->classes[n] >= call->outputs) {
      call->wrong = n;
      return;
    }
  const int64_t rows = call->values ? call->models * call->model_rows : call->first[call->models];
#pragma omp parallel num_threads(call->threads) if (call->threads > 1 && rows * call->hidden * call->outputs > WORTH)
  {
    const FlushTiny flush_tiny;
    const int64_t size = ReadoutScratch(*call, nullptr).end - static_cast<float*>(nullptr);
    const ReadoutScratch scratch(*call, piece_scratch.need(size));
    SHARED_LOOP for (int64_t m = 0; m < call->models; ++m)
      (call->values ? outputs_model : readout_model)(*call, scratch, m);
  }
}

void update(const Update* call) {
  int64_t size = 0;
  for (int64_t n = 0; n < call->parameters; ++n) size += call->models * call->parameter[n].size;
#pragma omp parallel num_threads(call->threads) if (call->threads > 1 && 8 * size > WORTH)
  SHARED_LOOP for (int64_t m = 0; m < call->models; ++m) update_model(*call, m);
}

}  // extern "C"
