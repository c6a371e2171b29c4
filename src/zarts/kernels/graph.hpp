// A cell of NAS-Bench-201 as its caller describes it: nodes, edges, what runs on them, and the tape.
#pragma once

#include <array>

#include "winograd.hpp"

namespace zarts {

enum Op : Int { kThree, kOne, kSkip, kPool, kOps };  // kThree, kOne: the convolutions

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

// Reads the description, an array of integers and addresses: batch, height, width, nodes, training, threads; addresses
// of the tape, the weights, the input, the output, the gradients of the output, the weights (or 0) and the input, and
// of room for as many nodes as edges leave; for each of those whether the output depends on the node behind it, four
// addresses for its 3×3 convolutions and for its 1×1 convolutions, then for each of its edges the places of the weights
// of the operations, in the order of `Op`.
class Graph {
  public:
    explicit Graph(const Int* at)
        : batch(at[0]), height(at[1]), width(at[2]), nodes(at[3]), training(at[4]), threads(at[5]), tiling(height, width) {
        at += 6;
        for (Real** field : {&tape, &weights, &input, &output, &of_output, &of_weights, &of_input, &spare})
            *field = reinterpret_cast<Real*>(*at++);
        size = batch * tiling.image();
        taken = tape;
        states.push_back(input);
        for (Int node = 1; node < nodes; ++node) states.push_back(take(size));
        states.push_back(output);
        for (Int source = 0; source < nodes; ++source) at = read(at, source);
    }

    Int length() const { return taken - tape; }

  protected:
    Int batch, height, width, nodes, training, threads;
    Tiling tiling;
    Int size;  // of a node, all images
    Real *tape, *weights, *input, *output, *of_output, *of_weights, *of_input, *spare, *taken;
    std::vector<Real*> states, pools;  // of each node that edges leave: itself, its average pool or null
    std::vector<Int> needed;           // whether the output depends on node i + 1
    std::vector<std::array<Stack, 2>> stacks;
    std::vector<Edge> edges;

    static bool runs(const Edge& edge, Op op) { return edge.places[op] >= 0; }
    bool comes_back(const Edge& edge, Op op) const { return runs(edge, op) && needed[edge.target - 1]; }
    double weight(const Edge& edge, Op op) const { return weights[edge.places[op]]; }
    double count() const { return double(batch * height * width); }
    static Int slot(const Edge& edge) { return edge.target - edge.source - 1; }
    static Int taps(Op op) { return op == kThree ? kTaps : 1; }

  private:
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
};

}  // namespace zarts
