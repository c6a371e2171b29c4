// The mixed cell of a supernet on the CPU: every operation on every edge, forward and backward.
//
// A block (ReLU, depthwise k×k convolution, 1×1 convolution, batch norm without affine) spends its time on memory
// traffic, so it is one pass: the rectified image is padded in a small buffer, a few rows of the depthwise
// convolution go through the 1×1 convolution while they are in the first-level cache, and only z, the result before
// the norm, is kept. The norm is a scale and a shift a channel, applied where z is read: on the way into the next
// block, or, times the weight of the operation, into the sum of a node. That sum is one pass when all that enters the
// node is there. The backward pass makes the depthwise convolution again from the image instead of keeping it.
//
// Features are dense (batch, height, width, channels) arrays. The number of channels and the type of the numbers are
// compiled in. Sums over images are in double precision, so that they hardly depend on the number of threads.

#include "block.hpp"
#include "mix.hpp"
#include "pool.hpp"
#include "projection.hpp"
#include "steps.hpp"

namespace zarts {

// Reads the description, an array of integers and addresses: batch, height, width (of the inputs), stride (of the
// edges from them), inputs, nodes, training, threads, whether the nodes on the tape have initial values; addresses of
// the tape, room for two nodes, the weights, the output or its gradient (nodes side by side), the gradients of the nodes,
// the weights and the inputs, and of the inputs; the number of steps; for each its kind, slots, address of (4, slots)
// integers and number of layers; and for each layer kernel, dilation and the six addresses. Null gradients, but of
// inputs, are not wanted.
class Cell {
  public:
    explicit Cell(const Int* at) {
        for (Int* field : {&batch, &height, &width, &stride, &inputs, &nodes, &training, &threads, &initial}) *field = *at++;
        for (Real** field : {&tape, &scratch, &weights, &output, &of_nodes, &of_weights, &of_inputs}) *field = reinterpret_cast<Real*>(*at++);
        out_height = (height + stride - 1) / stride, out_width = (width + stride - 1) / stride;
        size = batch * out_height * out_width * kChannels;
        taken = tape;
        for (Int i = 0; i < inputs; ++i) states.push_back(reinterpret_cast<Real*>(*at++));
        Real* first = take(nodes * size);
        for (Int i = 0; i < nodes; ++i) states.push_back(first + i * size);
        for (Int count = *at++; count > 0; --count) at = read(at);
    }

    Int length() const { return taken - tape; }

    // A state is complete when those before it are done with.
    void forward() const {
        for (Int source = 0; source < inputs + nodes; ++source) {
            if (!whole(source)) complete(source);
            for (const Step& step : steps) {
                if (pools(step)) pool_forward(step, source);
                else if (step.kind != kSkip) each_slot(step, source, [&](Int slot) { edge_forward(step, slot); });
            }
        }
    }

    // Its gradient is complete when those behind it are.
    void backward() const {
        split();
        for (Int source = inputs + nodes - 1; source >= 0; --source)
            for (const Step& step : steps) {
                if (pools(step)) pool_backward(step, source);
                else if (step.kind == kSkip) skip_backward(step, source);
                else each_slot(step, source, [&](Int slot) { edge_backward(step, slot); });
            }
    }

  private:
    Int batch, height, width, stride, inputs, nodes, training, threads, initial;
    Real *tape, *scratch, *weights, *output, *of_nodes, *of_weights, *of_inputs, *taken;
    Int out_height, out_width, size;  // of a node; in numbers, all images
    std::vector<Real*> states;        // inputs, then nodes
    std::vector<Step> steps;

    const Int* read(const Int* at) {
        Step step;
        step.kind = Kind(*at++);
        step.slots = *at++;
        step.row = reinterpret_cast<const Int*>(*at++);
        step.source = step.row + step.slots, step.target = step.source + step.slots, step.place = step.target + step.slots;
        for (Int count = *at++; count > 0; --count) {
            Layer layer;
            layer.kernel = *at++, layer.dilation = *at++;
            for (Real** field : {&layer.depthwise, &layer.pointwise, &layer.running_mean, &layer.running_var,
                                 &layer.of_depthwise, &layer.of_pointwise})
                *field = reinterpret_cast<Real*>(*at++);
            layer.z = take((pools(step) ? inputs + nodes : step.slots) * size);  // of a pool one a source
            layer.mean = take(step.slots * kChannels);
            layer.rstd = take(step.slots * kChannels);
            step.layers.push_back(layer);
        }
        steps.push_back(step);
        return at;
    }
    Real* take(Int count) {
        Real* at = taken;
        taken += (count + 15) / 16 * 16;
        return at;
    }

