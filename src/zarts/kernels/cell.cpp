// The mixed cell of a supernet on the CPU: every operation on every edge, forward and backward.
//
// A block is ReLU, depthwise k×k convolution, 1×1 convolution, batch norm without affine. What it costs is traffic
// over memory, so that one block is one pass: the rectified image is padded in a small buffer, each row of the
// depthwise convolution goes through the 1×1 convolution while it is in the first-level cache, and only z, the
// result before the norm, is kept. The norm is a scale and a shift a channel, applied where z is read: on the way
// into the next block, or into the sum of a node, times the weight of the operation. The backward pass makes the
// depthwise convolution again from the image instead of keeping it.
//
// Features are dense (batch, height, width, channels) arrays; channels are a multiple of 4. Images are shared out
// over threads. Sums over images are in double precision, so that they hardly depend on the number of threads.
//
// One description, an array of 64-bit integers and addresses, says what there is; see `Cell` for its order.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

namespace {

using Int = int64_t;

constexpr double kEpsilon = 1e-5, kMomentum = 0.1;  // of batch norms, as in torch

template <typename T, int L>
struct Lanes {
    typedef T Vector __attribute__((vector_size(L * sizeof(T)), aligned(sizeof(T)), may_alias));
};
template <typename T, int L>
using Vec = typename Lanes<T, L>::Vector;

template <typename T, int L>
inline Vec<T, L> load(const T* at) {
    return *reinterpret_cast<const Vec<T, L>*>(at);
}
template <typename T, int L>
inline void store(T* at, Vec<T, L> value) {
    *reinterpret_cast<Vec<T, L>*>(at) = value;
}

// Shares the images out over threads: work(thread, first image, behind the last).
template <typename Work>
void share(Int threads, Int images, const Work& work) {
    threads = std::max<Int>(1, std::min(threads, images));
    std::vector<std::thread> others;
    for (Int t = 1; t < threads; ++t) others.emplace_back([&, t] { work(t, images * t / threads, images * (t + 1) / threads); });
    work(0, 0, images / threads);
    for (auto& other : others) other.join();
}

// Two sums a channel, in double precision, one pair a thread: of z and z², or of the gradient g and g·z.
struct Sums {
    Int channels;
    std::vector<double> values;

    Sums(Int threads, Int channels) : channels(channels), values(2 * threads * channels, 0.0) {}

    template <typename T>
    void add(Int thread, const T* first, const T* second) {
        double* at = values.data() + 2 * thread * channels;
        for (Int c = 0; c < channels; ++c) at[c] += first[c], at[channels + c] += second[c];
    }
    double total(Int which, Int channel) const {
        double sum = 0;
        for (size_t at = which * channels + channel; at < values.size(); at += 2 * channels) sum += values[at];
        return sum;
    }
};

// Where a convolution of one image reads and writes. The padded image holds its columns in `stride` phases (even,
// odd), so that neighbours in the output are neighbours in memory for each tap.
struct Geometry {
    Int height, width, channels, kernel, stride, dilation;

    Int out_height() const { return (height + stride - 1) / stride; }
    Int out_width() const { return (width + stride - 1) / stride; }
    Int padding() const { return dilation * (kernel / 2); }
    Int rows() const { return stride * (out_height() - 1) + dilation * (kernel - 1) + 1; }
    Int columns() const { return (stride * (out_width() - 1) + dilation * (kernel - 1)) / stride + 1; }
    Int row() const { return stride * columns() * channels; }
    Int padded() const { return rows() * row(); }
    Int column(Int x) const { return ((x & (stride - 1)) * columns() + (x >> (stride - 1))) * channels; }
    Int pixels() const { return out_height() * out_width(); }
    Geometry transposed() const { return {height, width, channels, kernel, 1, dilation}; }
};

template <typename T>
struct Norm {  // z * scale + shift, a channel
    std::vector<T> scale, shift;
};

// ---------------------------------------------------------------------------------------------------- rows of pixels

// relu(image), or relu(norm(image)), into the middle of a padded image.
template <typename T, int L>
void rectify(T* padded, const T* image, const Geometry& g, const Norm<T>* norm) {
    const Vec<T, L> zero = {};
    std::memset(padded, 0, g.padded() * sizeof(T));
    for (Int y = 0; y < g.height; ++y) {
        T* row = padded + (y + g.padding()) * g.row();
        if (y + g.padding() >= g.rows()) break;
        for (Int x = 0; x < g.width; ++x, image += g.channels) {
            if ((x + g.padding()) >> (g.stride - 1) >= g.columns()) continue;
            T* pixel = row + g.column(x + g.padding());
            for (Int c = 0; c < g.channels; c += L) {
                Vec<T, L> value = load<T, L>(image + c);
                if (norm) value = value * load<T, L>(&norm->scale[c]) + load<T, L>(&norm->shift[c]);
                store<T, L>(pixel + c, value < zero ? zero : value);  // a NaN stays one
            }
        }
    }
}

// Weights of a depthwise kernel as (tap, channel), a narrow image's channels repeated to fill a vector.
template <typename T>
std::vector<T> taps(const T* weight, Int channels, Int kernel, Int wide, bool flipped) {
    const Int size = kernel * kernel, across = std::max(channels, wide);
    std::vector<T> out(size * across);
    for (Int tap = 0; tap < size; ++tap)
        for (Int c = 0; c < across; ++c) out[tap * across + c] = weight[c % channels * size + (flipped ? size - 1 - tap : tap)];
    return out;
}

template <typename T, int L, int K, int B>
inline void convolve_at(T* out, const T* const* rows, const Int* columns, const T* weight, Int step) {
    Vec<T, L> sum[B] = {};
    for (int ky = 0; ky < K; ++ky)
        for (int kx = 0; kx < K; ++kx) {
            const Vec<T, L> w = load<T, L>(weight + (ky * K + kx) * step);
            const T* x = rows[ky] + columns[kx];
#pragma GCC unroll 8
            for (int b = 0; b < B; ++b) sum[b] += load<T, L>(x + b * step) * w;
        }
#pragma GCC unroll 8
    for (int b = 0; b < B; ++b) store<T, L>(out + b * step, sum[b]);
}

// The addresses of row y of the output's taps.
template <typename T, int K>
struct Window {
    const T* rows[K];
    Int columns[K];

