// The operations of a mixed cell and their layers, as its caller describes them.
#pragma once

#include "vectors.hpp"

namespace zarts {

enum Kind : Int { kSkip, kMaxPool, kAveragePool, kReduce, kBlocks };

// A block on all its edges. A pool has only the statistics and z; a reduction has the weights of the even pixels and
// of the odd ones in place of the depthwise and the pointwise ones.
struct Layer {
    Int kernel, dilation;
    Real *depthwise, *pointwise, *running_mean, *running_var, *of_depthwise, *of_pointwise;
    Real *z, *mean, *rstd;  // on the tape
};

// An operation on all its edges, its slots.
struct Step {
    Kind kind;
    Int slots;
    const Int *row, *source, *target, *place;  // a slot: in the parameters; state read; state entered; its weight
    std::vector<Layer> layers;
};

}  // namespace zarts
