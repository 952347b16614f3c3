/* The speed floor of batched fixed-point iteration: mu <- mu + alpha (Gamma_beta(mu) - mu), written by hand.

   Many beta at once, one lane each, for games whose actions are moves and whose rewards are
   scale_t (value_t(s,a) + weight_t(s,a) mu_t(s))^exponent_t. Sizes are macros: S states, A actions, H moves, and
   REWARD_COLUMNS: 1 where all actions earn the same, else A. No entry of a table is known when this is compiled, and no
   time is treated by what its reward is.

   Why it is fast:
   - LANES lanes run all their steps near the core (70 kB for the example: first and second cache) before the next start.
   - Loops run over the edges (available pairs of state and action) only.
   - Logs are to the base 2 and what is backed up is beta V log2(e): no division by beta, and exp2 and log2 need no
     change of base.
   - The largest weight of a row is 2^0, so a row of n actions needs n - 1 exponentials (done for n <= 3).
   - Policies are weights and a total per row; propagation divides the mass of the state, not each weight.
   - A reward that all actions earn alike stays out of the log-sum-exp, and is the whole backup at H.
   - Logarithms are taken in a loop of their own: behind the exponentials they would wait for them.
   - Values at 0 and the policy at H are used by nobody and not computed.

   The library corrects V at tiny beta, where log(sum)/beta keeps few digits. Only beta V is used here, whose absolute
   error is the same at every beta, so that correction is left out. */

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE__
#include <immintrin.h>
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define WIDTH (BYTES / 4)
#ifndef LANES
#define LANES 128
#endif
#define V (LANES / WIDTH)
#define EDGES (S * A)
#define MOST (A > 3 ? A : 3)
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(BYTES)));
typedef int32_t ivec __attribute__((vector_size(BYTES)));

INLINE vec all(float x) { return x - (vec){0}; }

