/* Batched fixed-point iteration mu <- mu + alpha (Gamma_beta(mu) - mu), written down from the formulas.

   Many beta at once, one lane each, in blocks that stay in cache; state axes lead, lanes trail, every innermost loop runs
   over the lanes of a block, and the compiler makes vectors of it, with its own vector exp and log. For games whose
   actions are moves and whose rewards are scale_t (value_t(s,a) + weight_t(s,a) mu_t(s))^exponent_t. Sizes are macros:
   S states, A actions, H moves, REWARD_COLUMNS 1 where all actions earn the same, else A.

   `tuned.c` does the same with vectors written by hand and every shortcut found. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef LANES
#define LANES 256
#endif

typedef float lanes[LANES];

typedef struct {
  lanes mu[H + 1][S], policy[H + 1][S][A], law[2][S], values[2][S], crowd, reward, most, total, beta;
} Block;

void fixed_point(const int32_t *next_state, const float *log_reference, const float *value, const float *weight,
                 const float *scale, const int32_t *exponent, const float *initial, float discount, float damping,
                 const float *beta, int64_t num_lanes, int num_steps, int threads, float *flow, float *residual) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t start = 0; start < num_lanes; start += LANES) {
    static _Thread_local Block b;
    const int here = num_lanes - start < LANES ? (int)(num_lanes - start) : LANES;
    for (int l = 0; l < LANES; l++) b.beta[l] = beta[start + (l < here ? l : 0)];
    lanes worst;

    /* one pass more than there are steps: the first is the flow of the reference, the last measures the residual */
    for (int step = -1; step <= num_steps; step++) {
      int now = 0;
      memset(b.values[now], 0, sizeof b.values[now]);
      for (int t = H; t >= 0; t--, now = 1 - now)
        for (int s = 0; s < S; s++) {
          const float *logs = log_reference + (t * S + s) * A;
          for (int l = 0; l < LANES; l++) b.most[l] = -INFINITY, b.total[l] = 0;
          for (int a = 0; a < A; a++) {
            const int next = next_state[s * A + a], column = (t * S + s) * REWARD_COLUMNS + a % REWARD_COLUMNS;
            if (a < REWARD_COLUMNS) {
              for (int l = 0; l < LANES; l++) b.crowd[l] = value[column] + weight[column] * b.mu[t][s][l];
              for (int l = 0; l < LANES; l++) b.reward[l] = scale[t] * b.crowd[l];
              for (int i = 1; i < exponent[t]; i++)
                for (int l = 0; l < LANES; l++) b.reward[l] *= b.crowd[l];
            }
            if (logs[a] < -1e37f) continue;
            const float heat = step < 0 ? 0 : 1;
            for (int l = 0; l < LANES; l++) {
              const float q = b.reward[l] + discount * b.values[now][next][l];
              const float logit = logs[a] + heat * b.beta[l] * q;
              b.policy[t][s][a][l] = logit;
              b.most[l] = b.most[l] > logit ? b.most[l] : logit;
            }
          }
          for (int a = 0; a < A; a++)
            if (logs[a] >= -1e37f)
              for (int l = 0; l < LANES; l++) {
                b.policy[t][s][a][l] = expf(b.policy[t][s][a][l] - b.most[l]);
                b.total[l] += b.policy[t][s][a][l];
              }
          for (int l = 0; l < LANES; l++) b.values[1 - now][s][l] = (b.most[l] + logf(b.total[l])) / b.beta[l];
          for (int a = 0; a < A; a++)
            for (int l = 0; l < LANES; l++) b.policy[t][s][a][l] /= b.total[l];
        }

      now = 0;
      for (int s = 0; s < S; s++)
        for (int l = 0; l < LANES; l++) b.law[now][s][l] = initial[s];
      for (int l = 0; l < LANES; l++) worst[l] = 0;
      for (int t = 0; t <= H; t++, now = 1 - now) {
        memset(b.law[1 - now], 0, sizeof b.law[1 - now]);
        for (int s = 0; s < S; s++)
          for (int a = 0; a < A; a++) {
            const int next = next_state[s * A + a];
            if (log_reference[(t * S + s) * A + a] < -1e37f) continue;
            for (int l = 0; l < LANES; l++) b.law[1 - now][next][l] += b.law[now][s][l] * b.policy[t][s][a][l];
          }
        if (step == num_steps) {
          lanes distance = {0};
          for (int s = 0; s < S; s++)
            for (int l = 0; l < LANES; l++) distance[l] += fabsf(b.law[now][s][l] - b.mu[t][s][l]) / 2;
          for (int l = 0; l < LANES; l++) worst[l] = worst[l] > distance[l] ? worst[l] : distance[l];
        } else {
          const float share = step < 0 ? 1 : damping;
          for (int s = 0; s < S; s++)
            for (int l = 0; l < LANES; l++) b.mu[t][s][l] += share * (b.law[now][s][l] - b.mu[t][s][l]);
        }
      }
    }
    memcpy(residual + start, worst, here * sizeof(float));
    for (int row = 0; row < (H + 1) * S; row++)
      memcpy(flow + row * num_lanes + start, b.mu[row / S][row % S], here * sizeof(float));
  }
}
