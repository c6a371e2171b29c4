// 3×3 convolutions of stride 1 as in winograd.hpp, between any numbers of channels that are known at run time.
#pragma once

#include "pointwise.hpp"
#include "shape.hpp"
#include "winograd.hpp"

namespace zarts {

class TiledConvolution {
  public:
    TiledConvolution(const Shape& shape, const Real* weight)
        : shape(shape), ins(whole_vectors(shape.inputs)), outs(whole_vectors(shape.outputs)),
          rows_((shape.height + kTile - 1) / kTile), columns_((shape.width + kTile - 1) / kTile),
          forward_(points(weight, shape.outputs, shape.inputs, false)), weight_(weight) {}

    // Images at once, so that products are long but their factors stay in the second-level cache.
    Int together() const { return std::max<Int>(1, kAtOnce / (rows_ * columns_)); }
    Int weights() const { return kTaps * shape.inputs * outs; }
    void ready_back() { back_ = points(weight_, shape.outputs, shape.inputs, true); }
    // From (tap, in, out) to the parameter's order.
    void weight_gradient(Real* to, const double* sums) const {
        for (Int o = 0; o < shape.outputs; ++o)
            for (Int i = 0; i < shape.inputs; ++i)
                for (Int tap = 0; tap < kTaps; ++tap) *to++ = sums[(tap * shape.inputs + i) * outs + o];
    }

    // Room and work of one thread.
    class Worker {
      public:
        Worker(const TiledConvolution& of, double* total)
            : of(of), s(of.shape), total_(total), images_(std::min(of.together(), s.batch)),
              span_(std::max<Int>(1, std::min(kAtOnce / of.columns_, images_ * of.rows_))),
              x_(canvas(of.ins, 2)), result_(canvas(total ? of.ins : of.outs, 0)),
              entered_(total ? std::max(of.ins, of.outs) : of.ins, span_ * of.columns_),
              product_(std::max(of.ins, of.outs), span_ * of.columns_) {
            if (total) dz_ = canvas(of.outs, 2), row_.resize(s.width * s.outputs + kWide), sums_.resize(kPoints * s.inputs * of.outs);
        }

        void forward(Real* z, const Real* x, Int images) {
            fill(x, images);
            convolve(z, x_, of.forward_, s.inputs, s.outputs, images);
        }
        void backward(Real* of_x, const Real* x, const OfZ& of_z, Int first, Int images, bool of_weight) {
            for (Int n = 0; n < images; ++n)
                for (Int y = 0; y < s.height; ++y)
                    of_z.apply_packed(dz_.at(n, y + 1, 1), ((first + n) * s.height + y) * s.width, s.width, row_);
            if (of_weight) {
                fill(x, images);
                correlate(images);
            }
            if (of_x) convolve(of_x, dz_, of.back_, s.outputs, s.inputs, images);
        }
        void finish() { flush(); }

      private:
        // (point, tile, channel); the points of a tile are in different sets of the cache.
        struct Room {
            Int step;
            Array values;
            Room(Int channels, Int tiles) : step(tiles * channels + 16), values(kPoints * step) {}
            Real* point(Int p) { return &values[p * step]; }
        };

