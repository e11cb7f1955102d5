// The vendor's integers and streams for a fast C simulation: a value of W bits lives in the next
// wider built-in integer and wraps in two's complement at W bits with every assignment, as ap_int
// and ap_uint do. Operators are those of the built-in integers: nchw_top.cpp is written so that no
// operation between two assignments needs more than 31 (W <= 30) or 63 bits.

#ifndef NCHW_SIM_H
#define NCHW_SIM_H

#include <cstdint>
#include <cstdio>
#include <deque>
#include <type_traits>

template <int W>
struct nchw_storage {
    static_assert(W >= 1 && W <= 64, "the fast C simulation has integers of 1 to 64 bits");
    typedef typename std::conditional<
        (W <= 8), int8_t,
        typename std::conditional<
            (W <= 16), int16_t,
            typename std::conditional<(W <= 32), int32_t, int64_t>::type>::type>::type type;
    typedef typename std::make_unsigned<type>::type bits;
    typedef typename std::conditional<(W <= 30), int32_t, int64_t>::type computed;
};

template <int W>
struct uint_w;

template <int W>
struct int_w {
    typedef typename nchw_storage<W>::type storage_t;
    typedef typename nchw_storage<W>::bits bits_t;
    typedef typename nchw_storage<W>::computed computed_t;
    static const int SPARE = 8 * sizeof(storage_t) - W;
    int_w() : value(0) {}
    int_w(computed_t x) : value(storage_t(storage_t(bits_t(bits_t(x) << SPARE)) >> SPARE)) {}
    template <int V>
    int_w(const int_w<V> &x) : int_w(computed_t(typename int_w<V>::computed_t(x))) {}
    template <int V>
    int_w(const uint_w<V> &x) : int_w(computed_t(typename uint_w<V>::computed_t(x))) {}
    operator computed_t() const { return value; }

  private:
    storage_t value;
};

template <int W>
struct uint_w {
    typedef typename nchw_storage<W>::bits storage_t;
    typedef typename std::conditional<
        (W <= 62), typename nchw_storage<W>::computed, uint64_t>::type computed_t;
    static const storage_t MASK = storage_t(storage_t(~storage_t(0)) >> (8 * sizeof(storage_t) - W));
    uint_w() : value(0) {}
    uint_w(computed_t x) : value(storage_t(storage_t(x) & MASK)) {}
    template <int V>
    uint_w(const uint_w<V> &x) : uint_w(computed_t(typename uint_w<V>::computed_t(x))) {}
    template <int V>
    uint_w(const int_w<V> &x) : uint_w(computed_t(typename int_w<V>::computed_t(x))) {}
    operator computed_t() const { return computed_t(value); }

  private:
    storage_t value;
};

#ifdef NCHW_BOUNDED
#include "nchw_bounded.h"
#else
namespace hls {
// A FIFO without a bound. Like the vendor's model it tells what would lock up hardware.
template <class T>
class stream {
  public:
    explicit stream(const char *title) : name(title) {}
    stream(const stream &) = delete;
    stream &operator=(const stream &) = delete;
    ~stream() {
        if (!items.empty()) std::printf("WARNING: Hls::stream '%s' contains leftover data\n", name);
    }
    void write(const T &item) { items.push_back(item); }
    T read() {
        if (items.empty()) {
            std::printf("WARNING: Hls::stream '%s' is read while empty\n", name);
            return T();
        }
        const T item = items.front();
        items.pop_front();
        return item;
    }
    bool empty() const { return items.empty(); }

  private:
    const char *name;
    std::deque<T> items;
};
}  // namespace hls
#endif

#endif
