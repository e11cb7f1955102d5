// Replays golden inferences and compares every spike of every layer, and the output.
//
//   testbench STIMULUS EXPECTED [--samples N] [--observed FILE] [--outputs-only] [--keep FILE]
//   testbench STIMULUS --observed FILE [--samples N] [--keep FILE]
//
// STIMULUS holds packets of stream words, EXPECTED the spikes of a golden trace; --observed writes what
// was seen in the format of EXPECTED and goes on after a divergence; --outputs-only leaves the layers
// out (in co-simulation nothing reports their spikes); --keep has the TKEEP of each word, a byte each.
// Without EXPECTED nothing is compared. With -DNCHW_BOUNDED all packets are under way at once, between
// FIFOs of their declared depths; --seed N decides whose turn it is, and stalls at both ends.
// Exit code: 0 equal, 1 a divergence or a deadlock (printed), 2 an unusable file. Little-endian files:
//
//   stimulus   "NCHWSTM1"  u32 bytes per word  u32 samples  u64 words
//              u64[samples] index of the word after each packet's last  words
//   expected   "NCHWEXP1"  u32 samples  u32 steps  u32 populations  u32 outputs  u32[populations] neurons
//              per sample and population: steps x ceil(neurons / 8) bytes, first neuron in bit 0; then
//              i64[outputs]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <string>
#include <vector>

#include "nchw_testbench.h"
#include "nchw_top.h"

