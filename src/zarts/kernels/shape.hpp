// Sizes of a convolution that pads by half its kernel: a side of n becomes n / stride, rounded up.
#pragma once

#include "vectors.hpp"

namespace zarts {

struct Shape {
    Int batch, height, width, inputs, outputs, kernel, stride;

    Int out_height() const { return (height + stride - 1) / stride; }
    Int out_width() const { return (width + stride - 1) / stride; }
    Int padding() const { return kernel / 2; }
    Int image() const { return height * width * inputs; }
    Int out_pixels() const { return out_height() * out_width(); }
    Int result() const { return out_pixels() * outputs; }
    // Sides of an image with the zeros that its convolution sees.
    Int padded_rows() const { return std::max(height + 2 * padding(), (out_height() - 1) * stride + kernel); }
    Int padded_columns() const { return std::max(width + 2 * padding(), (out_width() - 1) * stride + kernel); }
};

}  // namespace zarts
