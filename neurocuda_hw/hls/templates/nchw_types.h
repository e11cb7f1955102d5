// Integers of exact width, streams and small helpers for nchw_top.cpp.
//
//   default        the vendor's ap_int, ap_uint and hls::stream (Vitis HLS, or g++ with its headers)
//   -DNCHW_EXACT   these also for what is only a wire or a register: as synthesised, and slow
//   -DNCHW_FAST    nchw_sim.h: the same widths, wrapping and order, without the vendor's headers

#ifndef NCHW_TYPES_H
#define NCHW_TYPES_H

#include <cstdint>
#include <type_traits>

#define AP_INT_MAX_W 4096  // a row of 64 lanes of 50 bits

#ifdef NCHW_FAST
#include "nchw_sim.h"
#else
#include <ap_int.h>
#include <hls_stream.h>
template <int W> using int_w = ap_int<W>;
template <int W> using uint_w = ap_uint<W>;
#endif

// Constants in tables, in built-in integers: of a class each would be constructed, one by one. What
// is read is cut to its width by `rom_value`, so the bits above it are nobody's and fall away.
template <int W>
using rom_s = typename std::conditional<
    (W <= 8), int8_t,
    typename std::conditional<
        (W <= 16), int16_t,
        typename std::conditional<(W <= 32), int32_t, int64_t>::type>::type>::type;
template <int W> using rom_u = typename std::make_unsigned<rom_s<W>>::type;

// Wires and registers: what is computed between one memory or stream and the next. In hardware they
// are W bits wide, with -DNCHW_EXACT or -DNCHW_FAST in a C simulation too. Else a C simulation holds
// them in built-in integers, since ap_int goes through volatile memory with every value it takes,
// and wraps them where they are stored in an int_w, which gives the same bits: sums and products
// may wrap late, and what is compared has been wrapped.
#if defined(__SYNTHESIS__) || defined(NCHW_EXACT) || defined(NCHW_FAST)
template <int W> using wire_s = int_w<W>;
template <int W> using wire_u = uint_w<W>;
#else
template <int W> using wire_s = typename std::conditional<(W <= 28), int32_t, int64_t>::type;
template <int W> using wire_u = typename std::conditional<(W <= 32), uint32_t, uint64_t>::type;
#endif

#if defined(__SYNTHESIS__) || defined(NCHW_EXACT)
template <int W, class T>
typename std::conditional<std::is_signed<T>::value, int_w<W>, uint_w<W>>::type rom_value(T x) {
    return x;
}
#else
template <int W, class T> T rom_value(T x) { return x; }
#endif

// One row of lanes to another, all lanes at once.
template <class TO, class FROM, int LANES>
void copy_lanes(TO (&to)[LANES], const FROM (&from)[LANES]) {
#pragma HLS INLINE
lanes:
    for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
        to[l] = from[l];
    }
}

// A row of LANES states of W bits: in hardware one word, read and written as a whole.
template <int LANES, int W>
struct row_w {
#if (defined(__SYNTHESIS__) || defined(NCHW_EXACT)) && !defined(NCHW_FAST)
    ap_uint<LANES * W> word;
    int_w<W> get(int l) const {
        int_w<W> lane;
        lane.range(W - 1, 0) = word.range(l * W + W - 1, l * W);
        return lane;
    }
    void set(int l, const int_w<W> &lane) { word.range(l * W + W - 1, l * W) = lane.range(W - 1, 0); }
#else
    int_w<W> lanes[LANES];
    const int_w<W> &get(int l) const { return lanes[l]; }
#ifdef NCHW_FAST
    void set(int l, int_w<W> lane) { lanes[l] = lane; }
#else
    // Only what ap_int is derived from can be assigned a built-in integer without a temporary ap_int.
    template <class T>
    void set(int l, const T &lane) { static_cast<ap_int_base<W, true> &>(lanes[l]) = lane; }
#endif
#endif
};

// A row that is read and not yet written: of a memory in hardware, in place in a simulation.
#ifdef __SYNTHESIS__
template <class ROW> using row_read = ROW;
#else
template <class ROW> using row_read = const ROW &;
#endif

template <class LANE, int LANES, int W>
void unpack(LANE (&to)[LANES], const row_w<LANES, W> &row) {
#pragma HLS INLINE
lanes:
    for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
        to[l] = row.get(l);
    }
}

template <int LANES, int W, class LANE>
void pack(row_w<LANES, W> &row, const LANE (&from)[LANES]) {
#pragma HLS INLINE
#ifdef __SYNTHESIS__
    row_w<LANES, W> made;  // one write
#else
    row_w<LANES, W> &made = row;
#endif
lanes:
    for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
        made.set(l, from[l]);
    }
#ifdef __SYNTHESIS__
    row = made;
#endif
}

// One step of leak: sign(v) * ((|v| * keep) >> 12), toward zero as on Loihi.
template <int W>
wire_s<W> leak(wire_s<W> v, wire_u<13> keep) {
#pragma HLS INLINE
    typedef wire_s<W + 14> product_t;
    const bool negative = v < 0;
    product_t size = v;
    if (negative) size = -size;
    const product_t product = size * keep;
    product_t kept = product >> 12;
    if (negative) kept = -kept;
    return kept;
}

// Reads the events of one step, up to its end, and forgets them.
template <class EVENT, int MOST>
void drain(hls::stream<typename EVENT::word> &events) {
events_of_step:
    for (int n = 0; n < MOST; ++n) {
#pragma HLS PIPELINE II=1
        const EVENT e(events.read());
        if (e.end) break;
    }
}

#ifndef __SYNTHESIS__
// Called by the C simulation for each spike, and with neuron -1 for the end of a step; the test bench
// defines it.
void nchw_tap(int population, int neuron);
#endif

#endif
