// 3×3 convolutions of stride 1 by tiles of 2×2 pixels: 16 products for each pair of channels instead of 36.
//     Y = Aᵀ [G W Gᵀ ⊙ Bᵀ D B] A  for the 4×4 pixels D around a tile; summed over channels inside the brackets
// Source: Lavin and Gray, Fast algorithms for convolutional neural networks (CVPR 2016), section 4.1: F(2×2, 3×3).
// The gradients are those of this form: dV = (G W Gᵀ)ᵀ · A dY Aᵀ and dU = V · A dY Aᵀ, and back through B and G.
#pragma once

#include "vectors.hpp"

namespace zarts {

constexpr Int kPoints = 16, kTaps = 9, kSquare = kChannels * kChannels;

// Where the tiles of an image are.
struct Tiling {
    Int height, width, rows, columns;

    Tiling(Int height, Int width) : height(height), width(width), rows((height + 1) / 2), columns((width + 1) / 2) {}
    Int line() const { return width * kChannels; }
    Int image() const { return height * line(); }
    bool has(Int y, Int x) const { return 0 <= y && y < height && 0 <= x && x < width; }
};

// (point, tile, channel) of some tiles; the points of a tile are in different sets of the cache.
class Tiles {
  public:
    explicit Tiles(Int count) : step(count * kChannels + 16), values_(kPoints * step) {}

    const Int step;  // from point to point
    Real* point(Int p) { return values_.data() + p * step; }
    void clear() { std::fill(values_.begin(), values_.end(), Real(0)); }

  private:
    Array values_;
};

// V = Bᵀ D B of a row of tiles of the rectified image.
inline void enter(Real* v, Int step, const Real* image, const Tiling& t, Int row) {
    const Vec zero = {};
    const Real* rows[4];
    for (Int k = 0; k < 4; ++k) rows[k] = t.has(2 * row - 1 + k, 0) ? image + (2 * row - 1 + k) * t.line() : nullptr;
    for (Int c = 0; c < kChannels; c += kLanes) {
        const auto column = [&](Int x, Vec* out) {
            Vec d[4] = {};
            if (0 <= x && x < t.width)
#pragma GCC unroll 4
                for (int k = 0; k < 4; ++k)
                    if (rows[k]) {
                        const Vec value = load(rows[k] + x * kChannels + c);
                        d[k] = value < zero ? zero : value;  // a NaN stays one
                    }
            out[0] = d[0] - d[2], out[1] = d[1] + d[2], out[2] = d[2] - d[1], out[3] = d[1] - d[3];
        };
        Vec first[4], second[4];
        column(-1, first), column(0, second);
        for (Int tile = 0; tile < t.columns; ++tile) {
            Vec third[4], fourth[4];
            column(2 * tile + 1, third), column(2 * tile + 2, fourth);
            Real* to = v + tile * kChannels + c;
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k, to += 4 * step) {
                store(to, first[k] - third[k]);
                store(to + step, second[k] + third[k]);
                store(to + 2 * step, third[k] - second[k]);
                store(to + 3 * step, second[k] - fourth[k]);
                first[k] = third[k], second[k] = fourth[k];
            }
        }
    }
}

// Y = Aᵀ M A into the image.
inline void leave(Real* image, const Real* m, Int step, const Tiling& t, Int row) {
    for (Int c = 0; c < kChannels; c += kLanes)
        for (Int tile = 0; tile < t.columns; ++tile) {
            const Real* from = m + tile * kChannels + c;
            Vec upper[4], lower[4];
#pragma GCC unroll 4
            for (int l = 0; l < 4; ++l, from += step) {
                const Vec one = load(from + 4 * step), two = load(from + 8 * step);
                upper[l] = load(from) + one + two;
                lower[l] = one - two - load(from + 12 * step);
            }
            Real* to = image + 2 * row * t.line() + 2 * tile * kChannels + c;
            const bool right = 2 * tile + 1 < t.width;
            store(to, upper[0] + upper[1] + upper[2]);
            if (right) store(to + kChannels, upper[1] - upper[2] - upper[3]);
            if (2 * row + 1 == t.height) continue;
            store(to + t.line(), lower[0] + lower[1] + lower[2]);
            if (right) store(to + t.line() + kChannels, lower[1] - lower[2] - lower[3]);
        }
}

