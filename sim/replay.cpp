// Compares what sim/icarus.v wrote with the golden spikes, by the checker of the bulk harness.
//
//   replay LOG EXPECTED OBSERVED JSON
//
// Exit codes: 0 equal, 1 a divergence, a broken protocol or a deadlock, 2 unusable files.

#include <fstream>
#include <sstream>

#include "bulk_check.h"

namespace {

bool replay(char** given) {
    std::ifstream log(given[1]);
    const Record record;
    const Expected expected(given[2], record);
    std::string line;
    uint64_t samples = 0, began = 0;
    char kind = 0;
    if (!(log >> kind >> samples) || kind != 'S' || samples < 1 || samples > expected.samples)
        throw BadInput(std::string(given[1]) + " is no log of these samples");
    Checker check(expected, record, 0, samples);
    check.begin_block(samples);
    std::getline(log, line);
    while (check.fault().empty() && std::getline(log, line)) {
        std::istringstream text(line);
        uint64_t number = 0;
        std::string data;
        text >> kind >> check.cycle >> number >> data;
        if (kind == 'B') {
            began = check.cycle;
        } else if (kind == 'D') {
            check.fail("no transfer any more; input at word " + std::to_string(number) + check.position());
        } else if (kind == 'X' || data.find_first_of("xXzZ") != std::string::npos) {
            check.fail("an undefined value on a stream or in a spike" + check.position());
        } else {
            const uint64_t value = std::stoull(data, nullptr, 16);
            if (kind == 'T') check.on_tap(static_cast<unsigned>(number), value);
            else check.on_output(value, number != 0);
            check.finish_samples();
        }
    }
    if (check.good() && check.compared() < samples) check.fail("the simulation ended early" + check.position());
    check.end_block(began);
    check.report();
    check.write(given[3]);
    const std::string text = check.json(0, ", \"activity\": {}, \"dropped\": [0, 0, 0, 0, 0, 0, 0, 0]");
    write_file(given[4], text.data(), text.size(), nullptr, 0);
    return check.good();
}

}  // namespace

int main(int count, char** given) {
    try {
        if (count != 5) throw BadInput("give the log, the expected spikes, and where to write two files");
        return replay(given) ? 0 : 1;
    } catch (const BadInput& trouble) {
        std::fprintf(stderr, "replay: %s\n", trouble.what());
        return 2;
    }
}