    static bool pools(const Step& step) { return step.kind == kMaxPool || step.kind == kAveragePool; }
    template <typename Visit>
    static void each_slot(const Step& step, Int source, const Visit& visit) {
        for (Int slot = 0; slot < step.slots; ++slot)
            if (step.source[slot] == source) visit(slot);
    }
    static Real* of(Real* gradients, Int at) { return gradients ? gradients + at : nullptr; }
    bool whole(Int source) const { return source < inputs; }  // an input, whose edges have the stride
    Real* gradient(Int state) const {
        return whole(state) ? of_inputs + state * batch * height * width * kChannels : of_nodes + (state - inputs) * size;
    }
    Geometry geometry(Int source, Int kernel, Int dilation) const {
        return whole(source) ? Geometry(height, width, kernel, stride, dilation) : small(kernel, dilation);
    }
    Geometry small(Int kernel, Int dilation) const { return Geometry(out_height, out_width, kernel, 1, dilation); }
    double count() const { return double(batch * out_height * out_width); }
    double weight(const Step& step, Int slot) const { return weights[step.place[slot]]; }

    void finish(const Layer& layer, Int row, Int slot, const Sums& sums) const {
        Real *mean = layer.mean + slot * kChannels, *rstd = layer.rstd + slot * kChannels;
        Real *running_mean = layer.running_mean + row * kChannels, *running_var = layer.running_var + row * kChannels;
        if (training) settle(sums, count(), mean, rstd, running_mean, running_var);
        else recall(mean, rstd, running_mean, running_var);
    }
    static Norm norm(const Layer& layer, Int slot, double weight) {
        return Norm(weight, layer.mean + slot * kChannels, layer.rstd + slot * kChannels);
    }
    // The end of an operation, before the norm; a pool has one for each source.
    Real* result(const Step& step, Int slot) const {
        return step.layers.back().z + (pools(step) ? step.source[slot] : slot) * size;
    }
    // The gradient of its norm, and of its weight.
    NormGradient behind(const Step& step, Int slot, const Sums& sums) const {
        const NormGradient by = norm_gradient(step.layers.back(), slot, weight(step, slot), sums);
        if (of_weights) of_weights[step.place[slot]] = by.of_weight;
        return by;
    }
    NormGradient norm_gradient(const Layer& layer, Int slot, double weight, const Sums& sums) const {
        return NormGradient(sums, weight, layer.mean + slot * kChannels, layer.rstd + slot * kChannels, count(), training);
    }

    void mix(Real* to, const std::vector<Term>& terms, bool added) const {
        zarts::mix(to, terms, added, batch, size / batch, threads, [](Int, Int) {});
    }

    // The sum of a node, on the tape and in the output.
    void complete(Int node) const {
        std::vector<Term> terms;
        for (const Step& step : steps)
            for (Int slot = 0; slot < step.slots; ++slot) {
                if (step.target[slot] != node) continue;
                const Int source = step.source[slot];
                if (step.kind == kSkip) terms.push_back({states[source], Norm(weight(step, slot))});
                else terms.push_back({result(step, slot), norm(step.layers.back(), slot, weight(step, slot))});
            }
        Real *to = states[node], *beside = output + (node - inputs) * kChannels;
        zarts::mix(to, terms, initial, batch, size / batch, threads, [&](Int first, Int last) {
            for (Int p = first; p < last; p += kChannels) std::memcpy(beside + p * nodes, to + p, kChannels * sizeof(Real));
        });
    }

