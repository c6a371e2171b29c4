// Rows of pixels: ReLU and depthwise convolutions with their gradients, and products with small matrices.
#pragma once

#include "vectors.hpp"

namespace zarts {

// Where a depthwise convolution of one image reads and writes. The padded image holds its columns in `stride` phases
// (even, odd), so that neighbours in the output are neighbours in memory for each tap.
struct Geometry {
    Int height, width, kernel, stride, dilation;
    Int out_height, out_width, padding, rows, columns, row;

    Geometry(Int height, Int width, Int kernel, Int stride, Int dilation)
        : height(height), width(width), kernel(kernel), stride(stride), dilation(dilation),
          out_height((height + stride - 1) / stride), out_width((width + stride - 1) / stride),
          padding(dilation * (kernel / 2)), rows(stride * (out_height - 1) + dilation * (kernel - 1) + 1),
          columns((stride * (out_width - 1) + dilation * (kernel - 1)) / stride + 1),
          row(stride * columns * kChannels) {}

    // Where column x of the padded image is in its row.
    Int column(Int x) const { return ((x & (stride - 1)) * columns + (x >> (stride - 1))) * kChannels; }
    Int image() const { return height * width * kChannels; }
    Int result() const { return out_height * out_width * kChannels; }
    // Whether rows of the output are whole vectors of the machine.
    bool wide() const { return kLanes == kWide || (kWide % kChannels == 0 && out_width * kChannels % kWide == 0); }
    Int step() const { return wide() ? std::max<Int>(kChannels, kWide) : kChannels; }
};

// The addresses of the taps of row y of the output.
template <int K>
struct Window {
    const Real* rows[K];
    Int columns[K];

    Window(const Real* padded, const Geometry& g, Int y) {
        for (int k = 0; k < K; ++k) {
            rows[k] = padded + (y * g.stride + k * g.dilation) * g.row;
            columns[k] = g.column(k * g.dilation);
        }
    }
};

// Weights of a depthwise kernel as (tap, step): where a step holds several pixels, their channels again and again.
inline Array taps(const Real* weight, const Geometry& g, bool flipped) {
    const Int size = g.kernel * g.kernel, step = g.step();
    Array out(size * step);
    for (Int tap = 0; tap < size; ++tap)
        for (Int c = 0; c < step; ++c)
            out[tap * step + c] = weight[c % kChannels * size + (flipped ? size - 1 - tap : tap)];
    return out;
}

// relu(x).
inline void rectify(Real* to, const Real* x, Int pixels) {
    const Vec zero = {};
    for (Int p = 0; p < pixels * kChannels; p += kLanes) {
        const Vec value = load(x + p);
        store(to + p, value < zero ? zero : value);
    }
}

// The gradient behind a ReLU, added to that before it.
inline void through_relu(Real* of_x, const Real* gradient, const Real* rectified, Int pixels) {
    const Vec zero = {};
    for (Int p = 0; p < pixels * kChannels; p += kLanes)
        store(of_x + p, load(of_x + p) + (load(rectified + p) > zero ? load(gradient + p) : zero));
}

// B neighbouring steps of a row of the output: N lanes of each.
template <int N, int K, int B>
inline void convolve_at(Real* out, const Window<K>& window, Int at, const Real* weight) {
    constexpr Int step = std::max<Int>(kChannels, N);
    VecOf<N> sum[B] = {};
    for (int ky = 0; ky < K; ++ky)
        for (int kx = 0; kx < K; ++kx) {
            VecOf<N> w = load<N>(weight + (ky * K + kx) * step);
            hold(w);
            const Real* x = window.rows[ky] + (window.columns[kx] + at);
            hold(x);
#pragma GCC unroll 8
            for (int b = 0; b < B; ++b) sum[b] += load<N>(x + b * step) * w;
        }
#pragma GCC unroll 8
    for (int b = 0; b < B; ++b) store<N>(out + at + b * step, sum[b]);
}

// Row y of a depthwise convolution.
template <int N, int K>
void convolve_lanes(Real* out, const Real* padded, const Real* weight, const Geometry& g, Int y) {
    constexpr Int step = std::max<Int>(kChannels, N);
    const Int length = g.out_width * kChannels;
    const Window<K> window(padded, g, y);
    for (Int c = 0; c < step; c += N) {
        Int at = c;
        for (; at + 7 * step < length; at += 8 * step) convolve_at<N, K, 8>(out, window, at, weight + c);
        for (; at + 3 * step < length; at += 4 * step) convolve_at<N, K, 4>(out, window, at, weight + c);
        for (; at < length; at += step) convolve_at<N, K, 1>(out, window, at, weight + c);
    }
}

template <int K>
inline void convolve(Real* out, const Real* padded, const Real* weight, const Geometry& g, Int y) {
    g.wide() ? convolve_lanes<kWide, K>(out, padded, weight, g, y) : convolve_lanes<kLanes, K>(out, padded, weight, g, y);
}

// The gradient of the weight from row y, (tap, step), added to `sums`: R rows of the kernel, U steps at once.
template <int N, int K, int R, int U>
void correlate_lanes(Real* sums, const Real* gradient, const Real* padded, const Geometry& g, Int y) {
    constexpr Int step = std::max<Int>(kChannels, N);
    const Int length = g.out_width * kChannels;
    const Window<K> window(padded, g, y);
    for (Int c = 0; c < step; c += N)
        for (int first = 0; first < K; first += R) {
            VecOf<N> sum[R][U][K] = {};
            Int at = c;
            for (; at + (U - 1) * step < length; at += U * step)
#pragma GCC unroll 8
                for (int u = 0; u < U; ++u) {
                    const VecOf<N> d = load<N>(gradient + at + u * step);
#pragma GCC unroll 8
                    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
                        for (int kx = 0; kx < K; ++kx)
                            sum[r][u][kx] += d * load<N>(window.rows[first + r] + (window.columns[kx] + at) + u * step);
                }
            for (; at < length; at += step)
                for (int r = 0; r < R; ++r)
                    for (int kx = 0; kx < K; ++kx)
                        sum[r][0][kx] += load<N>(gradient + at) * load<N>(window.rows[first + r] + (window.columns[kx] + at));
            for (int r = 0; r < R; ++r)
                for (int kx = 0; kx < K; ++kx) {
                    Real* to = sums + ((first + r) * K + kx) * step + c;
                    VecOf<N> whole = load<N>(to);
                    for (int u = 0; u < U; ++u) whole += sum[r][u][kx];
                    store<N>(to, whole);
                }
        }
}

template <int K>
inline void correlate(Real* sums, const Real* gradient, const Real* padded, const Geometry& g, Int y) {
    constexpr int R = K == 3 ? 3 : 1, U = K == 5 ? 2 : 1;  // 9 or 10 sums: as many as hide the latency of an addition
    g.wide() ? correlate_lanes<kWide, K, R, U>(sums, gradient, padded, g, y)
             : correlate_lanes<kLanes, K, R, U>(sums, gradient, padded, g, y);
}

// out[p] = in[p] · matrix for P pixels and O vectors of outputs, or added.
template <int P, int O, bool Added>
inline void multiply_at(Real* out, const Real* in, const Real* matrix) {
    Vec sum[P][O] = {};
    if constexpr (Added)
#pragma GCC unroll 12
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
            for (int o = 0; o < O; ++o) sum[p][o] = load(out + p * kChannels + o * kLanes);
    for (Int i = 0; i < kChannels; ++i) {
        Vec row[O];
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) {
            row[o] = load(matrix + i * kChannels + o * kLanes);
            hold(row[o]);
        }
#pragma GCC unroll 12
        for (int p = 0; p < P; ++p) {
            const Real factor = in[p * kChannels + i];
#pragma GCC unroll 8
            for (int o = 0; o < O; ++o) sum[p][o] += row[o] * factor;
        }
    }
#pragma GCC unroll 12
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) store(out + p * kChannels + o * kLanes, sum[p][o]);
}

