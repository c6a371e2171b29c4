// ReLU, depthwise convolution, 1×1 convolution: the part of a block before its batch norm.
#pragma once

#include "norm.hpp"
#include "rows.hpp"

namespace zarts {

// One block on one edge, without its norm.
template <int K>
struct Block {
    Geometry g;
    Int batch, threads;
    const Real *depthwise, *pointwise;  // (channels, k, k), (out, in)
    const Norm* before;                 // how the input is normalised; null for a node

    // So many rows at once that their products have enough pixels.
    Int band() const { return std::min(g.out_height, std::max<Int>(1, 36 / g.out_width)); }

    // z, with its sums.
    void forward(Real* z, const Real* x, Sums& sums) const {
        const Array kernel = taps(depthwise, g, false);
        Array matrix(kChannels * kChannels);
        for (Int o = 0; o < kChannels; ++o)
            for (Int i = 0; i < kChannels; ++i) matrix[i * kChannels + o] = pointwise[o * kChannels + i];
        const Int across = g.out_width * kChannels;
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            Array padded(g.rows * g.row), convolved(band() * across);
            for (Int n = begin; n < end; ++n) {
                rectify(padded.data(), x + n * g.image());
                for (Int top = 0; top < g.out_height; top += band()) {
                    const Int rows = std::min(band(), g.out_height - top), pixels = rows * g.out_width;
                    Real* out = z + n * g.result() + top * across;
                    for (Int y = 0; y < rows; ++y)
                        convolve<K>(convolved.data() + y * across, padded.data(), kernel.data(), g, top + y);
                    multiply(out, convolved.data(), matrix.data(), pixels);
                    sums.add(thread, out, out, pixels);
                }
            }
        });
    }

    // From the gradient behind the norm, those of the weights and of the input: added to `of_x`, or with `sums` (those
    // of it and of its product with x) put there. The weights' are not wanted where they are null.
    void backward(const Real* gradient, const NormGradient& norm, const Real* z, const Real* x, Real* of_x, Sums* sums,
                  Real* of_depthwise, Real* of_pointwise) const {
        constexpr Int weights = (K * K + kChannels) * kChannels;
        const Geometry back(g.height, g.width, K, 1, g.dilation);  // of the transposed convolution
        const Int across = g.out_width * kChannels, line = g.width * kChannels, step = g.step();
        const Array kernel = taps(depthwise, g, false), flipped = taps(depthwise, back, true);
        ArrayOf<double> totals(std::max<Int>(1, threads) * weights, 0.0);
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            Array padded(g.rows * g.row), spread(back.rows * back.row), convolved(band() * across), dz(band() * across);
            Array of_convolved(band() * across), of_taps(K * K * step), of_matrix(kChannels * kChannels), of_row(line);
            for (Int n = begin; n < end; ++n) {
                if (of_depthwise) rectify(padded.data(), x + n * g.image());
                std::fill(of_taps.begin(), of_taps.end(), Real(0));
                std::fill(of_matrix.begin(), of_matrix.end(), Real(0));
                for (Int top = 0; top < g.out_height; top += band()) {
                    const Int rows = std::min(band(), g.out_height - top), pixels = rows * g.out_width;
                    const Int at = n * g.result() + top * across, seen = n * g.image() + top * g.stride * line, ahead = rows * across;
                    prefetch(gradient + at + ahead, ahead);
                    norm.apply(dz.data(), gradient + at, z + at, pixels);
                    for (Int y = 0; y < rows && of_pointwise; ++y)
                        convolve<K>(convolved.data() + y * across, padded.data(), kernel.data(), g, top + y);
                    prefetch(z + at + ahead, ahead);
                    if (of_pointwise) outer(of_matrix.data(), convolved.data(), dz.data(), pixels);
                    prefetch(x + seen + g.image(), g.stride * rows * line);
                    multiply(of_convolved.data(), dz.data(), pointwise, pixels);
                    prefetch(of_x + seen, g.stride * rows * line);
                    for (Int y = 0; y < rows; ++y) {
                        const Real* row = of_convolved.data() + y * across;
                        if (of_depthwise) correlate<K>(of_taps.data(), row, padded.data(), g, top + y);
                        place(spread.data() + ((top + y) * g.stride + back.padding) * back.row + back.padding * kChannels, row);
                    }
                }
                collect(totals.data() + thread * weights, of_taps, of_matrix, step);
                for (Int y = 0; y < g.height; ++y) {
                    const Int at = n * g.image() + y * line;
                    convolve<K>(of_row.data(), spread.data(), flipped.data(), back, y);
                    through_relu(of_x + at, of_row.data(), x + at, sums == nullptr);
                    if (sums) sums->add(thread, of_x + at, x + at, g.width);
                }
            }
        });
        const Int wanted = of_pointwise ? weights : K * K * kChannels;  // a merged kernel's alone, where weights are fixed
        for (Int i = 0; i < wanted && of_depthwise; ++i) {
            double total = 0;
            for (size_t at = i; at < totals.size(); at += weights) total += totals[at];
            (i < K * K * kChannels ? of_depthwise[i] : of_pointwise[i - K * K * kChannels]) = total;
        }
    }

  private:
    // relu(x), or relu(norm(x)), into the middle of a padded image, whose border is 0 and stays so.
    void rectify(Real* padded, const Real* x) const {
        const Vec zero = {};
        const Int height = std::min(g.height, g.rows - g.padding), width = std::min(g.width, g.stride * g.columns - g.padding);
        for (Int c = 0; c < kChannels; c += kLanes) {
            const Vec scale = before ? load(&before->scale[c]) : zero + 1, shift = before ? load(&before->shift[c]) : zero;
            for (Int y = 0; y < height; ++y) {
                const Real* from = x + y * g.width * kChannels + c;
                Real* row = padded + (y + g.padding) * g.row + c;
                for (Int phase = 0; phase < g.stride; ++phase) {  // columns of one phase are neighbours
                    Real* to = row + g.column(phase + g.padding);
                    for (Int u = phase; u < width; u += g.stride, to += kChannels) {
                        const Vec value = load(from + u * kChannels) * scale + shift;
                        store(to, value < zero ? zero : value);  // a NaN stays one
                    }
                }
            }
        }
    }
    // A row of the output where it came from in the input, zeros between at stride 2.
    void place(Real* to, const Real* row) const {
        if (g.stride == 1) std::memcpy(to, row, g.out_width * kChannels * sizeof(Real));
        else
            for (Int u = 0; u < g.out_width; ++u)
                std::memcpy(to + u * g.stride * kChannels, row + u * kChannels, kChannels * sizeof(Real));
    }
    // An image's gradients of the weights, in the parameters' order.
    void collect(double* total, const Array& of_taps, const Array& of_matrix, Int step) const {
        for (Int tap = 0; tap < K * K; ++tap)
            for (Int c = 0; c < step; ++c) total[c % kChannels * K * K + tap] += of_taps[tap * step + c];
        total += K * K * kChannels;
        for (Int i = 0; i < kChannels; ++i)
            for (Int o = 0; o < kChannels; ++o) total[o * kChannels + i] += of_matrix[i * kChannels + o];
    }
    // A row of the gradient, where the input, after its norm, is positive.
    void through_relu(Real* of_x, const Real* gradient, const Real* x, bool added) const {
        const Vec zero = {};
        for (Int c = 0; c < kChannels; c += kLanes) {
            const Vec scale = before ? load(&before->scale[c]) : zero + 1, shift = before ? load(&before->shift[c]) : zero;
            for (Int p = c; p < g.width * kChannels; p += kChannels) {
                const Vec part = load(x + p) * scale + shift > zero ? load(gradient + p) : zero;
                store(of_x + p, added ? load(of_x + p) + part : part);
            }
        }
    }
};

}  // namespace zarts
