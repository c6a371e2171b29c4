// The mixed cell of NAS-Bench-201 on the CPU: every operation on every edge, forward and backward.
//
// The edges that leave a node share its rectified pixels. A few rows of it at a time go through all 3×3 convolutions,
// as tiles (winograd.hpp), and all 1×1 convolutions; only z, what they are before their norms, is kept, with its sums.
// A node is then one pass over all that enters it: z under norm and weight, sources and their average pools under
// their weights. The backward pass makes the tiles again.
//
// Features are dense (batch, height, width, channels) arrays; channels and the type of the numbers are compiled in.
// Sums over images are in double precision, so that they hardly depend on the number of threads.

#include <array>

#include "average.hpp"
#include "block.hpp"
#include "winograd.hpp"

namespace zarts {

enum Op : Int { kThree, kOne, kSkip, kPool, kOps };  // kThree, kOne: the convolutions

constexpr Int kAtOnce = kChannels < 64 ? 48 : 24;  // tiles, so that they stay in the second-level cache
constexpr Int kFlush = 512;                        // tiles whose gradients are summed in single precision

// The convolutions of one size on the edges that leave a node, one after another.
struct Stack {
    Real *weight, *running_mean, *running_var, *of_weight;
};

// The edges of a node to the nodes behind it, in turn, and the places of their operations' weights (-1: not running).
struct Edge {
    Int source, target;
    const Int* places;
    Real *z[2], *mean[2], *rstd[2];  // of the convolutions, on the tape
};

// A convolution on an edge that runs, in one direction.
struct Run {
    const Edge* edge;
    Op op;
    Array matrix;  // the weights as the products take them
    Sums sums;

    Real* z() const { return edge->z[op]; }
};

// Something that enters a sum, under a scale and a shift a channel.
struct Term {
    const Real* from;
    Norm by;
};

// Reads the description, an array of integers and addresses: batch, height, width, nodes, training, threads; addresses
// of the tape, the weights, the input, the output, and the gradients of the output, the weights (or 0) and the input;
// for each node that edges leave whether the output depends on the next node, four addresses for the 3×3 convolutions and for the 1×1 convolutions, then for each
// of its edges the places of the weights of the operations, in the order of `Op`.
class Cell {
  public:
    explicit Cell(const Int* at)
        : batch(at[0]), height(at[1]), width(at[2]), nodes(at[3]), training(at[4]), threads(at[5]), tiling(height, width) {
        at += 6;
        for (Real** field : {&tape, &weights, &input, &output, &of_output, &of_weights, &of_input})
            *field = reinterpret_cast<Real*>(*at++);
        size = batch * tiling.image();
        taken = tape;
        states.push_back(input);
        for (Int node = 1; node < nodes; ++node) states.push_back(take(size));
        states.push_back(output);
        for (Int source = 0; source < nodes; ++source) at = read(at, source);
    }

    Int length() const { return taken - tape; }

    void forward() const {
        prefer_large_pages(tape, taken);
        for (Int source = 0; source < nodes; ++source) {
            convolve(source);
            if (pools[source]) pool(source);
            combine(states[source + 1], incoming(source + 1));
        }
    }

    // The gradient of a node is complete when the edges that leave it are done with.
    void backward() const {
        std::vector<Array> inner(nodes - 1, Array(size));
        std::vector<Real*> gradients = {of_input};
        for (Array& node : inner) gradients.push_back(node.data());
        gradients.push_back(of_output);
        for (Int source = nodes - 1; source >= 0; --source) {
            pass_on(source, gradients);
            convolve_back(source, gradients);
        }
    }

  private:
    Int batch, height, width, nodes, training, threads;
    Tiling tiling;
    Int size;  // of a node, all images
    Real *tape, *weights, *input, *output, *of_output, *of_weights, *of_input, *taken;
    std::vector<Real*> states, pools;  // of each node that edges leave: itself, its average pool or null
    std::vector<Int> needed;           // whether the output depends on node i + 1
    std::vector<std::array<Stack, 2>> stacks;
    std::vector<Edge> edges;

    const Int* read(const Int* at, Int source) {
        needed.push_back(*at++);
        stacks.emplace_back();
        for (Stack& stack : stacks.back())
            for (Real** field : {&stack.weight, &stack.running_mean, &stack.running_var, &stack.of_weight})
                *field = reinterpret_cast<Real*>(*at++);
        pools.push_back(nullptr);
        for (Int target = source + 1; target <= nodes; ++target, at += kOps) {
            Edge edge = {source, target, at, {}, {}, {}};
            for (Op op : {kThree, kOne})
                if (runs(edge, op)) edge.z[op] = take(size), edge.mean[op] = take(kChannels), edge.rstd[op] = take(kChannels);
            if (runs(edge, kPool) && !pools[source]) pools[source] = take(size);
            edges.push_back(edge);
        }
        return at;
    }
    Real* take(Int count) {
        Real* at = taken;
        taken += (count + 15) / 16 * 16;
        return at;
    }

