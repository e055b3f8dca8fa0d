/* Three passes over memory that torch would make as nine: AdamW on bf16 gradients, the norm of the gradients, and
   dropout masks. native/__init__.py compiles this file with the machine's own C compiler on first use (a fifth of a
   second) and has the same functions in torch and NumPy for machines without one. */

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

#define SQUARES(NAME, TYPE, READ)                                                   \
    double NAME(int64_t n, const TYPE *grad) {                                      \
        double total = 0;                                                           \
        _Pragma("omp parallel for reduction(+ : total) schedule(static)")           \
        for (int64_t start = 0; start < n; start += BLOCK) {                        \
            int64_t stop = start + BLOCK < n ? start + BLOCK : n;                   \
            float sum = 0;                                                          \
            _Pragma("omp simd reduction(+ : sum)")                                  \
            for (int64_t i = start; i < stop; i++) sum += READ(grad[i]) * READ(grad[i]); \
            total += sum;                                                           \
        }                                                                           \
        return total;                                                               \
    }

/* work: bf16 copies of the weights, refreshed; unused where gradients are fp32, for then work is master.
   scale: what gradients are multiplied by; decay: 1 - rate * weight_decay; pace: rate / (1 - beta1^t);
   root: 1 / sqrt(1 - beta2^t). */
#define ADAMW(NAME, TYPE, READ, WRITE)                                                              \
    void NAME(int64_t n, float *restrict master, bf16 *restrict work, const TYPE *restrict grad,    \
              float *restrict first, float *restrict second, float beta1, float beta2, float eps,   \
              float scale, float decay, float pace, float root) {                                   \
        _Pragma("omp parallel for simd schedule(static)")                                           \
        for (int64_t i = 0; i < n; i++) {                                                           \
            float g = READ(grad[i]) * scale;                                                        \
            float m = first[i] + (g - first[i]) * (1 - beta1);                                      \
            float v = second[i] * beta2 + g * g * (1 - beta2);                                      \
            float p = master[i] * decay - pace * m / (sqrtf(v) * root + eps);                       \
            first[i] = m;                                                                           \
            second[i] = v;                                                                          \
            master[i] = p;                                                                          \
            WRITE;                                                                                  \
        }                                                                                           \
    }

/* Masks of dropout: 0 where the hash of the element's number is below `below`, else `kept`. The hash is MurmurHash3's
   finaliser over a Weyl sequence, with a key on either side of its first product. */
#define KEEP(NAME, TYPE)                                                                                      \
    void NAME(int64_t n, TYPE *restrict mask, uint32_t key1, uint32_t key2, uint32_t below, TYPE kept) {      \
        _Pragma("omp parallel for simd schedule(static)")                                                     \
        for (int64_t i = 0; i < n; i++) {                                                                     \
            uint32_t h = (uint32_t)i * 0x9E3779B1u + key1;                                                    \
            h = (h ^ (h >> 16)) * 0x85EBCA6Bu ^ key2;                                                         \
            h = (h ^ (h >> 13)) * 0xC2B2AE35u;                                                                \
            h ^= h >> 16;                                                                                     \
            mask[i] = h < below ? (TYPE)0 : kept;                                                             \
        }                                                                                                     \
    }

SQUARES(squares_fp32, float, )
SQUARES(squares_bf16, bf16, widen)
ADAMW(adamw_fp32, float, , (void)work)
ADAMW(adamw_bf16, bf16, widen, work[i] = narrow(p))
KEEP(keep_fp32, float)
KEEP(keep_bf16, bf16)
