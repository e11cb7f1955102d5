// What the harness knows of the design: its neurons, and what its layers report.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace {

// A population and how its neurons are addressed: {c, y, x}, x in the lowest bits. One that sends bursts
// ({count, c, y, x}) stands for `burst` spikes at most, from step `start` on; 0: it sends spikes.
struct Neurons {
    const char* name;
    bool flat;
    size_t channels, height, width;
    unsigned c_bits, y_bits, x_bits;
    uint64_t burst = 0, start = 0;
    unsigned count_bits = 0;
    bool merged = false;  // an inference has one marker, not one per step
    size_t line = 0;      // not 0: a mark ends every so many lines of positions, in order

    constexpr size_t size() const { return channels * height * width; }
    constexpr size_t marks() const { return line ? (height + line - 1) / line : 1; }
    constexpr unsigned address_bits() const { return c_bits + y_bits + x_bits; }
    size_t x(uint64_t address) const { return address & ((1u << x_bits) - 1); }
    size_t y(uint64_t address) const { return address >> x_bits & ((1u << y_bits) - 1); }
    size_t c(uint64_t address) const { return address >> (x_bits + y_bits); }
    bool contains(uint64_t address) const {
        return c(address) < channels && y(address) < height && x(address) < width;
    }
    size_t index(uint64_t address) const {
        return (c(address) * height + y(address)) * width + x(address);
    }
    std::string coordinates(size_t index) const {
        if (flat) return "(" + std::to_string(index) + ",)";
        return "(" + std::to_string(index / width / height) + ", " +
               std::to_string(index / width % height) + ", " + std::to_string(index % width) + ")";
    }
};

#include "config.h"

// What a layer spends its cycles on; see neurocuda_hw/rtl/activity.py for the states.
struct Activity {
    static constexpr const char* kStates[] = {"integrating", "sweeping", "stalled", "starved", "bubble"};
    uint64_t cycles[8] = {}, events = 0, spikes = 0, bursts = 0;

    // Adds one cycle: {spikes, events, state}, the state in the lowest 3 bits.
    void add(uint64_t data, unsigned event_bits) {
        ++cycles[data & 7];
        events += data >> 3 & ((1u << event_bits) - 1);
        const uint64_t sent = data >> (3 + event_bits);
        spikes += sent;
        bursts += sent != 0;
    }

    std::string json() const {
        std::string text = "{\"events\": " + std::to_string(events) + ", \"spikes\": " + std::to_string(spikes) +
                           ", \"bursts\": " + std::to_string(bursts);
        for (unsigned state = 0; state < 5; ++state)
            text += std::string(", \"") + kStates[state] + "\": " + std::to_string(cycles[state]);
        return text + "}";
    }
};

}  // namespace
