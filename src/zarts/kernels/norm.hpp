// Batch norms without affine: from sums over the batch to scale and shift, and the gradient.
#pragma once

#include "vectors.hpp"

namespace zarts {

constexpr double kEpsilon = 1e-5, kMomentum = 0.1;  // of batch norms, as in torch

// A batch norm without affine, times a weight: z * scale + shift, channel by channel.
struct Norm {
    Array scale, shift;

    explicit Norm(double weight) : scale(kChannels, Real(weight)), shift(kChannels, Real(0)) {}
    Norm(double weight, const Real* mean, const Real* rstd) : Norm(weight) {
        for (Int c = 0; c < kChannels; ++c) {
            scale[c] = weight * rstd[c];
            shift[c] = -weight * rstd[c] * mean[c];
        }
    }
};

// The batch's mean and 1 / standard deviation; the running statistics move towards them.
inline void settle(const Sums& sums, double count, Real* mean, Real* rstd, Real* running_mean, Real* running_var) {
    for (Int c = 0; c < kChannels; ++c) {
        const double m = sums.first(c) / count, difference = sums.second(c) / count - m * m;
        const double var = difference < 0 ? 0 : difference;  // a NaN stays one
        mean[c] = m;
        rstd[c] = 1 / std::sqrt(var + kEpsilon);
        running_mean[c] += kMomentum * (m - running_mean[c]);
        running_var[c] += kMomentum * (var * count / std::max(1.0, count - 1) - running_var[c]);
    }
}

// The running statistics instead.
inline void recall(Real* mean, Real* rstd, const Real* running_mean, const Real* running_var) {
    for (Int c = 0; c < kChannels; ++c) mean[c] = running_mean[c], rstd[c] = 1 / std::sqrt(running_var[c] + kEpsilon);
}

// The gradient with respect to z from that with respect to its weighted norm, g: of_g·g + of_z·z + rest; and that of
// the weight. `sums` are those of g and g·z; of running statistics only the scale counts.
//     dz = w r (g - mean(g) - ẑ mean(g ẑ)),  ẑ = (z - m) r  (Ioffe and Szegedy, 2015, section 3)
struct NormGradient {
    Array of_g, of_z, rest;
    double of_weight = 0;

    NormGradient(const Sums& sums, double weight, const Real* mean, const Real* rstd, double count, bool training)
        : of_g(kChannels), of_z(kChannels), rest(kChannels) {
        for (Int c = 0; c < kChannels; ++c) {
            const double r = rstd[c], g = sums.first(c), of_scale = r * (sums.second(c) - mean[c] * g);
            const double slope = training ? of_scale / count : 0, level = training ? g / count : 0;
            of_weight += of_scale;
            of_g[c] = weight * r;
            of_z[c] = -weight * r * r * slope;
            rest[c] = weight * r * (r * mean[c] * slope - level);
        }
    }
    void apply(Real* dz, const Real* gradient, const Real* z, Int pixels) const {
        for (Int c = 0; c < kChannels; c += kLanes) {
            const Vec a = load(&of_g[c]), b = load(&of_z[c]), d = load(&rest[c]);
            for (Int p = c; p < pixels * kChannels; p += kChannels) store(dz + p, load(gradient + p) * a + load(z + p) * b + d);
        }
    }
};

}  // namespace zarts
