/* AdamW on bf16 gradients, the norm of the gradients, and dropout masks, in three passes over memory; torch takes
   nine. native/__init__.py compiles this file with the machine's C compiler on first use (a fifth of a second), and
   has the same functions in torch and NumPy for machines without a compiler. */

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;

static inline float widen(bf16 x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline bf16 narrow(float x) { /* to the nearest, ties to even */
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (bf16)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

#define BLOCK 8192 /* numbers per partial sum: fp32 within, fp64 across */

#define SUM_OF_SQUARES(NAME, TYPE, READ)                                                 \
    double NAME(int64_t n, const TYPE *grad) {                                           \
        double total = 0;                                                                \
        _Pragma("omp parallel for reduction(+ : total) schedule(static)")                \
        for (int64_t start = 0; start < n; start += BLOCK) {                             \
            int64_t stop = start + BLOCK < n ? start + BLOCK : n;                        \
            float sum = 0;                                                               \
            _Pragma("omp simd reduction(+ : sum)")                                       \
            for (int64_t i = start; i < stop; i++) sum += READ(grad[i]) * READ(grad[i]); \
            total += sum;                                                                \
        }                                                                                \
        return total;                                                                    \
    }

/* network_weights: bf16 copies of the weights, which are updated; unused for fp32 gradients, because the network then
   computes with master_weights itself.
   scale: the factor of the gradients; decay: 1 - rate * weight_decay; step_size: rate / (1 - beta1^t);
   root: 1 / sqrt(1 - beta2^t). */
#define ADAMW(NAME, TYPE, READ, WRITE)                                                                              \
    void NAME(int64_t n, float *restrict master_weights, bf16 *restrict network_weights, const TYPE *restrict grad, \
              float *restrict exp_avg, float *restrict exp_avg_sq, float beta1, float beta2, float eps,             \
              float scale, float decay, float step_size, float root) {                                              \
        _Pragma("omp parallel for simd schedule(static)")                                                           \
        for (int64_t i = 0; i < n; i++) {                                                                           \
            float g = READ(grad[i]) * scale;                                                                        \
            float m = exp_avg[i] + (g - exp_avg[i]) * (1 - beta1);                                                  \
            float v = exp_avg_sq[i] * beta2 + g * g * (1 - beta2);                                                  \
            float p = master_weights[i] * decay - step_size * m / (sqrtf(v) * root + eps);                          \
            exp_avg[i] = m;                                                                                         \
            exp_avg_sq[i] = v;                                                                                      \
            master_weights[i] = p;                                                                                  \
            WRITE;                                                                                                  \
        }                                                                                                           \
    }

/* Dropout masks: 0 where the hash of the element's number is below `below`, else `kept_value`. The hash is
   MurmurHash3's finaliser over a Weyl sequence, with a key on either side of its first product. */
#define DROPOUT_MASK(NAME, TYPE)                                                                               \
    void NAME(int64_t n, TYPE *restrict mask, uint32_t key1, uint32_t key2, uint32_t below, TYPE kept_value) { \
        _Pragma("omp parallel for simd schedule(static)")                                                      \
        for (int64_t i = 0; i < n; i++) {                                                                      \
            uint32_t h = (uint32_t)i * 0x9E3779B1u + key1;                                                     \
            h = (h ^ (h >> 16)) * 0x85EBCA6Bu ^ key2;                                                          \
            h = (h ^ (h >> 13)) * 0xC2B2AE35u;                                                                 \
            h ^= h >> 16;                                                                                      \
            mask[i] = h < below ? (TYPE)0 : kept_value;                                                        \
        }                                                                                                      \
    }

SUM_OF_SQUARES(sum_of_squares_fp32, float, )
SUM_OF_SQUARES(sum_of_squares_bf16, bf16, widen)
ADAMW(adamw_fp32, float, , (void)network_weights)
ADAMW(adamw_bf16, bf16, widen, network_weights[i] = narrow(p))
DROPOUT_MASK(dropout_mask_fp32, float)
DROPOUT_MASK(dropout_mask_bf16, bf16)