    Window(const T* padded, const Geometry& g, Int y) {
        for (int k = 0; k < K; ++k) {
            rows[k] = padded + (y * g.stride + k * g.dilation) * g.row();
            columns[k] = g.column(k * g.dilation);
        }
    }
    void advance(Int by) {
        for (int k = 0; k < K; ++k) rows[k] += by;
    }
};

// Row y of a depthwise convolution. `step` elements, a whole number of vectors, share their weights.
template <typename T, int L, int K>
void convolve_row(T* out, const T* padded, const T* weight, const Geometry& g, Int y) {
    const Int step = std::max<Int>(g.channels, L), positions = g.out_width() * g.channels / step;
    for (Int c = 0; c < step; c += L) {
        Window<T, K> window(padded + c, g, y);
        Int p = 0;
        for (; p + 8 <= positions; p += 8, window.advance(8 * step))
            convolve_at<T, L, K, 8>(out + p * step + c, window.rows, window.columns, weight + c, step);
        for (; p + 4 <= positions; p += 4, window.advance(4 * step))
            convolve_at<T, L, K, 4>(out + p * step + c, window.rows, window.columns, weight + c, step);
        for (; p < positions; ++p, window.advance(step))
            convolve_at<T, L, K, 1>(out + p * step + c, window.rows, window.columns, weight + c, step);
    }
}

// The weight's gradient of that row, (tap, step) added to `sums`: R rows of the kernel and U pixels at once.
template <typename T, int L, int K, int R, int U>
void correlate_row(T* sums, const T* gradient, const T* padded, const Geometry& g, Int y) {
    const Int step = std::max<Int>(g.channels, L), positions = g.out_width() * g.channels / step;
    for (Int c = 0; c < step; c += L)
        for (int first = 0; first < K; first += R) {
            Window<T, K> window(padded + c, g, y);
            Vec<T, L> sum[R][U][K] = {};
            const T* at = gradient + c;
            Int p = 0;
            for (; p + U <= positions; p += U, at += U * step, window.advance(U * step))
#pragma GCC unroll 8
                for (int u = 0; u < U; ++u) {
                    const Vec<T, L> d = load<T, L>(at + u * step);
#pragma GCC unroll 8
                    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
                        for (int kx = 0; kx < K; ++kx)
                            sum[r][u][kx] += d * load<T, L>(window.rows[first + r] + window.columns[kx] + u * step);
                }
            for (; p < positions; ++p, at += step, window.advance(step))
                for (int r = 0; r < R; ++r)
                    for (int kx = 0; kx < K; ++kx)
                        sum[r][0][kx] += load<T, L>(at) * load<T, L>(window.rows[first + r] + window.columns[kx]);
            for (int r = 0; r < R; ++r)
                for (int kx = 0; kx < K; ++kx) {
                    T* to = sums + ((first + r) * K + kx) * step + c;
                    Vec<T, L> whole = load<T, L>(to);
                    for (int u = 0; u < U; ++u) whole += sum[r][u][kx];
                    store<T, L>(to, whole);
                }
        }
}

// out[p] = in[p] · matrix for P pixels and O vectors of outputs.
template <typename T, int L, int P, int O>
inline void multiply_at(T* out, const T* in, const T* matrix, Int channels) {
    Vec<T, L> sum[P][O] = {};
    for (Int i = 0; i < channels; ++i) {
        Vec<T, L> row[O];
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) row[o] = load<T, L>(matrix + i * channels + o * L);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) {
            const T factor = in[p * channels + i];
#pragma GCC unroll 8
            for (int o = 0; o < O; ++o) sum[p][o] += row[o] * factor;
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) store<T, L>(out + p * channels + o * L, sum[p][o]);
}

