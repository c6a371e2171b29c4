// What follows a convolution, number by number: batch norm, a sum with a shortcut, an activation; and their gradients.
//
// Channels need not fill whole vectors: the numbers lie side by side, and the vectors' channels repeat after a period.
#pragma once

#include "matmul.hpp"

namespace zarts {

// How much of the numbers the first-level cache holds, and for how many a sum stays in single precision.
constexpr Int kChunk = 2048;

// Walks over pixels of so many channels.
class Walk {
  public:
    explicit Walk(Int channels) : channels_(channels), period_(channels) {
        while (period_ % kWide) period_ += channels;
    }
    Int channels() const { return channels_; }
    Int period() const { return period_; }
    Array repeated(const Array& of_channels) const {
        Array all(period_);
        for (Int i = 0; i < period_; ++i) all[i] = of_channels[i % channels_];
        return all;
    }
    // body(lanes, place in the period, first number, behind the last), whose numbers are a period apart.
    template <typename Body>
    void each(Int numbers, const Body& body) const {
        const Int chunk = std::max<Int>(32, kChunk / period_) * period_, whole = numbers / period_ * period_;
        for (Int from = 0; from < whole; from += chunk)
            for (Int c = 0; c < period_; c += kWide) body(std::integral_constant<int, kWide>{}, c, from + c, std::min(from + chunk, whole));
        for (Int p = whole; p < numbers; ++p) body(std::integral_constant<int, 1>{}, p - whole, p, p + 1);
    }
    // body(lanes, place in the period, number), one vector after the other.
    template <typename Body>
    void stream(Int numbers, const Body& body) const {
        const Int whole = numbers / period_ * period_;
        for (Int from = 0; from < whole; from += period_)
            for (Int c = 0; c < period_; c += kWide) body(std::integral_constant<int, kWide>{}, c, from + c);
        for (Int p = whole; p < numbers; ++p) body(std::integral_constant<int, 1>{}, p - whole, p);
    }

  private:
    Int channels_, period_;
};

// Sums of two numbers a pixel over all images, by channel, in double precision.
class Totals {
  public:
    Totals(const Walk& walk, Int threads) : walk_(&walk), values_(2 * std::max<Int>(1, threads) * walk.period(), 0.0) {}

    // first(lanes, place, at) and second(.., first) are summed over `numbers` numbers.
    template <typename First, typename Second>
    void add(Int thread, Int numbers, const First& first, const Second& second) {
        double* sums = &values_[2 * thread * walk_->period()];
        walk_->each(numbers, [&](auto lanes, Int c, Int from, Int end) {
            constexpr int N = decltype(lanes)::value;
            const Int step = walk_->period();
            VecOf<N> one[4] = {}, two[4] = {};  // as many as hide the latency of an addition
            const auto sum = [&](int i, Int p) {
                const VecOf<N> value = first(lanes, c, p);
                one[i] += value, two[i] += second(lanes, p, value);
            };
            for (; from + 3 * step < end; from += 4 * step) sum(0, from), sum(1, from + step), sum(2, from + 2 * step), sum(3, from + 3 * step);
            for (; from < end; from += step) sum(0, from);
            const VecOf<N> of_one = (one[0] + one[1]) + (one[2] + one[3]), of_two = (two[0] + two[1]) + (two[2] + two[3]);
            for (int lane = 0; lane < N; ++lane) sums[c + lane] += of_one[lane], sums[step + c + lane] += of_two[lane];
        });
    }
    double first(Int channel) const { return total(0, channel); }
    double second(Int channel) const { return total(walk_->period(), channel); }

  private:
    double total(Int offset, Int channel) const {
        double sum = 0;
        for (size_t part = offset; part < values_.size(); part += 2 * walk_->period())
            for (Int c = channel; c < walk_->period(); c += walk_->channels()) sum += values_[part + c];
        return sum;
    }
    const Walk* walk_;
    std::vector<double> values_;
};

enum Activation : Int { kNone, kRelu, kRelu6 };

// Calls run(activation, whether there is a `further` array) with both as constants.
template <typename Run>
inline void specialised(Activation activation, bool further, const Run& run) {
    const auto with = [&](auto constant) {
        if (further) run(constant, std::true_type{});
        else run(constant, std::false_type{});
    };
    switch (activation) {
        case kNone: with(std::integral_constant<Int, kNone>{}); break;
        case kRelu: with(std::integral_constant<Int, kRelu>{}); break;
        case kRelu6: with(std::integral_constant<Int, kRelu6>{}); break;
    }
}

// Scale and shift of a batch norm, and the activation behind it.
struct Affine {
    const Walk* walk;
    Array scale, shift;  // repeated
    Activation activation;