// The channels of each pixel times a (channels, channels) matrix, or that added.
template <bool Added = false>
inline void multiply(Real* out, const Real* in, const Real* matrix, Int pixels) {
    constexpr int O = kChannels % (2 * kLanes) == 0 ? 2 : 1, P = 8 / O;  // 8 sums: two additions at once, each 4 cycles long
    for (Int c = 0; c < kChannels; c += O * kLanes) {
        Int p = 0;
        for (; p + P <= pixels; p += P) multiply_at<P, O, Added>(out + p * kChannels + c, in + p * kChannels, matrix + c);
        for (; p + 4 <= pixels; p += 4) multiply_at<4, O, Added>(out + p * kChannels + c, in + p * kChannels, matrix + c);
        for (; p < pixels; ++p) multiply_at<1, O, Added>(out + p * kChannels + c, in + p * kChannels, matrix + c);
    }
}

// sums[i][o] += sum over pixels of a[i] b[o], for 4 rows i, O vectors of outputs and so many times U pixels.
template <int U, int O>
inline void outer_at(Real* sums, const Real* a, const Real* b, Int times) {
    Vec sum[U][4][O] = {};
    for (Int p = 0; p < times * U; p += U)
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) {
            Vec row[O];
#pragma GCC unroll 8
            for (int o = 0; o < O; ++o) {
                row[o] = load(b + (p + u) * kChannels + o * kLanes);
                hold(row[o]);
            }
#pragma GCC unroll 8
            for (int i = 0; i < 4; ++i)
#pragma GCC unroll 8
                for (int o = 0; o < O; ++o) sum[u][i][o] += row[o] * a[(p + u) * kChannels + i];
        }
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i)
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) {
            Vec whole = load(sums + i * kChannels + o * kLanes);
#pragma GCC unroll 8
            for (int u = 0; u < U; ++u) whole += sum[u][i][o];
            store(sums + i * kChannels + o * kLanes, whole);
        }
}

// The same for all rows and outputs.
inline void outer(Real* sums, const Real* a, const Real* b, Int pixels) {
    constexpr int O = kChannels % (2 * kLanes) == 0 ? 2 : 1, U = 2 / O;  // 8 sums, as above
    const Int even = pixels / U * U;
    for (Int i = 0; i < kChannels; i += 4)
        for (Int c = 0; c < kChannels; c += O * kLanes) {
            Real* to = sums + i * kChannels + c;
            outer_at<U, O>(to, a + i, b + c, pixels / U);
            if (even < pixels) outer_at<1, O>(to, a + even * kChannels + i, b + even * kChannels + c, pixels - even);
        }
}

}  // namespace zarts
