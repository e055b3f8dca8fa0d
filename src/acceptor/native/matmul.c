/* Matrix products in bf16 on AMX, Intel's matrix unit: C[i][j] = sum over r of A(i, r) B(r, j), summed in fp32.

   A tile of the unit holds 16 rows of 64 bytes. One instruction multiplies a tile of A, 16 rows of 32 numbers, with
   a tile of B, 16 rows of 16 pairs: its row p holds the numbers 2p and 2p+1 of each of 16 columns, side by side. So
   A can be read in place if r runs along its rows; B must be packed, and A too if r runs down its columns.

   The loop takes 32 columns of C at a time (a panel) and 512 of the depth, packs their part of B into the L1 cache, and
   goes through the rows of A in blocks of 32 with four tiles of sums. Panels are divided among threads. oneDNN, which
   torch calls, compiles a kernel for every number of rows; this one is compiled once. */

#ifdef __AMX_BF16__

#include "vector.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    SIDE = 32,         /* rows and columns of C that are computed at once */
    TILE = 512,        /* numbers in a tile */
    DEPTH = 512,       /* of B in the L1 cache */
    BLOCKS = 32,       /* of A for one panel, at most */
    A_BYTES = 1300000, /* of A in the L2 cache */
};

static __thread bf16 panel[DEPTH * SIDE] __attribute__((aligned(64)));
static __thread float sums[BLOCKS][4][256] __attribute__((aligned(64)));

/* A process must request the unit's registers from Linux. */
int matmul_supported(void) { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }

static inline __m512i four_rows(const uint32_t *from, int64_t stride) { /* 4 numbers each of rows 0, 4, 8 and 12 */
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)from));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(from + 4 * stride)), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(from + 8 * stride)), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(from + 12 * stride)), 3);
}

/* 16 rows of 16 pairs, `stride` pairs apart, transposed. */
static inline void turn_tile(const uint32_t *from, int64_t stride, bf16 *to) {
    for (int g = 0; g < 4; g++, from += 4) {
        __m512i a = four_rows(from, stride), b = four_rows(from + stride, stride);
        __m512i c = four_rows(from + 2 * stride, stride), d = four_rows(from + 3 * stride, stride);
        __m512i ab = _mm512_unpacklo_epi32(a, b), AB = _mm512_unpackhi_epi32(a, b);
        __m512i cd = _mm512_unpacklo_epi32(c, d), CD = _mm512_unpackhi_epi32(c, d);
        __m512i *out = (__m512i *)to + 4 * g;
        out[0] = _mm512_unpacklo_epi64(ab, cd);
        out[1] = _mm512_unpackhi_epi64(ab, cd);
        out[2] = _mm512_unpacklo_epi64(AB, CD);
        out[3] = _mm512_unpackhi_epi64(AB, CD);
    }
}

/* Two rows of 32 numbers as 32 pairs; a missing second row is zeros. */
static inline void pair_rows(const bf16 *first, const bf16 *second, bf16 *left, bf16 *right) {
    static const uint16_t LOW[32] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                     8,  40, 9,  41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
    __m512i low = _mm512_loadu_si512(LOW), high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    __m512i a = first ? _mm512_loadu_si512(first) : _mm512_setzero_si512();
    __m512i b = second ? _mm512_loadu_si512(second) : _mm512_setzero_si512();
    _mm512_store_si512(left, _mm512_permutex2var_epi16(a, low, b));
    _mm512_store_si512(right, _mm512_permutex2var_epi16(a, high, b));
}

/* 32 columns of B, `depth` deep, where a column of B is a row in memory. */
static void pack_turned(const bf16 *b, int64_t ld, int64_t depth, bf16 *to) {
    for (int64_t r = 0; r < depth; r += SIDE, to += 2 * TILE) {
        turn_tile((const uint32_t *)(b + r), ld / 2, to);
        turn_tile((const uint32_t *)(b + 16 * ld + r), ld / 2, to + TILE);
    }
}

/* 32 columns of B, `depth` deep, in the order of memory; zeros to the next multiple of 32. */
static void pack_paired(const bf16 *b, int64_t ld, int64_t depth, bf16 *to) {
    for (int64_t r = 0; r < depth; r += SIDE, to += 2 * TILE)
        for (int64_t p = 0; p < 16; p++) {
            const bf16 *row = b + (r + 2 * p) * ld;
            int64_t left = depth - r - 2 * p;
            pair_rows(left > 0 ? row : 0, left > 1 ? row + ld : 0, to + 32 * p, to + TILE + 32 * p);
        }
}

