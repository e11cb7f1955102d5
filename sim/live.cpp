// A Verilated design that somebody talks to: words in on standard input, what comes out on standard output.
// Between two requests its clock stands still, so the design sees one stream without a gap.
//
//   live [STALL_PERCENT STALL_SEED]
//
// A request: u32 words N, u32 flags (1: the last word carries TLAST; 2: `from_first`), u32 packets to wait
// for, u32 cycles without a transfer after which nothing more is waited for, u32 `step_us`, u64[N] words.
// It ends when all words are taken and so many packets came out since it began. The answer: u64 cycle of
// its end, u64 cycle in which its last word was taken, u32[5] `counts`, u32 words M, u64[M] words,
// u64[M] cycles with TLAST in the top bit. Where words are left that nobody takes, the program ends.
//
// Compiled with TOP (the Verilated class) and KEEP (TKEEP of a whole word), or CAMERA (a front block's ports).

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "Vlive.h"
#include "verilated.h"

namespace {

bool get(void* to, size_t size) { return std::fread(to, 1, size, stdin) == size; }
void put(const void* from, size_t size) { std::fwrite(from, 1, size, stdout); }

class Live {
  public:
    Live(unsigned percent, unsigned seed) : percent_(percent), rng_(seed), top_(&randomised()) {
        top_.clk = 0;
        top_.rst = 1;
        top_.s_axis_tvalid = 0;
        top_.s_axis_tlast = 0;
        top_.s_axis_tdata = 0;
        top_.m_axis_tready = 0;
#ifdef KEEP
        top_.s_axis_tkeep = KEEP;
#endif
        for (int i = 0; i < 8; ++i) tick();
        top_.rst = 0;
    }

    bool serve() {
        uint32_t head[5];
        if (!get(head, sizeof head)) return false;
        const auto [count, flags, packets, limit, step_us] = head;
        std::vector<uint64_t> words(count);
        if (count && !get(words.data(), 8 * words.size())) return false;
#ifdef CAMERA
        top_.step_us = step_us;
        top_.from_first = flags >> 1 & 1;
#else
        (void)step_us;
#endif
        out_.clear();
        cycles_.clear();
        size_t next = 0;
        uint32_t ended = 0, quiet = 0;
        while ((next < count || ended < packets) && quiet < limit) {
            if (!offered_) offered_ = next < count && !pause();  // once offered it stays
            top_.s_axis_tvalid = offered_;
            top_.s_axis_tdata = offered_ ? words[next] : rng_();
            top_.s_axis_tlast = offered_ && (flags & 1) && next + 1 == count;
            top_.m_axis_tready = !pause();
            top_.eval();
            ++quiet;
            if (top_.m_axis_tvalid && top_.m_axis_tready) {
                out_.push_back(top_.m_axis_tdata);
                cycles_.push_back(cycle_ | static_cast<uint64_t>(top_.m_axis_tlast) << 63);
                ended += top_.m_axis_tlast;
                quiet = 0;
            }
            if (offered_ && top_.s_axis_tready) {
                ++next;
                offered_ = false;
                taken_ = cycle_;
                quiet = 0;
            }
            tick();
            ++cycle_;
        }
        if (next < count) return false;  // the silence says so
        answer();
        return true;
    }

  private:
    // Registers and memories without an initial value start random: nothing may depend on them.
    static VerilatedContext& randomised() {
        static VerilatedContext context;
        context.randReset(2);
        context.randSeed(1);
        return context;
    }

    bool pause() { return percent_ && rng_() % 100 < percent_; }

    void tick() {
        top_.clk = 1;
        top_.eval();
        top_.clk = 0;
        top_.eval();
    }

    void answer() {
        uint32_t counts[5] = {};
#ifdef CAMERA
        for (int i = 0; i < 5; ++i) counts[i] = top_.counts[i];
#endif
        const auto size = static_cast<uint32_t>(out_.size());
        put(&cycle_, 8);
        put(&taken_, 8);
        put(counts, sizeof counts);
        put(&size, 4);
        put(out_.data(), 8 * out_.size());
        put(cycles_.data(), 8 * cycles_.size());
        std::fflush(stdout);
    }

    const unsigned percent_;
    std::mt19937 rng_;
    Vlive top_;
    uint64_t cycle_ = 0, taken_ = 0;
    bool offered_ = false;
    std::vector<uint64_t> out_, cycles_;
};

}  // namespace

int main(int count, char** given) {
    Live live(count > 1 ? std::atoi(given[1]) : 0, count > 2 ? std::atoi(given[2]) : 1);
    while (live.serve()) {
    }
    return 0;
}
