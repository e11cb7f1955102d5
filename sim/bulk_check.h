// The checker: takes every spike and output that the design sends, and compares it with the expected.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "bulk_design.h"
#include "bulk_files.h"

namespace {

// How long inferences take: of all blocks together, but the latency of the very first inference.
struct Pace {
    uint64_t cycles = 0;                // from the first word in to the last word out
    uint64_t latency = 0;               // from the first word in to the first inference's last word out
    uint64_t gap_cycles = 0, gaps = 0;  // between one inference's last word out and the next one's

    double per_inference() const {
        return gaps ? static_cast<double>(gap_cycles) / static_cast<double>(gaps) : static_cast<double>(cycles);
    }
};

inline std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

class Checker {
  public:
    uint64_t cycle = 0, last_transfer = 0;  // now, since the block began, and when a stream last moved
    Pace pace;

    Checker(const Expected& expected, const Record& record, uint64_t first, uint64_t end)
        : expected_(expected), record_(record), start_(first), out_sample_(first), done_(first) {
        for (uint64_t& sample : tap_sample_) sample = first;
        observed_.assign((end - first) * record_.size, 0);
        unequal_.assign(kPopulations + 1, 0);
        spikes_.assign(kPopulations, 0);
        stream_.assign(kOutputSpikes ? (end - first) * kTimesteps * ((kOutputs + 7) / 8) : 0, 0);
    }

    void begin_block(uint64_t end) {
        cycle = last_transfer = 0;
        block_ = out_sample_;
        block_end_ = end;
    }

    // `began` is the cycle of the first word in.
    void end_block(uint64_t began) {
        if (out_sample_ == block_) return;
        if (block_ == start_) pace.latency = first_out_ + 1 - began;
        pace.cycles += last_out_ + 1 - began;
        pace.gap_cycles += last_out_ - first_out_;
        pace.gaps += out_sample_ - block_ - 1;
    }

    bool good() const { return first_.empty() && fault_.empty(); }
    const std::string& first() const { return first_; }
    const std::string& fault() const { return fault_; }
    uint64_t done() const { return done_; }
    uint64_t compared() const { return done_ - start_; }
    bool under_way() const { return out_sample_ < block_end_; }
    uint64_t spikes(unsigned p) const { return spikes_[p]; }
    uint64_t unequal(unsigned p) const { return unequal_[p]; }

    void on_tap(unsigned p, uint64_t data) {
        const Neurons& neurons = kNeurons[p];
        last_transfer = cycle;
        if (tap_sample_[p] >= block_end_) {
            fail(std::string("population '") + neurons.name + "' sent more than " +
                 std::to_string(block_end_) + " inferences of " + std::to_string(kTimesteps) + " steps");
            return;
        }
        if (data >> (neurons.address_bits() + neurons.count_bits)) {
            if (neurons.line && ++tap_line_[p] < neurons.marks()) return;
            tap_line_[p] = 0;
            if (neurons.merged) tap_step_[p] = kTimesteps - 1;
            advance(tap_sample_[p], tap_step_[p]);
            return;
        }
        if (neurons.burst) {
            on_burst(p, data);
            return;
        }
        uint8_t* row = observed(tap_sample_[p]) + record_.start[p] + tap_step_[p] * record_.row[p];
        if (mark(row, neurons, data, tap_sample_[p], tap_step_[p], "fired")) ++spikes_[p];
    }

    // A burst of N stands for a spike in each of the first N steps of its population's window.
    void on_burst(unsigned p, uint64_t data) {
        const Neurons& neurons = kNeurons[p];
        const uint64_t address = data & ((uint64_t{1} << neurons.address_bits()) - 1);
        const uint64_t count = neurons.count_bits ? data >> neurons.address_bits() : 1;
        const uint64_t sample = tap_sample_[p], step = tap_step_[p];
        const auto refuse = [&](const std::string& what) {
            fail(std::string("population '") + neurons.name + "', sample " + std::to_string(sample) + ": address " +
                 std::to_string(address) + " sent a burst " + what);
        };
        if (count < 1 || count > neurons.burst)
            return refuse("of " + std::to_string(count) + " spikes, not of 1 to " + std::to_string(neurons.burst));
        if (!neurons.merged && step != neurons.start)
            return refuse("in step " + std::to_string(step) + ", not in step " + std::to_string(neurons.start));
        if (neurons.line && neurons.y(address) / neurons.line != tap_line_[p])
            return refuse("of line " + std::to_string(neurons.y(address) / neurons.line) + " behind " +
                          std::to_string(tap_line_[p]) + " marks");
        for (uint64_t at = neurons.start; at < neurons.start + count; ++at, ++spikes_[p]) {
            uint8_t* row = observed(sample) + record_.start[p] + at * record_.row[p];
            if (!mark(row, neurons, address, sample, at, "fired")) return;
        }
    }

    void on_output(uint64_t data, bool last) {
        last_transfer = cycle;
        if (out_sample_ >= block_end_) {
            fail("the output stream went on after the last inference");
            return;
        }
        if (kOutputSpikes)
            on_output_event(data, last);
        else
            on_output_value(data, last);
    }