namespace {

typedef std::vector<uint8_t> Bytes;

const size_t kStimulusHead = 24;

// Where each population's spikes of one sample start, and the sample's size without outputs.
struct Layout {
    size_t start[kPopulations + 1];
    size_t width[kPopulations + 1];
    size_t spikes;
    Layout() : spikes(0) {
        for (unsigned p = 0; p < kPopulations; ++p) {
            start[p] = spikes;
            width[p] = (kSpiking[p].neurons() + 7) / 8;
            spikes += width[p] * kSteps;
        }
    }
    size_t outputs() const { return kOutput.neurons(); }
    size_t record() const { return spikes + 8 * outputs(); }
};

const Layout kLayout;
std::vector<Bytes> seen;  // spikes of the samples that run; empty before and after

template <class T>
T get(const Bytes &bytes, size_t place) {
    T value;
    std::memcpy(&value, bytes.data() + place, sizeof value);
    return value;
}

[[noreturn]] void unusable(const std::string &what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(2);
}

Bytes read_file(const char *path, const char *magic, size_t head) {
    Bytes bytes;
    std::FILE *file = std::fopen(path, "rb");
    if (!file) unusable(std::string(path) + " cannot be opened");
    uint8_t block[1 << 16];
    for (size_t n; (n = std::fread(block, 1, sizeof block, file)) > 0;)
        bytes.insert(bytes.end(), block, block + n);
    std::fclose(file);
    if (bytes.size() < head || std::memcmp(bytes.data(), magic, std::strlen(magic)) != 0)
        unusable(std::string(path) + " must be a file of " + magic);
    return bytes;
}

std::string place(const Population &population, unsigned neuron) {
    if (population.flat) return "(" + std::to_string(neuron) + ",)";
    const unsigned cell = population.height * population.width;
    return "(" + std::to_string(neuron / cell) + ", " +
           std::to_string(neuron % cell / population.width) + ", " +
           std::to_string(neuron % population.width) + ")";
}

// The first spike that differs, by step, then topological order.
bool spikes_equal(const uint8_t *expected, unsigned sample) {
    const Bytes &spikes = seen[sample];
    if (std::memcmp(expected, spikes.data(), kLayout.spikes) == 0) return true;
    for (unsigned step = 0; step < kSteps; ++step) {
        for (unsigned p = 0; p < kPopulations; ++p) {
            const size_t row = kLayout.start[p] + step * kLayout.width[p];
            for (unsigned neuron = 0; neuron < kSpiking[p].neurons(); ++neuron) {
                const int want = expected[row + neuron / 8] >> (neuron % 8) & 1;
                const int got = spikes[row + neuron / 8] >> (neuron % 8) & 1;
                if (want == got) continue;
                std::printf(
                    "first divergence: sample %u, population '%s', step %u, neuron %u %s: "
                    "expected spike %d, got %d\n",
                    sample, kSpiking[p].name, step, neuron, place(kSpiking[p], neuron).c_str(), want,
                    got);
                return false;
            }
        }
    }
    return true;
}

bool outputs_equal(const uint8_t *expected, const std::vector<int64_t> &got, unsigned sample) {
    for (unsigned neuron = 0; neuron < got.size(); ++neuron) {
        int64_t want;
        std::memcpy(&want, expected + 8 * neuron, 8);
        if (want == got[neuron]) continue;
        std::printf(
            "first divergence: sample %u, population '%s', neuron %u %s: expected output %lld, got "
            "%lld\n",
            sample, kOutput.name, neuron, place(kOutput, neuron).c_str(), (long long)want,
            (long long)got[neuron]);
        return false;
    }
    return true;
}

// The packet that came out, as one number per neuron; false if it is no packet.
bool read_outputs(std::deque<axis_word> &sent, std::vector<int64_t> &outputs, unsigned sample,
                  std::FILE *copy) {
    const unsigned cell = kOutput.height * kOutput.width;
    unsigned words = 0, steps = 0;
    bool last = false;
    outputs.assign(kLayout.outputs(), 0);
    while (!sent.empty() && !last) {
        const axis_word in = sent.front();
        sent.pop_front();
        const word_t word = in.data;
        if (copy) std::fwrite(&word, sizeof word, 1, copy);
        last = in.last;
        if (!kOutputSpikes) {
            if (words >= outputs.size()) break;
            const unsigned channel = words % kOutput.channels;
            outputs[channel * cell + words / kOutput.channels] =
                static_cast<std::make_signed<word_t>::type>(word);
        } else if (word >> (8 * sizeof(word_t) - 1)) {
            ++steps;
        } else {
            const unsigned *bits = kOutputBits;
            const word_t x = word & ((word_t(1) << bits[2]) - 1);
            const word_t y = word >> bits[2] & ((word_t(1) << bits[1]) - 1);
            const word_t c = word >> (bits[2] + bits[1]) & ((word_t(1) << bits[0]) - 1);
            const word_t neuron = (c * kOutput.height + y) * kOutput.width + x;
            if (neuron >= outputs.size()) break;
            ++outputs[neuron];
        }
        ++words;
    }
    const bool whole = kOutputSpikes ? steps == kSteps : words == outputs.size();
#ifdef NCHW_BOUNDED
    const bool more = false;  // the packets behind it
#else
    const bool more = !sent.empty();
#endif
    if (whole && last && !more) return true;
    std::printf("first divergence: sample %u: the output is not one packet of %s\n", sample,
                kOutputSpikes ? "all steps" : "all neurons");
    return false;
}

struct Options {
    const char *stimulus = nullptr;
    const char *expected = nullptr;
    const char *observed = nullptr;
    const char *keep = nullptr;
    const char *words = nullptr;
    unsigned seed = 1;
    unsigned samples = ~0u;
    bool outputs_only = false;
};

Options parse(int argc, char **argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--observed" && i + 1 < argc)
            options.observed = argv[++i];
        else if (word == "--samples" && i + 1 < argc)
            options.samples = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
        else if (word == "--keep" && i + 1 < argc)
            options.keep = argv[++i];
        else if (word == "--words" && i + 1 < argc)
            options.words = argv[++i];
        else if (word == "--seed" && i + 1 < argc)
            options.seed = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
        else if (word == "--outputs-only")
            options.outputs_only = true;
        else if (!options.stimulus)
            options.stimulus = argv[i];
        else if (!options.expected)
            options.expected = argv[i];
        else
            unusable("unknown argument " + word);
    }
    if (!options.stimulus || (!options.expected && !options.observed))
        unusable(
            "usage: testbench STIMULUS EXPECTED [--samples N] [--observed FILE] [--outputs-only] "
            "[--keep FILE] [--words FILE], or testbench STIMULUS --observed FILE [--samples N] [--keep FILE]");
    return options;
}

