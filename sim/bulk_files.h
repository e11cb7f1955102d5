// The files that the harness reads and writes; neurocuda_hw/data/stimulus.py describes them at its head.

#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "bulk_design.h"

namespace {

using Bytes = std::vector<uint8_t>;

// Trouble with what was given (exit code 2), as opposed to with the design (exit code 1).
struct BadInput : std::runtime_error {
    using std::runtime_error::runtime_error;
};

Bytes read_file(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) throw BadInput("cannot read " + path);
    Bytes content;
    uint8_t part[1 << 16];
    while (const size_t got = std::fread(part, 1, sizeof part, file))
        content.insert(content.end(), part, part + got);
    const bool failed = std::ferror(file);
    std::fclose(file);
    if (failed) throw BadInput("cannot read all of " + path);
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
        if (total > raw.size() || raw.size() != 24 + 8 * samples + sizeof(Word) * total)
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

}  // namespace
