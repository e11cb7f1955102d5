// Bulk harness: replays packets through the Verilated design at full rate and compares every spike
// of every population, and every output, with the golden ones.
//
//   bulk STIMULUS EXPECTED [--first N] [--samples N] [--stop] [--observed FILE] [--json FILE]
//        [--stall-percent P] [--stall-seed N] [--watchdog CYCLES] [--keep FILE: the TKEEP of each word, a byte]
//
// Every kBlock samples the design starts anew, as after power-up. So what is counted does not depend
// on how many processes share the samples, as long as each takes whole blocks.
// Runs in the folder to which the .mem paths of the Verilog are relative. Exit codes: 0 equal,
// 1 a divergence, a broken protocol or a deadlock, 2 unusable files or arguments.
// The file formats are described at the head of neurocuda_hw/data/stimulus.py.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "Vnchw_top.h"
#include "Vnchw_top___024root.h"
#include "bulk_check.h"
#include "bulk_design.h"
#include "bulk_files.h"
#include "verilated.h"

namespace {

constexpr unsigned kReasons = 8;  // bits of packet_faults at most
constexpr uint8_t kWhole = (1u << sizeof(Word)) - 1;  // TKEEP of a word

struct Options {
    std::string stimulus, expected, observed, json, keep;
    uint64_t first = 0, samples = UINT64_MAX;
    uint64_t watchdog = kWatchdog;
    uint64_t stall_seed = 1;
    unsigned stall_percent = 0;
    bool stop = false;
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
          keep_(options.keep.empty() ? Bytes(stimulus_.words.size(), kWhole) : read_file(options.keep)),
          first_(std::min(options.first, stimulus_.samples)),
          end_(first_ + std::min(options.samples, stimulus_.samples - first_)),
          check_(expected_, record_, first_, end_) {
        if (first_ == end_) throw BadInput(options.stimulus + " must hold at least one sample");
        if (end_ > expected_.samples)
            throw BadInput(options.expected + " must hold the expected spikes of every sample");
        if (keep_.size() != stimulus_.words.size())
            throw BadInput("--keep must hold a byte for each word of " + options.stimulus);
        if (first_ % kBlock)
            throw BadInput("--first must be a multiple of " + std::to_string(kBlock));
    }

    bool run() {
        const auto begin = std::chrono::steady_clock::now();
        for (uint64_t from = first_; from < end_ && going(); from += kBlock)
            run_block(from, std::min(from + kBlock, end_));
        seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        return check_.good();
    }

    void report() const {
        char speed[64];
        std::snprintf(speed, sizeof speed, "; %.2f s, %.0f kcycle/s", seconds_,
                      static_cast<double>(check_.pace.cycles) / 1000 / std::max(seconds_, 1e-9));
        check_.report(speed);
    }

    void write() const {
        if (!options_.json.empty()) {
            const std::string text = json();
            write_file(options_.json, text.data(), text.size(), nullptr, 0);
        }
        if (!options_.observed.empty()) check_.write(options_.observed);
    }

  private:
    bool going() const { return check_.fault().empty() && !(options_.stop && !check_.first().empty()); }

    void run_block(uint64_t from, uint64_t to) {
        top_.reset();
        context_ = std::make_unique<VerilatedContext>();
        // Registers and memories without an initial value start random: nothing may depend on them.
        context_->randReset(2);
        context_->randSeed(1);
        top_ = std::make_unique<Vnchw_top>(context_.get());
        const uint64_t seed = options_.stall_seed + from / kBlock;
        in_stalls_ = Stalls(seed, options_.stall_percent);
        out_stalls_ = Stalls(seed + 7919, options_.stall_percent);
        sent_ = from ? stimulus_.ends[from - 1] : 0;
        sent_sample_ = from;
        block_end_ = to;
        started_ = offering_ = false;
        check_.begin_block(to);
        reset();
        while (check_.done() < to && going()) {
            cycle();
            check_.finish_samples();
            if (check_.cycle - check_.last_transfer > options_.watchdog) report_deadlock();
        }
        // Nothing may follow the last inference.
        const uint64_t quiet = std::min<uint64_t>(options_.watchdog, 1000);
        if (check_.done() == to)
            for (uint64_t i = 0; i < quiet && check_.fault().empty(); ++i) cycle();
        top_->final();
        check_.end_block(began_);
    }

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
        top_->s_axis_tkeep = kWhole;
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
        for (unsigned reason = 0; reason < kReasons; ++reason) dropped_[reason] += top_->packet_faults >> reason & 1;
        if (offering_ && top_->s_axis_tready) accept();
        const bool under_way = check_.under_way();
        if (top_->m_axis_tvalid && top_->m_axis_tready) check_.on_output(top_->m_axis_tdata, top_->m_axis_tlast);
        look_at_taps();
        if (started_ && under_way) look_at_activity();
        edge();
        ++check_.cycle;
    }

    // Puts the next word on the input stream, where it stays until it is taken; or nothing.
    void offer() {
        offering_ = sent_sample_ < block_end_ && !in_stalls_();
        top_->s_axis_tvalid = offering_;
        if (!offering_) return;
        top_->s_axis_tdata = stimulus_.words[sent_];
        top_->s_axis_tkeep = keep_[sent_];
        top_->s_axis_tlast = sent_ + 1 == stimulus_.ends[sent_sample_];
    }

    void accept() {
        if (!started_) began_ = check_.cycle;
        started_ = true;
        if (++sent_ == stimulus_.ends[sent_sample_]) ++sent_sample_;
        check_.last_transfer = check_.cycle;
        offering_ = false;
    }

    void look_at_taps() {
        const auto* root = top_->rootp;
        (void)root;
#define NCHW_LOOK(index, valid, data) \
    if (root->valid) check_.on_tap(index, static_cast<uint64_t>(root->data));
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

    void report_deadlock() {
        check_.fail("no transfer for " + std::to_string(options_.watchdog) + " cycles; input at word " +
                    std::to_string(sent_) + " of " + std::to_string(stimulus_.words.size()) + " (inference " +
                    std::to_string(sent_sample_) + ")" + check_.position());
    }

    std::string json() const {
        std::string text = ", \"activity\": {";
        for (unsigned layer = 0; layer < kLayers; ++layer)
            text += std::string(layer ? ", " : "") + quoted(kLayerNames[layer]) + ": " + activity_[layer].json();
        text += "}, \"dropped\": [";
        for (unsigned reason = 0; reason < kReasons; ++reason)
            text += (reason ? ", " : "") + std::to_string(dropped_[reason]);
        return check_.json(seconds_, text + "]");
    }

    const Options options_;
    const Record record_;
    const Stimulus stimulus_;
    const Expected expected_;
    const Bytes keep_;
    const uint64_t first_, end_;
    Checker check_;
    Stalls in_stalls_{1, 0}, out_stalls_{1, 0};
    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vnchw_top> top_;

    uint64_t began_ = 0, sent_ = 0, sent_sample_ = 0, block_end_ = 0;
    bool started_ = false, offering_ = false;
    double seconds_ = 0;
    Activity activity_[kLayers];
    uint64_t dropped_[kReasons] = {};
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
        if (name == "--first") options.first = parse(name, value);
        else if (name == "--samples") options.samples = parse(name, value);
        else if (name == "--observed") options.observed = value;
        else if (name == "--json") options.json = value;
        else if (name == "--keep") options.keep = value;
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