    static bool runs(const Edge& edge, Op op) { return edge.places[op] >= 0; }
    bool comes_back(const Edge& edge, Op op) const { return runs(edge, op) && needed[edge.target - 1]; }
    double weight(const Edge& edge, Op op) const { return weights[edge.places[op]]; }
    double count() const { return double(batch * height * width); }

    // The convolutions that run on the edges of a node, or come back, with their weights made ready.
    template <typename Ready>
    std::vector<Run> running(Int source, Op op, bool back, const Ready& ready) const {
        std::vector<Run> runs_;
        for (const Edge& edge : edges)
            if (edge.source == source && (back ? comes_back(edge, op) : runs(edge, op)))
                runs_.push_back({&edge, op, ready(stacks[source][op].weight + slot(edge) * taps(op) * kSquare), Sums(threads)});
        return runs_;
    }
    static Int slot(const Edge& edge) { return edge.target - edge.source - 1; }
    static Int taps(Op op) { return op == kThree ? kTaps : 1; }

    // Rows of tiles, so many at once that their products are long.
    struct Chunk {
        const Cell& cell;
        Int first, rows;

        Int tiles() const { return rows * cell.tiling.columns; }
        Int offset() const { return start(first); }  // of the first pixel, among all images
        Int pixels() const { return (start(first + rows) - offset()) / kChannels; }
        // visit(offset of the image, row of tiles in it, offset of the first tile)
        template <typename Visit>
        void each_row(const Visit& visit) const {
            for (Int k = 0; k < rows; ++k)
                visit((first + k) / cell.tiling.rows * cell.tiling.image(), (first + k) % cell.tiling.rows,
                      k * cell.tiling.columns * kChannels);
        }

      private:
        Int start(Int row) const {
            return row / cell.tiling.rows * cell.tiling.image() + 2 * (row % cell.tiling.rows) * cell.tiling.line();
        }
    };
    Int span() const { return std::max<Int>(1, kAtOnce / tiling.columns); }
    template <typename Visit>
    void each_chunk(Int begin, Int end, const Visit& visit) const {
        for (Int row = begin * tiling.rows; row < end * tiling.rows; row += span())
            visit(Chunk{*this, row, std::min(span(), end * tiling.rows - row)});
    }

