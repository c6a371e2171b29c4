// One layer of a chain on the CPU: convolution, batch norm, sum with a shortcut and activation, forward and backward.
//
// Of the forward pass z, the result of the convolution, is kept, and with a shortcut the output; the rest is made again.
// Features are dense (batch, height, width, channels) arrays. Channels are numbers of the description: ZARTS_CHANNELS
// only has to be a multiple of the machine's vector.
// Sums over images are in double precision, so that they hardly depend on the number of threads.
// Features in bfloat16 are convolved by torch: the kernel has what follows, in float.

#include "direct.hpp"
#include "tiled.hpp"

namespace zarts {

static_assert(sizeof(void*) == sizeof(Int) && sizeof(double) == sizeof(Int));

enum Kind : Int { kGiven, kTiled, kDirect, kDepthwise };  // given: the input is the result of a convolution

struct Fields {
    Kind kind;
    Shape shape;
    Activation activation;
    Int threads;
    double epsilon, momentum;
    const Stored* x;
    const Real *weight, *norm_weight, *norm_bias;  // no weights of a norm: the convolution alone, z
    const Stored* shortcut;
    Real *running_mean, *running_var;
    Stored* z;
    Real *mean, *rstd;
    Stored* y;
    const Stored* of_y;
    Stored *of_shortcut, *of_x;                      // of_x, of_weight: null: not wanted
    Real *of_weight, *of_norm_weight, *of_norm_bias;
};

class GivenResult {
  public:
    GivenResult(const Shape& shape, const Real*) : shape(shape) {}
    Int together() const { return 1; }
    Int weights() const { return 1; }
    void ready_back() {}
    void weight_gradient(Real*, const double*) const {}

    struct Worker {
        const Shape& s;
        Worker(const GivenResult& of, double*) : s(of.shape) {}
        void forward(Stored*, const Stored*, Int) {}
        void backward(Stored* of_x, const Stored*, const OfZ& of_z, Int first, Int, bool) {
            if (of_x) of_z.apply(of_x, first * s.out_pixels(), s.out_pixels());
        }
        void finish() {}
    };
    const Shape shape;
};

class Layer {
  public:
    explicit Layer(const Fields& fields) : f(fields), s(fields.shape), walk(s.outputs), z(f.kind == kGiven ? f.x : f.z) {}

    template <typename Convolution>
    void forward() const {
        Totals totals(walk, f.threads);
        const Convolution convolution(s, f.weight);
        each_group(convolution, nullptr, [&](auto& worker, Int thread, Int first, Int images) {
            const Stored* result = z + first * s.result();
            worker.forward(f.z + first * s.result(), f.x + first * s.image(), images);
            if (!f.norm_weight) return;
            totals.add(
                thread, images * s.result(), [&](auto lanes, Int, Int p) { return load<decltype(lanes)::value>(result + p); },
                [](auto, Int, const auto& value) { return value * value; });
        });
        if (!f.norm_weight) return;
        for (Int c = 0; c < s.outputs; ++c) {
            const double m = totals.first(c) / count(), difference = totals.second(c) / count() - m * m;
            const double var = difference < 0 ? 0 : difference;  // a NaN stays one
            f.mean[c] = m;
            f.rstd[c] = 1 / std::sqrt(var + f.epsilon);
            f.running_mean[c] += f.momentum * (m - f.running_mean[c]);
            f.running_var[c] += f.momentum * (var * count() / std::max(1.0, count() - 1) - f.running_var[c]);
        }
        const Affine norm = affine();
        share(f.threads, s.batch, [&](Int, Int begin, Int end) {
            for (Int at = begin * s.result(); at < end * s.result(); at += s.result())
                norm.apply(f.y + at, z + at, f.shortcut ? f.shortcut + at : nullptr, s.result());
        });
    }

