// Vectors of floats and the squashings on them. Every lane computes the same bits wherever it stands: there are no
// scalar tails, the planes of the kernel are padded to whole vectors.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))

typedef float Vec __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t Bits __attribute__((vector_size(VECTOR_BYTES)));
constexpr int LANES = VECTOR_BYTES / 4;

INLINE Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
INLINE void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
INLINE Vec all(float a) { return a - Vec{}; }  // not 0 + a, which would be computed: it is not a for -0

// The first n lanes (all of them for n >= LANES); the others are 0 and are not touched in memory.
#if defined(__AVX512F__)
INLINE __mmask16 first(int64_t n) { return n >= LANES ? 0xffff : (1u << n) - 1; }
INLINE Vec load_first(const float* p, int64_t n) { return (Vec)_mm512_maskz_loadu_ps(first(n), p); }
INLINE void store_first(float* p, Vec v, int64_t n) { _mm512_mask_storeu_ps(p, first(n), (__m512)v); }
INLINE Vec keep_first(Vec v, int64_t n) { return (Vec)_mm512_maskz_mov_ps(first(n), (__m512)v); }
#else
INLINE Vec load_first(const float* p, int64_t n) {
  if (n >= LANES) return load(p);
  float lanes[LANES] = {};
  std::memcpy(lanes, p, n * sizeof(float));
  return load(lanes);
}
INLINE void store_first(float* p, Vec v, int64_t n) {
  if (n >= LANES) return store(p, v);
  float lanes[LANES];
  store(lanes, v);
  std::memcpy(p, lanes, n * sizeof(float));
}
INLINE Vec keep_first(Vec v, int64_t n) {
  float lanes[LANES];
  store(lanes, v);
  return load_first(lanes, n);
}
#endif
INLINE float sum_of_lanes(Vec v) {
  float lanes[LANES];
  store(lanes, v);
  for (int half = LANES / 2; half; half /= 2)
    for (int k = 0; k < half; ++k) lanes[k] += lanes[k + half];
  return lanes[0];
}

INLINE Vec absolute(Vec a) { return (Vec)((Bits)a & 0x7fffffff); }
INLINE Vec with_sign_of(Vec magnitude, Vec a) { return (Vec)((Bits)magnitude | ((Bits)a & INT32_MIN)); }
// Written so that a NaN in `a` stays one.
#if defined(__AVX512F__)
INLINE Vec at_least(Vec a, float low) { return (Vec)_mm512_max_ps((__m512)all(low), (__m512)a); }
INLINE Vec at_most(Vec a, float high) { return (Vec)_mm512_min_ps((__m512)all(high), (__m512)a); }
#else
INLINE Vec at_least(Vec a, float low) { return a < low ? all(low) : a; }
INLINE Vec at_most(Vec a, float high) { return a > high ? all(high) : a; }
#endif

