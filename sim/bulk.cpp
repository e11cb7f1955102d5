// Bulk harness: replays packets through the Verilated design at full rate and compares every spike
// of every population, and every output, with the golden ones.
//
//   bulk STIMULUS EXPECTED [--samples N] [--stop] [--observed FILE] [--json FILE]
//        [--stall-percent P] [--stall-seed N] [--watchdog CYCLES]
//
// Runs in the folder to which the .mem paths of the Verilog are relative. Exit codes: 0 equal,
// 1 a divergence, a broken protocol or a deadlock, 2 unusable files or arguments.
// The file formats are described at the head of neurocuda_hw/stimulus.py.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "Vnchw_top.h"
#include "Vnchw_top___024root.h"
#include "verilated.h"

namespace {

// A population and how its neurons are addressed: {c, y, x}, x in the lowest bits.
struct Neurons {
    const char* name;
    bool flat;
    size_t channels, height, width;
    unsigned c_bits, y_bits, x_bits;

    constexpr size_t size() const { return channels * height * width; }
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

using Bytes = std::vector<uint8_t>;

// What a layer spends its cycles on; see neurocuda_hw/rtl/activity.py for the states.
struct Activity {
    static constexpr const char* kStates[] = {"integrating", "sweeping", "stalled", "starved", "bubble"};
    uint64_t cycles[8] = {}, events = 0, spikes = 0;

    // Adds one cycle: {spike, events, state}, the state in the lowest 3 bits.
    void add(uint64_t data, unsigned event_bits) {
        ++cycles[data & 7];
        events += data >> 3 & ((1u << event_bits) - 1);
        spikes += data >> (3 + event_bits) & 1;
    }

    std::string json() const {
        std::string text = "{\"events\": " + std::to_string(events) + ", \"spikes\": " + std::to_string(spikes);
        for (unsigned state = 0; state < 5; ++state)
            text += std::string(", \"") + kStates[state] + "\": " + std::to_string(cycles[state]);
        return text + "}";
    }
};

// Trouble with what was given (exit code 2), as opposed to with the design (exit code 1).
struct BadInput : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Options {
    std::string stimulus, expected, observed, json;
    uint64_t samples = UINT64_MAX;
    uint64_t watchdog = kWatchdog;
    uint64_t stall_seed = 1;
    unsigned stall_percent = 0;
    bool stop = false;
};

Bytes read_file(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) throw BadInput("cannot read " + path);
    Bytes content;
    std::fseek(file, 0, SEEK_END);
    content.resize(static_cast<size_t>(std::ftell(file)));
    std::fseek(file, 0, SEEK_SET);
    const size_t got = std::fread(content.data(), 1, content.size(), file);
    std::fclose(file);
    if (got != content.size()) throw BadInput("cannot read all of " + path);
    return content;
}

void write_file(const std::string& path, const void* head, size_t head_size, const void* data,
                size_t size) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (!file) throw BadInput("cannot write " + path);
    bool good = std::fwrite(head, 1, head_size, file) == head_size;
    good = std::fwrite(data, 1, size, file) == size && good;
    good = std::fclose(file) == 0 && good;
    if (!good) throw BadInput("cannot write all of " + path);
}

template <typename T>
T get(const Bytes& from, size_t at) {
    T value;
    if (at + sizeof value > from.size()) throw BadInput("a file is truncated");
    std::memcpy(&value, from.data() + at, sizeof value);
    return value;
}

struct Stimulus {
    uint64_t samples = 0;
    std::vector<uint64_t> ends;
    std::vector<Word> words;

    explicit Stimulus(const std::string& path) {
        const Bytes raw = read_file(path);
        if (raw.size() < 24 || std::memcmp(raw.data(), "NCHWSTM1", 8) != 0)
            throw BadInput(path + " is no stimulus file");
        if (get<uint32_t>(raw, 8) != sizeof(Word))
            throw BadInput(path + " has words of another width than the design");
        samples = get<uint32_t>(raw, 12);
        const uint64_t total = get<uint64_t>(raw, 16);
        if (raw.size() != 24 + 8 * samples + sizeof(Word) * total)
            throw BadInput(path + " is truncated");
        ends.resize(samples);
        words.resize(total);
        std::memcpy(ends.data(), raw.data() + 24, 8 * samples);
        std::memcpy(words.data(), raw.data() + 24 + 8 * samples, sizeof(Word) * total);
        for (uint64_t i = 0, last = 0; i < samples; last = ends[i++])
            if (ends[i] <= last || ends[i] > total) throw BadInput(path + " has an empty packet");
    }
};