void check_stimulus(const Bytes &stimulus) {
    const uint64_t samples = get<uint32_t>(stimulus, 12), words = get<uint64_t>(stimulus, 16);
    if (get<uint32_t>(stimulus, 8) != sizeof(word_t) ||
        stimulus.size() != kStimulusHead + 8 * samples + sizeof(word_t) * words)
        unusable("the stimulus must be whole and of this network");
}

// What EXPECTED starts with.
Bytes expected_head(unsigned samples) {
    std::vector<uint32_t> words = {samples, kSteps, kPopulations, uint32_t(kLayout.outputs())};
    for (unsigned p = 0; p < kPopulations; ++p) words.push_back(kSpiking[p].neurons());
    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(words.data());
    Bytes head(bytes, bytes + 4 * words.size());
    const char magic[] = "NCHWEXP1";
    head.insert(head.begin(), magic, magic + 8);
    return head;
}

void check_expected(const Bytes &expected, const Bytes &head, unsigned samples) {
    if (expected.size() != head.size() + size_t(samples) * kLayout.record() ||
        std::memcmp(expected.data(), head.data(), head.size()) != 0)
        unusable("the expected spikes must be whole, of this network and these samples");
}

// Time, and that of the processor, whatever else runs.
struct Stopwatch {
    std::chrono::steady_clock::time_point before;
    std::clock_t began = 0, ticks = 0;
    double seconds = 0;
    void start() {
        before = std::chrono::steady_clock::now();
        began = std::clock();
    }
    void stop() {
        ticks += std::clock() - began;
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
    }
    void print(unsigned samples) const {
        const double busy = double(ticks) / CLOCKS_PER_SEC;
        std::printf("%u samples in %.4f s, %.4f s of one core: %.1f samples/s\n", samples, seconds, busy,
                    busy > 0 ? samples / busy : 0.0);
    }
};

// What goes in: words, and where each packet ends.
struct Packets {
    Bytes stimulus, keep;
    unsigned samples;
    size_t words;

    explicit Packets(const Options &options) : stimulus(read_file(options.stimulus, "NCHWSTM1", kStimulusHead)) {
        check_stimulus(stimulus);
        samples = get<uint32_t>(stimulus, 12);
        words = kStimulusHead + 8 * size_t(samples);
        if (options.keep) {
            keep = read_file(options.keep, "", 0);
            if (keep.size() != get<uint64_t>(stimulus, 16)) unusable("--keep must hold a byte for each word");
        }
    }
    uint64_t end(unsigned sample) const { return get<uint64_t>(stimulus, kStimulusHead + 8 * size_t(sample)); }
    void send(unsigned sample, hls::stream<axis_word> &s_axis) const {
        for (uint64_t i = sample ? end(sample - 1) : 0; i < end(sample); ++i) {
            axis_word out;
            out.data = get<word_t>(stimulus, words + i * sizeof(word_t));
            out.keep = keep.empty() ? int((1u << sizeof(word_t)) - 1) : int(keep[i]);
            out.strb = -1;
            out.last = i + 1 == end(sample);
#ifdef NCHW_BOUNDED
            nchw::stall();
#endif
            s_axis.write(out);
        }
    }
};

#ifdef NCHW_BOUNDED
// All packets at once, from a thread and to a thread that stall; false if no process could go on.
bool run_all(const Packets &packets, unsigned samples, std::deque<axis_word> &sent, dropped_words &dropped,
             uint64_t &network) {
    hls::stream<axis_word> s_axis("s_axis"), m_axis("m_axis");
    nchw::Scheduler &all = nchw::scheduler();
    all.packets = samples;
    nchw::start("the source of s_axis", [&] {
        for (unsigned sample = 0; sample < samples; ++sample) packets.send(sample, s_axis);
    });
    nchw::start("the sink of m_axis", [&] {
        for (unsigned ended = 0; ended < samples;) {
            nchw::stall();
            sent.push_back(m_axis.read());
            if (sent.back().last) ++ended;
        }
    });
    nchw_top(s_axis, m_axis, dropped, network);
    std::printf("%s", all.locked.c_str());
    return all.locked.empty();
}
#endif

}  // namespace