/* 32 rows of A, `depth` deep, where a row of A is a column in memory: two tiles of A for every 32 of depth. */
static void pack_columns(const bf16 *a, int64_t ld, int64_t depth, bf16 *to) {
    bf16 pairs[2 * TILE] __attribute__((aligned(64)));
    for (int64_t r = 0; r < depth; r += SIDE, to += 2 * TILE) {
        pack_paired(a + r * ld, ld, depth - r < SIDE ? depth - r : SIDE, pairs);
        turn_tile((const uint32_t *)pairs, 16, to);
        turn_tile((const uint32_t *)(pairs + TILE), 16, to + TILE);
    }
}

/* The data of the next panel: fetched into the L2 cache line by line while this panel is multiplied. */
typedef struct {
    const char *line;
    int64_t per_row, column, row_bytes, left;
} Ahead;

static inline void fetch(Ahead *next) {
    if (next->left <= 0) return;
    _mm_prefetch(next->line + 64 * next->column, _MM_HINT_T1);
    if (++next->column == next->per_row) next->column = 0, next->line += next->row_bytes;
    next->left--;
}

/* Rows of A: `step` numbers from a tile to the next one along the depth, `below` to the one under it. */
typedef struct {
    const bf16 *at;
    int64_t row_bytes, step, below;
} Rows;

/* Adds `depth` products to 32 x 32 sums, or starts new sums if `add` is 0. */
static inline void multiply(Rows a, const bf16 *b, int64_t depth, int add, float sums[4][256], Ahead *next) {
    if (add) {
        _tile_loadd(0, sums[0], 64);
        _tile_loadd(1, sums[1], 64);
        _tile_loadd(2, sums[2], 64);
        _tile_loadd(3, sums[3], 64);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t r = 0; r < depth; r += SIDE, a.at += a.step, b += 2 * TILE) {
        _tile_loadd(4, a.at, a.row_bytes);
        _tile_loadd(6, b, 64);
        _tile_loadd(7, b + TILE, 64);
        _tile_loadd(5, a.at + a.below, a.row_bytes);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        for (int line = 0; line < 3; line++) fetch(next);
    }
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    _tile_stored(2, sums[2], 64);
    _tile_stored(3, sums[3], 64);
}

static inline __m512i narrow(__m512 low, __m512 high) { return (__m512i)_mm512_cvtne2ps_pbh(high, low); }

/* Operations on the products: C = (A B + bias) * dropout_mask + residual, each only if it is not 0; or
   C = gelu(A B + bias) if `apply_gelu`, and the derivative of gelu to `derivative` if that is not 0. */
typedef struct {
    const bf16 *bias, *dropout_mask, *residual;
    int64_t apply_gelu;
    bf16 *derivative;
} Epilogue;

/* Stores `rows` rows of finished sums to C, bypassing the caches if they are not read soon. */
static inline void store(float sums[4][256], Epilogue f, bf16 *c, int64_t columns, int64_t rows, int past) {
    __m512 zero = _mm512_setzero_ps(), bias[2] = {f.bias ? widen(f.bias) : zero, f.bias ? widen(f.bias + 16) : zero};
    for (int64_t i = 0; i < rows; i++) {
        __m512 half[2], derivative[2] = {zero, zero};
        for (int side = 0; side < 2; side++) {
            int64_t at = i * columns + 16 * side;
            half[side] = _mm512_add_ps(_mm512_load_ps(sums[i / 16 * 2 + side] + i % 16 * 16), bias[side]);
            if (f.dropout_mask) half[side] = _mm512_mul_ps(half[side], widen(f.dropout_mask + at));
            if (f.residual) half[side] = _mm512_add_ps(half[side], widen(f.residual + at));
            if (f.apply_gelu) half[side] = gelu(half[side], &derivative[side]);
        }
        if (f.derivative) _mm512_storeu_si512(f.derivative + i * columns, narrow(derivative[0], derivative[1]));
        if (past)
            _mm512_stream_si512((void *)(c + i * columns), narrow(half[0], half[1]));
        else
            _mm512_storeu_si512(c + i * columns, narrow(half[0], half[1]));
    }
}

/* The memory layout of A and B. OUTPUT: y = x Wt (B is W). INPUT_GRADIENT: dx = dy W. WEIGHT_GRADIENT: dW = dyt x. */
enum { OUTPUT, INPUT_GRADIENT, WEIGHT_GRADIENT };

