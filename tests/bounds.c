/* Runs the kernel of whole layers on sentences of given lengths, for AddressSanitizer to check: bounds LENGTH ... */

#include "layers.c"

enum { SIZE = 64, INNER = 128, HEADS = 2 };

/* Weights of this shape; their values do not matter. */
static Dense dense(int64_t in, int64_t out, int kind) {
    int64_t steps = (in * (int64_t[]){4, 2, 1}[kind] + 63) / 64 * 16, bytes = 4 * steps * out;
    int failed = 0;
    return (Dense){in, out, steps, room_for(bytes, &failed), room_for(4 * out, &failed), room_for(4 * out, &failed),
                   room_for(4 * out, &failed)};
}

static void free_dense(Dense w) {
    free((void *)w.panels), free((void *)w.bias), free((void *)w.scale), free((void *)w.total);
}

static int judged(int kind, int64_t length) {
    int failed = 0;
    Layer layer = {dense(SIZE, 3 * SIZE, kind), dense(SIZE, SIZE, kind), dense(SIZE, INNER, kind),
                   dense(INNER, SIZE, kind)};
    float *norm = room_for(4 * SIZE, &failed), *x = room_for(4 * (length + 3) * SIZE, &failed);
    float *y = room_for(4 * 2 * SIZE, &failed);
    int64_t starts[] = {0, length, length + 3};
    layer.weight1 = layer.bias1 = layer.weight2 = layer.bias2 = norm;
    layer.eps1 = layer.eps2 = 1e-5;
    Layer two[] = {layer, layer};
    failed |= layers_forward(kind, 2, two, SIZE, HEADS, 2, starts, x, 0, 0, y);
    free_dense(layer.qkv), free_dense(layer.out), free_dense(layer.up), free_dense(layer.down);
    free(norm), free(x), free(y);
    return failed;
}

int main(int count, char **lengths) {
    int failed = count < 2;
    for (int i = 1; i < count; i++)
        for (int kind = FP32; kind <= INT8; kind++)
            if (layers_supported() >> kind & 1) failed |= judged(kind, atoi(lengths[i]));
    return failed;
}
