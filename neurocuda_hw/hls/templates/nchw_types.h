// Integers of exact width, streams and small helpers for nchw_top.cpp.
//
//   default        the vendor's ap_int, ap_uint and hls::stream (Vitis HLS, or g++ with its headers)
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
template <int W>
struct rom_s {
#ifdef __SYNTHESIS__
    typedef int_w<W> type;
#else
    typedef typename std::conditional<
        (W <= 8), int8_t,
        typename std::conditional<
            (W <= 16), int16_t,
            typename std::conditional<(W <= 32), int32_t, int64_t>::type>::type>::type type;
#endif
};

template <int W>
struct rom_u {
#ifdef __SYNTHESIS__
    typedef uint_w<W> type;
#else
    typedef typename std::make_unsigned<typename rom_s<W>::type>::type type;
#endif
};

// One row of lanes to another, all lanes at once.
template <class T, int LANES>
void copy_lanes(T (&to)[LANES], const T (&from)[LANES]) {
#pragma HLS INLINE
lanes:
    for (int l = 0; l < LANES; ++l) {
#pragma HLS UNROLL
        to[l] = from[l];
    }
}

// One step of leak: sign(v) * ((|v| * keep) >> 12), toward zero as on Loihi.
template <int W>
int_w<W> leak(int_w<W> v, uint_w<13> keep) {
#pragma HLS INLINE
    typedef int_w<W + 14> product_t;
    const bool negative = v < 0;
    product_t size = v;
    if (negative) size = -size;
    const product_t product = size * keep;
    product_t kept = product >> 12;
    if (negative) kept = -kept;
    return int_w<W>(kept);
}

// Reads the events of one step, up to its end, and forgets them.
template <class EVENT, int MOST>
void drain(hls::stream<EVENT> &events) {
events_of_step:
    for (int n = 0; n < MOST; ++n) {
#pragma HLS PIPELINE II=1
        const EVENT e = events.read();
        if (e.end) break;
    }
}

#ifndef __SYNTHESIS__
// Called by the C simulation for each spike; the test bench defines it.
void nchw_tap(int population, int step, int neuron);
#endif

#endif
