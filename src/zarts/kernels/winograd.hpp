// 3×3 convolutions of stride 1 by tiles of 4×4 pixels: 36 products for each pair of channels instead of 144.
//     Y = Aᵀ [G W Gᵀ ⊙ Bᵀ D B] A  for the 6×6 pixels D around a tile; summed over channels inside the brackets
// Source: Lavin and Gray, Fast algorithms for convolutional neural networks (CVPR 2016), section 4.3: F(4×4, 3×3).
// The gradients are those of this form, with the same matrices transposed.
#pragma once

#include "vectors.hpp"

namespace zarts {

constexpr int kTile = 4, kSide = kTile + 2, kPoints = kSide * kSide, kTaps = 9;
constexpr Int kSquare = kChannels * kChannels;

// The matrices, each on one line of a tile.
struct EnterMatrix {  // Bᵀ
    template <typename T>
    static void apply(const T* d, T* v) {
        const T even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1], evens = d[4] - d[2], odds = 2 * (d[3] - d[1]);
        v[0] = 4 * d[0] - 5 * d[2] + d[4], v[1] = even + odd, v[2] = even - odd;
        v[3] = evens + odds, v[4] = evens - odds, v[5] = 4 * d[1] - 5 * d[3] + d[5];
    }
    template <typename T>
    static void back(const T* v, T* d) {
        const T near = v[1] + v[2], nears = v[1] - v[2], far = v[3] + v[4], fars = 2 * (v[3] - v[4]);
        d[0] = 4 * v[0], d[1] = 4 * (v[5] - nears) - fars, d[2] = -5 * v[0] - 4 * near - far;
        d[3] = nears + fars - 5 * v[5], d[4] = v[0] + near + far, d[5] = v[5];
    }
};
struct LeaveMatrix {  // Aᵀ
    template <typename T>
    static void apply(const T* m, T* y) {
        const T near = m[1] + m[2], nears = m[1] - m[2], far = m[3] + m[4], fars = m[3] - m[4];
        y[0] = m[0] + near + far, y[1] = nears + 2 * fars, y[2] = near + 4 * far, y[3] = nears + 8 * fars + m[5];
    }
    template <typename T>
    static void back(const T* y, T* m) {
        const T even = y[0] + y[2], odd = y[1] + y[3], evens = y[0] + 4 * y[2], odds = 2 * y[1] + 8 * y[3];
        m[0] = y[0], m[1] = even + odd, m[2] = even - odd, m[3] = evens + odds, m[4] = evens - odds, m[5] = y[3];
    }
};
struct KernelMatrix {  // G
    template <typename T>
    static void apply(const T* w, T* u) {
        const T near = (w[0] + w[2]) / -6, nears = w[1] / 6, far = w[0] / 24 + w[2] / 6, fars = w[1] / 12;
        u[0] = w[0] / 4, u[1] = near - nears, u[2] = near + nears, u[3] = far + fars, u[4] = far - fars, u[5] = w[2];
    }
    template <typename T>
    static void back(const T* u, T* w) {
        const T near = (u[1] + u[2]) / 6, far = (u[3] + u[4]) / 6;
        w[0] = u[0] / 4 - near + far / 4, w[1] = (u[2] - u[1]) / 6 + (u[3] - u[4]) / 12, w[2] = far - near + u[5];
    }
};

// X -> M X Mᵀ of In×In to Out×Out vectors, where `line` is M on one line.
template <int In, int Out, typename Line>
inline void both_ways(const Vec (&x)[In][In], Vec (&out)[Out][Out], const Line& line) {
    Vec tall[Out][In];
#pragma GCC unroll 6
    for (int l = 0; l < In; ++l) {
        Vec column[In], result[Out];
#pragma GCC unroll 6
        for (int k = 0; k < In; ++k) column[k] = x[k][l];
        line(column, result);
#pragma GCC unroll 6
        for (int k = 0; k < Out; ++k) tall[k][l] = result[k];
    }
#pragma GCC unroll 6
    for (int k = 0; k < Out; ++k) line(tall[k], out[k]);
}
#define ZARTS_LINE(function) [](const Vec* from, Vec* to) { function(from, to); }

