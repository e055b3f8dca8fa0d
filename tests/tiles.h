/* Intel's matrix unit in plain C, so that the kernels for it are tried on machines without one.

   After the Intel 64 manual, volume 2, TDPBF16PS and TDPBUSD, for tiles of 16 rows of 64 bytes. */

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define __AMX_TILE__ 1
#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_loadconfig
#undef _tile_release
#undef _tile_dpbf16ps
#undef _tile_dpbusd

static __thread char tiles[8][16][64];

int matmul_supported(void) { return 1; }

static inline void _tile_loadconfig(const void *layout) { (void)layout; }
static inline void _tile_release(void) {}
static inline void _tile_zero(int t) { memset(tiles[t], 0, 1024); }

static inline void _tile_loadd(int t, const void *from, int64_t stride) {
    for (int r = 0; r < 16; r++) memcpy(tiles[t][r], (const char *)from + r * stride, 64);
}

static inline void _tile_stored(int t, void *to, int64_t stride) {
    for (int r = 0; r < 16; r++) memcpy((char *)to + r * stride, tiles[t][r], 64);
}

static inline float of_bf16(const char *at) {
    uint32_t bits = (uint32_t)(*(const uint16_t *)at) << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline void _tile_dpbf16ps(int c, int a, int b) {
    for (int m = 0; m < 16; m++)
        for (int n = 0; n < 16; n++)
            for (int k = 0; k < 16; k++)
                for (int i = 0; i < 4; i += 2)
                    ((float *)tiles[c][m])[n] += of_bf16(tiles[a][m] + 4 * k + i) * of_bf16(tiles[b][k] + 4 * n + i);
}

static inline void _tile_dpbusd(int c, int a, int b) {
    for (int m = 0; m < 16; m++)
        for (int n = 0; n < 16; n++)
            for (int k = 0; k < 16; k++)
                for (int i = 0; i < 4; i++)
                    ((int32_t *)tiles[c][m])[n] +=
                        (uint8_t)tiles[a][m][4 * k + i] * (int8_t)tiles[b][k][4 * n + i];
}