// a = n ln 2 + r, |r| <= ln 2 / 2: gives 2^n and e^r - 1, the latter with a small relative error.
struct Exponential {
  Vec power, rest;
};
INLINE Exponential split_exponential(Vec a) {
  constexpr float round = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  Vec shifted = a * 1.44269504088896341f + round;
  Vec n = shifted - round;
  Vec r = a - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  Vec p = all(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r;
  Bits exponent = ((Bits)shifted << 23) + 0x3f800000;  // the low bits of `shifted` hold n
  return {(Vec)exponent, p};
}

// e^a for a in [-87, 88]; outside, the value at the nearest end.
INLINE Vec exponential_clamped(Vec a) {
  Exponential e = split_exponential(at_most(at_least(a, -87.0f), 88.0f));
  return e.power * e.rest + e.power;
}
// e^a with its true limits 0 and infinity.
INLINE Vec exponential(Vec a) {
  Vec e = exponential_clamped(a);
  e = a < -87.3f ? all(0.0f) : e;
  return a > 88.0f ? (a > 88.722839f ? all(__builtin_inff()) : exponential_clamped(a - 1.0f) * 2.71828182845904524f) : e;
}

// 1 / d to within 2 units in the last place, for a normal d
INLINE Vec reciprocal(Vec d) {
#if defined(__AVX512F__)
  const Vec y = (Vec)_mm512_rcp14_ps((__m512)d);
  return y * (1.0f - d * y) + y;
#else
  return 1.0f / d;
#endif
}

// 1 / (1 + 2^t), t = -a log2(e) = n + f: the error that a large t leaves in f falls on a value near 0 or 1.
INLINE Vec logistic(Vec a) {
  constexpr float round = 12582912.0f, scale = -1.44269504088896341f;
  a = at_most(at_least(a, -87.0f), 87.0f);
  const Vec shifted = a * scale + round, n = shifted - round, f = a * scale - n;
  Vec p = all(1.535336188319500e-4f);
  p = p * f + 1.339887440266574e-3f;
  p = p * f + 9.618437357674640e-3f;
  p = p * f + 5.550332471162809e-2f;
  p = p * f + 2.402264791363012e-1f;
  p = p * f + 6.931472028550421e-1f;
  p = p * f + 1.0f;
  return reciprocal(1.0f + (Vec)((Bits)p + ((Bits)shifted << 23)));
}
// tanh a = -m / (m + 2), m = e^(-2|a|) - 1, with the sign of a; what the sum m + 2 loses is put right at the end.
INLINE Vec hyperbolic_tangent(Vec a) {
  const Exponential e = split_exponential(at_least(-2.0f * absolute(a), -40.0f));
  const Vec m = e.power * e.rest + (e.power - 1.0f), d = m + 2.0f, lost = m - (d - 2.0f), y = reciprocal(d);
  const Vec t = -m * y, error = -m - t * d - t * lost;
  return with_sign_of(absolute(error * y + t), a);
}

// The order is that of native.py.
enum Activation { SIGMOID, TANH, IDENTITY, RELU, HARD_SIGMOID, CLIPPED_LINEAR, ELLIOTT, DOUBLE_SIGMOID, EXP, BINARY };

// phi is kept in a stored form s = encode(a), from which both its value and its slope phi'(a) follow. It is the value
// itself but for: hard_sigmoid and clipped_linear, the value before clipping; elliott, a; binary, the logistic of a
// with the sign of a (a NaN stays one).
INLINE Vec encode(int activation, Vec a) {
  switch (activation) {
    case SIGMOID: return logistic(a);
    case TANH: return hyperbolic_tangent(a);
    case RELU: return a < 0.0f ? all(0.0f) : a;
    case HARD_SIGMOID: return a / 6.0f + 0.5f;
    case CLIPPED_LINEAR: return a * 0.25f + 0.5f;
    case DOUBLE_SIGMOID: return 2.0f * logistic(a);
    case EXP: return exponential(a);
    case BINARY: return a > 0.0f ? logistic(a) : -logistic(a);
    default: return a;  // IDENTITY, ELLIOTT
  }
}
INLINE Vec value(int activation, Vec s) {
  switch (activation) {
    case HARD_SIGMOID:
    case CLIPPED_LINEAR: return at_most(at_least(s, 0.0f), 1.0f);
    case ELLIOTT: return 0.5f + s / (2.0f * (1.0f + absolute(s)));
    case BINARY: return s > 0.0f ? all(1.0f) : all(0.0f);
    default: return s;
  }
}
INLINE Vec slope(int activation, Vec s) {
  switch (activation) {
    case SIGMOID: return s * (1.0f - s);
    case TANH: return 1.0f - s * s;
    case RELU: return s > 0.0f ? all(1.0f) : all(0.0f);
    case HARD_SIGMOID: return (s >= 0.0f) & (s <= 1.0f) ? all(1.0f / 6.0f) : all(0.0f);
    case CLIPPED_LINEAR: return (s >= 0.0f) & (s <= 1.0f) ? all(0.25f) : all(0.0f);
    case ELLIOTT: {
      Vec t = 1.0f / (1.0f + absolute(s));
      return 0.5f * t * t;
    }
    case DOUBLE_SIGMOID: return s * (1.0f - 0.5f * s);
    case EXP: return s;
    case BINARY: return absolute(s) * (1.0f - absolute(s));
    default: return all(1.0f);
  }
}
