/* A stack of Transformer layers for judging, on sentences laid end to end without padding.

   Products process four bytes of the depth at a time (a step): one number in fp32, two in bf16, four in int8. A weight
   is packed into panels of 64 columns; a panel holds, step after step, four vectors of 16 columns with their four bytes.
   The rows that it multiplies are not repacked, only padded with zeros to 64 bytes. If the processor has a matrix unit
   (AMX), its tiles read the same panels: 16 steps are the 16 rows of a tile.

   Everything else is fp32: sums, residuals, softmax, GELU and normalisation. Only the factors are rounded. In int8
   every column of a weight has its own scale, and every row of activations its own scale and zero point, computed when
   the row is stored.

   A call computes on one core. It processes whole sentences of about `GROUP` tokens together in each layer, so that
   their activations stay in the L2 cache and the weights are read once. */

#include <stdint.h>

enum { FP32, BF16, INT8 };

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)

#include "vector.h"

#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS = 64, /* of a panel */
    GROUP = 192,  /* tokens that a layer processes together: 48 to 768 are as fast */
    SHORT = 6,    /* rows that a product computes at once in vector registers */
    TALL = 32,    /* ... in tiles */
};

typedef struct {
    int64_t in, out, steps; /* steps: a multiple of 16 */
    const char *panels;
    const float *bias;
    const float *scale;    /* int8: of each column */
    const int32_t *total;  /* int8: the sum of each column, for the rows' zero points */
} Dense;

typedef struct {
    Dense qkv, out, up, down;
    const float *weight1, *bias1, *weight2, *bias2;
    double eps1, eps2;
} Layer;

/* The rows of a product's left factor. */
typedef struct {
    char *at;
    int64_t bytes; /* from a row to the next one */
    float *scale;
    int32_t *zero;
} Factor;

static inline __mmask16 lanes(int64_t left) { return left >= 16 ? 0xffff : left <= 0 ? 0 : (1u << left) - 1; }

/* ── products ───────────────────────────────────────────────────────────────────────────────────────────────── */

typedef void Kernel(const char *a, int64_t bytes, const char *b, int64_t steps, void *sums);

#define ROWS_BY_PANEL(NAME, SUM, ZERO, FACTOR, MULTIPLY)                                        \
    static void NAME(const char *a, int64_t bytes, const char *b, int64_t steps, void *sums) {  \
        SUM sum[SHORT][4];                                                                      \
        _Pragma("GCC unroll 6") for (int r = 0; r < SHORT; r++)                                 \
            _Pragma("GCC unroll 4") for (int v = 0; v < 4; v++) sum[r][v] = ZERO;               \
        for (int64_t s = 0; s < steps; s++, b += 4 * COLUMNS) {                                 \
            FACTOR column[4];                                                                   \
            _Pragma("GCC unroll 4") for (int v = 0; v < 4; v++)                                 \
                column[v] = (FACTOR)_mm512_load_si512(b + COLUMNS * v);                         \
            _Pragma("GCC unroll 6") for (int r = 0; r < SHORT; r++) {                           \
                FACTOR row = (FACTOR)_mm512_set1_epi32(*(const int32_t *)(a + r * bytes + 4 * s)); \
                _Pragma("GCC unroll 4") for (int v = 0; v < 4; v++)                             \
                    sum[r][v] = MULTIPLY(sum[r][v], row, column[v]);                            \
            }                                                                                   \
        }                                                                                       \
        _Pragma("GCC unroll 6") for (int r = 0; r < SHORT; r++)                                 \
            _Pragma("GCC unroll 4") for (int v = 0; v < 4; v++)                                 \
                _mm512_store_si512((char *)sums + 4 * COLUMNS * r + COLUMNS * v, (__m512i)sum[r][v]); \
    }

#define MULTIPLY_FP32(sum, row, column) _mm512_fmadd_ps(row, column, sum)
ROWS_BY_PANEL(rows_fp32, __m512, _mm512_setzero_ps(), __m512, MULTIPLY_FP32)
#ifdef __AVX512BF16__
ROWS_BY_PANEL(rows_bf16, __m512, _mm512_setzero_ps(), __m512bh, _mm512_dpbf16_ps)
#endif
#ifdef __AVX512VNNI__
ROWS_BY_PANEL(rows_int8, __m512i, _mm512_setzero_si512(), __m512i, _mm512_dpbusd_epi32)
#endif