// Spikes and outputs of every sample: per population T x ceil(N / 8) bytes, then the outputs.
struct Record {
    size_t start[kPopulations + 1];
    size_t row[kPopulations + 1];
    size_t outputs = 0, size = 0;

    Record() {
        size_t at = 0;
        for (unsigned p = 0; p < kPopulations; ++p) {
            start[p] = at;
            row[p] = (kNeurons[p].size() + 7) / 8;
            at += row[p] * kTimesteps;
        }
        outputs = at;
        size = at + 8 * kOutputs;
    }
};

struct Expected {
    Bytes raw;
    uint64_t samples = 0;
    size_t head = 24 + 4 * kPopulations;

    Expected(const std::string& path, const Record& record) : raw(read_file(path)) {
        if (raw.size() < head || std::memcmp(raw.data(), "NCHWEXP1", 8) != 0)
            throw BadInput(path + " is no file of expected spikes");
        samples = get<uint32_t>(raw, 8);
        bool same = get<uint32_t>(raw, 12) == kTimesteps && get<uint32_t>(raw, 16) == kPopulations &&
                    get<uint32_t>(raw, 20) == kOutputs;
        for (unsigned p = 0; same && p < kPopulations; ++p)
            same = get<uint32_t>(raw, 24 + 4 * p) == kNeurons[p].size();
        if (!same) throw BadInput(path + " is of another network than the design");
        if (raw.size() != head + samples * record.size) throw BadInput(path + " is truncated");
    }
};

// One bit per call, true in `percent` of them; xorshift64*, seeded.
class Stalls {
  public:
    Stalls(uint64_t seed, unsigned percent) : state_(seed * 0x9E3779B97F4A7C15u + 1), percent_(percent) {}
    bool operator()() {
        if (!percent_) return false;
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return (state_ * 0x2545F4914F6CDD1Du >> 33) % 100 < percent_;
    }

  private:
    uint64_t state_;
    unsigned percent_;
};

class Bench {
  public:
    Bench(const Options& options)
        : options_(options),
          stimulus_(options.stimulus),
          expected_(options.expected, record_),
          samples_(std::min(options.samples, stimulus_.samples)),
          in_stalls_(options.stall_seed, options.stall_percent),
          out_stalls_(options.stall_seed + 7919, options.stall_percent),
          top_(std::make_unique<Vnchw_top>(randomised(context_))) {
        if (!samples_) throw BadInput(options.stimulus + " must hold at least one sample");
        if (samples_ > expected_.samples)
            throw BadInput(options.expected + " must hold the expected spikes of every sample");
        observed_.assign(samples_ * record_.size, 0);
        ended_.assign(samples_, 0);
        unequal_.assign(kPopulations + 1, 0);
        spikes_.assign(kPopulations, 0);
        stream_.assign(kOutputSpikes ? samples_ * kTimesteps * ((kOutputs + 7) / 8) : 0, 0);
    }

    bool run() {
        const auto begin = std::chrono::steady_clock::now();
        reset();
        while (done_ < samples_ && fault_.empty() && !(options_.stop && !first_.empty())) {
            cycle();
            finish_samples();
            if (cycle_ - last_transfer_ > options_.watchdog) report_deadlock();
        }
        // Nothing may follow the last inference.
        const uint64_t quiet = std::min<uint64_t>(options_.watchdog, 1000);
        if (done_ == samples_)
            for (uint64_t i = 0; i < quiet && fault_.empty(); ++i) cycle();
        top_->final();
        seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        return first_.empty() && fault_.empty();
    }

    void report() const {
        if (!first_.empty()) std::printf("%s\n", first_.c_str());
        if (!fault_.empty()) std::printf("broken protocol: %s\n", fault_.c_str());
        for (unsigned p = 0; p < kPopulations; ++p)
            std::printf("%-24s %12llu spikes   %llu of %llu samples unequal\n", kNeurons[p].name,
                        number(spikes_[p]), number(unequal_[p]), number(done_));
        std::printf("%-24s %12u values   %llu of %llu samples unequal\n", "outputs", kOutputs,
                    number(unequal_[kPopulations]), number(done_));
        std::printf("%llu cycles, %.1f per inference, first after %llu; %.2f s, %.0f kcycle/s\n",
                    number(total()), interval(), number(latency()), seconds_,
                    static_cast<double>(cycle_) / 1000 / std::max(seconds_, 1e-9));
        std::printf("%s: %llu inferences\n",
                    first_.empty() && fault_.empty() ? "EQUAL" : "NOT EQUAL", number(done_));
    }

