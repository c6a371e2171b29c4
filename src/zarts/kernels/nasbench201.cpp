// The mixed cell of NAS-Bench-201 on the CPU: every operation on every edge, forward and backward.
//
// The edges that leave a node share its rectified pixels. A few rows of them at a time go through all 3×3 convolutions,
// as tiles (winograd.hpp), and all 1×1 convolutions; only z, the results before the norms, is kept, with its sums.
// A node is then one pass over all that enters it: z under norm and weight, sources and their average pools under
// their weights. The backward pass makes the tiles again.
//
// Features are dense (batch, height, width, channels) arrays; channels and the type of the numbers are compiled in.
// Sums over images are in double precision, so that they hardly depend on the number of threads.

#include "average.hpp"
#include "graph.hpp"
#include "norm.hpp"
#include "rows.hpp"

namespace zarts {

constexpr Int kAtOnce = kChannels < 64 ? 48 : 24;  // tiles, so that they stay in the second-level cache
constexpr int kTogether = kChannels % (4 * kLanes) == 0 ? 4 : kChannels % (2 * kLanes) == 0 ? 2 : 1;  // vectors
constexpr Int kFlush = 128;                        // tiles whose gradients are summed in single precision

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

class Cell : private Graph {
  public:
    using Graph::Graph;
    using Graph::length;

    void forward() const {
        for (Int source = 0; source < nodes; ++source) {
            convolve(source);
            if (pools[source]) pool(source);
            combine(states[source + 1], incoming(source + 1));
        }
    }

    // The gradient of a node is complete when the edges that leave it are done with.
    void backward() const {
        std::vector<Real*> gradients = {of_input};
        for (Int node = 1; node < nodes; ++node) gradients.push_back(spare + (node - 1) * size);
        gradients.push_back(of_output);
        for (Int source = nodes - 1; source >= 0; --source) {
            pass_on(source, gradients);
            convolve_back(source, gradients);
        }
    }

  private:
    // The convolutions that run on the edges of a node, or come back, with their weights made ready.
    template <typename Ready>
    std::vector<Run> running(Int source, Op op, bool back, const Ready& ready) const {
        std::vector<Run> runs_;
        for (const Edge& edge : edges)
            if (edge.source == source && (back ? comes_back(edge, op) : runs(edge, op)))
                runs_.push_back({&edge, op, ready(stacks[source][op].weight + slot(edge) * taps(op) * kSquare), Sums(threads)});
        return runs_;
    }

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
            return row / cell.tiling.rows * cell.tiling.image() + kTile * (row % cell.tiling.rows) * cell.tiling.line();
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
            Array rectified(span() * kTile * tiling.line()), band(tiling.band());
            each_chunk(begin, end, [&](const Chunk& chunk) {
                const Int offset = chunk.offset(), pixels = chunk.pixels();
                const auto done = [&](Run& run) {
                    if (training) run.sums.add(thread, run.z() + offset, run.z() + offset, pixels);
                };
                if (!threes.empty())
                    chunk.each_row([&](Int image, Int row, Int tile) { enter(v.point(0) + tile, v.step, band, x + image, tiling, row); });
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
        Array shift(kChannels);
        for (const Term& term : terms)
            for (Int c = 0; c < kChannels; ++c) shift[c] += term.by.shift[c];
        share(threads, batch, [&](Int, Int begin, Int end) {
            for (Int p = begin * tiling.image(); p < end * tiling.image(); p += kChannels)
                for (Int c = 0; c < kChannels; c += kTogether * kLanes) {
                    Vec sum[kTogether];
                    for (int i = 0; i < kTogether; ++i) sum[i] = load(&shift[c + i * kLanes]);
                    for (const Term& term : terms)
#pragma GCC unroll 4
                        for (int i = 0; i < kTogether; ++i)
                            sum[i] += load(term.from + p + c + i * kLanes) * load(&term.by.scale[c + i * kLanes]);
                    for (int i = 0; i < kTogether; ++i) store(to + p + c + i * kLanes, sum[i]);
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
        Real* of_pool = spare + (nodes - 1) * size;
        combine(of_pool, averages);
        share(threads, batch, [&](Int, Int begin, Int end) {
            Average average(height, width);
            Array row(tiling.line());
            for (Int n = begin; n < end; ++n) {
                Real *from = of_pool + n * tiling.image(), *to = gradients[source] + n * tiling.image();
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
        const Int points = threes.size() * kPoints * kSquare, taps_ = threes.size() * kTaps * kSquare;
        const Int length = taps_ + ones.size() * kSquare;  // (tap, in, out) of each
        ArrayOf<double> totals(std::max<Int>(1, threads) * length, 0.0);
        const Real* x = states[source];
        share(threads, batch, [&](Int thread, Int begin, Int end) {
            Tiles v(span() * tiling.columns), m(span() * tiling.columns), dv(span() * tiling.columns);
            Array band(tiling.band()), rectified(span() * kTile * tiling.line()), dz(rectified.size()), of_rectified(rectified.size());
            Array sums(points + ones.size() * kSquare);
            double* total = &totals[thread * length];
            Int summed = 0;
            const auto flush = [&] {
                for (size_t i = 0; i < threes.size(); ++i)
                    kernel_gradient(total + i * kTaps * kSquare, &sums[i * kPoints * kSquare]);
                for (Int i = taps_; i < length; ++i) total[i] += sums[points - taps_ + i];
                std::fill(sums.begin(), sums.end(), Real(0));
                summed = 0;
            };
            each_chunk(begin, end, [&](const Chunk& chunk) {
                const Int offset = chunk.offset(), pixels = chunk.pixels();
                Real* of_matrix = sums.data();
                if (!threes.empty())
                    chunk.each_row([&](Int image, Int row, Int tile) { enter(v.point(0) + tile, v.step, band, x + image, tiling, row); });
                for (size_t index = 0; index < threes.size(); ++index, of_matrix += kPoints * kSquare) {
                    const Run& run = threes[index];
                    const NormGradient& by = of_threes[index];
                    chunk.each_row([&](Int image, Int row, Int tile) {
                        const Int at = image + row * kTile * tiling.line();
                        by.apply(dz.data(), gradients[run.edge->target] + at, run.z() + at, tiling.pixels(row));
                        enter_back(m.point(0) + tile, m.step, dz.data(), tiling, row);
                    });
                    for (Int p = 0; p < kPoints; ++p) {
                        outer(of_matrix + p * kSquare, v.point(p), m.point(p), chunk.tiles());
                        if (index) multiply<true>(dv.point(p), m.point(p), &run.matrix[p * kSquare], chunk.tiles());
                        else multiply(dv.point(p), m.point(p), &run.matrix[p * kSquare], chunk.tiles());
                    }
                }
                if (!threes.empty())
                    chunk.each_row([&](Int image, Int row, Int tile) {
                        leave_back(gradients[source] + image, band, x + image, dv.point(0) + tile, dv.step, tiling, row);
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
        for (const std::vector<Run>* runs : {&threes, &ones})
            for (const Run& run : *runs)
                for (Int tap = 0; tap < taps(run.op); ++tap)
                    for (Int i = 0; i < kChannels; ++i)
                        for (Int o = 0; o < kChannels; ++o) of_weight(run)[(o * kChannels + i) * taps(run.op) + tap] = *total++;
    }
    Real* of_weight(const Run& run) const {
        return stacks[run.edge->source][run.op].of_weight + slot(*run.edge) * taps(run.op) * kSquare;
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