#ifdef __AMX_TILE__
/* 32 rows by a panel, as two times 32 columns. Tiles 0 to 3 are sums, 4 and 5 rows, 6 and 7 columns. */
#define TILES_BY_PANEL(NAME, MULTIPLY)                                                           \
    static void NAME(const char *a, int64_t bytes, const char *b, int64_t steps, void *sums) {   \
        for (int half = 0; half < 2; half++) {                                                   \
            const char *rows = a, *columns = b + 2 * COLUMNS * half;                             \
            char *to = (char *)sums + 2 * COLUMNS * half;                                        \
            _tile_zero(0);                                                                       \
            _tile_zero(1);                                                                       \
            _tile_zero(2);                                                                       \
            _tile_zero(3);                                                                       \
            for (int64_t s = 0; s < steps; s += 16, rows += 64, columns += 64 * COLUMNS) {       \
                _tile_loadd(4, rows, bytes);                                                     \
                _tile_loadd(6, columns, 4 * COLUMNS);                                            \
                _tile_loadd(7, columns + COLUMNS, 4 * COLUMNS);                                  \
                _tile_loadd(5, rows + 16 * bytes, bytes);                                        \
                MULTIPLY(0, 4, 6);                                                               \
                MULTIPLY(1, 4, 7);                                                               \
                MULTIPLY(2, 5, 6);                                                               \
                MULTIPLY(3, 5, 7);                                                               \
            }                                                                                    \
            _tile_stored(0, to, 4 * COLUMNS);                                                    \
            _tile_stored(1, to + COLUMNS, 4 * COLUMNS);                                          \
            _tile_stored(2, to + 64 * COLUMNS, 4 * COLUMNS);                                     \
            _tile_stored(3, to + 65 * COLUMNS, 4 * COLUMNS);                                     \
        }                                                                                        \
    }
TILES_BY_PANEL(tiles_bf16, _tile_dpbf16ps)
TILES_BY_PANEL(tiles_int8, _tile_dpbusd)
#endif

/* A kind of arithmetic. */
typedef struct {
    int kind;
    int64_t rows; /* that the kernel computes at once */
    Kernel *kernel;
} Arithmetic;

int matmul_supported(void); /* matmul.c: 1 if Linux grants the matrix unit */

static Arithmetic arithmetic(int kind) {
#ifdef __AMX_TILE__
    if (kind == BF16 && matmul_supported()) return (Arithmetic){kind, TALL, tiles_bf16};
    if (kind == INT8 && matmul_supported()) return (Arithmetic){kind, TALL, tiles_int8};
#endif
#ifdef __AVX512BF16__
    if (kind == BF16) return (Arithmetic){kind, SHORT, rows_bf16};
#endif
#ifdef __AVX512VNNI__
    if (kind == INT8) return (Arithmetic){kind, SHORT, rows_int8};
#endif
    return (Arithmetic){kind, SHORT, kind == FP32 ? rows_fp32 : 0};
}

/* How a product is stored. */
enum { STORE, ADD, GELU };

/* `rows` rows of sums, scaled and with their bias, to 64 columns of `to` from column j on. */
static void finish(int kind, int what, const Dense *w, Factor a, const void *sums, int64_t rows, int64_t j,
                   float *to) {
    for (int64_t v = 0; v < 4 && j + 16 * v < w->out; v++) {
        __mmask16 some = lanes(w->out - j - 16 * v);
        __m512 bias = _mm512_maskz_loadu_ps(some, w->bias + j + 16 * v), scale = bias, derivative;
        __m512i total = _mm512_setzero_si512();
        if (kind == INT8) {
            scale = _mm512_maskz_loadu_ps(some, w->scale + j + 16 * v);
            total = _mm512_maskz_loadu_epi32(some, w->total + j + 16 * v);
        }
        for (int64_t r = 0; r < rows; r++) {
            const void *from = (const char *)sums + 4 * COLUMNS * r + COLUMNS * v;
            float *place = to + r * w->out + 16 * v;
            __m512 value;
            if (kind == INT8) {
                __m512i shift = _mm512_mullo_epi32(total, _mm512_set1_epi32(a.zero[r]));
                value = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_load_si512(from), shift));
                value = _mm512_fmadd_ps(_mm512_mul_ps(value, scale), _mm512_set1_ps(a.scale[r]), bias);
            } else {
                value = _mm512_add_ps(_mm512_load_ps(from), bias);
            }
            if (what == ADD) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(some, place));
            if (what == GELU) value = gelu(value, &derivative);
            _mm512_mask_storeu_ps(place, some, value);
        }
    }
}