    void write() const {
        if (!options_.json.empty()) {
            const std::string text = json();
            write_file(options_.json, text.data(), text.size(), nullptr, 0);
        }
        if (!options_.observed.empty()) {
            Bytes head(expected_.raw.begin(), expected_.raw.begin() + static_cast<long>(expected_.head));
            const auto count = static_cast<uint32_t>(done_);
            std::memcpy(head.data() + 8, &count, 4);
            write_file(options_.observed, head.data(), head.size(), observed_.data(),
                       done_ * record_.size);
        }
    }

  private:
    // Registers and memories without an initial value start random: nothing may depend on them.
    static VerilatedContext* randomised(VerilatedContext& context) {
        context.randReset(2);
        context.randSeed(1);
        return &context;
    }

    static unsigned long long number(uint64_t value) { return value; }

    void edge() {
        top_->clk = 1;
        top_->eval();
        top_->clk = 0;
    }

    void reset() {
        top_->clk = 0;
        top_->rst = 1;
        top_->s_axis_tvalid = 0;
        top_->s_axis_tlast = 0;
        top_->s_axis_tdata = 0;
        top_->s_axis_tkeep = sizeof(Word) == 8 ? 0xff : 0xf;
        top_->m_axis_tready = 0;
        for (int i = 0; i < 8; ++i) {
            top_->eval();
            edge();
        }
        top_->rst = 0;
    }

    // One clock cycle: drive, settle, look at every transfer of this cycle, then the rising edge.
    void cycle() {
        if (!offering_) offer();
        top_->m_axis_tready = !out_stalls_();
        top_->eval();
        if (offering_ && top_->s_axis_tready) accept();
        const bool under_way = out_sample_ < samples_;
        if (top_->m_axis_tvalid && top_->m_axis_tready) on_output(top_->m_axis_tdata, top_->m_axis_tlast);
        look_at_taps();
        if (sent_ && under_way) look_at_activity();
        edge();
        ++cycle_;
    }

    // Puts the next word on the input stream, where it stays until it is taken; or nothing.
    void offer() {
        offering_ = sent_sample_ < samples_ && !in_stalls_();
        top_->s_axis_tvalid = offering_;
        if (!offering_) return;
        top_->s_axis_tdata = stimulus_.words[sent_];
        top_->s_axis_tlast = sent_ + 1 == stimulus_.ends[sent_sample_];
    }

    void accept() {
        if (!sent_) began_ = cycle_;
        if (++sent_ == stimulus_.ends[sent_sample_]) ++sent_sample_;
        last_transfer_ = cycle_;
        offering_ = false;
    }

    void look_at_taps() {
        const auto* root = top_->rootp;
        (void)root;
#define NCHW_LOOK(index, valid, data) \
    if (root->valid) on_tap(index, static_cast<uint64_t>(root->data));
        NCHW_TAPS(NCHW_LOOK)
#undef NCHW_LOOK
    }

    // Counts what each layer spends its cycles on, from the first word in to the last word out.
    void look_at_activity() {
        const auto* root = top_->rootp;
#define NCHW_COUNT(layer, activity) activity_[layer].add(root->activity, kEventBits[layer]);
        NCHW_ACTIVITIES(NCHW_COUNT)
#undef NCHW_COUNT
    }

    void on_tap(unsigned p, uint64_t data) {
        const Neurons& neurons = kNeurons[p];
        last_transfer_ = cycle_;
        if (tap_sample_[p] >= samples_) {
            fail(std::string("population '") + neurons.name + "' sent more than " +
                 std::to_string(samples_) + " inferences of " + std::to_string(kTimesteps) + " steps");
            return;
        }
        if (data >> neurons.address_bits()) {
            advance(tap_sample_[p], tap_step_[p]);
            return;
        }
        uint8_t* row = &observed_[tap_sample_[p] * record_.size + record_.start[p] +
                                  tap_step_[p] * record_.row[p]];
        if (mark(row, neurons, data, tap_sample_[p], tap_step_[p], "fired")) ++spikes_[p];
    }