    template <typename Convolution>
    void backward() const {
        Convolution convolution(s, f.weight);
        if (f.of_x) convolution.ready_back();
        const OfZ of_z = gradient();
        if (!f.of_x && !f.of_weight) return;
        const Int length = convolution.weights();
        ArrayOf<double> totals(std::max<Int>(1, f.threads) * length, 0.0);
        each_group(convolution, totals.data(), [&](auto& worker, Int, Int first, Int images) {
            Stored* of_x = f.of_x ? f.of_x + first * s.image() : nullptr;
            worker.backward(of_x, f.x + first * s.image(), of_z, first, images, f.of_weight != nullptr);
        });
        if (!f.of_weight) return;
        for (size_t at = length; at < totals.size(); ++at) totals[at % length] += totals[at];
        convolution.weight_gradient(f.of_weight, totals.data());
    }

  private:
    double count() const { return double(s.batch * s.out_pixels()); }

    // work(worker, thread, first image, number of images); totals: of the gradients, one part a thread.
    template <typename Convolution, typename Work>
    void each_group(const Convolution& convolution, double* totals, const Work& work) const {
        const Int together = convolution.together(), groups = (s.batch + together - 1) / together;
        share(f.threads, groups, [&](Int thread, Int begin, Int end) {
            typename Convolution::Worker worker(convolution, totals ? totals + thread * convolution.weights() : nullptr);
            for (Int first = begin * together; first < std::min(end * together, s.batch); first += together)
                work(worker, thread, first, std::min(together, s.batch - first));
            if (totals) worker.finish();
        });
    }
    Affine affine() const {
        Array scale(s.outputs), shift(s.outputs);
        for (Int c = 0; c < s.outputs; ++c) {
            scale[c] = f.norm_weight[c] * f.rstd[c];
            shift[c] = f.norm_bias[c] - scale[c] * f.mean[c];
        }
        return {&walk, walk.repeated(scale), walk.repeated(shift), f.activation};
    }
    // The gradient with respect to z, and those of the norm's parameters and of the shortcut.
    OfZ gradient() const {
        if (!f.norm_weight) return {{&walk, {}, {}, kNone}, f.of_y, nullptr, {}, {}, {}};
        Affine norm = affine();
        Totals totals(walk, f.threads);
        share(f.threads, s.batch, [&](Int thread, Int begin, Int end) {
            for (Int at = begin * s.result(); at < end * s.result(); at += s.result())
                norm.sum(totals, thread, f.of_shortcut ? f.of_shortcut + at : nullptr, f.of_y + at, z + at,
                         f.of_shortcut ? f.y + at : nullptr, s.result());
        });
        Array of_g(s.outputs), of_z(s.outputs), rest(s.outputs);
        for (Int c = 0; c < s.outputs; ++c) {
            const double w = f.norm_weight[c], r = f.rstd[c], g = totals.first(c), of_scale = r * (totals.second(c) - f.mean[c] * g);
            f.of_norm_weight[c] = of_scale;
            f.of_norm_bias[c] = g;
            of_g[c] = w * r;
            of_z[c] = -w * r * r * of_scale / count();
            rest[c] = w * r * (r * f.mean[c] * of_scale - g) / count();
        }
        if (f.of_shortcut) norm.activation = kNone;
        return {norm, f.of_shortcut ? f.of_shortcut : f.of_y, z, walk.repeated(of_g), walk.repeated(of_z), walk.repeated(rest)};
    }

    const Fields& f;
    const Shape& s;
    const Walk walk;
    const Stored* z;
};

template <typename Convolution>
inline void run(const Fields& fields, Int direction) {
    const Layer layer(fields);
    if (direction > 0) layer.forward<Convolution>();
    else layer.backward<Convolution>();
}

}  // namespace zarts

// Reads integers, numbers and addresses in the order of `Fields`. Direction 1: forward; -1: backward.
extern "C" int64_t zarts_chain(const int64_t* description, int64_t direction) {
    using namespace zarts;
    const Fields& fields = *reinterpret_cast<const Fields*>(description);
    switch (fields.kind) {
        case kGiven: run<GivenResult>(fields, direction); break;
#if !ZARTS_BFLOAT16
        case kTiled: run<TiledConvolution>(fields, direction); break;
        case kDirect: run<DirectConvolution>(fields, direction); break;
        case kDepthwise: run<DepthwiseConvolution>(fields, direction); break;
#else
        default: return 1;
#endif
    }
    return 0;
}