// The channels of each pixel times a (channels, channels) matrix.
template <typename T, int L>
void multiply(T* out, const T* in, const T* matrix, Int pixels, Int channels) {
    Int c = 0;
    for (; c + 2 * L <= channels; c += 2 * L) {
        Int p = 0;
        for (; p + 4 <= pixels; p += 4) multiply_at<T, L, 4, 2>(out + p * channels + c, in + p * channels, matrix + c, channels);
        for (; p < pixels; ++p) multiply_at<T, L, 1, 2>(out + p * channels + c, in + p * channels, matrix + c, channels);
    }
    for (; c < channels; c += L) {
        Int p = 0;
        for (; p + 8 <= pixels; p += 8) multiply_at<T, L, 8, 1>(out + p * channels + c, in + p * channels, matrix + c, channels);
        for (; p < pixels; ++p) multiply_at<T, L, 1, 1>(out + p * channels + c, in + p * channels, matrix + c, channels);
    }
}

template <typename T, int L, int O>
inline void outer_at(T* sums, const T* a, const T* b, Int pixels, Int channels) {
    Vec<T, L> sum[4][O];
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i)
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) sum[i][o] = load<T, L>(sums + i * channels + o * L);
    for (Int p = 0; p < pixels; ++p, a += channels, b += channels) {
        Vec<T, L> row[O];
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) row[o] = load<T, L>(b + o * L);
#pragma GCC unroll 8
        for (int i = 0; i < 4; ++i)
#pragma GCC unroll 8
            for (int o = 0; o < O; ++o) sum[i][o] += row[o] * a[i];
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i)
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) store<T, L>(sums + i * channels + o * L, sum[i][o]);
}

// sums[i][o] += sum over pixels of a[i] b[o].
template <typename T, int L>
void outer(T* sums, const T* a, const T* b, Int pixels, Int channels) {
    for (Int i = 0; i < channels; i += 4) {
        Int o = 0;
        for (; o + 2 * L <= channels; o += 2 * L) outer_at<T, L, 2>(sums + i * channels + o, a + i, b + o, pixels, channels);
        for (; o < channels; o += L) outer_at<T, L, 1>(sums + i * channels + o, a + i, b + o, pixels, channels);
    }
}

// Sums over pixels of a and of a·b.
template <typename T, int L>
void moments(T* first, T* second, const T* a, const T* b, Int pixels, Int channels) {
    for (Int c = 0; c < channels; c += L) {
        Vec<T, L> one = {}, two = {};
        for (Int p = 0; p < pixels; ++p) {
            const Vec<T, L> value = load<T, L>(a + p * channels + c);
            one += value;
            two += value * load<T, L>(b + p * channels + c);
        }
        store<T, L>(first + c, one);
        store<T, L>(second + c, two);
    }
}

// ------------------------------------------------------------------------------------------------------------- blocks

// The gradient with respect to z from that with respect to the weighted norm of z: of_g·g + of_z·z + rest.
template <typename T>
struct NormGradient {
    std::vector<T> of_g, of_z, rest;
    double weight = 0;  // gradient of the operation's weight
};

template <typename T>
NormGradient<T> norm_gradient(const Sums& sums, double weight, const T* mean, const T* rstd, double count, bool training) {
    NormGradient<T> out;
    for (Int c = 0; c < sums.channels; ++c) {
        const double r = rstd[c], g = sums.total(0, c), of_scale = r * (sums.total(1, c) - mean[c] * g);
        out.weight += of_scale;
        const double slope = training ? of_scale / count : 0, level = training ? g / count : 0;
        out.of_g.push_back(weight * r);
        out.of_z.push_back(-weight * r * r * slope);
        out.rest.push_back(weight * r * (r * mean[c] * slope - level));
    }
    return out;
}

template <typename T>
Norm<T> norm(double weight, const T* mean, const T* rstd, Int channels) {
    Norm<T> out;
    for (Int c = 0; c < channels; ++c) {
        out.scale.push_back(weight * rstd[c]);
        out.shift.push_back(-weight * rstd[c] * mean[c]);
    }
    return out;
}

// The batch's mean and 1 / standard deviation, and the running statistics moved towards them.
template <typename T>
void settle(const Sums& sums, double count, T* mean, T* rstd, T* running_mean, T* running_var) {
    for (Int c = 0; c < sums.channels; ++c) {
        const double m = sums.total(0, c) / count, var = std::max(0.0, sums.total(1, c) / count - m * m);
        const bool broken = std::isnan(sums.total(1, c));  // std::max drops a NaN
        mean[c] = m;
        rstd[c] = broken ? std::numeric_limits<T>::quiet_NaN() : T(1 / std::sqrt(var + kEpsilon));
        running_mean[c] += kMomentum * (m - running_mean[c]);
        running_var[c] += kMomentum * ((broken ? NAN : var) * count / std::max(1.0, count - 1) - running_var[c]);
    }
}

