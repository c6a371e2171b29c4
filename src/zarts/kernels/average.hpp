// The average pool of 3×3 pixels, those outside the image left out.
#pragma once

#include "vectors.hpp"

namespace zarts {

class Average {
  public:
    Average(Int height, Int width) : height_(height), width_(width), line_((width + 2) * kChannels) {}

    // The pool of an image.
    void forward(Real* out, const Real* image) {
        for (Int y = 0; y < height_; ++y, out += width_ * kChannels) {
            sum(out, image, y);
            divide(out, out, y, Real(1));
        }
    }
    // A row of a gradient, divided by the number of pixels that its averages are of.
    void divide(Real* to, const Real* row, Int y, Real weight) const {
        const Real share = weight / (std::min(y + 1, height_ - 1) - std::max<Int>(y - 1, 0) + 1);
        for (Int x = 0; x < width_; ++x) {
            const Real each = share / (std::min(x + 1, width_ - 1) - std::max<Int>(x - 1, 0) + 1);
            for (Int c = x * kChannels; c < (x + 1) * kChannels; c += kLanes) store(to + c, load(row + c) * each);
        }
    }
    // The sums of 3×3 pixels around row y.
    void sum(Real* out, const Real* image, Int y) {
        const Int row = width_ * kChannels;
        const Real* middle = image + y * row;
        const Real *above = y > 0 ? middle - row : nullptr, *below = y + 1 < height_ ? middle + row : nullptr;
        for (Int c = 0; c < row; c += kLanes) {
            Vec total = load(middle + c);
            if (above) total += load(above + c);
            if (below) total += load(below + c);
            store(line_.data() + kChannels + c, total);  // its border is 0 and stays so
        }
        const Real* from = line_.data();
        for (Int c = 0; c < row; c += kLanes)
            store(out + c, load(from + c) + load(from + c + kChannels) + load(from + c + 2 * kChannels));
    }

  private:
    Int height_, width_;
    Array line_;
};

}  // namespace zarts