    // y = activation(scale · z + shift + shortcut); no shortcut: null.
    void apply(Stored* y, const Stored* z, const Stored* shortcut, Int numbers) const {
        specialised(activation, shortcut != nullptr, [&](auto kind, auto adds) {
            walk->stream(numbers, [&](auto lanes, Int c, Int p) {
                constexpr int N = decltype(lanes)::value;
                const VecOf<N> zero = {}, six = zero + 6;
                VecOf<N> value = load<N>(z + p) * load<N>(&scale[c]) + load<N>(&shift[c]);
                if constexpr (adds()) value += load<N>(shortcut + p);
                if constexpr (kind() != kNone) value = value < zero ? zero : value;  // a NaN stays one
                if constexpr (kind() == kRelu6) value = value > six ? six : value;
                store<N>(y + p, value);
            });
        });
    }

    // The gradient before the activation, of one vector: from the output y, or made again from z.
    template <Int Kind, bool FromOutput, int N>
    VecOf<N> before(VecOf<N> gradient, const Stored* z, const Stored* y, Int c) const {
        if constexpr (Kind == kNone) return gradient;
        const VecOf<N> zero = {}, six = zero + 6;
        VecOf<N> value;
        if constexpr (FromOutput) value = load<N>(y);
        else value = load<N>(z) * load<N>(&scale[c]) + load<N>(&shift[c]);
        gradient = value > zero ? gradient : zero;
        if constexpr (Kind == kRelu6) gradient = value < six ? gradient : zero;
        return gradient;
    }

    // Sums of that gradient and of it times z; written to `kept` unless that is null.
    void sum(Totals& totals, Int thread, Stored* kept, const Stored* gradient, const Stored* z, const Stored* y, Int numbers) const {
        specialised(activation, y != nullptr, [&](auto kind, auto from_output) {
            totals.add(
                thread, numbers,
                [&](auto lanes, Int c, Int p) {
                    constexpr int N = decltype(lanes)::value;
                    const VecOf<N> g = before<kind(), from_output(), N>(load<N>(gradient + p), z + p, y + p, c);
                    if (kept) store<N>(kept + p, g);
                    return g;
                },
                [&](auto lanes, Int p, const auto& g) { return g * load<decltype(lanes)::value>(z + p); });
        });
    }
};

// The gradient with respect to z, made where it is needed:
//     dz = w r (g - mean(g) - ẑ mean(g ẑ)),  ẑ = (z - m) r  (Ioffe and Szegedy, 2015, section 3)
struct OfZ {
    Affine affine;  // with no activation if `gradient` is that before it
    const Stored *gradient, *z;
    Array of_g, of_z, rest;  // repeated; empty: there is no norm

    // For `pixels` pixels from the `first` of all on.
    template <typename To>
    void apply(To* to, Int first, Int pixels) const {
        const Int offset = first * affine.walk->channels();
        const Stored *g = gradient + offset, *from = z + offset;
        if (of_g.empty()) {
            affine.walk->stream(pixels * affine.walk->channels(), [&](auto lanes, Int, Int p) {
                store<decltype(lanes)::value>(to + p, load<decltype(lanes)::value>(g + p));
            });
            return;
        }
        specialised(affine.activation, false, [&](auto kind, auto) {
            affine.walk->stream(pixels * affine.walk->channels(), [&](auto lanes, Int c, Int p) {
                constexpr int N = decltype(lanes)::value;
                const VecOf<N> before = affine.before<kind(), false, N>(load<N>(g + p), from + p, nullptr, c);
                store<N>(to + p, before * load<N>(&of_g[c]) + load<N>(from + p) * load<N>(&of_z[c]) + load<N>(&rest[c]));
            });
        });
    }
    // The same as pixels of whole vectors; `room` holds them without the zeros.
    void apply_packed(Real* to, Int first, Int pixels, Array& room) const {
        const Int channels = affine.walk->channels();
        if (channels % kWide == 0) return apply(to, first, pixels);
        apply(room.data(), first, pixels);
        pack(to, room.data(), pixels, channels);
    }
};

}  // namespace zarts