    // Compares the samples that every population and the output have ended.
    void finish_samples() {
        if (out_sample_ <= done_) return;
        uint64_t ready = out_sample_;
        for (unsigned p = 0; p < kPopulations; ++p) ready = std::min(ready, tap_sample_[p]);
        for (; done_ < ready; ++done_) compare(done_);
    }

    void fail(const std::string& what) {
        if (fault_.empty()) fault_ = "cycle " + std::to_string(cycle) + ": " + what;
    }

    // Where every population and the output stand, for a report of a deadlock.
    std::string position() const {
        std::string text;
        for (unsigned p = 0; p < kPopulations; ++p)
            text += ", '" + std::string(kNeurons[p].name) + "' at inference " +
                    std::to_string(tap_sample_[p]) + " step " + std::to_string(tap_step_[p]);
        return text + ", output at inference " + std::to_string(out_sample_) +
               (kOutputSpikes ? " step " : " word ") + std::to_string(out_place_);
    }

    // What was found, for people; `speed` of whoever ran the design stands with its cycles.
    void report(const char* speed = "") const {
        const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
        if (!first_.empty()) std::printf("%s\n", first_.c_str());
        if (!fault_.empty()) std::printf("broken protocol: %s\n", fault_.c_str());
        for (unsigned p = 0; p < kPopulations; ++p)
            std::printf("%-24s %12llu spikes   %llu of %llu samples unequal\n", kNeurons[p].name,
                        number(spikes_[p]), number(unequal_[p]), number(compared()));
        std::printf("%-24s %12u values   %llu of %llu samples unequal\n", "outputs", kOutputs,
                    number(unequal_[kPopulations]), number(compared()));
        std::printf("%llu cycles, %.1f per inference, first after %llu%s\n", number(pace.cycles),
                    pace.per_inference(), number(pace.latency), speed);
        std::printf("%s: %llu inferences\n", good() ? "EQUAL" : "NOT EQUAL", number(compared()));
    }

    // All of it, with `more` of whoever ran the design.
    std::string json(double seconds, const std::string& more) const {
        std::string text = std::string("{\"equal\": ") + (good() ? "true" : "false");
        text += ", \"samples\": " + std::to_string(compared()) + ", \"cycles\": " + std::to_string(pace.cycles) +
                ", \"latency_cycles\": " + std::to_string(pace.latency) +
                ", \"gap_cycles\": " + std::to_string(pace.gap_cycles) + ", \"gaps\": " + std::to_string(pace.gaps) +
                ", \"cycles_per_inference\": " + std::to_string(pace.per_inference()) +
                ", \"seconds\": " + std::to_string(seconds) + ", \"fault\": " + quoted(fault_) +
                ", \"divergence\": " + quoted(first_) + ", \"populations\": {";
        for (unsigned p = 0; p < kPopulations; ++p)
            text += std::string(p ? ", " : "") + quoted(kNeurons[p].name) + ": {\"spikes\": " +
                    std::to_string(spikes_[p]) + ", \"unequal_samples\": " + std::to_string(unequal_[p]) + "}";
        return text + "}" + more + ", \"unequal_outputs\": " + std::to_string(unequal_[kPopulations]) + "}\n";
    }

    // The file of what was observed: the expected one's head, with as many samples as were done.
    void write(const std::string& path) const {
        Bytes head(expected_.raw.begin(), expected_.raw.begin() + static_cast<long>(expected_.head));
        const auto count = static_cast<uint32_t>(compared());
        std::memcpy(head.data() + 8, &count, 4);
        write_file(path, head.data(), head.size(), observed_.data(), compared() * record_.size);
    }

  private:
    uint8_t* observed(uint64_t sample) { return observed_.data() + (sample - start_) * record_.size; }

    uint8_t* stream(uint64_t sample, uint64_t step) {
        return stream_.data() + ((sample - start_) * kTimesteps + step) * ((kOutputs + 7) / 8);
    }

    void on_output_value(uint64_t data, bool last) {
        const int64_t value = static_cast<SignedWord>(data);
        std::memcpy(observed(out_sample_) + record_.outputs + 8 * out_place_, &value, 8);
        if (last != (++out_place_ == kOutputs)) {
            fail("TLAST must come with output word " + std::to_string(kOutputs) + " of inference " +
                 std::to_string(out_sample_) + (last ? ", not with word " : ", which lacks it, word ") +
                 std::to_string(out_place_));
            return;
        }
        if (last) end_inference();
    }