/* to = a W + bias (STORE), to + that (ADD), or its GELU (GELU). */
static void product(Arithmetic with, int what, const Dense *w, Factor a, int64_t rows, float *to) {
    char sums[4 * COLUMNS * TALL] __attribute__((aligned(64)));
    for (int64_t j = 0; j < w->out; j += COLUMNS)
        for (int64_t i = 0; i < rows; i += with.rows) {
            with.kernel(a.at + i * a.bytes, a.bytes, w->panels + 4 * w->steps * j, w->steps, sums);
            Factor here = {0, 0, a.scale + i, a.zero + i};
            finish(with.kind, what, w, here, sums, least(with.rows, rows - i), j, to + i * w->out + j);
        }
}

/* Stores a row of fp32 numbers as row r of a product's left factor. */
static void set_row(int kind, Factor a, int64_t r, const float *x, int64_t count) {
    char *to = a.at + r * a.bytes;
    if (kind == FP32) {
        memcpy(to, x, 4 * count);
        return;
    }
#ifdef __AVX512BF16__
    if (kind == BF16) {
        for (int64_t i = 0; i < count; i += 16) {
            __mmask16 some = lanes(count - i);
            __m256i half = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, x + i));
            _mm256_mask_storeu_epi16(to + 2 * i, some, half);
        }
        return;
    }
#endif
    __m512 low = _mm512_setzero_ps(), high = low;
    for (int64_t i = 0; i < count; i += 16) {
        __m512 value = _mm512_maskz_loadu_ps(lanes(count - i), x + i);
        low = _mm512_min_ps(low, value), high = _mm512_max_ps(high, value);
    }
    float lowest = _mm512_reduce_min_ps(low), scale = (_mm512_reduce_max_ps(high) - lowest) / 255;
    if (!(scale > 0)) scale = 1;
    int32_t zero = (int32_t)(-lowest / scale + .5f);
    a.scale[r] = scale, a.zero[r] = zero;
    __m512 per = _mm512_set1_ps(1 / scale);
    for (int64_t i = 0; i < count; i += 16) {
        __mmask16 some = lanes(count - i);
        __m512i value = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(some, x + i), per));
        value = _mm512_max_epi32(_mm512_add_epi32(value, _mm512_set1_epi32(zero)), _mm512_setzero_si512());
        _mm_mask_storeu_epi8(to + i, some, _mm512_cvtusepi32_epi8(value));
    }
}

/* ── the rest of a layer ────────────────────────────────────────────────────────────────────────────────────── */

static void layer_norm(float *x, int64_t count, const float *weight, const float *bias, float eps) {
    __m512 sum = _mm512_setzero_ps(), squares = sum;
    for (int64_t i = 0; i < count; i += 16)
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes(count - i), x + i));
    __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / count);
    for (int64_t i = 0; i < count; i += 16) {
        __mmask16 some = lanes(count - i);
        __m512 off = _mm512_maskz_sub_ps(some, _mm512_maskz_loadu_ps(some, x + i), mean);
        squares = _mm512_fmadd_ps(off, off, squares);
    }
    __m512 per = _mm512_set1_ps(1 / __builtin_sqrtf(_mm512_reduce_add_ps(squares) / count + eps));
    for (int64_t i = 0; i < count; i += 16) {
        __mmask16 some = lanes(count - i);
        __m512 off = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(some, x + i), mean), per);
        __m512 y = _mm512_fmadd_ps(off, _mm512_maskz_loadu_ps(some, weight + i), _mm512_maskz_loadu_ps(some, bias + i));
        _mm512_mask_storeu_ps(x + i, some, y);
    }
}

/* sum += q[0] k[0] + q[1] k[1] + ..., `count` numbers q with as many vectors k, `step` numbers apart; two sums in turn,
   so that neither waits for the other. */
