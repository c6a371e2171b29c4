// Products of matrices whose sizes are known at run time only: blocks of rows by vectors that stay in registers.
#pragma once

#include "vectors.hpp"

namespace zarts {

static_assert(kLanes == kWide, "channels are compiled in as a multiple of the machine's vector");

inline Int whole_vectors(Int numbers) { return (numbers + kWide - 1) / kWide * kWide; }

// Where the left factor is: element (m, k) of segment s is at from[m * row + k * column + s * jump].
struct Left {
    const Real* from;
    Int row, column, length, segments = 1, jump = 0;  // `length` of k in a segment
};

// P rows and O vectors of to = left · right, or that added; the rows of `right` follow each other.
template <int P, int O, bool Added>
inline void product_at(Real* to, Int line, const Left& left, const Real* at, const Real* right, Int right_line) {
    Vec sum[P][O] = {};
    if constexpr (Added)
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
            for (int o = 0; o < O; ++o) sum[p][o] = load(to + p * line + o * kWide);
    for (Int s = 0; s < left.segments; ++s, at += left.jump) {
        const Real* a = at;
        for (Int k = 0; k < left.length; ++k, a += left.column, right += right_line) {
            Vec row[O];
#pragma GCC unroll 4
            for (int o = 0; o < O; ++o) {
                row[o] = load(right + o * kWide);
                hold(row[o]);
            }
#pragma GCC unroll 8
            for (int p = 0; p < P; ++p) {
                const Real factor = a[p * left.row];
#pragma GCC unroll 4
                for (int o = 0; o < O; ++o) sum[p][o] += row[o] * factor;
            }
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
        for (int o = 0; o < O; ++o) store(to + p * line + o * kWide, sum[p][o]);
}

// All rows of O vectors, in blocks of nearly the same height: so many as leave a register for each factor.
template <int O, bool Added>
inline void product_column(Real* to, Int line, const Left& left, const Real* right, Int right_line, Int rows) {
    constexpr Int kMost = O == 3 ? 4 : 6;
    const Int blocks = (rows + kMost - 1) / kMost;
    for (Int block = 0; block < blocks; ++block) {
        const Int first = rows * block / blocks, height = rows * (block + 1) / blocks - first;
        const auto run = [&](auto p) {
            product_at<p(), O, Added>(to + first * line, line, left, left.from + first * left.row, right, right_line);
        };
        switch (height) {
            case 1: run(std::integral_constant<int, 1>{}); break;
            case 2: run(std::integral_constant<int, 2>{}); break;
            case 3: run(std::integral_constant<int, 3>{}); break;
            case 4: run(std::integral_constant<int, 4>{}); break;
            case 5: run(std::integral_constant<int, kMost == 4 ? 4 : 5>{}); break;
            default: run(std::integral_constant<int, kMost>{});
        }
    }
}

// to = left · right, or that added: `rows` rows of `columns` numbers, a multiple of the machine's vector.
template <bool Added = false>
inline void product(Real* to, Int line, const Left& left, const Real* right, Int right_line, Int rows, Int columns) {
    for (Int done = 0; done < columns;) {
        const Int vectors = (columns - done) / kWide;
        if (vectors == 1) product_column<1, Added>(to + done, line, left, right + done, right_line, rows), done += kWide;
        else if (vectors % 2) product_column<3, Added>(to + done, line, left, right + done, right_line, rows), done += 3 * kWide;
        else product_column<2, Added>(to + done, line, left, right + done, right_line, rows), done += 2 * kWide;
    }
}

// Pixels of `channels` numbers each into pixels of whole vectors, filled up with zeros. A vector may
// reach into the next pixel.
inline void pack(Real* to, const Real* from, Int pixels, Int channels) {
    const Int wide = whole_vectors(channels), full = channels / kWide * kWide, rest = channels - full;
    if (!rest) {
        std::memcpy(to, from, pixels * channels * sizeof(Real));
        return;
    }
    Real mask[kWide];
    for (int lane = 0; lane < kWide; ++lane) mask[lane] = lane < rest;
    const Vec kept = load(mask), zero = {};
    for (Int p = 0; p + 1 < pixels; ++p, to += wide, from += channels) {
        for (Int c = 0; c < full; c += kWide) store(to + c, load(from + c));
        store(to + full, kept > zero ? load(from + full) : zero);
    }
    std::memcpy(to, from, channels * sizeof(Real));
    std::fill(to + channels, to + wide, Real(0));
}

// The other way. A vector may reach into the next pixel, which is written after it.
inline void unpack(Real* to, const Real* from, Int pixels, Int channels) {
    const Int wide = whole_vectors(channels);
    if (wide == channels) {
        std::memcpy(to, from, pixels * channels * sizeof(Real));
        return;
    }
    for (Int p = 0; p + 1 < pixels; ++p, to += channels, from += wide) {
        Int c = 0;
        for (; c + kWide <= channels; c += kWide) store(to + c, load(from + c));
        if (channels >= kWide) store(to + channels - kWide, load(from + channels - kWide));
        else for (; c < channels; ++c) to[c] = from[c];
    }
    std::memcpy(to, from, channels * sizeof(Real));
}

// Some images with room for zeros around each: (images, rows, columns, channels).
struct Canvas {
    Int rows, columns, channels;
    Array values;

    Canvas(Int images, Int rows, Int columns, Int channels)
        : rows(rows), columns(columns), channels(channels), values(images * rows * columns * channels + kWide, Real(0)) {}
    Int line() const { return columns * channels; }
    Int image() const { return rows * line(); }
    Real* at(Int image_, Int row, Int column) { return &values[image_ * image() + row * line() + column * channels]; }
    const Real* at(Int image_, Int row, Int column) const { return const_cast<Canvas*>(this)->at(image_, row, column); }
};

}  // namespace zarts
