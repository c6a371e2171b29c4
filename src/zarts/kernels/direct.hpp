// Convolutions without tiles: any kernel and stride as products of matrices, and depthwise 3×3 ones.
#pragma once

#include "pointwise.hpp"
#include "shape.hpp"

namespace zarts {

// The pixels that a few rows of the result see are laid out as rows of a matrix, unless the kernel sees one alone.
class DirectConvolution {
  public:
    DirectConvolution(const Shape& shape, const Real* weight)
        : shape(shape), ins(whole_vectors(shape.inputs)), outs(whole_vectors(shape.outputs)), weight_(weight),
          forward_(weights()) {
        for (Int tap = 0; tap < taps(); ++tap)
            for (Int i = 0; i < shape.inputs; ++i)
                for (Int o = 0; o < shape.outputs; ++o)
                    forward_[(tap * shape.inputs + i) * outs + o] = weight[(o * shape.inputs + i) * taps() + tap];
    }
    Int together() const { return 1; }
    Int taps() const { return shape.kernel * shape.kernel; }
    Int weights() const { return taps() * shape.inputs * outs; }  // (tap, in, out)
    void ready_back() {                                           // (out, tap, in)
        back_.resize(taps() * shape.outputs * ins);
        for (Int tap = 0; tap < taps(); ++tap)
            for (Int o = 0; o < shape.outputs; ++o)
                for (Int i = 0; i < shape.inputs; ++i)
                    back_[(o * taps() + tap) * ins + i] = weight_[(o * shape.inputs + i) * taps() + tap];
    }
    void weight_gradient(Real* to, const double* sums) const {
        for (Int o = 0; o < shape.outputs; ++o)
            for (Int i = 0; i < shape.inputs; ++i)
                for (Int tap = 0; tap < taps(); ++tap) *to++ = sums[(tap * shape.inputs + i) * outs + o];
    }

    class Worker {
      public:
        Worker(const DirectConvolution& of, double* total)
            : of(of), s(of.shape), total_(total), bare_(s.kernel == 1 && s.stride == 1), width_(s.out_width()),
              rows_(bare_ ? s.out_height() : std::min(s.out_height(), (kAtOnce + width_ - 1) / width_)),
              x_(1, bare_ ? 0 : s.padded_rows(), s.padded_columns(), s.inputs),
              result_(1, bare_ ? 0 : s.padded_rows(), s.padded_columns(), of.ins),
              seen_(bare_ ? 0 : rows_ * width_ * of.taps() * s.inputs + kWide) {
            if (!total) packed_.resize(rows_ * width_ * of.outs);
            else {
                packed_.resize(rows_ * width_ * of.taps() * of.ins), sums_.resize(of.weights());
                dz_.resize(s.out_pixels() * of.outs), row_.resize(s.result() + kWide);
            }
        }
        void forward(Real* z, const Real* x, Int) {
            if (!bare_) fill(x);
            each_band([&](Int y, Int pixels) {
                Real *band = z + y * width_ * s.outputs, *to = s.outputs == of.outs ? band : packed_.data();
                product(to, of.outs, Left{seen(x, y, pixels), length(), 1, length()}, of.forward_.data(), of.outs, pixels, of.outs);
                if (to != band) unpack(band, to, pixels, s.outputs);
            });
        }
        void backward(Real* of_x, const Real* x, const OfZ& of_z, Int first, Int, bool of_weight) {
            of_z.apply_packed(dz_.data(), first * s.out_pixels(), s.out_pixels(), row_);
            if (of_weight) correlate(x);
            if (of_x) spread(of_x);
        }
        void finish() {}

      private:
        static constexpr Int kAtOnce = 48;  // pixels, so that products are long but stay in the cache

