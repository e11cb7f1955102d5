// Integers of exact width, streams and small helpers for nchw_top.cpp.
//
//   default        the vendor's ap_int, ap_uint and hls::stream (Vitis HLS, or g++ with its headers)
//   -DNCHW_EXACT   these also for what is only a wire or a register: as synthesised, and slow
//   -DNCHW_FAST    nchw_sim.h: the same widths, wrapping and order, without the vendor's headers

#ifndef NCHW_TYPES_H
#define NCHW_TYPES_H

#include <cstdint>
#include <type_traits>

#ifdef NCHW_FAST
#include "nchw_sim.h"
#else
#include <ap_int.h>
#include <hls_stream.h>
template <int W> using int_w = ap_int<W>;
template <int W> using uint_w = ap_uint<W>;
#endif

// Constants in tables. In hardware they are as wide as they must be; a C simulation keeps them in
// built-in integers of the same values, because a class would be constructed one by one at start.
#ifdef __SYNTHESIS__
template <int W> using rom_s = int_w<W>;
template <int W> using rom_u = uint_w<W>;
#else
template <int W>
using rom_s = typename std::conditional<
    (W <= 8), int8_t,
    typename std::conditional<
        (W <= 16), int16_t,
        typename std::conditional<(W <= 32), int32_t, int64_t>::type>::type>::type;
template <int W> using rom_u = typename std::make_unsigned<rom_s<W>>::type;
#endif

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

#if !defined(__SYNTHESIS__) && !defined(NCHW_FAST)
// The same for a C simulation. ap_int has no assignment from a built-in integer, only ap_int_base,
// what it is derived from, has: without a temporary ap_int for each lane.
template <int W, class FROM, int LANES>
void copy_lanes(ap_int<W> (&to)[LANES], const FROM (&from)[LANES]) {
    for (int l = 0; l < LANES; ++l) {
        ap_int_base<W, true> &lane = to[l];
        lane = from[l];
    }
}
#endif

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
template <class EVENT>
void drain(hls::stream<typename EVENT::word> &events) {
events_of_step:
    while (true) {
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