template <typename T>
void recall(Int channels, T* mean, T* rstd, const T* running_mean, const T* running_var) {
    for (Int c = 0; c < channels; ++c) mean[c] = running_mean[c], rstd[c] = 1 / std::sqrt(running_var[c] + kEpsilon);
}

// One slot of a block, for lanes of L and, where whole vectors fit, depthwise lanes of W.
template <typename T, int L, int W, int K>
struct Block {
    Geometry g;
    Int batch, threads;
    const T *depthwise, *pointwise;  // (channels, k, k), (out, in)
    const Norm<T>* before;           // how the input is normalised; none for a node

    Int image() const { return g.height * g.width * g.channels; }
    Int result() const { return g.pixels() * g.channels; }
    bool fits(const Geometry& at) const {
        return at.channels % W == 0 || (W % at.channels == 0 && at.out_width() * at.channels % W == 0);
    }
    void convolve(T* out, const T* padded, const T* weight, const Geometry& at, Int y) const {
        fits(at) ? convolve_row<T, W, K>(out, padded, weight, at, y) : convolve_row<T, L, K>(out, padded, weight, at, y);
    }

    // z and its sums.
    void forward(T* z, const T* x, Sums& sums) const {
        const std::vector<T> kernel = taps(depthwise, g.channels, K, fits(g) ? W : L, false);
        std::vector<T> matrix(g.channels * g.channels);
        for (Int o = 0; o < g.channels; ++o)
            for (Int i = 0; i < g.channels; ++i) matrix[i * g.channels + o] = pointwise[o * g.channels + i];
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            const Int across = g.out_width() * g.channels;
            std::vector<T> padded(g.padded()), row(across), first(g.channels), second(g.channels);
            for (Int n = begin; n < end; ++n) {
                rectify<T, L>(padded.data(), x + n * image(), g, before);
                for (Int y = 0; y < g.out_height(); ++y) {
                    T* out = z + n * result() + y * across;
                    convolve(row.data(), padded.data(), kernel.data(), g, y);
                    multiply<T, L>(out, row.data(), matrix.data(), g.out_width(), g.channels);
                    moments<T, L>(first.data(), second.data(), out, out, g.out_width(), g.channels);
                    sums.add(thread, first.data(), second.data());
                }
            }
        });
    }

    // The gradients of the weights, and that of the input: added to `of_x`, or if the input is a z of its own put
    // there, with its sums.
    void backward(const T* gradient, const NormGradient<T>& by, const T* z, const T* x, T* of_x, Sums* sums,
                  T* of_depthwise, T* of_pointwise) const {
        const Int c = g.channels, across = g.out_width() * c, size = K * K, workers = std::max<Int>(1, threads);
        const Geometry back = g.transposed();
        const Int step = std::max<Int>(c, fits(g) ? W : L);
        const std::vector<T> kernel = taps(depthwise, c, K, fits(g) ? W : L, false);
        const std::vector<T> flipped = taps(depthwise, c, K, fits(back) ? W : L, true);
        std::vector<double> totals(workers * (size * c + c * c), 0.0);
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            std::vector<T> padded(g.padded()), spread(back.padded()), made(result()), of_z(result()), row(across);
            std::vector<T> of_taps(size * step), of_matrix(c * c), line(g.width * c), first(c), second(c);
            double* total = totals.data() + thread * (size * c + c * c);
            for (Int n = begin; n < end; ++n) {
                rectify<T, L>(padded.data(), x + n * image(), g, before);
                std::fill(spread.begin(), spread.end(), T(0));
                std::fill(of_taps.begin(), of_taps.end(), T(0));
                std::fill(of_matrix.begin(), of_matrix.end(), T(0));
                for (Int y = 0; y < g.out_height(); ++y) {
                    T* dz = of_z.data() + y * across;
                    const Int at = n * result() + y * across;
                    for (Int p = 0; p < across; p += c)
                        for (Int j = 0; j < c; j += L)
                            store<T, L>(dz + p + j, load<T, L>(gradient + at + p + j) * load<T, L>(&by.of_g[j]) +
                                                        load<T, L>(z + at + p + j) * load<T, L>(&by.of_z[j]) + load<T, L>(&by.rest[j]));
                    convolve(made.data() + y * across, padded.data(), kernel.data(), g, y);
                    multiply<T, L>(row.data(), dz, pointwise, g.out_width(), c);
                    constexpr int R = K == 3 ? 3 : 1, U = K == 3 ? 1 : 2;
                    if (fits(g)) correlate_row<T, W, K, R, U>(of_taps.data(), row.data(), padded.data(), g, y);
                    else correlate_row<T, L, K, R, U>(of_taps.data(), row.data(), padded.data(), g, y);
                    T* to = spread.data() + (y * g.stride + back.padding()) * back.row() + back.padding() * c;
                    for (Int p = 0; p < g.out_width(); ++p) std::memcpy(to + p * g.stride * c, row.data() + p * c, c * sizeof(T));
                }
                outer<T, L>(of_matrix.data(), made.data(), of_z.data(), g.pixels(), c);
                for (Int tap = 0; tap < size; ++tap)
                    for (Int j = 0; j < step; ++j) total[j % c * size + tap] += of_taps[tap * step + j];
                for (Int i = 0; i < c; ++i)
                    for (Int o = 0; o < c; ++o) total[size * c + o * c + i] += of_matrix[i * c + o];
                const Vec<T, L> zero = {};
                for (Int y = 0; y < g.height; ++y) {
                    T* to = of_x + n * image() + y * g.width * c;
                    const T* from = x + n * image() + y * g.width * c;
                    convolve(line.data(), spread.data(), flipped.data(), back, y);
                    for (Int p = 0; p < g.width * c; p += c)
                        for (Int j = 0; j < c; j += L) {
                            Vec<T, L> value = load<T, L>(from + p + j);
                            if (before) value = value * load<T, L>(&before->scale[j]) + load<T, L>(&before->shift[j]);
                            const Vec<T, L> d = value > zero ? load<T, L>(line.data() + p + j) : zero;
                            store<T, L>(to + p + j, sums ? d : load<T, L>(to + p + j) + d);
                        }
                    if (!sums) continue;
                    moments<T, L>(first.data(), second.data(), to, from, g.width, c);
                    sums->add(thread, first.data(), second.data());
                }
            }
        });
        for (Int thread = 0; thread < workers; ++thread) {
            const double* total = totals.data() + thread * (size * c + c * c);
            for (Int i = 0; i < size * c; ++i) of_depthwise[i] = (thread ? of_depthwise[i] : 0) + total[i];
            for (Int i = 0; i < c * c; ++i) of_pointwise[i] = (thread ? of_pointwise[i] : 0) + total[size * c + i];
        }
    }
};

