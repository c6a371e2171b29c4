// ReLU and 1×1 convolution from any number of channels, before a batch norm. At stride 2 one half of the outputs sees the
// even pixels, the other the odd ones.
#pragma once

#include "norm.hpp"
#include "rows.hpp"

namespace zarts {

// Input channels are worked on in slabs of kChannels, filled up with zeros; at stride 2 first those of the even pixels.
struct Projection {
    Int height, width, inputs, stride, batch, threads;
    const Real *even, *odd;  // (outputs, inputs); at stride 1 `even` has all outputs

    static constexpr Int kHalf = kChannels / 2, kSize = kChannels * kChannels;

    Int out_height() const { return (height + stride - 1) / stride; }
    Int out_width() const { return (width + stride - 1) / stride; }

    // z, with its sums.
    void forward(Real* z, const Real* x, Sums& sums) const {
        Array matrices(slabs() * kSize);
        each_weight([&](Int slab, Int o, Int i, Int at) { matrices[(slab * kChannels + i) * kChannels + o] = weight(slab)[at]; });
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            Array seen(band() * across());
            for_bands(begin, end, [&](Int n, Int top, Int rows) {
                const Int pixels = rows * out_width();
                Real* out = z + (n * out_height() + top) * across();
                for (Int slab = 0; slab < slabs(); ++slab) {
                    gather(seen.data(), image(x, n), top, rows, slab);
                    if (slab == 0) multiply(out, seen.data(), matrices.data(), pixels);
                    else multiply<true>(out, seen.data(), matrices.data() + slab * kSize, pixels);
                }
                sums.add(thread, out, out, pixels);
            });
        });
    }

    // From the gradient behind the norm, those of the weights, and that of the input: added to `of_x`, or put there. What
    // is null is not wanted.
    void backward(const Real* gradient, const NormGradient& norm, const Real* z, const Real* x, Real* of_x, bool added,
                  Real* of_even, Real* of_odd) const {
        Array matrices(slabs() * kSize);
        each_weight([&](Int slab, Int o, Int i, Int at) { matrices[(slab * kChannels + o) * kChannels + i] = weight(slab)[at]; });
        const Int size = slabs() * kSize;
        ArrayOf<double> totals(std::max<Int>(1, threads) * size, 0.0);
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            Array seen(band() * across()), dz(band() * across()), of_seen(band() * across()), of_matrices(size);
            double* total = totals.data() + thread * size;
            for_bands(begin, end, [&](Int n, Int top, Int rows) {
                const Int at = (n * out_height() + top) * across(), pixels = rows * out_width();
                norm.apply(dz.data(), gradient + at, z + at, pixels);
                for (Int slab = 0; slab < slabs(); ++slab) {
                    gather(seen.data(), image(x, n), top, rows, slab);
                    if (of_even) outer(of_matrices.data() + slab * kSize, seen.data(), dz.data(), pixels);
                    if (!of_x) continue;
                    multiply(of_seen.data(), dz.data(), matrices.data() + slab * kSize, pixels);
                    scatter(image(of_x, n), of_seen.data(), seen.data(), top, rows, slab, added);
                }
                if (top + rows < out_height()) return;
                for (Int i = 0; i < size; ++i) total[i] += of_matrices[i], of_matrices[i] = 0;
            });
        });
        if (!of_even) return;
        each_weight([&](Int slab, Int o, Int i, Int at) {
            double total = 0;
            for (size_t from = (slab * kChannels + i) * kChannels + o; from < totals.size(); from += size) total += totals[from];
            (slab < parts() ? of_even : of_odd)[at] = total;
        });
    }

  private:
    Int parts() const { return (inputs + kChannels - 1) / kChannels; }
    Int slabs() const { return stride * parts(); }
    Int across() const { return out_width() * kChannels; }
    Int band() const { return std::min(out_height(), std::max<Int>(1, 36 / out_width())); }
    const Real* weight(Int slab) const { return slab < parts() ? even : odd; }
    template <typename T>
    T* image(T* x, Int n) const {
        return x + n * height * width * inputs;
    }
    template <typename Use>
    void for_bands(Int begin, Int end, const Use& use) const {
        for (Int n = begin; n < end; ++n)
            for (Int top = 0; top < out_height(); top += band()) use(n, top, std::min(band(), out_height() - top));
    }
    // Every weight: its slab, its output, its input in the slab, where it is in the parameter.
    template <typename Use>
    void each_weight(const Use& use) const {
        for (Int slab = 0; slab < slabs(); ++slab) {
            const Int first = stride == 2 && slab >= parts() ? kHalf : 0, last = stride == 2 && slab < parts() ? kHalf : kChannels;
            const Int start = slab % parts() * kChannels, count = std::min(kChannels, inputs - start);
            for (Int o = first; o < last; ++o)
                for (Int i = 0; i < count; ++i) use(slab, o, i, (o - first) * inputs + start + i);
        }
    }
    // The pixels of rows of the output: where each is in the image, and in the slab.
    template <typename Use>
    void each_pixel(Int top, Int rows, Int slab, const Use& use) const {
        const Int phase = slab / parts(), start = slab % parts() * kChannels;
        for (Int y = 0; y < rows && stride * (top + y) + phase < height; ++y) {
            const Int row = (stride * (top + y) + phase) * width + phase;
            for (Int u = 0; stride * u + phase < width; ++u) use((row + stride * u) * inputs + start, (y * out_width() + u) * kChannels);
        }
    }
    Int filled(Int slab) const { return std::min(kChannels, inputs - slab % parts() * kChannels); }

    // A slab of some rows, rectified; an odd side has one odd pixel less than even ones, a 0 here.
    void gather(Real* to, const Real* from, Int top, Int rows, Int slab) const {
        const Vec zero = {};
        const Int count = filled(slab);
        if (count < kChannels || (stride == 2 && (height % 2 || width % 2))) std::fill(to, to + rows * across(), Real(0));
        each_pixel(top, rows, slab, [&](Int at, Int pixel) {
            Int c = 0;
            for (; c + kLanes <= count; c += kLanes) {
                const Vec value = load(from + at + c);
                store(to + pixel + c, value < zero ? zero : value);  // a NaN stays one
            }
            for (; c < count; ++c) to[pixel + c] = from[at + c] < 0 ? 0 : from[at + c];
        });
    }
    // Its gradient, back to where the rectified values, `seen`, came from.
    void scatter(Real* to, const Real* gradient, const Real* seen, Int top, Int rows, Int slab, bool added) const {
        const Vec zero = {};
        const Int count = filled(slab);
        each_pixel(top, rows, slab, [&](Int at, Int pixel) {
            Int c = 0;
            for (; c + kLanes <= count; c += kLanes) {
                const Vec part = load(seen + pixel + c) > zero ? load(gradient + pixel + c) : zero;
                store(to + at + c, added ? load(to + at + c) + part : part);
            }
            for (; c < count; ++c) to[at + c] = (added ? to[at + c] : 0) + (seen[pixel + c] > 0 ? gradient[pixel + c] : 0);
        });
    }
};

}  // namespace zarts