    // z of all convolutions on the edges of a node, with their statistics.
    void convolve(Int source) const {
        std::vector<Run> threes = running(source, kThree, false, [](const Real* w) { return kernel_points(w, false); });
        std::vector<Run> ones = running(source, kOne, false, [](const Real* w) {
            Array matrix(kSquare);
            for (Int o = 0; o < kChannels; ++o)
                for (Int i = 0; i < kChannels; ++i) matrix[i * kChannels + o] = w[o * kChannels + i];
            return matrix;
        });
        if (threes.empty() && ones.empty()) return;
        const Real* x = states[source];
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            Tiles v(span() * tiling.columns), m(span() * tiling.columns);
            Array rectified(span() * 2 * tiling.line());
            each_chunk(begin, end, [&](const Chunk& chunk) {
                const Int offset = chunk.offset(), pixels = chunk.pixels();
                const auto done = [&](Run& run) {
                    if (training) run.sums.add(thread, run.z() + offset, run.z() + offset, pixels);
                };
                if (!threes.empty())
                    chunk.each_row([&](Int image, Int row, Int tile) { enter(v.point(0) + tile, v.step, x + image, tiling, row); });
                for (Run& run : threes) {
                    for (Int p = 0; p < kPoints; ++p) multiply(m.point(p), v.point(p), &run.matrix[p * kSquare], chunk.tiles());
                    chunk.each_row([&](Int image, Int row, Int tile) { leave(run.z() + image, m.point(0) + tile, m.step, tiling, row); });
                    done(run);
                }
                if (!ones.empty()) rectify(rectified.data(), x + offset, pixels);
                for (Run& run : ones) {
                    multiply(run.z() + offset, rectified.data(), run.matrix.data(), pixels);
                    done(run);
                }
            });
        });
        for (const std::vector<Run>* runs : {&threes, &ones})
            for (const Run& run : *runs) finish(run);
    }
    static void rectify(Real* to, const Real* x, Int pixels) {
        const Vec zero = {};
        for (Int p = 0; p < pixels * kChannels; p += kLanes) {
            const Vec value = load(x + p);
            store(to + p, value < zero ? zero : value);
        }
    }
    void finish(const Run& run) const {
        const Stack& stack = stacks[run.edge->source][run.op];
        const Int row = slot(*run.edge) * kChannels;
        Real *mean = run.edge->mean[run.op], *rstd = run.edge->rstd[run.op];
        if (training) settle(run.sums, count(), mean, rstd, stack.running_mean + row, stack.running_var + row);
        else recall(mean, rstd, stack.running_mean + row, stack.running_var + row);
    }

    void pool(Int source) const {
        share(threads, batch, [&](Int, Int begin, Int end) {
            Average average(height, width);
            for (Int at = begin * tiling.image(); at < end * tiling.image(); at += tiling.image())
                average.forward(pools[source] + at, states[source] + at);
        });
    }

    // All that enters a node.
    std::vector<Term> incoming(Int node) const {
        std::vector<Term> terms;
        for (const Edge& edge : edges) {
            if (edge.target != node) continue;
            for (Op op : {kThree, kOne})
                if (runs(edge, op)) terms.push_back({edge.z[op], Norm(weight(edge, op), edge.mean[op], edge.rstd[op])});
            if (runs(edge, kSkip)) terms.push_back({states[edge.source], Norm(weight(edge, kSkip))});
            if (runs(edge, kPool)) terms.push_back({pools[edge.source], Norm(weight(edge, kPool))});
        }
        return terms;
    }
    void combine(Real* to, const std::vector<Term>& terms) const {
        share(threads, batch, [&](Int, Int begin, Int end) {
            for (Int at = begin * tiling.image(); at < end * tiling.image(); at += tiling.line())
                for (Int c = 0; c < kChannels; c += kLanes) {
                    Vec shift = {};
                    for (const Term& term : terms) shift += load(&term.by.shift[c]);
                    for (Int p = at + c; p < at + tiling.line(); p += kChannels) {
                        Vec sum = shift;
                        for (const Term& term : terms) sum += load(term.from + p) * load(&term.by.scale[c]);
                        store(to + p, sum);
                    }
                }
        });
    }

    // The gradient of a node from skips and average pools, which are linear; and those of their weights.
    void pass_on(Int source, const std::vector<Real*>& gradients) const {
        std::vector<Term> skips, averages;
        for (const Edge& edge : edges) {
            if (edge.source != source) continue;
            for (Op op : {kSkip, kPool}) {
                if (!comes_back(edge, op)) continue;
                const Real* gradient = gradients[edge.target];
                (op == kSkip ? skips : averages).push_back({gradient, Norm(weight(edge, op))});
                if (!of_weights) continue;
                const Sums sums = products(gradient, op == kSkip ? states[source] : pools[source]);
                double total = 0;
                for (Int c = 0; c < kChannels; ++c) total += sums.second(c);
                of_weights[edge.places[op]] = total;
            }
        }
        combine(gradients[source], skips);
        if (averages.empty()) return;
        Array of_pool(size);
        combine(of_pool.data(), averages);
        share(threads, batch, [&](Int, Int begin, Int end) {
            Average average(height, width);
            Array row(tiling.line());
            for (Int n = begin; n < end; ++n) {
                Real *from = &of_pool[n * tiling.image()], *to = gradients[source] + n * tiling.image();
                for (Int y = 0; y < height; ++y) average.divide(from + y * tiling.line(), from + y * tiling.line(), y, 1);
                for (Int y = 0; y < height; ++y, to += tiling.line()) {
                    average.sum(row.data(), from, y);
                    for (Int p = 0; p < tiling.line(); p += kLanes) store(to + p, load(to + p) + load(&row[p]));
                }
            }
        });
    }
    Sums products(const Real* of, const Real* z) const {
        Sums sums(threads);
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            for (Int at = begin * tiling.image(); at < end * tiling.image(); at += tiling.line())
                sums.add(thread, of + at, z + at, width);
        });
        return sums;
    }

    // Adds what comes back through the convolutions, and makes the gradients of their weights.
    void convolve_back(Int source, const std::vector<Real*>& gradients) const {
        const std::vector<Run> threes = running(source, kThree, true, [](const Real* w) { return kernel_points(w, true); });
        const std::vector<Run> ones = running(source, kOne, true, [](const Real* w) { return Array(w, w + kSquare); });
        if (threes.empty() && ones.empty()) return;
        std::vector<NormGradient> of_threes, of_ones;
        for (const Run& run : threes) of_threes.push_back(norm_gradient(run, gradients));
        for (const Run& run : ones) of_ones.push_back(norm_gradient(run, gradients));
        const Int length = (threes.size() * kPoints + ones.size()) * kSquare;
        ArrayOf<double> totals(std::max<Int>(1, threads) * length, 0.0);
        const Real* x = states[source];
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            Tiles v(span() * tiling.columns), m(span() * tiling.columns), dv(span() * tiling.columns);
            Array rectified(span() * 2 * tiling.line()), dz(rectified.size()), of_rectified(rectified.size()), sums(length);
            double* total = &totals[thread * length];
            Int summed = 0;
            const auto flush = [&] {
                for (Int i = 0; i < length; ++i) total[i] += sums[i], sums[i] = 0;
                summed = 0;
            };
            each_chunk(begin, end, [&](const Chunk& chunk) {
                const Int offset = chunk.offset(), pixels = chunk.pixels();
                Real* of_matrix = sums.data();
                if (!threes.empty())
                    chunk.each_row([&](Int image, Int row, Int tile) { enter(v.point(0) + tile, v.step, x + image, tiling, row); });
                for (size_t index = 0; index < threes.size(); ++index, of_matrix += kPoints * kSquare) {
                    const Run& run = threes[index];
                    const NormGradient& by = of_threes[index];
                    chunk.each_row([&](Int image, Int row, Int tile) {
                        const Real *g = gradients[run.edge->target] + image, *z = run.z() + image;
                        enter_back(m.point(0) + tile, m.step, [&](Int at, Int c) {
                            return load(g + at) * load(&by.of_g[c]) + load(z + at) * load(&by.of_z[c]) + load(&by.rest[c]);
                        }, tiling, row);
                    });
                    for (Int p = 0; p < kPoints; ++p) {
                        outer(of_matrix + p * kSquare, v.point(p), m.point(p), chunk.tiles());
                        if (index) multiply<true>(dv.point(p), m.point(p), &run.matrix[p * kSquare], chunk.tiles());
                        else multiply(dv.point(p), m.point(p), &run.matrix[p * kSquare], chunk.tiles());
                    }
                }
                if (!threes.empty())
                    chunk.each_row([&](Int image, Int row, Int tile) {
                        leave_back(gradients[source] + image, x + image, dv.point(0) + tile, dv.step, tiling, row);
                    });
                if (!ones.empty()) rectify(rectified.data(), x + offset, pixels);
                for (size_t index = 0; index < ones.size(); ++index, of_matrix += kSquare) {
                    const Run& run = ones[index];
                    of_ones[index].apply(dz.data(), gradients[run.edge->target] + offset, run.z() + offset, pixels);
                    outer(of_matrix, rectified.data(), dz.data(), pixels);
                    if (index) multiply<true>(of_rectified.data(), dz.data(), run.matrix.data(), pixels);
                    else multiply(of_rectified.data(), dz.data(), run.matrix.data(), pixels);
                }
                if (!ones.empty()) through_relu(gradients[source] + offset, of_rectified.data(), rectified.data(), pixels);
                if ((summed += chunk.tiles()) >= kFlush) flush();
            });
            flush();
        });
        for (size_t at = length; at < totals.size(); ++at) totals[at % length] += totals[at];
        const double* total = totals.data();
        for (const Run& run : threes) {
            kernel_gradient(of_weight(run), total);
            total += kPoints * kSquare;
        }
        for (const Run& run : ones)
            for (Int i = 0; i < kChannels; ++i)
                for (Int o = 0; o < kChannels; ++o) of_weight(run)[o * kChannels + i] = *total++;
    }
    Real* of_weight(const Run& run) const {
        return stacks[run.edge->source][run.op].of_weight + slot(*run.edge) * taps(run.op) * kSquare;
    }
    static void through_relu(Real* of_x, const Real* gradient, const Real* rectified, Int pixels) {
        const Vec zero = {};
        for (Int p = 0; p < pixels * kChannels; p += kLanes)
            store(of_x + p, load(of_x + p) + (load(rectified + p) > zero ? load(gradient + p) : zero));
    }
    NormGradient norm_gradient(const Run& run, const std::vector<Real*>& gradients) const {
        const Edge& edge = *run.edge;
        const Sums sums = products(gradients[edge.target], run.z());
        NormGradient by(sums, weight(edge, run.op), edge.mean[run.op], edge.rstd[run.op], count(), training);
        if (of_weights) of_weights[edge.places[run.op]] = by.of_weight;
        return by;
    }
};

}  // namespace zarts

// Direction 1: forward; -1: backward; 0: nothing. Returns the length of the tape, in numbers.
extern "C" int64_t zarts_nasbench201(const int64_t* description, int64_t direction) {
    const zarts::Cell cell(description);
    if (direction > 0) cell.forward();
    if (direction < 0) cell.backward();
    return cell.length();
}
