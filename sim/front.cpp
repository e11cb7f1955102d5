// Drives nchw_front or nchw_camera (TOP) with a camera's words and writes what comes out.
//   front WORDS ENDS OUT STEP_US FROM_FIRST STALL_PERCENT SEED
// WORDS: u16 or u64 each (WORD_T); ENDS: u64, the index after each recording's last word.
// OUT: pairs of u64 (word, last). Standard output: cycles, cycles from the last word of the first
// recording to its last packet's end, then the five counts.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

template <typename T> static std::vector<T> read(const char *path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> raw((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const T *begin = reinterpret_cast<const T *>(raw.data());
    return std::vector<T>(begin, begin + raw.size() / sizeof(T));
}

int main(int argc, char **argv) {
    if (argc != 8) return 2;
    const auto words = read<WORD_T>(argv[1]);
    const auto ends = read<uint64_t>(argv[2]);
    std::ofstream out(argv[3], std::ios::binary);
    const int percent = std::atoi(argv[6]);
    std::mt19937 rng(std::atoi(argv[7]));
    auto pause = [&] { return int(rng() % 100) < percent; };
    VerilatedContext context;
    context.randReset(2);
    Vdut top{&context};
    auto tick = [&] { top.clk = 1; top.eval(); top.clk = 0; top.eval(); };
    top.clk = 0; top.rst = 1; top.s_axis_tvalid = 0; top.m_axis_tready = 0;
    top.step_us = std::atoi(argv[4]); top.from_first = std::atoi(argv[5]);
    for (int i = 0; i < 3; i++) tick();
    top.rst = 0;
    uint64_t next = 0, end = 0, cycle = 0, quiet = 0, first_in = 0, first_out = 0;
    bool offered = false;
    while (quiet < 20000) {
        if (!offered) offered = next < words.size() && !pause();  // once offered it stays
        top.s_axis_tvalid = offered;
        top.s_axis_tdata = offered ? words[next] : WORD_T(rng());
        top.s_axis_tlast = offered && next + 1 == ends[end];
        top.m_axis_tready = !pause();
        top.eval();
        quiet++;
        if (top.m_axis_tvalid && top.m_axis_tready) {
            const uint64_t pair[2] = {uint64_t(top.m_axis_tdata), uint64_t(top.m_axis_tlast)};
            out.write(reinterpret_cast<const char *>(pair), sizeof pair);
            if (end == 1 && top.m_axis_tlast && !first_out) first_out = cycle;
            quiet = 0;
        }
        if (offered && top.s_axis_tready) {
            if (top.s_axis_tlast && end++ == 0) first_in = cycle;
            next++;
            offered = false;
            quiet = 0;
        }
        tick();
        cycle++;
    }
    std::printf("%llu %llu", (unsigned long long)(cycle - quiet),
                (unsigned long long)(first_out - first_in));
    for (int i = 0; i < 5; i++) std::printf(" %u", top.counts[i]);
    std::printf("\n");
    return next == words.size() ? 0 : 1;
}