// A dY Aᵀ of a row of tiles, where `gradient(offset in the image)` is dY.
template <typename Gradient>
inline void enter_back(Real* m, Int step, const Gradient& gradient, const Tiling& t, Int row) {
    const Vec zero = {};
    for (Int c = 0; c < kChannels; c += kLanes)
        for (Int tile = 0; tile < t.columns; ++tile) {
            const auto dy = [&](Int y, Int x) { return t.has(y, x) ? gradient(y * t.line() + x * kChannels + c, c) : zero; };
            Real* to = m + tile * kChannels + c;
            const Vec a = dy(2 * row, 2 * tile), b = dy(2 * row, 2 * tile + 1);
            const Vec d = dy(2 * row + 1, 2 * tile), e = dy(2 * row + 1, 2 * tile + 1);
            const auto put = [&](Vec left, Vec right) {
                store(to, left), store(to + step, left + right), store(to + 2 * step, left - right), store(to + 3 * step, -right);
                to += 4 * step;
            };
            put(a, b), put(a + d, b + e), put(a - d, b - e), put(-d, -e);
        }
}

// B dV Bᵀ of a row of tiles, added to the gradient of the image where the image is positive.
inline void leave_back(Real* of_image, const Real* image, const Real* dv, Int step, const Tiling& t, Int row) {
    const Vec zero = {};
    for (Int c = 0; c < kChannels; c += kLanes) {
        const auto add = [&](Int x, const Vec* column) {
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k)
                if (t.has(2 * row - 1 + k, x)) {
                    const Int at = (2 * row - 1 + k) * t.line() + x * kChannels + c;
                    store(of_image + at, load(of_image + at) + (load(image + at) > zero ? column[k] : zero));
                }
        };
        Vec first[4] = {}, second[4] = {};  // of the two columns that the tile shares with the one before
        for (Int tile = 0; tile < t.columns; ++tile) {
            const Real* from = dv + tile * kChannels + c;
            Vec across[4][4];
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k, from += 4 * step) {
                const Vec one = load(from + step), two = load(from + 2 * step), difference = one - two, sum = one + two;
                const Vec zeroth = load(from), three = load(from + 3 * step);
                across[k][0] = zeroth, across[k][1] = difference + three, across[k][2] = sum - zeroth, across[k][3] = -three;
            }
            Vec columns[4][4];
#pragma GCC unroll 4
            for (int l = 0; l < 4; ++l) {
                columns[l][0] = across[0][l];
                columns[l][1] = across[1][l] - across[2][l] + across[3][l];
                columns[l][2] = across[1][l] + across[2][l] - across[0][l];
                columns[l][3] = -across[3][l];
            }
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k) first[k] += columns[0][k], second[k] += columns[1][k];
            add(2 * tile - 1, first), add(2 * tile, second);
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k) first[k] = columns[2][k], second[k] = columns[3][k];
        }
        add(2 * t.columns - 1, first);
    }
}

// G W Gᵀ of an (out, in, 3, 3) kernel as (point, in, out), or (point, out, in).
inline Array kernel_points(const Real* weight, bool back) {
    Array points(kPoints * kSquare);
    const auto lengthen = [](Real a, Real b, Real c, Real* out, Int step) {
        const Real half = (a + c) / 2, middle = b / 2;
        out[0] = a, out[step] = half + middle, out[2 * step] = half - middle, out[3 * step] = c;
    };
    for (Int o = 0; o < kChannels; ++o)
        for (Int i = 0; i < kChannels; ++i, weight += kTaps) {
            Real tall[12];
            for (int x = 0; x < 3; ++x) lengthen(weight[x], weight[3 + x], weight[6 + x], tall + x, 3);
            Real* to = points.data() + (back ? o * kChannels + i : i * kChannels + o);
            for (int k = 0; k < 4; ++k, to += 4 * kSquare) lengthen(tall[3 * k], tall[3 * k + 1], tall[3 * k + 2], to, kSquare);
        }
    return points;
}

// Gᵀ dU G of (point, in, out) as (out, in, 3, 3).
inline void kernel_gradient(Real* of_weight, const double* points) {
    const auto shorten = [](const double* in, Int step, double* out, Int stride) {
        const double sum = (in[step] + in[2 * step]) / 2;
        out[0] = in[0] + sum, out[stride] = (in[step] - in[2 * step]) / 2, out[2 * stride] = sum + in[3 * step];
    };
    for (Int o = 0; o < kChannels; ++o)
        for (Int i = 0; i < kChannels; ++i, of_weight += kTaps) {
            double tall[12], tap[kTaps];
            for (int k = 0; k < 4; ++k) shorten(points + 4 * k * kSquare + i * kChannels + o, kSquare, tall + 3 * k, 1);
            for (int x = 0; x < 3; ++x) shorten(tall + x, 3, tap + x, 3);
            std::copy(tap, tap + kTaps, of_weight);
        }
}

}  // namespace zarts