static inline __m512 weigh(const float *q, const float *k, int64_t step, int64_t count, __mmask16 some, __m512 sum) {
    __m512 other = _mm512_setzero_ps();
    int64_t c = 0;
    for (; c + 1 < count; c += 2) {
        sum = _mm512_fmadd_ps(_mm512_set1_ps(q[c]), _mm512_maskz_loadu_ps(some, k + c * step), sum);
        other = _mm512_fmadd_ps(_mm512_set1_ps(q[c + 1]), _mm512_maskz_loadu_ps(some, k + (c + 1) * step), other);
    }
    if (c < count) sum = _mm512_fmadd_ps(_mm512_set1_ps(q[c]), _mm512_maskz_loadu_ps(some, k + c * step), sum);
    return _mm512_add_ps(sum, other);
}

/* One head of one sentence: softmax(q kT / sqrt(wide) + bias) v for the first `asked` of its `length` tokens.

   q, k, v: `wide` numbers a token, `across` from token to token. bias: `longest` from token to token, or null. context:
   d numbers from token to token. turned: space for wide + 1 rows of `length`, rounded up to vectors. */
static void attend(const float *q, const float *k, const float *v, int64_t across, int64_t wide, int64_t length,
                   int64_t asked, const float *bias, int64_t longest, float *context, int64_t d, float *turned) {
    int64_t room = (length + 15) / 16 * 16;
    float *scores = turned + wide * room, pace = 1 / __builtin_sqrtf(wide);
    for (int64_t j = 0; j < length; j++)
        for (int64_t c = 0; c < wide; c++) turned[c * room + j] = k[j * across + c] * pace;
    for (int64_t i = 0; i < asked; i++, q += across, context += d) {
        __m512 highest = _mm512_set1_ps(-__builtin_inff()), whole = _mm512_setzero_ps();
        for (int64_t j = 0; j < length; j += 16) {
            __mmask16 some = lanes(length - j);
            __m512 added = bias ? _mm512_maskz_loadu_ps(some, bias + i * longest + j) : _mm512_setzero_ps();
            __m512 score = weigh(q, turned + j, room, wide, some, added);
            highest = _mm512_mask_max_ps(highest, some, highest, score);
            _mm512_storeu_ps(scores + j, score);
        }
        __m512 top = _mm512_set1_ps(_mm512_reduce_max_ps(highest));
        for (int64_t j = 0; j < length; j += 16) {
            __m512 power = exponential(_mm512_sub_ps(_mm512_loadu_ps(scores + j), top));
            power = _mm512_maskz_mov_ps(lanes(length - j), power);
            whole = _mm512_add_ps(whole, power);
            _mm512_storeu_ps(scores + j, power);
        }
        __m512 per = _mm512_set1_ps(1 / _mm512_reduce_add_ps(whole));
        for (int64_t c = 0; c < wide; c += 16) {
            __mmask16 some = lanes(wide - c);
            __m512 sum = weigh(scores, v + c, across, length, some, _mm512_setzero_ps());
            _mm512_mask_storeu_ps(context + c, some, _mm512_mul_ps(sum, per));
        }
    }
}

/* Buffers for the largest group. */
typedef struct {
    Factor narrow, wide; /* rows of d numbers, and of the layer's widest */
    float *qkv, *context, *activated, *turned;
} Room;

/* The part of a layer after the attention, for some rows: x = norm(x + context Wo), x = norm(x + gelu(x W1) W2). */
static void mix(Arithmetic with, const Layer *layer, float *x, const float *context, int64_t rows, int64_t d, Room at) {
    for (int64_t r = 0; r < rows; r++) set_row(with.kind, at.narrow, r, context + r * d, d);
    product(with, ADD, &layer->out, at.narrow, rows, x);
    for (int64_t r = 0; r < rows; r++) {
        layer_norm(x + r * d, d, layer->weight1, layer->bias1, layer->eps1);
        set_row(with.kind, at.narrow, r, x + r * d, d);
    }
    int64_t inner = layer->up.out;
    product(with, GELU, &layer->up, at.narrow, rows, at.activated);
    for (int64_t r = 0; r < rows; r++) set_row(with.kind, at.wide, r, at.activated + r * inner, inner);
    product(with, ADD, &layer->down, at.wide, rows, x);
    for (int64_t r = 0; r < rows; r++) layer_norm(x + r * d, d, layer->weight2, layer->bias2, layer->eps2);
}