        Int length() const { return of.taps() * s.inputs; }
        // visit(first row of the result, pixels in the band)
        template <typename Visit>
        void each_band(const Visit& visit) const {
            for (Int y = 0; y < s.out_height(); y += rows_) visit(y, std::min(rows_, s.out_height() - y) * width_);
        }
        // What a band of the result sees: (pixel, tap, channel). A vector may reach into the next row, written after it.
        const Real* seen(const Real* x, Int y, Int pixels) {
            if (bare_) return x;
            const Int numbers = s.kernel * s.inputs;
            Real* to = seen_.data();
            for (Int p = 0; p < pixels; ++p)
                for (Int k = 0; k < s.kernel; ++k, to += numbers) {
                    const Real* from = x_.at(0, (y + p / width_) * s.stride + k, p % width_ * s.stride);
                    for (Int c = 0; c < numbers; c += kWide) store(to + c, load(from + c));
                }
            return seen_.data();
        }
        void fill(const Real* x) {
            for (Int y = 0; y < s.height; ++y, x += s.width * s.inputs)
                std::memcpy(x_.at(0, y + s.padding(), s.padding()), x, s.width * s.inputs * sizeof(Real));
        }
        void correlate(const Real* x) {
            std::fill(sums_.begin(), sums_.end(), Real(0));
            if (!bare_) fill(x);
            each_band([&](Int y, Int pixels) {
                product<true>(sums_.data(), of.outs, Left{seen(x, y, pixels), 1, length(), pixels}, &dz_[y * width_ * of.outs], of.outs,
                              length(), of.outs);
            });
            for (size_t i = 0; i < sums_.size(); ++i) total_[i] += sums_[i];
        }
        void spread(Real* of_x) {
            const Int wide = of.taps() * of.ins, numbers = s.kernel * of.ins;
            std::fill(result_.values.begin(), result_.values.end(), Real(0));
            each_band([&](Int y, Int pixels) {
                Real* to = bare_ && s.inputs == of.ins ? of_x : packed_.data();
                product(to, wide, Left{&dz_[y * width_ * of.outs], of.outs, 1, s.outputs}, of.back_.data(), wide, pixels, wide);
                if (bare_ && to != of_x) unpack(of_x, to, pixels, s.inputs);
                for (Int p = 0; p < pixels && !bare_; ++p)
                    for (Int k = 0; k < s.kernel; ++k, to += numbers) {
                        Real* at = result_.at(0, (y + p / width_) * s.stride + k, p % width_ * s.stride);
                        for (Int c = 0; c < numbers; c += kWide) store(at + c, load(at + c) + load(to + c));
                    }
            });
            for (Int y = 0; y < s.height && !bare_; ++y)
                unpack(of_x + y * s.width * s.inputs, result_.at(0, y + s.padding(), s.padding()), s.width, s.inputs);
        }

        const DirectConvolution& of;
        const Shape& s;
        double* total_;
        bool bare_;
        Int width_, rows_;  // of the result; in a band
        Canvas x_, result_;
        Array seen_, packed_, dz_, row_, sums_;
    };

    const Shape shape;
    const Int ins, outs;

  private:
    const Real* weight_;
    Array forward_, back_;
};

// Each channel with a 3×3 kernel of its own.
class DepthwiseConvolution {
  public:
    DepthwiseConvolution(const Shape& shape, const Real* weight)
        : shape(shape), wide(whole_vectors(shape.inputs)), forward_(weights()), back_(weights()) {
        for (Int c = 0; c < shape.inputs; ++c)
            for (Int tap = 0; tap < 9; ++tap) forward_[tap * wide + c] = back_[(8 - tap) * wide + c] = weight[c * 9 + tap];
    }
    Int together() const { return 1; }
    Int weights() const { return 9 * wide; }
    void ready_back() {}
    void weight_gradient(Real* to, const double* sums) const {
        for (Int c = 0; c < shape.inputs; ++c)
            for (Int tap = 0; tap < 9; ++tap) *to++ = sums[tap * wide + c];
    }