    void on_output_event(uint64_t data, bool last) {
        const Neurons& neurons = kNeurons[kPopulations];
        if (!(data >> (8 * sizeof(Word) - 1))) {
            if (last) fail("TLAST must come with the last end-of-step marker, not with an event");
            const uint64_t sample = out_sample_;
            if (!mark(stream(sample, out_place_), neurons, data, sample, out_place_, "was sent")) return;
            int64_t count;
            uint8_t* at = observed(sample) + record_.outputs + 8 * neurons.index(data);
            std::memcpy(&count, at, 8);
            ++count;
            std::memcpy(at, &count, 8);
            return;
        }
        if (last != (++out_place_ == kTimesteps))
            fail("TLAST must come with the end-of-step marker of step " + std::to_string(kTimesteps - 1) +
                 " of inference " + std::to_string(out_sample_) +
                 (last ? ", not with that of step " : ", which lacks it, step ") +
                 std::to_string(out_place_ - 1));
        else if (last)
            end_inference();
    }

    void end_inference() {
        if (out_sample_++ == block_) first_out_ = cycle;
        last_out_ = cycle;
        out_place_ = 0;
    }

    // Sets the bit of an event; false, and a fault, where the address is wrong or came twice.
    bool mark(uint8_t* row, const Neurons& neurons, uint64_t address, uint64_t sample, uint64_t step,
              const char* verb) {
        const bool known = neurons.contains(address);
        const size_t index = known ? neurons.index(address) : 0;
        const auto bit = static_cast<uint8_t>(1u << (index % 8));
        if (known && !(row[index / 8] & bit)) {
            row[index / 8] |= bit;
            return true;
        }
        fail(std::string("population '") + neurons.name + "', sample " + std::to_string(sample) + ", step " +
             std::to_string(step) +
             (known ? ": neuron " + std::to_string(index) + " " + verb + " twice"
                    : ": address " + std::to_string(address) + " is of no neuron"));
        return false;
    }

    static void advance(uint64_t& sample, uint64_t& step) {
        if (++step == kTimesteps) {
            step = 0;
            ++sample;
        }
    }

    void compare(uint64_t sample) {
        const uint8_t* want = expected_.raw.data() + expected_.head + sample * record_.size;
        const uint8_t* got = observed(sample);
        for (unsigned p = 0; p < kPopulations; ++p) {
            const size_t bytes = record_.row[p] * kTimesteps;
            unequal_[p] += std::memcmp(want + record_.start[p], got + record_.start[p], bytes) != 0;
        }
        const bool outputs = std::memcmp(want + record_.outputs, got + record_.outputs, 8 * kOutputs) != 0;
        unequal_[kPopulations] += outputs;
        if (first_.empty() && std::memcmp(want, got, record_.size) != 0) locate(sample, want, got);
        if (kOutputSpikes && first_.empty() && fault_.empty()) {
            const size_t bytes = kTimesteps * ((kOutputs + 7) / 8);
            if (std::memcmp(got + record_.start[kOutputSpikes ? kPopulations - 1 : 0], stream(sample, 0), bytes) != 0)
                fail("sample " + std::to_string(sample) +
                     ": the output stream is not what the last population fired");
        }
    }

    void locate(uint64_t sample, const uint8_t* want, const uint8_t* got) {
        for (size_t step = 0; step < kTimesteps; ++step)
            for (unsigned p = 0; p < kPopulations; ++p)
                for (size_t i = 0; i < record_.row[p]; ++i) {
                    const size_t at = record_.start[p] + step * record_.row[p] + i;
                    const unsigned bits = want[at] ^ got[at];
                    if (!bits) continue;
                    unsigned bit = 0;
                    while (!(bits >> bit & 1)) ++bit;
                    describe(sample, kNeurons[p], static_cast<int64_t>(step), 8 * i + bit,
                             want[at] >> bit & 1, got[at] >> bit & 1);
                    return;
                }
        for (size_t i = 0; i < kOutputs; ++i) {
            int64_t expected, observed;
            std::memcpy(&expected, want + record_.outputs + 8 * i, 8);
            std::memcpy(&observed, got + record_.outputs + 8 * i, 8);
            if (expected != observed) {
                describe(sample, kNeurons[kPopulations], -1, i, expected, observed);
                return;
            }
        }
    }

    void describe(uint64_t sample, const Neurons& neurons, int64_t step, size_t index, int64_t want,
                  int64_t got) {
        first_ = "first divergence: sample " + std::to_string(sample) + ", population '" + neurons.name +
                 "', " + (step >= 0 ? "step " + std::to_string(step) + ", " : "") + "neuron " +
                 std::to_string(index) + " " + neurons.coordinates(index) + ": expected " +
                 (step >= 0 ? "spike " : "output ") + std::to_string(want) + ", got " +
                 std::to_string(got);
    }

    const Expected& expected_;
    const Record& record_;
    const uint64_t start_;  // the first sample of all
    uint64_t tap_sample_[kPopulations + 1] = {}, tap_step_[kPopulations + 1] = {};
    uint64_t tap_line_[kPopulations + 1] = {};  // marks of this inference
    uint64_t out_sample_, out_place_ = 0, done_;
    uint64_t block_ = 0, block_end_ = 0, first_out_ = 0, last_out_ = 0;
    Bytes observed_, stream_;
    std::vector<uint64_t> unequal_, spikes_;
    std::string first_, fault_;
};

}  // namespace