void nchw_tap(int population, int neuron) {
    static unsigned steps[kPopulations + 1];
    unsigned &step = steps[population];
    if (neuron < 0) {
        ++step;
        return;
    }
    const size_t row = kLayout.start[population] + step % kSteps * kLayout.width[population];
    seen[step / kSteps][row + neuron / 8] |= static_cast<uint8_t>(1u << (neuron % 8));
}

int main(int argc, char **argv) {
    const Options options = parse(argc, argv);
    const Packets packets(options);
    unsigned samples = packets.samples;
    const size_t head = expected_head(samples).size();
    Bytes expected;
    if (options.expected) {
        expected = read_file(options.expected, "NCHWEXP1", 8);
        check_expected(expected, expected_head(samples), samples);
    }
    if (options.samples < samples) samples = options.samples;

    Bytes observed = expected_head(samples);
    bool equal = true;
    unsigned done = 0;
    Stopwatch watch;
    std::vector<int64_t> outputs;
    std::deque<axis_word> sent;
    std::FILE *const copy = options.words ? std::fopen(options.words, "wb") : nullptr;
    if (options.words && !copy) unusable(std::string(options.words) + " cannot be written");
    dropped_words dropped = {0, 0, 0, 0, 0};
    uint64_t network = kNetwork;  // of no sample there is none
    seen.resize(samples);
#ifdef NCHW_BOUNDED
    nchw::scheduler().chance.seed(options.seed);
    for (Bytes &spikes : seen) spikes.assign(kLayout.spikes, 0);
    watch.start();
    const bool whole = samples == 0 || run_all(packets, samples, sent, dropped, network);
    watch.stop();
#else
    hls::stream<axis_word> s_axis("s_axis"), m_axis("m_axis");
    const bool whole = true;
#endif
    for (; done < samples && (equal || options.observed); ++done) {
#ifndef NCHW_BOUNDED
        packets.send(done, s_axis);
        seen[done].assign(kLayout.spikes, 0);
        watch.start();
        nchw_top(s_axis, m_axis, dropped, network);
        watch.stop();
        while (!m_axis.empty()) sent.push_back(m_axis.read());
#endif
        const bool packet = read_outputs(sent, outputs, done, copy);
        const uint8_t *golden = expected.data() + head + size_t(done) * kLayout.record();
        if (!options.expected)
            equal = packet;
        else if (equal)
            equal = (options.outputs_only || spikes_equal(golden, done)) && packet &&
                    outputs_equal(golden + kLayout.spikes, outputs, done);
        if (!packet) break;
        observed.insert(observed.end(), seen[done].begin(), seen[done].end());
        Bytes().swap(seen[done]);
        const uint8_t *bytes = reinterpret_cast<const uint8_t *>(outputs.data());
        observed.insert(observed.end(), bytes, bytes + 8 * outputs.size());
    }
    if (options.observed) {
        const Bytes ended = expected_head(done);
        std::copy(ended.begin(), ended.end(), observed.begin());
        std::FILE *file = std::fopen(options.observed, "wb");
        if (!file || std::fwrite(observed.data(), 1, observed.size(), file) != observed.size() ||
            std::fclose(file) != 0)
            unusable(std::string(options.observed) + " cannot be written");
    }
    if (network != kNetwork) std::printf("first divergence: the block says that it is another network\n");
    equal = equal && whole && network == kNetwork && done == samples && sent.empty();
    if (equal && options.expected)
        std::printf("%u samples equal, every spike of %u populations and every output\n", done,
                    kPopulations);
    watch.print(done);
    if (copy && std::fclose(copy) != 0) unusable(std::string(options.words) + " cannot be written");
    std::printf("dropped: OVERLONG %u, KEEP %u, ADDRESS %u, WINDOW %u, CROWDED %u\n", dropped.overlong,
                dropped.keep, dropped.address, dropped.window, dropped.crowded);
    std::fflush(stdout);
#ifdef NCHW_BOUNDED
    std::_Exit(equal ? 0 : 1);  // processes that are locked up have no end
#endif
    return equal ? 0 : 1;
}