// Square blocks of vectors from and to memory.
template <int N>
inline void load_block(Vec (&block)[N][N], const Real* from, Int row, Int column) {
#pragma GCC unroll 6
    for (int k = 0; k < N; ++k)
#pragma GCC unroll 6
        for (int l = 0; l < N; ++l) block[k][l] = load(from + k * row + l * column);
}
template <int N>
inline void store_block(Real* to, const Vec (&block)[N][N], Int row, Int column) {
#pragma GCC unroll 6
    for (int k = 0; k < N; ++k)
#pragma GCC unroll 6
        for (int l = 0; l < N; ++l) store(to + k * row + l * column, block[k][l]);
}

// Where the tiles of an image are. A band is what a row of tiles sees, kSide rows with their borders.
struct Tiling {
    Int height, width, rows, columns;

    Tiling(Int height, Int width)
        : height(height), width(width), rows((height + kTile - 1) / kTile), columns((width + kTile - 1) / kTile) {}
    Int line() const { return width * kChannels; }
    Int image() const { return height * line(); }
    Int band_line() const { return (columns * kTile + 2) * kChannels; }
    Int band() const { return kSide * band_line(); }
    Int pixels(Int row) const { return std::min<Int>(kTile, height - row * kTile) * width; }

    // visit(offset in the image, offset in the band) for the lines of the image in the band of a row of tiles.
    template <typename Visit>
    void each_line(Int row, const Visit& visit) const {
        for (Int k = 0; k < kSide; ++k) {
            const Int y = row * kTile - 1 + k;
            if (0 <= y && y < height) visit(y * line(), k * band_line() + kChannels);
        }
    }
};

// (point, tile, channel) of some tiles; the points of a tile are in different sets of the cache.
class Tiles {
  public:
    explicit Tiles(Int count) : step(count * kChannels + 16), values_(kPoints * step) {}

    const Int step;  // from point to point
    Real* point(Int p) { return values_.data() + p * step; }

  private:
    Array values_;
};

// V = Bᵀ D B of a row of tiles of the rectified image.
inline void enter(Real* v, Int step, Array& band, const Real* image, const Tiling& t, Int row) {
    const Vec zero = {};
    if (row == 0 || row + 1 == t.rows) std::fill(band.begin(), band.end(), Real(0));  // lines outside the image
    t.each_line(row, [&](Int from, Int to) {
        for (Int p = 0; p < t.line(); p += kLanes) {
            const Vec value = load(image + from + p);
            store(&band[to + p], value < zero ? zero : value);  // a NaN stays one
        }
    });
    for (Int tile = 0; tile < t.columns * kChannels; tile += kChannels)
        for (Int c = 0; c < kChannels; c += kLanes) {
            Vec d[kSide][kSide], out[kSide][kSide];
            load_block(d, &band[tile * kTile + c], t.band_line(), kChannels);
            both_ways(d, out, ZARTS_LINE(EnterMatrix::apply));
            store_block(v + tile + c, out, kSide * step, step);
        }
}

// Y = Aᵀ M A into the image.
inline void leave(Real* image, const Real* m, Int step, const Tiling& t, Int row) {
    const Int height = std::min<Int>(kTile, t.height - row * kTile);
    image += row * kTile * t.line();
    for (Int tile = 0; tile < t.columns; ++tile) {
        const Int width = std::min<Int>(kTile, t.width - tile * kTile);
        for (Int c = 0; c < kChannels; c += kLanes) {
            Vec in[kSide][kSide], y[kTile][kTile];
            load_block(in, m + tile * kChannels + c, kSide * step, step);
            both_ways(in, y, ZARTS_LINE(LeaveMatrix::apply));
            Real* to = image + tile * kTile * kChannels + c;
            if (height == kTile && width == kTile) store_block(to, y, t.line(), kChannels);
            else
                for (Int k = 0; k < height; ++k)
                    for (Int l = 0; l < width; ++l) store(to + k * t.line() + l * kChannels, y[k][l]);
        }
    }
}