// -------------------------------------------------------------------------------------------------------------- pools

// 3×3 windows of one output pixel; calls visit(input pixel, tap) for those inside.
template <typename Visit>
inline void window(const Geometry& g, Int y, Int x, const Visit& visit) {
    for (Int ky = 0; ky < 3; ++ky)
        for (Int kx = 0; kx < 3; ++kx) {
            const Int v = y * g.stride + ky - 1, u = x * g.stride + kx - 1;
            if (v >= 0 && v < g.height && u >= 0 && u < g.width) visit((v * g.width + u) * g.channels, ky * 3 + kx);
        }
}

template <typename T, int L>
struct Pool {
    Geometry g;
    Int batch, threads;
    bool average;

    Int image() const { return g.height * g.width * g.channels; }
    Int result() const { return g.pixels() * g.channels; }

    // The largest of a window and which tap it is, the first of equals; a NaN counts as largest, as in torch.
    void largest(const T* image, Int y, Int x, Int c, Vec<T, L>& best, Vec<T, L>& tap) const {
        best = Vec<T, L>{} - std::numeric_limits<T>::infinity();
        tap = Vec<T, L>{};
        window(g, y, x, [&](Int at, Int index) {
            const Vec<T, L> value = load<T, L>(image + at + c);
            const auto larger = (value > best) | (value != value);
            best = larger ? value : best;
            tap = larger ? Vec<T, L>{} + T(index) : tap;
        });
    }
    Int inside(Int y, Int x) const {
        Int count = 0;
        window(g, y, x, [&](Int, Int) { ++count; });
        return count;
    }

    void forward(T* z, const T* x, Sums& sums) const {
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            std::vector<T> first(g.channels), second(g.channels);
            for (Int n = begin; n < end; ++n)
                for (Int y = 0; y < g.out_height(); ++y) {
                    T* row = z + n * result() + y * g.out_width() * g.channels;
                    for (Int u = 0; u < g.out_width(); ++u) {
                        const T share_of_one = T(1) / inside(y, u);
                        for (Int c = 0; c < g.channels; c += L) {
                            Vec<T, L> best = {}, tap;
                            if (average) {
                                window(g, y, u, [&](Int at, Int) { best += load<T, L>(x + n * image() + at + c); });
                                best *= share_of_one;
                            } else {
                                largest(x + n * image(), y, u, c, best, tap);
                            }
                            store<T, L>(row + u * g.channels + c, best);
                        }
                    }
                    moments<T, L>(first.data(), second.data(), row, row, g.out_width(), g.channels);
                    sums.add(thread, first.data(), second.data());
                }
        });
    }

    // From the gradient of z, added to that of x.
    void backward(const T* of_z, const T* x, T* of_x) const {
        share(threads, batch, [&](Int, Int begin, Int end) {
            for (Int n = begin; n < end; ++n)
                for (Int y = 0; y < g.out_height(); ++y)
                    for (Int u = 0; u < g.out_width(); ++u) {
                        const T* d = of_z + n * result() + (y * g.out_width() + u) * g.channels;
                        T* to = of_x + n * image();
                        const T share_of_one = T(1) / inside(y, u);
                        for (Int c = 0; c < g.channels; c += L) {
                            const Vec<T, L> gradient = load<T, L>(d + c), zero = {};
                            Vec<T, L> best, tap = {};
                            if (!average) largest(x + n * image(), y, u, c, best, tap);
                            window(g, y, u, [&](Int at, Int index) {
                                const Vec<T, L> part = average ? gradient * share_of_one : (tap == zero + T(index) ? gradient : zero);
                                store<T, L>(to + at + c, load<T, L>(to + at + c) + part);
                            });
                        }
                    }
        });
    }
};