        Canvas canvas(Int channels, Int border) const {
            return Canvas(images_, of.rows_ * kTile + border, of.columns_ * kTile + border, channels);
        }
        void fill(const Real* x, Int images) {
            for (Int n = 0; n < images; ++n)
                for (Int y = 0; y < s.height; ++y, x += s.width * s.inputs) pack(x_.at(n, y + 1, 1), x, s.width, s.inputs);
        }
        // visit(first row of tiles of all images, behind the last)
        template <typename Visit>
        void each_span(Int images, const Visit& visit) const {
            for (Int row = 0; row < images * of.rows_; row += span_) visit(row, std::min(row + span_, images * of.rows_));
        }
        // visit(a tile's first number in the canvas, its first number at a point) for vectors of channels
        template <typename Visit>
        void each_tile(Canvas& at, Int shift, Int begin, Int end, const Visit& visit) const {
            Int tile = 0;
            for (Int row = begin; row < end; ++row)
                for (Int column = 0; column < of.columns_; ++column) {
                    Real* first = at.at(row / of.rows_, row % of.rows_ * kTile + shift, column * kTile + shift);
                    for (Int c = 0; c < at.channels; c += kWide, tile += kWide) visit(first + c, tile);
                }
        }
        void enter(Canvas& from, Int begin, Int end) {
            each_tile(from, 0, begin, end, [&](const Real* first, Int tile) {
                Vec d[kSide][kSide], v[kSide][kSide];
                load_block(d, first, from.line(), from.channels);
                both_ways(d, v, ZARTS_LINE(EnterMatrix::apply));
                store_block(entered_.point(0) + tile, v, kSide * entered_.step, entered_.step);
            });
        }
        void enter_back(Int begin, Int end) {
            each_tile(dz_, 1, begin, end, [&](const Real* first, Int tile) {
                Vec y[kTile][kTile], m[kSide][kSide];
                load_block(y, first, dz_.line(), dz_.channels);
                both_ways(y, m, ZARTS_LINE(LeaveMatrix::back));
                store_block(product_.point(0) + tile, m, kSide * product_.step, product_.step);
            });
        }
        void convolve(Real* to, Canvas& from, const Array& matrices, Int inputs, Int outputs, Int images) {
            const Int wide = result_.channels, square = inputs * wide;
            each_span(images, [&](Int begin, Int end) {
                enter(from, begin, end);
                for (Int p = 0; p < kPoints; ++p)
                    product(product_.point(p), wide, Left{entered_.point(p), from.channels, 1, inputs}, &matrices[p * square], wide,
                            (end - begin) * of.columns_, wide);
                if (wide == outputs) leave(to, begin, end, outputs);
                else
                    each_tile(result_, 0, begin, end, [&](Real* first, Int tile) {
                        Vec y[kTile][kTile];
                        left(y, tile);
                        store_block(first, y, result_.line(), wide);
                    });
            });
            for (Int n = 0; n < images && wide != outputs; ++n)
                for (Int y = 0; y < s.height; ++y, to += s.width * outputs) unpack(to, result_.at(n, y, 0), s.width, outputs);
        }
        void left(Vec (&y)[kTile][kTile], Int tile) {
            Vec m[kSide][kSide];
            load_block(m, product_.point(0) + tile, kSide * product_.step, product_.step);
            both_ways(m, y, ZARTS_LINE(LeaveMatrix::apply));
        }
        // Straight to images of whole vectors, without what is outside of them.
        void leave(Real* to, Int begin, Int end, Int outputs) {
            const Int line = s.width * outputs;
            Int tile = 0;
            for (Int row = begin; row < end; ++row) {
                const Int top = row % of.rows_ * kTile, height = std::min<Int>(kTile, s.height - top);
                Real* first = to + (row / of.rows_ * s.height + top) * line;
                for (Int column = 0; column < s.width; column += kTile) {
                    const Int width = std::min<Int>(kTile, s.width - column);
                    for (Int c = 0; c < outputs; c += kWide, tile += kWide) {
                        Vec y[kTile][kTile];
                        left(y, tile);
                        Real* at = first + column * outputs + c;
                        if (height == kTile && width == kTile) store_block(at, y, line, outputs);
                        else
                            for (Int k = 0; k < height; ++k)
                                for (Int l = 0; l < width; ++l) store(at + k * line + l * outputs, y[k][l]);
                    }
                }
            }
        }
        void correlate(Int images) {
            const Int square = s.inputs * of.outs;
            each_span(images, [&](Int begin, Int end) {
                const Int tiles = (end - begin) * of.columns_;
                enter(x_, begin, end);
                enter_back(begin, end);
                for (Int p = 0; p < kPoints; ++p)
                    product<true>(&sums_[p * square], of.outs, Left{entered_.point(p), 1, of.ins, tiles}, product_.point(p), of.outs,
                                  s.inputs, of.outs);
                if ((summed_ += tiles) >= kFlush) flush();
            });
        }
        // Gᵀ dU G, in double precision from here on.
        void flush() {
            const Int square = s.inputs * of.outs;
            for (Int pair = 0; pair < square && summed_; pair += kWide) {
                Vec u[kSide][kSide], w[3][3];
                load_block(u, &sums_[pair], kSide * square, square);
                both_ways(u, w, ZARTS_LINE(KernelMatrix::back));
                for (Int tap = 0; tap < kTaps; ++tap)
                    for (int lane = 0; lane < kWide; ++lane) total_[tap * square + pair + lane] += w[tap / 3][tap % 3][lane];
            }
            std::fill(sums_.begin(), sums_.end(), Real(0));
            summed_ = 0;
        }

        const TiledConvolution& of;
        const Shape& s;
        double* total_;
        Int images_, span_, summed_ = 0;
        Canvas x_, result_, dz_{0, 0, 0, 0};
        Room entered_, product_;
        Array row_, sums_;
    };

    const Shape shape;
    const Int ins, outs;  // channels filled up to whole vectors

  private:
    static constexpr Int kAtOnce = 48, kFlush = 256;  // tiles; those whose gradients are summed in single precision

    // G W Gᵀ of an (out, in, 3, 3) kernel as (point, in, out), or back, turned by half a circle: (point, out, in).
    static Array points(const Real* weight, Int outputs, Int inputs, bool back) {
        const Int rows = back ? outputs : inputs, columns = whole_vectors(back ? inputs : outputs), square = rows * columns;
        Array taps(kTaps * square), all(kPoints * square);
        for (Int o = 0; o < outputs; ++o)
            for (Int i = 0; i < inputs; ++i)
                for (Int tap = 0; tap < kTaps; ++tap)
                    taps[tap * square + (back ? o * columns + i : i * columns + o)] =
                        weight[(o * inputs + i) * kTaps + (back ? kTaps - 1 - tap : tap)];
        for (Int pair = 0; pair < square; pair += kWide) {
            Vec w[3][3], u[kSide][kSide];
            load_block(w, &taps[pair], 3 * square, square);
            both_ways(w, u, ZARTS_LINE(KernelMatrix::apply));
            store_block(&all[pair], u, kSide * square, square);
        }
        return all;
    }

    Int rows_, columns_;  // of tiles
    Array forward_, back_;
    const Real* weight_;
};

}  // namespace zarts
