// Convolutions without tiles: any kernel and stride as products of matrices, and depthwise 3×3 ones.
#pragma once

#include "pointwise.hpp"
#include "shape.hpp"

namespace zarts {

// A row of the result is one product: neighbours in a row of a kernel are neighbours in the image, too.
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
    void ready_back() {                                           // (tap, out, in)
        back_.resize(taps() * shape.outputs * ins);
        for (Int tap = 0; tap < taps(); ++tap)
            for (Int o = 0; o < shape.outputs; ++o)
                for (Int i = 0; i < shape.inputs; ++i)
                    back_[(tap * shape.outputs + o) * ins + i] = weight_[(o * shape.inputs + i) * taps() + tap];
    }
    void weight_gradient(Real* to, const double* sums) const {
        for (Int o = 0; o < shape.outputs; ++o)
            for (Int i = 0; i < shape.inputs; ++i)
                for (Int tap = 0; tap < taps(); ++tap) *to++ = sums[(tap * shape.inputs + i) * outs + o];
    }

    class Worker {
      public:
        Worker(const DirectConvolution& of, double* total)
            : of(of), s(of.shape), total_(total), bare_(s.kernel == 1 && s.stride == 1),
              x_(1, bare_ ? 0 : s.padded_rows(), s.padded_columns(), s.inputs),
              result_(1, s.padded_rows(), s.padded_columns(), total ? of.ins : of.outs) {
            if (total) dz_.resize(s.out_pixels() * of.outs), row_.resize(s.result() + kWide), sums_.resize(of.weights());
        }
        void forward(Real* z, const Real* x, Int) {
            const Left left = seen(x);
            const bool whole = s.outputs == of.outs;
            const Int rows = bare_ ? 1 : s.out_height(), width = s.out_pixels() / rows;
            Real* to = whole ? z : result_.values.data();
            for (Int y = 0; y < rows; ++y) {
                Left row = left;
                row.from += y * s.stride * x_.line();
                product(to, of.outs, row, of.forward_.data(), of.outs, width, of.outs);
                if (whole) to += width * s.outputs;
                else unpack(z + y * width * s.outputs, to, width, s.outputs);
            }
        }
        void backward(Real* of_x, const Real* x, const OfZ& of_z, Int first, Int, bool of_weight) {
            of_z.apply_packed(dz_.data(), first * s.out_pixels(), s.out_pixels(), row_);
            if (of_weight) correlate(x);
            if (of_x) spread(of_x);
        }
        void finish() {}

      private:
        // The pixels under a row of the result.
        Left seen(const Real* x) {
            if (bare_) return {x, s.inputs, 1, s.inputs};
            fill(x);
            return {x_.at(0, 0, 0), s.stride * s.inputs, 1, s.kernel * s.inputs, s.kernel, x_.line()};
        }
        void fill(const Real* x) {
            for (Int y = 0; y < s.height; ++y, x += s.width * s.inputs)
                std::memcpy(x_.at(0, y + s.padding(), s.padding()), x, s.width * s.inputs * sizeof(Real));
        }
        void correlate(const Real* x) {
            const Int rows = s.kernel * s.inputs;
            std::fill(sums_.begin(), sums_.end(), Real(0));
            if (!bare_) fill(x);
            for (Int k = 0; k < s.kernel; ++k) {
                const Left left = bare_ ? Left{x, 1, s.inputs, s.out_pixels()}
                                        : Left{x_.at(0, k, 0), 1, s.stride * s.inputs, s.out_width(), s.out_height(), s.stride * x_.line()};
                product<true>(&sums_[k * rows * of.outs], of.outs, left, dz_.data(), of.outs, rows, of.outs);
            }
            for (size_t i = 0; i < sums_.size(); ++i) total_[i] += sums_[i];
        }
        void spread(Real* of_x) {
            if (bare_) {
                Real* to = s.inputs == of.ins ? of_x : result_.values.data();
                product(to, of.ins, Left{dz_.data(), of.outs, 1, s.outputs}, of.back_.data(), of.ins, s.out_pixels(), of.ins);
                if (to != of_x) unpack(of_x, to, s.out_pixels(), s.inputs);
                return;
            }
            std::fill(result_.values.begin(), result_.values.end(), Real(0));
            for (Int y = 0; y < s.out_height(); ++y)
                for (Int tap = 0; tap < of.taps(); ++tap)
                    product<true>(result_.at(0, y * s.stride + tap / s.kernel, tap % s.kernel), s.stride * of.ins,
                                  Left{&dz_[y * s.out_width() * of.outs], of.outs, 1, s.outputs},
                                  &of.back_[tap * s.outputs * of.ins], of.ins, s.out_width(), of.ins);
            for (Int y = 0; y < s.height; ++y)
                unpack(of_x + y * s.width * s.inputs, result_.at(0, y + s.padding(), s.padding()), s.width, s.inputs);
        }

        const DirectConvolution& of;
        const Shape& s;
        double* total_;
        bool bare_;
        Canvas x_, result_;
        Array dz_, row_, sums_;
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
