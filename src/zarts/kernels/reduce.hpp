// The skip of stride 2 without its norm: half of the channels see the rectified even pixels, the others the odd ones.
#pragma once

#include "block.hpp"

namespace zarts {

struct Reduce {
    Geometry g;  // of stride 2; the kernel plays no part
    Int batch, threads;
    const Real *even, *odd;  // (channels / 2, channels) and (channels - channels / 2, channels)

    static constexpr Int kHalf = kChannels / 2;

    // z, with its sums.
    void forward(Real* z, const Real* x, Sums& sums) const {
        const Array first = matrix(even, 0, kHalf), second = matrix(odd, kHalf, kChannels);
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            Array seen(across()), part(across());
            for (Int n = begin; n < end; ++n)
                for (Int y = 0; y < g.out_height; ++y) {
                    Real* out = z + n * g.result() + y * across();
                    gather(seen.data(), x + n * g.image(), y, 0);
                    multiply(out, seen.data(), first.data(), g.out_width);
                    gather(seen.data(), x + n * g.image(), y, 1);
                    multiply(part.data(), seen.data(), second.data(), g.out_width);
                    for (Int p = 0; p < across(); ++p) out[p] += part[p];
                    sums.add(thread, out, out, g.out_width);
                }
        });
    }

    // From the gradient behind the norm, those of the weights and of the input, which is added to `of_x`.
    void backward(const Real* gradient, const NormGradient& norm, const Real* z, const Real* x, Real* of_x, Real* of_even,
                  Real* of_odd) const {
        constexpr Int size = kChannels * kChannels;
        const Array back[] = {transposed(even, 0, kHalf), transposed(odd, kHalf, kChannels)};
        ArrayOf<double> totals(std::max<Int>(1, threads) * 2 * size, 0.0);
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            Array seen(across()), dz(across()), of_seen(across()), of_matrix(size);
            for (Int n = begin; n < end; ++n)
                for (Int phase = 0; phase < 2; ++phase) {
                    std::fill(of_matrix.begin(), of_matrix.end(), Real(0));
                    for (Int y = 0; y < g.out_height; ++y) {
                        const Int at = n * g.result() + y * across();
                        norm.apply(dz.data(), gradient + at, z + at, g.out_width);
                        gather(seen.data(), x + n * g.image(), y, phase);
                        outer(of_matrix.data(), seen.data(), dz.data(), g.out_width);
                        multiply(of_seen.data(), dz.data(), back[phase].data(), g.out_width);
                        scatter(of_x + n * g.image(), of_seen.data(), seen.data(), y, phase);
                    }
                    double* total = totals.data() + (2 * thread + phase) * size;
                    for (Int i = 0; i < size; ++i) total[i] += of_matrix[i];
                }
        });
        for (Int o = 0; o < kChannels; ++o)
            for (Int i = 0; i < kChannels; ++i) {
                double total = 0;
                for (size_t at = (o < kHalf ? 0 : size) + i * kChannels + o; at < totals.size(); at += 2 * size) total += totals[at];
                (o < kHalf ? of_even[o * kChannels + i] : of_odd[(o - kHalf) * kChannels + i]) = total;
            }
    }

  private:
    Int across() const { return g.out_width * kChannels; }

    // (in, out) with the outputs from `first` to `last`, zeros elsewhere; and (out, in).
    static Array matrix(const Real* weight, Int first, Int last) {
        Array out(kChannels * kChannels);
        for (Int o = first; o < last; ++o)
            for (Int i = 0; i < kChannels; ++i) out[i * kChannels + o] = weight[(o - first) * kChannels + i];
        return out;
    }
    static Array transposed(const Real* weight, Int first, Int last) {
        Array out(kChannels * kChannels);
        std::copy(weight, weight + (last - first) * kChannels, out.begin() + first * kChannels);
        return out;
    }
    // Row y of the even or odd pixels, rectified; an odd side has one odd pixel less than even ones, a 0 here.
    void gather(Real* to, const Real* image, Int y, Int phase) const {
        const Vec zero = {};
        const Real* row = image + (2 * y + phase) * g.width * kChannels;
        for (Int u = 0; u < g.out_width; ++u)
            for (Int c = 0; c < kChannels; c += kLanes) {
                const bool inside = 2 * y + phase < g.height && 2 * u + phase < g.width;
                const Vec value = inside ? load(row + (2 * u + phase) * kChannels + c) : zero;
                store(to + u * kChannels + c, value < zero ? zero : value);
            }
    }
    void scatter(Real* image, const Real* gradient, const Real* seen, Int y, Int phase) const {
        const Vec zero = {};
        Real* row = image + (2 * y + phase) * g.width * kChannels;
        if (2 * y + phase >= g.height) return;
        for (Int u = 0; 2 * u + phase < g.width; ++u)
            for (Int c = 0; c < kChannels; c += kLanes) {
                Real* to = row + (2 * u + phase) * kChannels + c;
                const Int at = u * kChannels + c;
                store(to, load(to) + (load(seen + at) > zero ? load(gradient + at) : zero));
            }
    }
};

}  // namespace zarts