// A dY Aᵀ of a row of tiles, from its lines of dY.
inline void enter_back(Real* m, Int step, const Real* dy, const Tiling& t, Int row) {
    const Int height = std::min<Int>(kTile, t.height - row * kTile);
    for (Int tile = 0; tile < t.columns; ++tile) {
        const Int width = std::min<Int>(kTile, t.width - tile * kTile);
        for (Int c = 0; c < kChannels; c += kLanes) {
            const Real* from = dy + tile * kTile * kChannels + c;
            Vec in[kTile][kTile] = {}, out[kSide][kSide];
            if (height == kTile && width == kTile) load_block(in, from, t.line(), kChannels);
            else
                for (Int k = 0; k < height; ++k)
                    for (Int l = 0; l < width; ++l) in[k][l] = load(from + k * t.line() + l * kChannels);
            both_ways(in, out, ZARTS_LINE(LeaveMatrix::back));
            store_block(m + tile * kChannels + c, out, kSide * step, step);
        }
    }
}

// B dV Bᵀ of a row of tiles, added to the gradient of the image where the image is positive.
inline void leave_back(Real* of_image, Array& band, const Real* image, const Real* dv, Int step, const Tiling& t, Int row) {
    const Vec zero = {};
    std::fill(band.begin(), band.end(), Real(0));
    for (Int tile = 0; tile < t.columns * kChannels; tile += kChannels)
        for (Int c = 0; c < kChannels; c += kLanes) {
            Vec in[kSide][kSide], d[kSide][kSide], there[kSide][kSide];
            load_block(in, dv + tile + c, kSide * step, step);
            both_ways(in, d, ZARTS_LINE(EnterMatrix::back));
            Real* to = &band[tile * kTile + c];
            load_block(there, to, t.band_line(), kChannels);
#pragma GCC unroll 6
            for (int k = 0; k < kSide; ++k)
#pragma GCC unroll 6
                for (int l = 0; l < kSide; ++l) there[k][l] += d[k][l];
            store_block(to, there, t.band_line(), kChannels);
        }
    t.each_line(row, [&](Int to, Int from) {
        for (Int p = 0; p < t.line(); p += kLanes)
            store(of_image + to + p, load(of_image + to + p) + (load(image + to + p) > zero ? load(&band[from + p]) : zero));
    });
}

// G W Gᵀ of an (out, in, 3, 3) kernel as (point, in, out), or back: (point, out, in).
inline Array kernel_points(const Real* weight, bool back) {
    Array taps(kTaps * kSquare), points(kPoints * kSquare);
    for (Int a = 0; a < kChannels; ++a)
        for (Int b = 0; b < kChannels; ++b) {
            const Real* from = weight + (back ? a * kChannels + b : b * kChannels + a) * kTaps;
            for (Int tap = 0; tap < kTaps; ++tap) taps[tap * kSquare + a * kChannels + b] = from[tap];
        }
    for (Int pair = 0; pair < kSquare; pair += kLanes) {
        Vec w[3][3], u[kSide][kSide];
        load_block(w, &taps[pair], 3 * kSquare, kSquare);
        both_ways(w, u, ZARTS_LINE(KernelMatrix::apply));
        store_block(&points[pair], u, kSide * kSquare, kSquare);
    }
    return points;
}

// Gᵀ dU G of (point, in, out), added to (tap, in, out).
inline void kernel_gradient(double* taps, const Real* points) {
    for (Int pair = 0; pair < kSquare; pair += kLanes) {
        Vec u[kSide][kSide], w[3][3];
        load_block(u, points + pair, kSide * kSquare, kSquare);
        both_ways(u, w, ZARTS_LINE(KernelMatrix::back));
        for (Int tap = 0; tap < kTaps; ++tap)
            for (int lane = 0; lane < kLanes; ++lane) taps[tap * kSquare + pair + lane] += w[tap / 3][tap % 3][lane];
    }
}

}  // namespace zarts
