// Weighted sums of whole batches of features.
#pragma once

#include "norm.hpp"

namespace zarts {

// What enters a sum: from · scale + shift.
struct Term {
    const Real* from;
    Array scale, shift;

    Term(const Real* from, const Array& scale, const Array& shift) : from(from), scale(scale), shift(shift) {}
    Term(const Real* from, const Norm& by) : Term(from, by.scale, by.shift) {}
};

// The sum of all terms, or that added; then done(first number, behind the last) for each piece of it.
template <typename Done>
void mix(Real* to, const std::vector<Term>& terms, bool added, Int batch, Int image, Int threads, const Done& done) {
    constexpr Int piece = std::max<Int>(1, 1024 / kChannels) * kChannels;
    Array shift(kChannels, Real(0));
    for (const Term& term : terms)
        for (Int c = 0; c < kChannels; ++c) shift[c] += term.shift[c];
    share(threads, batch, [&](Int, Int begin, Int end) {
        for (Int first = begin * image; first < end * image; first += piece) {
            const Int last = std::min(first + piece, end * image);
            for (Int c = 0; c < kChannels; c += kLanes)
                for (Int p = first + c; p < last; p += kChannels)
                    store(to + p, added ? load(to + p) + load(&shift[c]) : load(&shift[c]));
            for (const Term& term : terms)
                for (Int c = 0; c < kChannels; c += kLanes) {
                    const Vec scale = load(&term.scale[c]);
                    for (Int p = first + c; p < last; p += kChannels) store(to + p, load(to + p) + load(term.from + p) * scale);
                }
            done(first, last);
        }
    });
}

}  // namespace zarts