// --------------------------------------------------------------------------------------------------------------- cell

enum Kind : Int { kSkip, kMaxPool, kAveragePool, kConvolution };

struct BlockPlace {  // one block for all its slots
    Int kernel, dilation;
    void *depthwise, *pointwise, *running_mean, *running_var, *of_depthwise, *of_pointwise;
    void *z, *mean, *rstd;
};

struct Operation {
    Kind kind;
    Int slots;
    const Int *row, *source, *target, *place;  // a slot: of the parameters; node read; node entered; its weight
    std::vector<BlockPlace> blocks;            // of a pool: one, without weights, whose z there is one a source
};

// Order of the description: batch, height, width (of the inputs), channels, stride (of edges from them), inputs,
// nodes, training, threads; addresses of the tape, the weights, the gradients of the nodes, of the weights and of the
// inputs, and the inputs; number of operations; for each its kind, stride, slots, address of (4, slots) integers,
// number of blocks, and for each block kernel, dilation and the six addresses of `BlockPlace`.
template <typename T, int L, int W>
struct Cell {
    Int batch, height, width, channels, stride, inputs, nodes, training, threads;
    T *tape, *weights, *of_nodes, *of_weights, *of_inputs, *taken;
    std::vector<T*> states;  // inputs, then nodes
    std::vector<Operation> operations;
    T* node_values;

    explicit Cell(const Int* at) {
        for (Int* field : {&batch, &height, &width, &channels, &stride, &inputs, &nodes, &training, &threads}) *field = *at++;
        for (T** field : {&tape, &weights, &of_nodes, &of_weights, &of_inputs}) *field = reinterpret_cast<T*>(*at++);
        for (Int i = 0; i < inputs; ++i) states.push_back(reinterpret_cast<T*>(*at++));
        taken = tape;
        node_values = take(nodes * small());
        for (Int i = 0; i < nodes; ++i) states.push_back(node_values + i * small());
        for (Int count = *at++; count > 0; --count) {
            Operation op;
            op.kind = Kind(*at++);
            op.slots = *at++;
            op.row = reinterpret_cast<const Int*>(*at++);
            op.source = op.row + op.slots, op.target = op.source + op.slots, op.place = op.target + op.slots;
            for (Int blocks = *at++; blocks > 0; --blocks) {
                BlockPlace block;
                for (Int* field : {&block.kernel, &block.dilation}) *field = *at++;
                for (void** field : {&block.depthwise, &block.pointwise, &block.running_mean, &block.running_var,
                                     &block.of_depthwise, &block.of_pointwise})
                    *field = reinterpret_cast<void*>(*at++);
                block.z = take((op.kind == kConvolution ? op.slots : inputs + nodes) * small());
                block.mean = take(op.slots * channels);
                block.rstd = take(op.slots * channels);
                op.blocks.push_back(block);
            }
            operations.push_back(op);
        }
    }

    T* take(Int count) {
        T* at = taken;
        taken += (count + 15) / 16 * 16;
        return at;
    }
    Int small_height() const { return (height + stride - 1) / stride; }
    Int small_width() const { return (width + stride - 1) / stride; }
    Int small() const { return batch * small_height() * small_width() * channels; }
    Int large() const { return batch * height * width * channels; }
    double count() const { return double(batch * small_height() * small_width()); }
    bool from_input(Int source) const { return source < inputs; }
    T* gradient_of(Int state) const {
        return from_input(state) ? of_inputs + state * large() : of_nodes + (state - inputs) * small();
    }
    Geometry geometry(Int source, Int kernel, Int block_stride, Int dilation) const {
        const bool whole = from_input(source);
        return {whole ? height : small_height(), whole ? width : small_width(), channels, kernel, block_stride, dilation};
    }
    Geometry small_geometry(Int kernel, Int dilation) const { return {small_height(), small_width(), channels, kernel, 1, dilation}; }
    Int stride_from(Int source) const { return from_input(source) ? stride : 1; }
    T* part(void* base, Int slot, Int size) const { return static_cast<T*>(base) + slot * size; }
    T* z_of(const Operation& op, size_t block, Int slot) const {
        return part(op.blocks[block].z, op.kind == kConvolution ? slot : op.source[slot], small());
    }
    T* mean_of(const Operation& op, size_t block, Int slot) const { return part(op.blocks[block].mean, slot, channels); }
    T* rstd_of(const Operation& op, size_t block, Int slot) const { return part(op.blocks[block].rstd, slot, channels); }
    Norm<T> norm_of(const Operation& op, size_t block, Int slot, double weight) const {
        return norm(weight, mean_of(op, block, slot), rstd_of(op, block, slot), channels);
    }

