// ReLU, 1×1 convolution and batch norm without affine, as one pass forward and one backward.
//
// Only the normalised result is kept: the gradient of the norm needs no more than it and 1 / the standard deviation.
#include "projection.hpp"

namespace zarts {

static_assert(sizeof(void*) == sizeof(Int));

struct Fields {
    Int batch, height, width, inputs, stride, training, threads;
    const Real *x, *even, *odd;
    Real *running_mean, *running_var, *y, *rstd;
    const Real* of_y;
    Real *of_x, *of_even, *of_odd;

    Projection projection() const { return {height, width, inputs, stride, batch, threads, even, odd}; }
};

inline void forward(const Fields& f) {
    const Projection projection = f.projection();
    const Int image = projection.out_height() * projection.out_width() * kChannels;
    Array mean(kChannels);
    Sums sums(f.threads);
    projection.forward(f.y, f.x, sums);
    if (f.training) settle(sums, double(f.batch * image / kChannels), mean.data(), f.rstd, f.running_mean, f.running_var);
    else recall(mean.data(), f.rstd, f.running_mean, f.running_var);
    const Norm norm(1, mean.data(), f.rstd);
    share(f.threads, f.batch, [&](Int, Int begin, Int end) {
        for (Int c = 0; c < kChannels; c += kLanes) {
            const Vec scale = load(&norm.scale[c]), shift = load(&norm.shift[c]);
            for (Int p = begin * image + c; p < end * image; p += kChannels) store(f.y + p, load(f.y + p) * scale + shift);
        }
    });
}

inline void backward(const Fields& f) {
    const Projection projection = f.projection();
    const Int pixels = projection.out_height() * projection.out_width(), image = pixels * kChannels;
    Sums sums(f.threads);
    share(f.threads, f.batch, [&](Int thread, Int begin, Int end) {
        for (Int n = begin; n < end; ++n) sums.add(thread, f.of_y + n * image, f.y + n * image, pixels);
    });
    const Array zeros(kChannels, Real(0)), ones(kChannels, Real(1));
    NormGradient norm(sums, 1, zeros.data(), ones.data(), double(f.batch * pixels), f.training);
    for (Array* part : {&norm.of_g, &norm.of_z, &norm.rest})
        for (Int c = 0; c < kChannels; ++c) (*part)[c] *= f.rstd[c];
    projection.backward(f.of_y, norm, f.y, f.x, f.of_x, f.stride == 2, f.of_even, f.of_odd);
}

}  // namespace zarts

// Reads integers and addresses in the order of `Fields`. Direction 1: forward; -1: backward. Null gradients are not
// wanted; at stride 2 that of x starts as zeros.
extern "C" int64_t zarts_projection(const int64_t* description, int64_t direction) {
    const zarts::Fields& fields = *reinterpret_cast<const zarts::Fields*>(description);
    if (direction > 0) zarts::forward(fields);
    else zarts::backward(fields);
    return 0;
}