#if BYTES == 64
typedef __mmask16 mask;
INLINE vec larger(vec a, vec b) { return (vec)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vec smaller(vec a, vec b) { return (vec)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE mask exceeds(vec a, vec b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ); }
INLINE vec choose(mask m, vec yes, vec no) { return (vec)_mm512_mask_blend_ps(m, (__m512)no, (__m512)yes); }
INLINE vec above_floor(vec x) { return (vec)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE vec times_two_to_floor(vec x, vec y) { return (vec)_mm512_scalef_ps((__m512)x, (__m512)y); }
INLINE vec mantissa(vec x) { return (vec)_mm512_getmant_ps((__m512)x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero); }
INLINE vec exponent_of(vec x) { return (vec)_mm512_getexp_ps((__m512)x); }
INLINE vec reciprocal(vec x) { /* one Newton step brings 14 bits to 24 */
  vec guess = (vec)_mm512_rcp14_ps((__m512)x);
  return guess + guess * (1.0f - x * guess);
}
#else
typedef ivec mask;
INLINE mask exceeds(vec a, vec b) { return a > b; }
INLINE vec choose(mask m, vec yes, vec no) { return (vec)((m & (ivec)yes) | (~m & (ivec)no)); }
INLINE vec larger(vec a, vec b) { return choose(a > b, a, b); }
INLINE vec smaller(vec a, vec b) { return choose(a < b, a, b); }
INLINE vec floor_of(vec x) {
  vec towards_zero = __builtin_convertvector(__builtin_convertvector(x, ivec), vec);
  return towards_zero + __builtin_convertvector(towards_zero > x, vec); /* true is -1 */
}
INLINE vec above_floor(vec x) {
  x = larger(x, all(-126));
  return x - floor_of(x);
}
INLINE vec times_two_to_floor(vec x, vec y) { /* x in [1, 2], y <= 0: the exponent cannot overflow */
  ivec shift = __builtin_convertvector(floor_of(larger(y, all(-126))), ivec);
  return (vec)((ivec)x + (shift << 23));
}
INLINE vec mantissa(vec x) { return (vec)(((ivec)x & 0x7fffff) | 0x3f800000); }
INLINE vec exponent_of(vec x) { return __builtin_convertvector(((ivec)x >> 23) - 127, vec); }
INLINE vec reciprocal(vec x) { return 1.0f / x; }
#endif

/* The polynomials are minimax in relative error and have no constant term, so that exp2(0) = 1 and log2(1) = 0. */
#if defined(LIBMVEC) && BYTES == 64 /* for comparison: the vector functions of glibc */
__m512 _ZGVeN16v_exp2f(__m512);
__m512 _ZGVeN16v_log2f(__m512);
INLINE vec exp2_of(vec x) { return (vec)_ZGVeN16v_exp2f((__m512)x); }
INLINE vec log2_of(vec x) { return (vec)_ZGVeN16v_log2f((__m512)x); }
#else
/* For x <= 0. Degree 5 on [0, 1): 8e-8 before rounding. */
INLINE vec exp2_of(vec x) {
  vec r = above_floor(x), r2 = r * r;
  vec low = 1.0f + r * 0.693151314f;
  vec middle = 0.240164432f + r * 0.0557999615f;
  vec high = 0.00901697655f + r * 0.00186715109f;
  return times_two_to_floor(low + r2 * (middle + r2 * high), x);
}
/* For x >= 1; just below 1 the terms would cancel. */
#if BYTES == 64
/* x = 2^e m, and m c = 1 + r with c, -log2(c) from tables indexed by four bits of m; then degree 4: 1e-7. */
INLINE vec log2_of(vec x) {
  const __m512 c = _mm512_setr_ps(1.0f, 0.914285719f, 0.864864886f, 0.820512831f, 0.780487776f, 0.744186044f,
                                  0.711111128f, 0.680851042f, 0.653061211f, 0.627451003f, 0.603773594f, 0.581818163f,
                                  0.561403513f, 0.542372882f, 0.524590135f, 0.507936537f);
  const __m512 log_c = _mm512_setr_ps(0.0f, 0.129283011f, 0.209453329f, 0.285402209f, 0.357552052f, 0.426264763f,
                                      0.491853058f, 0.554588914f, 0.614709854f, 0.67242527f, 0.727920413f, 0.781359732f,
                                      0.832889974f, 0.882643044f, 0.930737436f, 0.977279842f);
  __m512i bits = _mm512_srli_epi32((__m512i)x, 19);
  vec r = mantissa(x) * (vec)_mm512_permutexvar_ps(bits, c) - 1.0f;
  vec series = 1.44269503f + r * (-0.721361365f + r * (0.481012664f + r * -0.342361215f));
  return exponent_of(x) + (vec)_mm512_permutexvar_ps(bits, log_c) + r * series;
}
#else
/* Degree 9 on [1, 2): 3e-8 before rounding. */
INLINE vec log2_of(vec x) {
  vec r = mantissa(x) - 1.0f, r2 = r * r, r4 = r2 * r2;
  vec p01 = 1.44269500f + r * -0.721340219f, p23 = 0.480693065f + r * -0.358408962f;
  vec p45 = 0.275642622f + r * -0.197120701f, p67 = 0.112857629f + r * -0.0425677034f;
  return exponent_of(x) + r * (p01 + r2 * p23 + r4 * (p45 + r2 * p67 + r4 * 0.00754930189f));
}
#endif
#endif

/* A game as the map reads it. The edges of one state are adjacent. */
typedef struct {
  int first[S + 1], next[EDGES], column[EDGES];    /* a state's edges; where they lead; what they read of the rewards */
  int into_first[S + 1], into[EDGES], from[EDGES]; /* the same edges by where they lead, and whence they come */
  float log_reference[H + 1][EDGES];               /* to the base 2 */
  float value[H + 1][S * REWARD_COLUMNS], weight[H + 1][S * REWARD_COLUMNS], scale[H + 1];
  int exponent[H + 1];
  float initial[S], discount, damping;
} Game;

typedef struct {
  vec beta[V]; /* times log2(e) */
  vec mu[H + 1][S][V];
  vec weights[H][EDGES][V], total[H][S][V]; /* the policy is their quotient */
} Block;

INLINE vec reward(const Game *g, int exponent, int t, int column, vec mu) {
  vec x = g->value[t][column] + g->weight[t][column] * mu, power = x;
  for (int k = 1; k < exponent; k++) power *= x;
  return g->scale[t] * power;
}

/* What every edge pays at t, times beta. */
INLINE void pay(int exponent, int t, const Game *g, const Block *b, vec (*paid)[V]) {
  for (int s = 0; s < S; s++)
    for (int e = g->first[s]; e < g->first[s + 1]; e++)
      for (int v = 0; v < V; v++) paid[e][v] = b->beta[v] * reward(g, exponent, t, g->column[e], b->mu[t][s][v]);
}

/* Weights 2^(logit - top), their total, and the top logit. */
INLINE void softmax(int n, const vec *logit, vec *weight, vec *total, vec *top) {
  const vec one = all(1);
  if (n == 1) {
    weight[0] = *total = one;
    *top = logit[0];
  } else if (n == 2) {
    mask second = exceeds(logit[1], logit[0]);
    *top = larger(logit[0], logit[1]);
    vec e = exp2_of(smaller(logit[0], logit[1]) - *top);
    weight[0] = choose(second, e, one);
    weight[1] = choose(second, one, e);
    *total = one + e;
  } else if (n == 3) {
    mask second = exceeds(logit[1], logit[0]);
    vec more = larger(logit[0], logit[1]), less = smaller(logit[0], logit[1]);
    mask third = exceeds(logit[2], more);
    *top = larger(more, logit[2]);
    vec e_less = exp2_of(less - *top), e_other = exp2_of(smaller(more, logit[2]) - *top);
    vec winner = choose(third, e_other, one);
    weight[0] = choose(second, e_less, winner);
    weight[1] = choose(second, winner, e_less);
    weight[2] = choose(third, one, e_other);
    *total = (one + e_less) + e_other;
  } else {
    *top = logit[0];
    for (int i = 1; i < n; i++) *top = larger(*top, logit[i]);
    *total = all(0);
    for (int i = 0; i < n; i++) *total += weight[i] = exp2_of(logit[i] - *top);
  }
}

/* The softmax of one state with n actions; n is a constant once inlined, but for n > 3. */
INLINE void choose_actions(int n, int s, int t, const Game *g, Block *b, vec (*after)[V], vec (*paid)[V],
                           vec (*tops)[V], vec (*totals)[V]) {
  const int edge = g->first[s];
  for (int v = 0; v < V; v++) {
    vec logit[MOST], weight[MOST], total, top;
    for (int i = 0; i < n; i++) {
      logit[i] = all(g->log_reference[t][edge + i]);
      if (t < H) logit[i] += after[g->next[edge + i]][v];
      if (REWARD_COLUMNS > 1) logit[i] += paid[edge + i][v];
    }
    softmax(n, logit, weight, &total, &top);
    if (t < H)
      for (int i = 0; i < n; i++) b->weights[t][edge + i][v] = weight[i];
    tops[s][v] = top;
    totals[s][v] = total;
  }
}

/* From tops to values, times the discount: all that the time before needs. */
INLINE void finish(int exponent, int has_softmax, int s, int t, const Game *g, Block *b, vec (*now)[V],
                   vec (*totals)[V]) {
  for (int v = 0; v < V; v++) {
    vec value = all(0);
    if (has_softmax) value = now[s][v] + log2_of(totals[s][v]);
    if (REWARD_COLUMNS == 1) value += b->beta[v] * reward(g, exponent, t, s, b->mu[t][s][v]);
    now[s][v] = g->discount * value;
  }
}

INLINE void backward(const Game *g, Block *b) {
  vec buffer[2][S][V], totals_at_end[S][V], paid[REWARD_COLUMNS > 1 ? EDGES : 1][V];
  for (int t = H; t >= 0; t--) {
    vec(*now)[V] = buffer[t & 1], (*after)[V] = buffer[~t & 1];
    vec(*totals)[V] = t < H ? b->total[t] : totals_at_end;
    /* at H a reward that all actions earn alike is V itself, as the reference sums to 1 */
    const int has_softmax = t < H || REWARD_COLUMNS > 1;
    const int exponent = g->exponent[t];
    if (REWARD_COLUMNS > 1) {
      if (exponent == 1) pay(1, t, g, b, paid);
      else if (exponent == 2) pay(2, t, g, b, paid);
      else pay(exponent, t, g, b, paid);
    }
    for (int s = 0; s < S && has_softmax; s++) {
      const int n = g->first[s + 1] - g->first[s];
      if (n == 1) choose_actions(1, s, t, g, b, after, paid, now, totals);
      else if (n == 2) choose_actions(2, s, t, g, b, after, paid, now, totals);
      else if (n == 3) choose_actions(3, s, t, g, b, after, paid, now, totals);
      else choose_actions(n, s, t, g, b, after, paid, now, totals);
    }
    for (int s = 0; s < S && t > 0; s++) {
      if (exponent == 1) finish(1, has_softmax, s, t, g, b, now, totals);
      else if (exponent == 2) finish(2, has_softmax, s, t, g, b, now, totals);
      else finish(exponent, has_softmax, s, t, g, b, now, totals);
    }
  }
}

/* Propagate the policy; move the flow towards the result by `damping`, or else measure how far it is. */
INLINE void forward(const Game *g, Block *b, float damping, vec *distance) {
  vec buffer[2][S][V]; /* mass of a state over the total of its weights */
  for (int s = 0; s < S; s++)
    for (int v = 0; v < V; v++) buffer[0][s][v] = g->initial[s] * reciprocal(b->total[0][s][v]);
  for (int t = 0; t < H; t++) {
    vec(*share)[V] = buffer[t & 1], (*next_share)[V] = buffer[~t & 1];
    vec gap[V] = {0};
    for (int s = 0; s < S; s++) {
      vec mass[V] = {0};
      for (int i = g->into_first[s]; i < g->into_first[s + 1]; i++) {
        const vec *x = share[g->from[i]], *w = b->weights[t][g->into[i]];
        for (int v = 0; v < V; v++) mass[v] += x[v] * w[v];
      }
      for (int v = 0; v < V; v++) {
        if (t + 1 < H) next_share[s][v] = mass[v] * reciprocal(b->total[t + 1][s][v]);
        vec step = mass[v] - b->mu[t + 1][s][v];
        if (distance) gap[v] += 0.5f * larger(step, -step);
        else b->mu[t + 1][s][v] += damping * step;
      }
    }
    if (distance)
      for (int v = 0; v < V; v++) distance[v] = larger(distance[v], gap[v]);
  }
}

static void solve_block(const Game *g, Block *b, int num_steps, vec *residual) {
  /* the first flow is that of the reference: one undamped propagation of its weights */
  for (int s = 0; s < S; s++)
    for (int v = 0; v < V; v++) b->mu[0][s][v] = all(g->initial[s]);
  for (int t = 0; t < H; t++) {
    for (int s = 0; s < S; s++)
      for (int v = 0; v < V; v++) b->mu[t + 1][s][v] = all(0), b->total[t][s][v] = all(1);
    for (int e = 0; e < g->first[S]; e++)
      for (int v = 0; v < V; v++) b->weights[t][e][v] = all(exp2f(g->log_reference[t][e]));
  }
  forward(g, b, 1.0f, 0);
  for (int step = 0; step < num_steps; step++) {
    backward(g, b);
    forward(g, b, g->damping, 0);
  }
  for (int v = 0; v < V; v++) residual[v] = all(0);
  backward(g, b);
  forward(g, b, 0.0f, residual);
}

/* next_state [S][A]; log_reference [H+1][S][A], natural, below -1e30 where an action is missing (at all times alike);
   value, weight [H+1][S][REWARD_COLUMNS]; scale, exponent [H+1]; initial [S]; beta [num_lanes].
   Out: flow [H+1][S][num_lanes]; residual [num_lanes], max_t d_TV(mu_t, Gamma(mu)_t) at the end. */
void fixed_point(const int32_t *next_state, const float *log_reference, const float *value, const float *weight,
                 const float *scale, const int32_t *exponent, const float *initial, float discount, float damping,
                 const float *beta, int64_t num_lanes, int num_steps, int threads, float *flow, float *residual) {
  const float log2e = 1.44269504f;
  Game g = {.discount = discount, .damping = damping};
  int count = 0;
  for (int s = 0; s < S; s++) {
    g.first[s] = count;
    for (int a = 0; a < A; a++) {
      if (log_reference[s * A + a] < -1e30f) continue;
      g.next[count] = next_state[s * A + a];
      g.column[count] = s * REWARD_COLUMNS + (REWARD_COLUMNS > 1 ? a : 0);
      for (int t = 0; t <= H; t++) g.log_reference[t][count] = log2e * log_reference[(t * S + s) * A + a];
      count++;
    }
  }
  g.first[S] = count;
  count = 0;
  for (int target = 0; target < S; target++) {
    g.into_first[target] = count;
    for (int s = 0; s < S; s++)
      for (int e = g.first[s]; e < g.first[s + 1]; e++)
        if (g.next[e] == target) g.into[count] = e, g.from[count] = s, count++;
  }
  g.into_first[S] = count;
  memcpy(g.value, value, sizeof g.value);
  memcpy(g.weight, weight, sizeof g.weight);
  memcpy(g.scale, scale, sizeof g.scale);
  memcpy(g.exponent, exponent, sizeof g.exponent);
  memcpy(g.initial, initial, sizeof g.initial);

#pragma omp parallel num_threads(threads)
  {
#ifdef __SSE__
    /* weights below the smallest normal number count as 0, as they do in XLA: the slow path would be a handicap */
    const unsigned int mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040);
#endif
    /* blocks are handed out one by one: something else may hold a core for a while */
#pragma omp for schedule(dynamic)
    for (int64_t start = 0; start < num_lanes; start += LANES) {
      const int64_t here = num_lanes - start < LANES ? num_lanes - start : LANES;
      Block b;
      vec worst[V];
      float padded[LANES];
      for (int i = 0; i < LANES; i++) padded[i] = log2e * beta[start + (i < here ? i : 0)];
      memcpy(b.beta, padded, sizeof b.beta);
      solve_block(&g, &b, num_steps, worst);
      memcpy(residual + start, worst, here * sizeof(float));
      for (int row = 0; row < (H + 1) * S; row++)
        memcpy(flow + row * num_lanes + start, b.mu[row / S][row % S], here * sizeof(float));
    }
#ifdef __SSE__
    _mm_setcsr(mode);
#endif
  }
}

/* 64 with AVX-512, for which this file is tuned; what runs elsewhere is right, but not the least that is possible. */
const int vector_bytes = BYTES;

/* Both functions on their own, so that their accuracy can be measured. `count` is a multiple of 16. */
void exp2_and_log2(const float *x, const float *y, int64_t count, float *exp2_x, float *log2_y) {
  for (int64_t i = 0; i < count; i += WIDTH) {
    vec in, out;
    memcpy(&in, x + i, sizeof in);
    out = exp2_of(in);
    memcpy(exp2_x + i, &out, sizeof out);
    memcpy(&in, y + i, sizeof in);
    out = log2_of(in);
    memcpy(log2_y + i, &out, sizeof out);
  }
}