    void finish(const Operation& op, size_t block, Int slot, const Sums& sums) const {
        const BlockPlace& b = op.blocks[block];
        T *running_mean = part(b.running_mean, op.row[slot], channels), *running_var = part(b.running_var, op.row[slot], channels);
        T *mean = mean_of(op, block, slot), *rstd = rstd_of(op, block, slot);
        if (training) settle(sums, count(), mean, rstd, running_mean, running_var);
        else recall(channels, mean, rstd, running_mean, running_var);
    }

    // to += from * scale + shift
    void add(T* to, const T* from, const Norm<T>& by) const {
        const Int size = small() / batch;
        share(threads, batch, [&](Int, Int begin, Int end) {
            for (Int p = begin * size; p < end * size; p += channels)
                for (Int c = 0; c < channels; c += L)
                    store<T, L>(to + p + c, load<T, L>(to + p + c) + load<T, L>(from + p + c) * load<T, L>(&by.scale[c]) +
                                                load<T, L>(&by.shift[c]));
        });
    }

    Sums products(const T* gradient, const T* z) const {
        Sums sums(threads, channels);
        const Int across = small_width() * channels, size = small() / batch;
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            std::vector<T> first(channels), second(channels);
            for (Int at = begin * size; at < end * size; at += across) {
                moments<T, L>(first.data(), second.data(), gradient + at, z + at, small_width(), channels);
                sums.add(thread, first.data(), second.data());
            }
        });
        return sums;
    }

    template <typename Use>
    void with_block(const Operation& op, size_t index, Int slot, const Norm<T>* before, const Use& use) const {
        const BlockPlace& b = op.blocks[index];
        const Geometry g = index == 0 ? geometry(op.source[slot], b.kernel, stride_from(op.source[slot]), b.dilation)
                                      : small_geometry(b.kernel, b.dilation);
        const T* depthwise = part(b.depthwise, op.row[slot], channels * b.kernel * b.kernel);
        const T* pointwise = part(b.pointwise, op.row[slot], channels * channels);
        if (b.kernel == 3) use(Block<T, L, W, 3>{g, batch, threads, depthwise, pointwise, before});
        else use(Block<T, L, W, 5>{g, batch, threads, depthwise, pointwise, before});
    }

    Pool<T, L> pool(const Operation& op, Int source) const {
        return {geometry(source, 3, stride_from(source), 1), batch, threads, op.kind == kAveragePool};
    }

    template <typename Visit>
    void each_slot(const Operation& op, Int source, const Visit& visit) const {
        for (Int slot = 0; slot < op.slots; ++slot)
            if (op.source[slot] == source) visit(slot);
    }
    bool reads(const Operation& op, Int source) const {
        return std::find(op.source, op.source + op.slots, source) != op.source + op.slots;
    }
    Norm<T> plain(double weight) const { return {std::vector<T>(channels, T(weight)), std::vector<T>(channels, T(0))}; }

    // A state is complete when those before it are done with, forward, and its gradient when those behind it are.
    void forward() {
        for (Int source = 0; source < inputs + nodes; ++source)
            for (const Operation& op : operations) {
                if (!reads(op, source)) continue;
                if (op.kind == kMaxPool || op.kind == kAveragePool) pool_forward(op, source);
                else each_slot(op, source, [&](Int slot) { op.kind == kSkip ? skip_forward(op, slot) : blocks_forward(op, slot); });
            }
    }
    void backward() {
        for (Int source = inputs + nodes - 1; source >= 0; --source)
            for (const Operation& op : operations) {
                if (!reads(op, source)) continue;
                if (op.kind == kMaxPool || op.kind == kAveragePool) pool_backward(op, source);
                else each_slot(op, source, [&](Int slot) { op.kind == kSkip ? skip_backward(op, slot) : blocks_backward(op, slot); });
            }
    }

    double weight(const Operation& op, Int slot) const { return weights[op.place[slot]]; }
    T* target(const Operation& op, Int slot) const { return states[op.target[slot]]; }

    void skip_forward(const Operation& op, Int slot) const { add(target(op, slot), states[op.source[slot]], plain(weight(op, slot))); }

    void skip_backward(const Operation& op, Int slot) const {
        const T* gradient = gradient_of(op.target[slot]);
        const Sums sums = products(gradient, states[op.source[slot]]);
        double total = 0;
        for (Int c = 0; c < channels; ++c) total += sums.total(1, c);
        of_weights[op.place[slot]] = total;
        add(gradient_of(op.source[slot]), gradient, plain(weight(op, slot)));
    }

    // One pool for all slots that read the source; each has running statistics of its own.
    void pool_forward(const Operation& op, Int source) const {
        T* z = part(op.blocks[0].z, source, small());
        Sums sums(threads, channels);
        pool(op, source).forward(z, states[source], sums);
        each_slot(op, source, [&](Int slot) {
            finish(op, 0, slot, sums);
            add(target(op, slot), z, norm_of(op, 0, slot, weight(op, slot)));
        });
    }

    void pool_backward(const Operation& op, Int source) const {
        const T* z = part(op.blocks[0].z, source, small());
        std::vector<T> of_z(small(), T(0));
        each_slot(op, source, [&](Int slot) {
            const T* gradient = gradient_of(op.target[slot]);
            const NormGradient<T> by = gradient_through_norm(op, 0, slot, weight(op, slot), products(gradient, z));
            of_weights[op.place[slot]] = by.weight;
            add(of_z.data(), gradient, {by.of_g, by.rest});
            add(of_z.data(), z, {by.of_z, std::vector<T>(channels, T(0))});
        });
        pool(op, source).backward(of_z.data(), states[source], gradient_of(source));
    }

    void blocks_forward(const Operation& op, Int slot) const {
        Norm<T> before;
        const T* x = states[op.source[slot]];
        for (size_t index = 0; index < op.blocks.size(); ++index) {
            T* z = z_of(op, index, slot);
            Sums sums(threads, channels);
            with_block(op, index, slot, index ? &before : nullptr, [&](const auto& block) { block.forward(z, x, sums); });
            finish(op, index, slot, sums);
            before = norm_of(op, index, slot, 1);
            x = z;
        }
        add(target(op, slot), x, norm_of(op, op.blocks.size() - 1, slot, weight(op, slot)));
    }

    void blocks_backward(const Operation& op, Int slot) const {
        const size_t last = op.blocks.size() - 1;
        const T* gradient = gradient_of(op.target[slot]);
        NormGradient<T> by = gradient_through_norm(op, last, slot, weight(op, slot), products(gradient, z_of(op, last, slot)));
        of_weights[op.place[slot]] = by.weight;
        std::vector<T> of_z;
        for (size_t index = last; index > 0; --index) {
            const Norm<T> before = norm_of(op, index - 1, slot, 1);
            std::vector<T> of_input(small());
            Sums sums(threads, channels);
            block_backward(op, index, slot, &before, gradient, by, z_of(op, index - 1, slot), of_input.data(), &sums);
            by = gradient_through_norm(op, index - 1, slot, 1, sums);
            of_z = std::move(of_input);
            gradient = of_z.data();
        }
        const Int source = op.source[slot];
        block_backward(op, 0, slot, nullptr, gradient, by, states[source], gradient_of(source), nullptr);
    }

    void block_backward(const Operation& op, size_t index, Int slot, const Norm<T>* before, const T* gradient,
                        const NormGradient<T>& by, const T* x, T* of_x, Sums* sums) const {
        const BlockPlace& b = op.blocks[index];
        T* of_depthwise = part(b.of_depthwise, op.row[slot], channels * b.kernel * b.kernel);
        T* of_pointwise = part(b.of_pointwise, op.row[slot], channels * channels);
        with_block(op, index, slot, before, [&](const auto& block) {
            block.backward(gradient, by, z_of(op, index, slot), x, of_x, sums, of_depthwise, of_pointwise);
        });
    }

    NormGradient<T> gradient_through_norm(const Operation& op, size_t index, Int slot, double weight, const Sums& sums) const {
        return norm_gradient(sums, weight, mean_of(op, index, slot), rstd_of(op, index, slot), count(), training);
    }
};

template <typename T, int L, int W>
Int run(const Int* description, Int direction) {
    Cell<T, L, W> cell(description);
    if (direction > 0) cell.forward();
    if (direction < 0) cell.backward();
    return cell.taken - cell.tape;
}

}  // namespace

// Direction 1: forward; -1: backward; 0: nothing. Returns how many elements the tape has.
extern "C" int64_t zarts_cell_float32(const int64_t* description, int64_t direction) {
    return description[3] % 8 == 0 ? run<float, 8, 8>(description, direction) : run<float, 4, 8>(description, direction);
}

extern "C" int64_t zarts_cell_float64(const int64_t* description, int64_t direction) {
    return run<double, 4, 4>(description, direction);
}