/* C, of shape (rows, columns), from products over a depth. `columns` must be a multiple of 32; so must `depth`, or
   for WEIGHT_GRADIENT `rows`. Returns 1 if memory ran out. */
int matmul(int form, int64_t rows, int64_t columns, int64_t depth, const bf16 *a, const bf16 *b, bf16 *c,
             const Epilogue *epilogue) {
    int64_t padded = (depth + SIDE - 1) / SIDE * SIDE, blocks = (rows + SIDE - 1) / SIDE;
    int64_t most = A_BYTES / (2 * SIDE * padded) + 1, parts = (blocks + least(most, BLOCKS) - 1) / least(most, BLOCKS);
    int64_t chunk = (blocks + parts - 1) / parts; /* blocks of A that stay in the L2 cache while B is read */
    int past = form == WEIGHT_GRADIENT && (uintptr_t)c % 64 == 0;
    bf16 *turned = form == WEIGHT_GRADIENT ? aligned_alloc(64, 2 * SIDE * padded * blocks) : 0;
    bf16 *last = 0; /* the last block of A if it is incomplete, with zeros below */
    int cut = form != WEIGHT_GRADIENT && rows % SIDE;
    if (cut) last = aligned_alloc(64, 2 * SIDE * depth);
    if ((form == WEIGHT_GRADIENT && !turned) || (cut && !last)) return 1;
    if (cut) {
        memset(last, 0, 2 * SIDE * depth);
        memcpy(last, a + rows / SIDE * SIDE * depth, 2 * (rows % SIDE) * depth);
    }
#pragma omp parallel
    {
        _tile_loadconfig(&LAYOUT);
        if (turned) {
#pragma omp for schedule(static)
            for (int64_t i = 0; i < blocks; i++) pack_columns(a + SIDE * i, rows, depth, turned + SIDE * padded * i);
        }
        for (int64_t from = 0; from < blocks; from += chunk) {
            int64_t to = least(from + chunk, blocks);
#pragma omp for schedule(static) nowait
            for (int64_t j = 0; j < columns / SIDE; j++)
                for (int64_t r = 0; r < padded; r += DEPTH) {
                    int64_t deep = least(padded - r, DEPTH);
                    int done = r + DEPTH >= padded;
                    int64_t r2 = done ? 0 : r + DEPTH, j2 = done && j + 1 < columns / SIDE ? j + 1 : j;
                    Ahead next;
                    if (form == OUTPUT) {
                        pack_turned(b + SIDE * j * depth + r, depth, deep, panel);
                        int64_t lines = least(depth - r2, DEPTH);
                        next = (Ahead){(const char *)(b + SIDE * j2 * depth + r2), lines / SIDE, 0, 2 * depth, lines};
                    } else {
                        pack_paired(b + SIDE * j + r * columns, columns, least(depth - r, DEPTH), panel);
                        int64_t lines = least(depth - r2, DEPTH);
                        next = (Ahead){(const char *)(b + SIDE * j2 + r2 * columns), 1, 0, 2 * columns, lines};
                    }
                    for (int64_t i = from; i < to; i++) {
                        int64_t left = rows - SIDE * i;
                        const bf16 *whole = last && left < SIDE ? last : a + SIDE * i * depth;
                        Rows block = turned ? (Rows){turned + SIDE * (i * padded + r), 64, 2 * TILE, TILE}
                                            : (Rows){whole + r, 2 * depth, SIDE, 16 * depth};
                        multiply(block, panel, deep, r > 0, sums[i - from], &next);
                        if (!done) continue;
                        int64_t place = SIDE * (i * columns + j);
                        Epilogue here = {epilogue->bias ? epilogue->bias + SIDE * j : 0,
                                       epilogue->dropout_mask ? epilogue->dropout_mask + place : 0,
                                       epilogue->residual ? epilogue->residual + place : 0, epilogue->apply_gelu,
                                       epilogue->derivative ? epilogue->derivative + place : 0};
                        store(sums[i - from], here, c + place, columns, least(left, SIDE), past);
                    }
                }
        }
        _mm_sfence(); /* makes stores that bypassed the caches visible to other threads */
        _tile_release();
    }
    free(turned);
    free(last);
    return 0;
}

#else /* no such unit, or the compiler does not support it */

int matmul_supported(void) { return 0; }
int matmul(void) { return 1; }

#endif
