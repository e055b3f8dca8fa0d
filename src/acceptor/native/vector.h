/* Arithmetic on 16 numbers at once and the matrix unit's tiles, shared by the kernels for AVX-512. */

#include <immintrin.h>
#include <stdint.h>

typedef uint16_t bf16;

#ifdef __AMX_TILE__
/* Eight tiles of 16 rows of 64 bytes. */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes_per_row[16];
    uint8_t rows[16];
} LAYOUT = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
#endif

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static inline __m512 widen(const bf16 *from) {
    __m512i bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
}

static inline __m512 polynomial(__m512 x, const float *coefficients, int count) {
    __m512 sum = _mm512_set1_ps(coefficients[0]);
    for (int i = 1; i < count; i++) sum = _mm512_fmadd_ps(sum, x, _mm512_set1_ps(coefficients[i]));
    return sum;
}

/* e^x: 2^n times a polynomial for the rest, relative error below 1e-6. */
static inline __m512 exponential(__m512 x) {
    static const float TAYLOR[] = {1.f / 720, 1.f / 120, 1.f / 24, 1.f / 6, .5f, 1, 1};
    __m512 whole = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    __m512 rest = _mm512_fnmadd_ps(whole, _mm512_set1_ps(0.693147181f), x);
    return _mm512_scalef_ps(polynomial(rest, TAYLOR, 7), whole);
}

/* x P(x) for the normal distribution function P (Hendrycks & Gimpel 2016, the exact form), and its derivative
   P(x) + x p(x).
   P by Abramowitz & Stegun 7.1.26, error below 1e-7. */
static inline __m512 gelu(__m512 x, __m512 *derivative) {
    static const float TAIL[] = {1.061405429f, -1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f, 0};
    __m512 one = _mm512_set1_ps(1), size = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.707106781f));
    __m512 bell = exponential(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_mul_ps(size, size)));
    __m512 divisor = _mm512_fmadd_ps(size, _mm512_set1_ps(0.3275911f), one), guess = _mm512_rcp14_ps(divisor);
    __m512 t = _mm512_mul_ps(guess, _mm512_fnmadd_ps(divisor, guess, _mm512_set1_ps(2))); /* Newton's step */
    __m512 tail = _mm512_mul_ps(_mm512_mul_ps(polynomial(t, TAIL, 6), bell), _mm512_set1_ps(.5f));
    __mmask16 below = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    __m512 share = _mm512_mask_blend_ps(below, _mm512_sub_ps(one, tail), tail);
    *derivative = _mm512_fmadd_ps(_mm512_mul_ps(x, _mm512_set1_ps(0.398942280f)), bell, share);
    return _mm512_mul_ps(x, share);
}