static void *room_for(int64_t bytes, int *failed) {
    void *at = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!at) *failed = 1;
    else memset(at, 0, bytes);
    return at;
}

static Factor factor_for(int64_t rows, const Dense *w, int *failed) {
    int64_t bytes = 4 * w->steps;
    return (Factor){room_for(rows * bytes, failed), bytes, room_for(4 * rows, failed), room_for(4 * rows, failed)};
}

static void free_factor(Factor a) {
    free(a.at);
    free(a.scale);
    free(a.zero);
}

/* The kinds of arithmetic for which this processor has instructions: bit 0 fp32, 1 bf16, 2 int8. */
int layers_supported(void) { return 1 | (arithmetic(BF16).kernel ? 2 : 0) | (arithmetic(INT8).kernel ? 4 : 0); }

/* The first token of every sentence after all layers, into y (sentences, d).

   x: (tokens, d), the embeddings, overwritten. starts: (sentences + 1,), where each sentence begins in x. bias: added
   to all scores, (heads, longest, longest), or null. Returns 1 if memory ran out. */
int layers_forward(int kind, int64_t layers, const Layer *layer, int64_t d, int64_t heads, int64_t sentences,
                   const int64_t *starts, float *x, const float *bias, int64_t longest, float *y) {
    Arithmetic with = arithmetic(kind);
    int failed = 0;
    int64_t most = GROUP;
    for (int64_t s = 0; s < sentences; s++)
        if (starts[s + 1] - starts[s] > most) most = starts[s + 1] - starts[s];
    /* A kernel reads whole blocks of rows, also past the last token. */
    int64_t rows = (most + with.rows - 1) / with.rows * with.rows, wide = d / heads;
    Room at = {factor_for(rows, &layer->qkv, &failed), factor_for(rows, &layer->down, &failed),
               room_for(4 * rows * 3 * d, &failed), room_for(4 * rows * d, &failed),
               room_for(4 * rows * layer->up.out, &failed), room_for(4 * (rows + 16) * (wide + 1), &failed)};
    float *contexts = room_for(4 * sentences * d, &failed);
#ifdef __AMX_TILE__
    if (with.rows == TALL) _tile_loadconfig(&LAYOUT);
#endif
    for (int64_t l = 0; l < layers && !failed; l++) {
        int last = l == layers - 1;
        for (int64_t from = 0, to; from < sentences; from = to) {
            float *group = x + starts[from] * d;
            for (to = from + 1; to < sentences && starts[to + 1] - starts[from] <= GROUP;) to++;
            int64_t tokens = starts[to] - starts[from];
            for (int64_t r = 0; r < tokens; r++) set_row(kind, at.narrow, r, group + r * d, d);
            product(with, STORE, &layer[l].qkv, at.narrow, tokens, at.qkv);
            for (int64_t s = from; s < to; s++)
                for (int64_t h = 0; h < heads; h++) {
                    int64_t start = starts[s] - starts[from], length = starts[s + 1] - starts[s];
                    const float *q = at.qkv + start * 3 * d + h * wide;
                    const float *added = bias ? bias + h * longest * longest : 0;
                    float *context = last ? contexts + s * d : at.context + start * d;
                    attend(q, q + d, q + 2 * d, 3 * d, wide, length, last ? 1 : length, added, longest,
                           context + h * wide, d, at.turned);
                }
            if (!last) mix(with, &layer[l], group, at.context, tokens, d, at);
        }
    }
    if (!failed) { /* the last layer computes only the first tokens */
        for (int64_t s = 0; s < sentences; s++) memcpy(y + s * d, x + starts[s] * d, 4 * d);
        for (int64_t s = 0; s < sentences; s += GROUP)
            mix(with, &layer[layers - 1], y + s * d, contexts + s * d, least(GROUP, sentences - s), d, at);
    }
#ifdef __AMX_TILE__
    if (with.rows == TALL) _tile_release();
#endif
    free_factor(at.narrow);
    free_factor(at.wide);
    free(at.qkv), free(at.context), free(at.activated), free(at.turned), free(contexts);
    return failed;
}

#else /* without AVX-512, torch's layers are used */

int layers_supported(void) { return 0; }
int layers_forward(void) { return 1; }

#endif
