// Max pool and average pool of 3×3 pixels; the average counts only pixels of the image.
#pragma once

#include "rows.hpp"

namespace zarts {

struct Pool {
    Geometry g;
    Int batch, threads;
    bool average;

    // z, with its sums.
    void forward(Real* z, const Real* x, Sums& sums) const {
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            for (Int n = begin; n < end; ++n)
                for (Int y = 0; y < g.out_height; ++y) {
                    Real* row = z + n * g.result() + y * g.out_width * kChannels;
                    const Real* image = x + n * g.image();
                    for (Int u = 0; u < g.out_width; ++u)
                        for (Int c = 0; c < kChannels; c += kLanes)
                            store(row + u * kChannels + c, average ? mean(image + c, y, u) : largest(image + c, y, u).value);
                    sums.add(thread, row, row, g.out_width);
                }
        });
    }

    // From the gradient of z; added to that of x.
    void backward(const Real* of_z, const Real* x, Real* of_x) const {
        share(threads, batch, [&](Int, Int begin, Int end) {
            for (Int n = begin; n < end; ++n)
                for (Int y = 0; y < g.out_height; ++y)
                    for (Int u = 0; u < g.out_width; ++u)
                        for (Int c = 0; c < kChannels; c += kLanes) {
                            const Vec d = load(of_z + n * g.result() + (y * g.out_width + u) * kChannels + c);
                            Real* to = of_x + n * g.image() + c;
                            if (average) {
                                const Vec part = d / Real(inside(y, u));
                                window(y, u, [&](Int at, Int) { store(to + at, load(to + at) + part); });
                            } else {
                                const Vec tap = largest(x + n * g.image() + c, y, u).tap, zero = {};
                                window(y, u, [&](Int at, Int index) {
                                    store(to + at, load(to + at) + (tap == zero + Real(index) ? d : zero));
                                });
                            }
                        }
        });
    }

  private:
    struct Largest {
        Vec value, tap;
    };

    // The pixels of one window that lie inside the image, and which tap each is.
    template <typename Visit>
    void window(Int y, Int u, const Visit& visit) const {
        const Int top = y * g.stride - 1, left = u * g.stride - 1;
        const Int last_row = std::min<Int>(3, g.height - top), last_column = std::min<Int>(3, g.width - left);
        for (Int ky = top < 0; ky < last_row; ++ky)
            for (Int kx = left < 0; kx < last_column; ++kx) visit(((top + ky) * g.width + left + kx) * kChannels, ky * 3 + kx);
    }
    Int inside(Int y, Int u) const {
        Int count = 0;
        window(y, u, [&](Int, Int) { ++count; });
        return count;
    }
    Vec mean(const Real* image, Int y, Int u) const {
        Vec sum = {};
        window(y, u, [&](Int at, Int) { sum += load(image + at); });
        return sum / Real(inside(y, u));
    }
    // The first of equals; a NaN counts as largest, as in torch.
    Largest largest(const Real* image, Int y, Int u) const {
        const Vec zero = {};
        Largest best{zero - std::numeric_limits<Real>::infinity(), zero};
        window(y, u, [&](Int at, Int index) {
            const Vec value = load(image + at);
            const auto larger = (value > best.value) | (value != value);
            best.value = larger ? value : best.value;
            best.tap = larger ? zero + Real(index) : best.tap;
        });
        return best;
    }
};

}  // namespace zarts
