// Numbers, vectors and arrays; images shared out over threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <thread>
#include <vector>

namespace zarts {

using Int = int64_t;
using Real = ZARTS_REAL;                  // float or double
constexpr Int kChannels = ZARTS_CHANNELS;  // of a node; a multiple of 4

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#else
constexpr int kBytes = 32;
#endif

constexpr int fitting(int lanes) { return kChannels % lanes == 0 ? lanes : fitting(lanes / 2); }
constexpr int kWide = kBytes / sizeof(Real);  // numbers in a vector of the machine
constexpr int kLanes = fitting(kWide);        // numbers in a vector that divides the channels

template <int N>
struct Lanes {
    typedef Real Vector __attribute__((vector_size(N * sizeof(Real)), aligned(sizeof(Real)), may_alias));
};
template <int N>
using VecOf = typename Lanes<N>::Vector;
using Vec = VecOf<kLanes>;

template <int N = kLanes>
inline VecOf<N> load(const Real* at) {
    return *reinterpret_cast<const VecOf<N>*>(at);
}
template <int N = kLanes>
inline void store(Real* at, VecOf<N> value) {
    *reinterpret_cast<VecOf<N>*>(at) = value;
}

// Features in memory: as they are in registers, or floats as bfloat16, rounded to the nearest, of two to the even one.
#if ZARTS_BFLOAT16
struct BFloat16 {
    uint16_t bits;
};
using Stored = BFloat16;

template <int N>
struct Bits {
    typedef uint16_t Upper __attribute__((vector_size(N * 2), aligned(2), may_alias));
    typedef uint32_t Whole __attribute__((vector_size(N * 4)));
};
template <int N>
inline VecOf<N> load(const BFloat16* at) {
    using Whole = typename Bits<N>::Whole;
    const Whole bits = __builtin_convertvector(*reinterpret_cast<const typename Bits<N>::Upper*>(at), Whole) << 16;
    VecOf<N> value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
template <int N>
inline void store(BFloat16* at, VecOf<N> value) {
    using Upper = typename Bits<N>::Upper;
    typename Bits<N>::Whole bits;
    std::memcpy(&bits, &value, sizeof bits);
    const auto rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40;  // a NaN stays one
    *reinterpret_cast<Upper*>(at) = __builtin_convertvector(value == value ? rounded : quiet, Upper);
}
#else
using Stored = Real;
#endif

// Keeps a value in a register, where the compiler would load it again for each use.
template <typename V>
inline void hold(V& value) {
#if defined(__x86_64__) && defined(__AVX__)
    asm("" : "+x"(value));
#else
    (void)value;
#endif
}

// Keeps an address in a register, where the compiler would keep one for each of its neighbours.
inline void hold(const Real*& at) { asm("" : "+r"(at)); }

// Asks for numbers that are read soon: the processor itself does not look beyond a page.
inline void prefetch(const Real* at, Int count) {
    for (Int i = 0; i < count; i += 64 / sizeof(Real)) __builtin_prefetch(at + i);
}

// An array that starts with a cache line, so that no load of a whole vector meets two.
template <typename T>
struct Aligned {
    using value_type = T;
    T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64))); }
    void deallocate(T* at, size_t) { ::operator delete(at, std::align_val_t(64)); }
    bool operator==(const Aligned&) const { return true; }
    bool operator!=(const Aligned&) const { return false; }
};
template <typename T>
using ArrayOf = std::vector<T, Aligned<T>>;
using Array = ArrayOf<Real>;

// Shares the images out over threads: work(thread, first image, behind the last).
template <typename Work>
void share(Int threads, Int images, const Work& work) {
    threads = std::max<Int>(1, std::min(threads, images));
    std::vector<std::thread> others;
    for (Int t = 1; t < threads; ++t)
        others.emplace_back([&, t] { work(t, images * t / threads, images * (t + 1) / threads); });
    work(0, 0, images / threads);
    for (auto& other : others) other.join();
}

// Sums over pixels of a and of a·b, channel by channel.
inline void moments(Real* first, Real* second, const Real* a, const Real* b, Int pixels) {
    for (Int c = 0; c < kChannels; c += kLanes) {
        Vec one[4] = {}, two[4] = {};  // as many as hide the latency of an addition
        const auto add = [&](int i, Int p) {
            const Vec value = load(a + p * kChannels + c);
            one[i] += value;
            two[i] += value * load(b + p * kChannels + c);
        };
        Int p = 0;
        for (; p + 4 <= pixels; p += 4) add(0, p), add(1, p + 1), add(2, p + 2), add(3, p + 3);
        for (; p < pixels; ++p) add(0, p);
        store(first + c, (one[0] + one[1]) + (one[2] + one[3]));
        store(second + c, (two[0] + two[1]) + (two[2] + two[3]));
    }
}

// Sums of a and of a·b over all images, in double precision: of z and z², or of a gradient g and g·z.
class Sums {
  public:
    explicit Sums(Int threads) : values_(2 * std::max<Int>(1, threads) * kChannels, 0.0) {}

    void add(Int thread, const Real* a, const Real* b, Int pixels) {
        alignas(64) Real sums[2 * kChannels];
        moments(sums, sums + kChannels, a, b, pixels);
        double* at = values_.data() + 2 * thread * kChannels;
        for (Int c = 0; c < 2 * kChannels; ++c) at[c] += sums[c];
    }
    double first(Int channel) const { return total(channel); }
    double second(Int channel) const { return total(kChannels + channel); }

  private:
    double total(size_t at) const {
        double sum = 0;
        for (; at < values_.size(); at += 2 * kChannels) sum += values_[at];
        return sum;
    }
    std::vector<double> values_;
};

}  // namespace zarts