    class Worker {
      public:
        Worker(const DepthwiseConvolution& of, double* total)
            : of(of), s(of.shape), total_(total), x_(1, s.padded_rows(), s.padded_columns(), of.wide),
              dz_(1, total ? s.height + 2 : 0, s.width + 2, of.wide), packed_(std::max(s.width, s.out_width()) * of.wide),
              row_(s.out_width() * s.outputs + kWide) {}
        void forward(Real* z, const Real* x, Int) {
            fill(x);
            convolve(z, x_, of.forward_, s.stride, s.out_height(), s.out_width());
        }
        void backward(Real* of_x, const Real* x, const OfZ& of_z, Int first, Int, bool of_weight) {
            for (Int y = 0; y < s.out_height(); ++y) {
                of_z.apply_packed(packed_.data(), first * s.out_pixels() + y * s.out_width(), s.out_width(), row_);
                Real* to = dz_.at(0, y * s.stride + 1, 1);
                for (Int u = 0; u < s.out_width(); ++u, to += s.stride * of.wide)
                    std::memcpy(to, &packed_[u * of.wide], of.wide * sizeof(Real));
            }
            if (of_weight) correlate(x);
            if (of_x) convolve(of_x, dz_, of.back_, 1, s.height, s.width);
        }
        void finish() {}

      private:
        void fill(const Real* x) {
            for (Int y = 0; y < s.height; ++y, x += s.width * s.inputs) pack(x_.at(0, y + 1, 1), x, s.width, s.inputs);
        }
        void convolve(Real* to, const Canvas& from, const Array& weight, Int stride, Int rows, Int width) {
            const bool whole = s.inputs == of.wide;
            for (Int y = 0; y < rows; ++y, to += width * s.inputs) {
                Real* out = whole ? to : packed_.data();
                for (Int c = 0; c < of.wide; c += kWide) {
                    Vec w[9];
                    for (Int tap = 0; tap < 9; ++tap) w[tap] = load(&weight[tap * of.wide + c]);
                    const Real* rows_[3] = {from.at(0, y * stride, 0) + c, from.at(0, y * stride + 1, 0) + c, from.at(0, y * stride + 2, 0) + c};
                    for (Int u = 0; u < width; ++u) {
                        const Int at = u * stride * of.wide;
                        Vec sum[3] = {};
#pragma GCC unroll 3
                        for (Int k = 0; k < 3; ++k)
#pragma GCC unroll 3
                            for (Int l = 0; l < 3; ++l) sum[k] += load(rows_[k] + at + l * of.wide) * w[k * 3 + l];
                        store(out + u * of.wide + c, sum[0] + sum[1] + sum[2]);
                    }
                }
                if (!whole) unpack(to, out, width, s.inputs);
            }
        }
        void correlate(const Real* x) {
            fill(x);
            for (Int c = 0; c < of.wide; c += kWide) {
                Vec sum[9] = {};
                for (Int y = 0; y < s.out_height(); ++y) {
                    const Real *dz = dz_.at(0, y * s.stride + 1, 1) + c, *at = x_.at(0, y * s.stride, 0) + c;
                    for (Int u = 0; u < s.out_width(); ++u, dz += s.stride * of.wide, at += s.stride * of.wide) {
                        const Vec gradient = load(dz);
#pragma GCC unroll 9
                        for (Int tap = 0; tap < 9; ++tap)
                            sum[tap] += gradient * load(at + tap / 3 * x_.line() + tap % 3 * of.wide);
                    }
                }
                for (Int tap = 0; tap < 9; ++tap)
                    for (int lane = 0; lane < kWide; ++lane) total_[tap * of.wide + c + lane] += sum[tap][lane];
            }
        }

        const DepthwiseConvolution& of;
        const Shape& s;
        double* total_;
        Canvas x_, dz_;
        Array packed_, row_;
    };

    const Shape shape;
    const Int wide;

  private:
    Array forward_, back_;
};

}  // namespace zarts
