// nchw_serial behind a socket or a pseudo-terminal: bytes go in at the pin rx, and come out at tx.
//
//   serial DIVISOR tcp     says "127.0.0.1:PORT" and takes one client after another
//   serial DIVISOR pty     says the path of a terminal that a host opens as a serial port
//
// Run it where the memory files are. It ends when its standard input does. SIGUSR1 is the board's
// reset button. A clock that nobody waits for runs slowly, so that an idle line costs nothing.
#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "Vnchw_serial.h"
#include "verilated.h"

namespace {

constexpr int kChunk = 1000;  // cycles between two looks at the host
volatile std::sig_atomic_t pressed = 0;

// What the other end of the line does: a UART, 8N1.
class Line {
  public:
    explicit Line(unsigned divisor) : divisor_(divisor) {}
    std::deque<uint8_t> to_device, from_device;

    bool drive() {  // the pin rx in this cycle
        if (left_ == 0 && !to_device.empty()) {
            bits_ = 0x200u | to_device.front() << 1;
            to_device.pop_front();
            left_ = 10 * divisor_;
        }
        if (left_ == 0) return true;
        const bool bit = bits_ >> (10 - (left_ + divisor_ - 1) / divisor_) & 1u;
        --left_;
        return bit;
    }

    void listen(bool tx) {
        if (heard_ == 0) {
            heard_ = tx ? 0 : 1;
            return;
        }
        if (heard_ % divisor_ == divisor_ / 2) {
            const unsigned bit = heard_ / divisor_;
            if (bit >= 1 && bit <= 8) byte_ = static_cast<uint8_t>(byte_ >> 1 | (tx ? 0x80 : 0));
            if (bit == 9) {
                if (tx) from_device.push_back(byte_);
                heard_ = 0;
                return;
            }
        }
        ++heard_;
    }

    bool busy() const { return left_ != 0 || heard_ != 0 || !to_device.empty(); }

  private:
    unsigned divisor_, bits_ = 0, left_ = 0, heard_ = 0;
    uint8_t byte_ = 0;
};

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(2);
}

int listening() {
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    auto* address = reinterpret_cast<sockaddr*>(&where);
    if (server < 0 || bind(server, address, size) != 0 || listen(server, 1) != 0) fail("socket");
    if (getsockname(server, address, &size) != 0) fail("getsockname");
    std::printf("127.0.0.1:%d\n", ntohs(where.sin_port));
    return server;
}

int terminal() {
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) fail("pseudo-terminal");
    const char* name = ptsname(master);
    const int slave = open(name, O_RDWR | O_NOCTTY);  // stays open: the host may come and go
    termios how{};
    if (slave < 0 || tcgetattr(slave, &how) != 0) fail(name);
    cfmakeraw(&how);
    if (tcsetattr(slave, TCSANOW, &how) != 0) fail(name);
    std::printf("%s\n", name);
    return master;
}

// Moves bytes between the host and the line; false where the host went away.
bool exchange(int host, Line& line) {
    uint8_t bytes[4096];
    const ssize_t got = read(host, bytes, sizeof bytes);
    if (got == 0) return false;
    if (got < 0 && errno != EAGAIN && errno != EINTR) return false;
    for (ssize_t i = 0; i < got; ++i) line.to_device.push_back(bytes[i]);
    size_t many = 0;
    while (many < sizeof bytes && many < line.from_device.size()) {
        bytes[many] = line.from_device[many];
        ++many;
    }
    const ssize_t sent = many ? write(host, bytes, many) : 0;
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    line.from_device.erase(line.from_device.begin(), line.from_device.begin() + sent);
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    const int divisor = argc == 3 ? std::atoi(argv[1]) : 0;
    const bool tcp = argc == 3 && std::strcmp(argv[2], "tcp") == 0;
    if (divisor < 2 || (!tcp && std::strcmp(argv[2], "pty") != 0)) {
        std::fprintf(stderr, "usage: serial DIVISOR tcp|pty\n");
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGUSR1, [](int) { pressed = 1; });
    const int server = tcp ? listening() : -1;
    int host = tcp ? -1 : terminal();
    std::fflush(stdout);
    if (host >= 0) fcntl(host, F_SETFL, O_NONBLOCK);
    auto dut = std::make_unique<Vnchw_serial>();
    Line line(static_cast<unsigned>(divisor));
    int resetting = 4;
    for (;;) {
        pollfd asked[] = {{STDIN_FILENO, POLLIN, 0}, {host < 0 ? server : host, POLLIN, 0}};
        poll(asked, 2, line.busy() ? 0 : 1);
        char ignored[64];
        if (asked[0].revents && read(STDIN_FILENO, ignored, sizeof ignored) == 0) break;
        if (host < 0 && asked[1].revents) {
            host = accept(server, nullptr, nullptr);
            if (host >= 0) fcntl(host, F_SETFL, O_NONBLOCK);
        } else if (host >= 0 && !exchange(host, line) && tcp) {
            close(host);
            host = -1;
        }
        if (pressed) {
            pressed = 0;
            resetting = 4;
        }
        for (int cycle = 0; cycle < kChunk; ++cycle) {
            dut->rst = resetting > 0;
            if (resetting > 0) --resetting;
            dut->rx = line.drive();
            dut->clk = 0;
            dut->eval();
            line.listen(dut->tx);
            dut->clk = 1;
            dut->eval();
        }
        if (host < 0) line.from_device.clear();
    }
    return 0;
}