    void on_output(uint64_t data, bool last) {
        last_transfer_ = cycle_;
        if (out_sample_ >= samples_) {
            fail("the output stream went on after the last inference");
            return;
        }
        if (kOutputSpikes)
            on_output_event(data, last);
        else
            on_output_value(data, last);
    }

    void on_output_value(uint64_t data, bool last) {
        const int64_t value = static_cast<SignedWord>(data);
        std::memcpy(&observed_[out_sample_ * record_.size + record_.outputs + 8 * out_place_], &value, 8);
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
        const size_t row_size = (kOutputs + 7) / 8;
        if (!(data >> (8 * sizeof(Word) - 1))) {
            if (last) fail("TLAST must come with the last end-of-step marker, not with an event");
            const uint64_t sample = out_sample_;
            uint8_t* row = &stream_[(sample * kTimesteps + out_place_) * row_size];
            if (!mark(row, neurons, data, sample, out_place_, "was sent")) return;
            int64_t count;
            uint8_t* at = &observed_[sample * record_.size + record_.outputs + 8 * neurons.index(data)];
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
        ended_[out_sample_++] = cycle_;
        out_place_ = 0;
    }

    // Sets the bit of an event; false, and a fault, where the address is wrong or came twice.
    bool mark(uint8_t* row, const Neurons& neurons, uint64_t address, uint64_t sample, uint64_t step,
              const char* verb) {
        const std::string where = std::string("population '") + neurons.name + "', sample " +
                                  std::to_string(sample) + ", step " + std::to_string(step);
        if (!neurons.contains(address)) {
            fail(where + ": address " + std::to_string(address) + " is of no neuron");
            return false;
        }
        const size_t index = neurons.index(address);
        const auto bit = static_cast<uint8_t>(1u << (index % 8));
        if (row[index / 8] & bit) {
            fail(where + ": neuron " + std::to_string(index) + " " + verb + " twice");
            return false;
        }
        row[index / 8] |= bit;
        return true;
    }

    static void advance(uint64_t& sample, uint64_t& step) {
        if (++step == kTimesteps) {
            step = 0;
            ++sample;
        }
    }

    // Compares the samples that every population and the output have ended.
    void finish_samples() {
        if (out_sample_ <= done_) return;
        uint64_t ready = out_sample_;
        for (unsigned p = 0; p < kPopulations; ++p) ready = std::min(ready, tap_sample_[p]);
        for (; done_ < ready; ++done_) compare(done_);
    }

    void compare(uint64_t sample) {
        const uint8_t* want = expected_.raw.data() + expected_.head + sample * record_.size;
        const uint8_t* got = observed_.data() + sample * record_.size;
        for (unsigned p = 0; p < kPopulations; ++p) {
            const size_t bytes = record_.row[p] * kTimesteps;
            unequal_[p] += std::memcmp(want + record_.start[p], got + record_.start[p], bytes) != 0;
        }
        const bool outputs = std::memcmp(want + record_.outputs, got + record_.outputs, 8 * kOutputs) != 0;
        unequal_[kPopulations] += outputs;
        if (first_.empty() && std::memcmp(want, got, record_.size) != 0) locate(sample, want, got);
        if (kOutputSpikes && first_.empty() && fault_.empty()) {
            const size_t bytes = kTimesteps * ((kOutputs + 7) / 8);
            if (std::memcmp(got + record_.start[kOutputSpikes ? kPopulations - 1 : 0], &stream_[sample * bytes], bytes) != 0)
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

    void fail(const std::string& what) {
        if (fault_.empty()) fault_ = "cycle " + std::to_string(cycle_) + ": " + what;
    }

    void report_deadlock() {
        std::string text = "no transfer for " + std::to_string(options_.watchdog) + " cycles; input at word " +
                           std::to_string(sent_) + " of " + std::to_string(stimulus_.words.size()) +
                           " (inference " + std::to_string(sent_sample_) + ")";
        for (unsigned p = 0; p < kPopulations; ++p)
            text += ", '" + std::string(kNeurons[p].name) + "' at inference " +
                    std::to_string(tap_sample_[p]) + " step " + std::to_string(tap_step_[p]);
        fail(text + ", output at inference " + std::to_string(out_sample_) +
             (kOutputSpikes ? " step " : " word ") + std::to_string(out_place_));
    }

    uint64_t total() const { return out_sample_ ? ended_[out_sample_ - 1] + 1 - began_ : 0; }
    uint64_t latency() const { return out_sample_ ? ended_[0] + 1 - began_ : 0; }
    double interval() const {
        if (out_sample_ < 2) return static_cast<double>(total());
        return static_cast<double>(ended_[out_sample_ - 1] - ended_[0]) / static_cast<double>(out_sample_ - 1);
    }

    std::string json() const {
        std::string text = "{\"equal\": ";
        text += first_.empty() && fault_.empty() ? "true" : "false";
        text += ", \"samples\": " + std::to_string(done_) + ", \"cycles\": " + std::to_string(total()) +
                ", \"latency_cycles\": " + std::to_string(latency()) +
                ", \"cycles_per_inference\": " + std::to_string(interval()) +
                ", \"seconds\": " + std::to_string(seconds_) + ", \"fault\": " + quoted(fault_) +
                ", \"divergence\": " + quoted(first_) + ", \"populations\": {";
        for (unsigned p = 0; p < kPopulations; ++p)
            text += std::string(p ? ", " : "") + quoted(kNeurons[p].name) + ": {\"spikes\": " +
                    std::to_string(spikes_[p]) + ", \"unequal_samples\": " + std::to_string(unequal_[p]) + "}";
        text += "}, \"activity\": {";
        for (unsigned layer = 0; layer < kLayers; ++layer)
            text += std::string(layer ? ", " : "") + quoted(kLayerNames[layer]) + ": " + activity_[layer].json();
        return text + "}, \"unequal_outputs\": " + std::to_string(unequal_[kPopulations]) + "}\n";
    }

    static std::string quoted(const std::string& text) {
        std::string out = "\"";
        for (const char c : text) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        return out + "\"";
    }

    const Options options_;
    const Record record_;
    const Stimulus stimulus_;
    const Expected expected_;
    const uint64_t samples_;
    Stalls in_stalls_, out_stalls_;
    VerilatedContext context_;
    std::unique_ptr<Vnchw_top> top_;

    uint64_t cycle_ = 0, last_transfer_ = 0, began_ = 0;
    uint64_t sent_ = 0, sent_sample_ = 0;
    bool offering_ = false;
    uint64_t tap_sample_[kPopulations + 1] = {}, tap_step_[kPopulations + 1] = {};
    uint64_t out_sample_ = 0, out_place_ = 0, done_ = 0;
    double seconds_ = 0;
    Bytes observed_, stream_;
    std::vector<uint64_t> ended_, unequal_, spikes_;
    Activity activity_[kLayers];
    std::string first_, fault_;
};

uint64_t parse(const std::string& name, const char* text) {
    char* end = nullptr;
    const uint64_t value = std::strtoull(text, &end, 10);
    if (!*text || *end || *text == '-') throw BadInput(name + " must be a number, not " + text);
    return value;
}

Options parse_options(int count, char** given) {
    Options options;
    std::vector<std::string> files;
    for (int i = 1; i < count; ++i) {
        const std::string name = given[i];
        if (name.rfind("--", 0) != 0) {
            files.push_back(name);
            continue;
        }
        if (name == "--stop") {
            options.stop = true;
            continue;
        }
        if (i + 1 >= count) throw BadInput(name + " needs a value");
        const char* value = given[++i];
        if (name == "--samples") options.samples = parse(name, value);
        else if (name == "--observed") options.observed = value;
        else if (name == "--json") options.json = value;
        else if (name == "--stall-percent") options.stall_percent = static_cast<unsigned>(parse(name, value));
        else if (name == "--stall-seed") options.stall_seed = parse(name, value);
        else if (name == "--watchdog") options.watchdog = parse(name, value);
        else throw BadInput("there is no option " + name);
    }
    if (files.size() != 2) throw BadInput("give the stimulus file and the file of expected spikes");
    if (options.stall_percent > 95) throw BadInput("--stall-percent must be 0 to 95");
    options.stimulus = files[0];
    options.expected = files[1];
    return options;
}

}  // namespace

int main(int count, char** given) {
    try {
        Bench bench(parse_options(count, given));
        const bool equal = bench.run();
        bench.report();
        bench.write();
        return equal ? 0 : 1;
    } catch (const BadInput& trouble) {
        std::fprintf(stderr, "bulk: %s\n", trouble.what());
        return 2;
    }
}