    Sums products(const Real* of, const Real* z) const {
        Sums sums(threads);
        const Int line = out_width * kChannels, image = out_height * line;
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            for (Int at = begin * image; at < end * image; at += line) sums.add(thread, of + at, z + at, out_width);
        });
        return sums;
    }

    void edge_forward(const Step& step, Int slot) const {
        if (step.kind == kReduce) reduce_forward(step, slot);
        else blocks_forward(step, slot);
    }
    void edge_backward(const Step& step, Int slot) const {
        if (step.kind == kReduce) reduce_backward(step, slot);
        else blocks_backward(step, slot);
    }

    // The gradient of the output, node by node.
    void split() const {
        const Int pixels = size / batch / kChannels;
        share(threads, batch, [&](Int, Int begin, Int end) {
            for (Int node = 0; node < nodes; ++node)
                for (Int p = begin * pixels; p < end * pixels; ++p) {
                    const Real* from = output + (p * nodes + node) * kChannels;
                    std::memcpy(of_nodes + node * size + p * kChannels, from, kChannels * sizeof(Real));
                }
        });
    }

    // All skips from a source at once; their sums are made when its targets are complete.
    void skip_backward(const Step& step, Int source) const {
        std::vector<Term> terms;
        each_slot(step, source, [&](Int slot) {
            const Real* of_target = gradient(step.target[slot]);
            terms.push_back({of_target, Norm(weight(step, slot))});
            if (!of_weights) return;
            const Sums sums = products(of_target, states[source]);
            double total = 0;
            for (Int c = 0; c < kChannels; ++c) total += sums.second(c);
            of_weights[step.place[slot]] = total;
        });
        if (!terms.empty()) mix(gradient(source), terms, true);
    }

    void reduce_forward(const Step& step, Int slot) const {
        const Layer& layer = step.layers[0];
        Sums sums(threads);
        reduce(step, slot).forward(layer.z + slot * size, states[step.source[slot]], sums);
        finish(layer, step.row[slot], slot, sums);
    }
    void reduce_backward(const Step& step, Int slot) const {
        const Layer& layer = step.layers[0];
        const Int source = step.source[slot], row = step.row[slot] * kChannels;
        const Real *of_target = gradient(step.target[slot]), *z = layer.z + slot * size;
        const NormGradient by = behind(step, slot, products(of_target, z));
        reduce(step, slot).backward(of_target, by, z, states[source], gradient(source), true,
                                    of(layer.of_depthwise, row * Projection::kHalf),
                                    of(layer.of_pointwise, row * (kChannels - Projection::kHalf)));
    }
    Projection reduce(const Step& step, Int slot) const {
        const Int row = step.row[slot] * kChannels;
        const Layer& layer = step.layers[0];
        return {height, width, kChannels, 2, batch, threads, layer.depthwise + row * Projection::kHalf,
                layer.pointwise + row * (kChannels - Projection::kHalf)};
    }

    // One pool for all slots that read the source; each has running statistics of its own.
    void pool_forward(const Step& step, Int source) const {
        const Layer& layer = step.layers[0];
        if (std::find(step.source, step.source + step.slots, source) == step.source + step.slots) return;
        Real* z = layer.z + source * size;
        Sums sums(threads);
        pool(step, source).forward(z, states[source], sums);
        each_slot(step, source, [&](Int slot) { finish(layer, step.row[slot], slot, sums); });
    }
    void pool_backward(const Step& step, Int source) const {
        const Layer& layer = step.layers[0];
        const Real* z = layer.z + source * size;
        std::vector<Term> terms;
        each_slot(step, source, [&](Int slot) {
            const Real* of_target = gradient(step.target[slot]);
            const NormGradient by = behind(step, slot, products(of_target, z));
            terms.push_back({of_target, by.of_g, by.rest});
            terms.push_back({z, by.of_z, Array(kChannels, Real(0))});
        });
        if (terms.empty()) return;
        mix(scratch, terms, false);
        pool(step, source).backward(scratch, states[source], gradient(source));
    }
    Pool pool(const Step& step, Int source) const {
        return {geometry(source, 3, 1), batch, threads, step.kind == kAveragePool};
    }

    void blocks_forward(const Step& step, Int slot) const {
        const Real* x = states[step.source[slot]];
        Norm before(1);
        for (const Layer& layer : step.layers) {
            const bool first = &layer == &step.layers.front();
            Real* z = layer.z + slot * size;
            Sums sums(threads);
            with_block(step, layer, slot, first ? nullptr : &before, [&](const auto& block) { block.forward(z, x, sums); });
            finish(layer, step.row[slot], slot, sums);
            before = norm(layer, slot, 1);
            x = z;
        }
    }
    void blocks_backward(const Step& step, Int slot) const {
        const Real* of_output = gradient(step.target[slot]);
        NormGradient by = behind(step, slot, products(of_output, result(step, slot)));
        for (size_t index = step.layers.size() - 1; index > 0; --index) {
            const Layer& previous = step.layers[index - 1];
            const Norm before = norm(previous, slot, 1);
            Real* of_input = scratch + index % 2 * size;
            Sums sums(threads);
            block_backward(step, step.layers[index], slot, &before, of_output, by, previous.z + slot * size, of_input, &sums);
            by = norm_gradient(previous, slot, 1, sums);
            of_output = of_input;
        }
        const Int source = step.source[slot];
        block_backward(step, step.layers[0], slot, nullptr, of_output, by, states[source], gradient(source), nullptr);
    }
    void block_backward(const Step& step, const Layer& layer, Int slot, const Norm* before, const Real* of_output,
                        const NormGradient& by, const Real* x, Real* of_x, Sums* sums) const {
        const Int row = step.row[slot] * kChannels;
        with_block(step, layer, slot, before, [&](const auto& block) {
            block.backward(of_output, by, layer.z + slot * size, x, of_x, sums, of(layer.of_depthwise, row * layer.kernel * layer.kernel),
                           of(layer.of_pointwise, row * kChannels));
        });
    }
    template <typename Use>
    void with_block(const Step& step, const Layer& layer, Int slot, const Norm* before, const Use& use) const {
        const Geometry g = before ? small(layer.kernel, layer.dilation) : geometry(step.source[slot], layer.kernel, layer.dilation);
        const Real* depthwise = layer.depthwise + step.row[slot] * layer.kernel * layer.kernel * kChannels;
        const Real* pointwise = layer.pointwise + step.row[slot] * kChannels * kChannels;
        if (layer.kernel == 3) use(Block<3>{g, batch, threads, depthwise, pointwise, before});
        else if (layer.kernel == 5) use(Block<5>{g, batch, threads, depthwise, pointwise, before});
        else use(Block<9>{g, batch, threads, depthwise, pointwise, before});
    }
};

}  // namespace zarts

// Direction 1: forward; -1: backward; 0: nothing. Returns the length of the tape, in numbers.
extern "C" int64_t zarts_cell(const int64_t* description, int64_t direction) {
    const zarts::Cell cell(description);
    if (direction > 0) cell.forward();
    if (direction < 0) cell.backward();
    return cell.length();
}
