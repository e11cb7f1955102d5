/* Runs a network on a board over a serial line. C99 and POSIX, nothing else.
 *
 *   nchw_host --serial /dev/ttyUSB0 --golden ../golden     every golden sample, on the device
 *   nchw_host --serial /dev/ttyUSB0 --inputs x.bin         outputs, a line for each input
 *
 * x.bin holds int32 of this machine, frames x channels x height x width of each input. Exit codes:
 * 0 equal, or ran; 1 an output differs; 2 bad input, or another network; 3 the device does not
 * answer. Compile with -DNCHW_NO_MAIN to use it as a library: nchw_open, nchw_run_values, nchw_run.
 *
 * A frame is "mark kind number info length bytes checksum". The host asks, the device answers. What
 * is lost or damaged on the way is asked for again; see docs/host.md and nchw_host.py.
 */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#include "nchw_host.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MOST (255 / NCHW_INPUT_BYTES * NCHW_INPUT_BYTES)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int waited(const nchw_device *device, short what, double seconds)
{
    struct pollfd asked;
    asked.fd = device->fd;
    asked.events = what;
    asked.revents = 0;
    if (seconds <= 0)
        return 0;
    return poll(&asked, 1, (int)(seconds * 1000) + 1) > 0;
}

static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t state = 0xFFFFFFFFu;
    size_t i;
    int bit;
    for (i = 0; i < size; ++i) {
        state ^= bytes[i];
        for (bit = 0; bit < 8; ++bit)
            state = state >> 1 ^ (state & 1u ? 0xEDB88320u : 0u);
    }
    return ~state;
}

static int send_frame(nchw_device *device, const uint8_t *head, size_t size)
{
    uint8_t out[2 * (255 + 8) + 1];
    uint32_t check = crc32_of(head, size);
    size_t at = 0, i;
    double until = now() + device->patience;
    out[at++] = NCHW_MARK;
    for (i = 0; i < size + 4; ++i) {
        uint8_t byte = i < size ? head[i] : (uint8_t)(check >> 8 * (i - size));
        if (byte == NCHW_MARK || byte == NCHW_ESCAPE) {
            out[at++] = NCHW_ESCAPE;
            byte ^= NCHW_FLIP;
        }
        out[at++] = byte;
    }
    for (i = 0; i < at;) {
        ssize_t sent;
        if (!waited(device, POLLOUT, until - now()))
            return NCHW_NO_ANSWER;
        sent = write(device->fd, out + i, at - i);
        if (sent > 0)
            i += (size_t)sent;
        else if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return NCHW_NO_ANSWER;
    }
    return NCHW_OK;
}

/* Takes a byte of the line; the size of the frame that it ends, or 0. */
static size_t take(nchw_device *device, uint8_t byte)
{
    size_t size;
    uint32_t check;
    if (byte == NCHW_MARK) {
        device->size = 0;
        device->open = 1;
        device->escaped = 0;
        return 0;
    }
    if (!device->open)
        return 0;
    if (byte == NCHW_ESCAPE && !device->escaped) {
        device->escaped = 1;
        return 0;
    }
    device->frame[device->size++] = device->escaped ? byte ^ NCHW_FLIP : byte;
    device->escaped = 0;
    if (device->size < 8 || device->size < 8u + device->frame[3])
        return 0;
    device->open = 0;
    size = device->size - 4;
    check = crc32_of(device->frame, size);
    if (check != ((uint32_t)device->frame[size] | (uint32_t)device->frame[size + 1] << 8 |
                  (uint32_t)device->frame[size + 2] << 16 | (uint32_t)device->frame[size + 3] << 24))
        return 0;
    return size;
}

/* The next frame that answers this request, or refuses it; 0 if none comes in time. */
static size_t answer(nchw_device *device, uint8_t kind, uint8_t number)
{
    double until = now() + device->wait;
    while (waited(device, POLLIN, until - now())) {
        uint8_t byte;
        size_t size;
        if (read(device->fd, &byte, 1) != 1)
            continue;
        size = take(device, byte);
        if (size == 0)
            continue;
        if (device->frame[0] == (NCHW_ANSWER | kind) && device->frame[1] == number)
            return size;
        if (device->frame[0] >= NCHW_REFUSED && device->frame[0] <= NCHW_REFUSED + NCHW_EMPTY)
            return size;
    }
    return 0;
}

/* Asks until the device answers; its frame is in device->frame, its content's size in *size. */
static int ask(nchw_device *device, uint8_t kind, const uint8_t *content, size_t length, int last,
               size_t *size)
{
    uint8_t head[4 + 255];
    double until = now() + device->patience;
    int result;
    head[0] = kind;
    head[1] = (uint8_t)(device->number + 1);
    head[2] = last ? NCHW_LAST : 0;
    head[3] = (uint8_t)length;
    if (length)
        memcpy(head + 4, content, length);
    do {
        if ((result = send_frame(device, head, 4 + length)) != NCHW_OK)
            return result;
        *size = answer(device, kind, head[1]);
        if (*size && device->frame[0] < NCHW_REFUSED) {
            device->number = head[1];
            *size -= 4;
            return NCHW_OK;
        }
        if (*size) {
            int reason = device->frame[0] - NCHW_REFUSED;
            if (reason == NCHW_RESTARTED || reason == NCHW_SEQUENCE)
                return NCHW_AGAIN;
            if (reason == NCHW_BUSY && device->frame[2] & NCHW_WAITING)
                return NCHW_READ_FIRST;
        }
        ++device->retries;
    } while (now() < until);
    return NCHW_NO_ANSWER;
}

int nchw_open(nchw_device *device, const char *port, long baud)
{
    static const struct { long baud; speed_t speed; } rates[] = {
        {9600, B9600}, {19200, B19200}, {38400, B38400}, {57600, B57600}, {115200, B115200},
        {230400, B230400},
#ifdef B460800
        {460800, B460800},
#endif
#ifdef B921600
        {921600, B921600},
#endif
#ifdef B1000000
        {1000000, B1000000},
#endif
#ifdef B2000000
        {2000000, B2000000},
#endif
#ifdef B3000000
        {3000000, B3000000},
#endif
    };
    struct termios how;
    size_t i = 0;
    while (i < sizeof rates / sizeof *rates && rates[i].baud != baud)
        ++i;
    if (i == sizeof rates / sizeof *rates)
        return NCHW_BAD_INPUT;
    memset(device, 0, sizeof *device);
    device->fd = open(port, O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (device->fd < 0 || tcgetattr(device->fd, &how) != 0)
        return NCHW_NO_ANSWER;
    how.c_iflag = how.c_oflag = how.c_lflag = 0;
    how.c_cflag = CS8 | CREAD | CLOCAL;
    cfsetispeed(&how, rates[i].speed);
    cfsetospeed(&how, rates[i].speed);
    if (tcsetattr(device->fd, TCSANOW, &how) != 0)
        return NCHW_NO_ANSWER;
    device->patience = 10;
    device->wait = 0.25 + (double)((1L << NCHW_PATIENCE_BITS) + 20 * 2 * 263) / (double)baud;
    device->number = (uint8_t)(now() * 1e6); /* not that of a host before */
    return NCHW_OK;
}

/* Asks the device what it is, and resets its network. */
static int begin(nchw_device *device)
{
    static const uint8_t identity[] = NCHW_IDENTITY;
    size_t size;
    int result = ask(device, NCHW_HELLO, NULL, 0, 0, &size);
    if (result != NCHW_OK)
        return result;
    if (size != sizeof identity || memcmp(device->frame + 4, identity, size) != 0)
        return NCHW_OTHER_NETWORK;
    return ask(device, NCHW_RESET, NULL, 0, 0, &size);
}

/* Adds the content of the answer that has come to what came before. */
static int keep(nchw_device *device, size_t size)
{
    if (device->answered + size > sizeof device->answer)
        return NCHW_AGAIN;
    memcpy(device->answer + device->answered, device->frame + 4, size);
    device->answered += size;
    return NCHW_OK;
}

static int inference(nchw_device *device, const uint8_t *bytes, size_t size)
{
    size_t at, got;
    int result, last = 0;
    device->answered = 0;
    for (at = 0; at < size;) {
        size_t part = size - at < MOST ? size - at : MOST;
        result = ask(device, NCHW_INPUT, bytes + at, part, at + part == size, &got);
        if (result == NCHW_OK) {
            at += part;
        } else if (result != NCHW_READ_FIRST) {
            return result;
        } else if ((result = ask(device, NCHW_OUTPUT, NULL, 0, 0, &got)) != NCHW_OK ||
                   (result = keep(device, got)) != NCHW_OK) {
            return result;
        }
    }
    while (!last) {
        if ((result = ask(device, NCHW_OUTPUT, NULL, 0, 0, &got)) != NCHW_OK ||
            (result = keep(device, got)) != NCHW_OK)
            return result;
        last = device->frame[2] & NCHW_LAST;
    }
    return device->frame[2] & NCHW_FAULTS ? NCHW_DROPPED : NCHW_OK;
}

/* A word of the answer, and whether it marks the end of a step. */
static uint64_t word_at(const uint8_t *bytes)
{
    uint64_t word = 0;
    int i;
    for (i = NCHW_OUTPUT_BYTES - 1; i >= 0; --i)
        word = word << 8 | bytes[i];
    return word;
}

static int decode(const nchw_device *device, int64_t *outputs)
{
    const uint64_t high = (uint64_t)1 << (8 * NCHW_OUTPUT_BYTES - 1);
    size_t words = device->answered / NCHW_OUTPUT_BYTES, i;
    unsigned ends = 0;
    if (device->answered % NCHW_OUTPUT_BYTES || (!NCHW_SPIKES && words != NCHW_OUTPUTS))
        return NCHW_BAD_ANSWER;
    memset(outputs, 0, NCHW_OUTPUTS * sizeof *outputs);
    for (i = 0; i < words; ++i) {
        uint64_t word = word_at(device->answer + i * NCHW_OUTPUT_BYTES);
        if (!NCHW_SPIKES) {
            outputs[i] = (int64_t)((word ^ high) - high);
        } else if (word & high) {
            ++ends;
        } else {
            uint64_t x = word & (((uint64_t)1 << NCHW_OUT_X_BITS) - 1);
            uint64_t y = word >> NCHW_OUT_X_BITS & (((uint64_t)1 << NCHW_OUT_Y_BITS) - 1);
            uint64_t c = word >> (NCHW_OUT_X_BITS + NCHW_OUT_Y_BITS);
            uint64_t neuron = (c * NCHW_OUT_HEIGHT + y) * NCHW_OUT_WIDTH + x;
            if (neuron >= NCHW_OUTPUTS)
                return NCHW_BAD_ANSWER;
            ++outputs[neuron];
        }
    }
    return NCHW_SPIKES && ends != NCHW_STEPS ? NCHW_BAD_ANSWER : NCHW_OK;
}

int nchw_run(nchw_device *device, const uint8_t *bytes, size_t size, int64_t *outputs)
{
    double until = now() + device->patience;
    int result;
    do {
        if (!device->begun && (result = begin(device)) != NCHW_OK) {
            if (result != NCHW_AGAIN)
                return result;
            continue;
        }
        device->begun = 1;
        result = inference(device, bytes, size);
        if (result != NCHW_AGAIN)
            return result == NCHW_OK ? decode(device, outputs) : result;
        device->begun = 0;
        ++device->restarts;
    } while (now() < until);
    return NCHW_NO_ANSWER;
}

static size_t put_word(uint8_t *bytes, uint64_t word)
{
    int i;
    for (i = 0; i < NCHW_INPUT_BYTES; ++i)
        bytes[i] = (uint8_t)(word >> 8 * i);
    return NCHW_INPUT_BYTES;
}

size_t nchw_encode(const int32_t *values, uint8_t *bytes)
{
    const uint64_t mark = (uint64_t)1 << (8 * NCHW_INPUT_BYTES - 1);
    const int outer = NCHW_RASTER ? NCHW_HEIGHT : NCHW_CHANNELS;
    const int inner = NCHW_RASTER ? NCHW_CHANNELS : NCHW_HEIGHT;
    size_t size = 0;
    int frame, steps = 0, i, j, x;
    for (frame = 0; frame < NCHW_FRAMES; ++frame, values += NCHW_INPUTS)
        for (i = 0; i < outer; ++i)
            for (j = 0; j < inner; ++j)
                for (x = 0; x < NCHW_WIDTH; ++x) {
                    int c = NCHW_RASTER ? j : i, y = NCHW_RASTER ? i : j;
                    int32_t value = values[(c * NCHW_HEIGHT + y) * NCHW_WIDTH + x];
                    uint64_t word = (uint64_t)c << (NCHW_Y_BITS + NCHW_X_BITS) |
                                    (uint64_t)y << NCHW_X_BITS | (uint64_t)x;
                    if (value < NCHW_LOWEST || value > NCHW_HIGHEST)
                        return 0;
                    if (value == 0)
                        continue;
                    for (; steps < NCHW_START + frame; ++steps)
                        size += put_word(bytes + size, mark);
                    if (NCHW_VALUE_BITS)
                        word |= ((uint64_t)(int64_t)value & (((uint64_t)1 << NCHW_VALUE_BITS) - 1))
                                << (NCHW_C_BITS + NCHW_Y_BITS + NCHW_X_BITS);
                    size += put_word(bytes + size, word);
                }
    return size ? size : put_word(bytes, mark);
}

#ifdef NCHW_SCALES
void nchw_quantise(const double *real, int32_t *values)
{
    static const double scales[] = NCHW_SCALES;
    const int each = NCHW_HEIGHT * NCHW_WIDTH, many = sizeof scales / sizeof *scales;
    int frame, i;
    for (frame = 0; frame < NCHW_FRAMES; ++frame)
        for (i = 0; i < NCHW_INPUTS; ++i, ++real, ++values) {
            double code = rint(*real / scales[many > 1 ? i / each : 0]);
            *values = (int32_t)(code > NCHW_LOWEST ? code < NCHW_HIGHEST ? code : NCHW_HIGHEST
                                                   : NCHW_LOWEST);
        }
}
#endif

int nchw_run_values(nchw_device *device, const int32_t *values, int64_t *outputs)
{
    size_t size = nchw_encode(values, device->packet);
    return size ? nchw_run(device, device->packet, size, outputs) : NCHW_BAD_INPUT;
}

const char *nchw_error(int result)
{
    switch (result) {
    case NCHW_OK: return "done";
    case NCHW_NO_ANSWER: return "the device does not answer";
    case NCHW_OTHER_NETWORK: return "the device must hold network " NCHW_HASH ", not another one";
    case NCHW_DROPPED: return "the network dropped words of the input";
    case NCHW_BAD_ANSWER: return "the answer is not one of this network";
    default: return "inputs and rates must be those that nchw_host.h and a serial port allow";
    }
}

#ifndef NCHW_NO_MAIN
static int fail(const char *what, int code)
{
    fprintf(stderr, "nchw_host: %s\n", what);
    return code;
}

static uint64_t number_of(FILE *file, int bytes)
{
    uint64_t value = 0;
    int i, byte;
    for (i = 0; i < bytes; ++i) {
        if ((byte = fgetc(file)) == EOF)
            return 0;
        value |= (uint64_t)byte << 8 * i;
    }
    return value;
}

static FILE *opened(const char *folder, const char *name, const char *magic)
{
    char path[4096], found[8];
    FILE *file;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (file && (fread(found, 1, 8, file) != 8 || memcmp(found, magic, 8) != 0)) {
        fclose(file);
        file = NULL;
    }
    return file;
}

/* Replays the words of stimulus.bin, and compares with the outputs in expected.bin. */
static int golden(nchw_device *device, const char *folder, long most)
{
    FILE *sent = opened(folder, "stimulus.bin", "NCHWSTM1");
    FILE *wanted = opened(folder, "expected.bin", "NCHWEXP1");
    uint64_t width, samples, words, steps, populations, outputs, skip = 0, begin_at = 0;
    long sample;
    int64_t got[NCHW_OUTPUTS];
    uint64_t i;
    if (!sent || !wanted)
        return fail("--golden needs a folder with stimulus.bin and expected.bin", 2);
    width = number_of(sent, 4);
    samples = number_of(sent, 4);
    words = number_of(sent, 8);
    if (number_of(wanted, 4) != samples || (width != 4 && width != 8))
        return fail("stimulus.bin and expected.bin must be of one trace", 2);
    steps = number_of(wanted, 4);
    populations = number_of(wanted, 4);
    outputs = number_of(wanted, 4);
    for (i = 0; i < populations; ++i)
        skip += steps * ((number_of(wanted, 4) + 7) / 8);
    if (outputs != NCHW_OUTPUTS || steps != NCHW_STEPS || words == 0)
        return fail("the golden trace must be of network " NCHW_HASH, 2);
    for (sample = 0; sample < (long)samples && sample < most; ++sample) {
        uint64_t end, size = 0;
        int result;
        fseek(sent, 24 + 8 * sample, SEEK_SET);
        end = number_of(sent, 8);
        fseek(sent, (long)(24 + 8 * samples + width * begin_at), SEEK_SET);
        for (i = begin_at; i < end && size + NCHW_INPUT_BYTES <= sizeof device->packet; ++i) {
            uint64_t word = number_of(sent, (int)width), high = word >> (8 * width - 1);
            word &= ((uint64_t)1 << (8 * NCHW_INPUT_BYTES - 1)) - 1;
            size += put_word(device->packet + size, word | high << (8 * NCHW_INPUT_BYTES - 1));
        }
        begin_at = end;
        result = nchw_run(device, device->packet, size, got);
        if (result != NCHW_OK)
            return fail(nchw_error(result), result == NCHW_NO_ANSWER ? 3 : 2);
        fseek(wanted, (long)skip, SEEK_CUR);
        for (i = 0; i < NCHW_OUTPUTS; ++i) {
            int64_t want = (int64_t)number_of(wanted, 8);
            if (got[i] != want) {
                printf("first divergence: sample %ld, output %d: expected %lld, got %lld\n",
                       sample, (int)i, (long long)want, (long long)got[i]);
                return 1;
            }
        }
    }
    fclose(sent);
    fclose(wanted);
    printf("%ld samples equal; asked again %lu times\n", sample, device->retries);
    return 0;
}

static int inputs(nchw_device *device, const char *path, long most)
{
    static int32_t values[NCHW_FRAMES * NCHW_INPUTS];
    int64_t got[NCHW_OUTPUTS];
    const size_t all = sizeof values / sizeof *values;
    FILE *file = fopen(path, "rb");
    long sample = 0;
    int i;
    if (!file)
        return fail("--inputs must be a file of int32", 2);
    while (sample++ < most && fread(values, sizeof *values, all, file) == all) {
        int result = nchw_run_values(device, values, got);
        if (result != NCHW_OK)
            return fail(nchw_error(result), result == NCHW_NO_ANSWER ? 3 : 2);
        for (i = 0; i < NCHW_OUTPUTS; ++i)
            printf(i ? " %lld" : "%lld", (long long)got[i]);
        printf("\n");
    }
    fclose(file);
    return 0;
}

int main(int count, char **given)
{
    static nchw_device device;
    const char *port = NULL, *folder = NULL, *file = NULL;
    long baud = 115200, most = 0x7FFFFFFF;
    double patience = 10;
    int i, result;
    for (i = 1; i + 1 < count; i += 2) {
        if (strcmp(given[i], "--serial") == 0)
            port = given[i + 1];
        else if (strcmp(given[i], "--golden") == 0)
            folder = given[i + 1];
        else if (strcmp(given[i], "--inputs") == 0)
            file = given[i + 1];
        else if (strcmp(given[i], "--baud") == 0)
            baud = atol(given[i + 1]);
        else if (strcmp(given[i], "--samples") == 0)
            most = atol(given[i + 1]);
        else if (strcmp(given[i], "--patience") == 0)
            patience = atof(given[i + 1]);
        else
            break;
    }
    if (i != count || !port || !folder == !file)
        return fail("usage: nchw_host --serial PORT (--golden FOLDER | --inputs FILE) [--baud N] "
                    "[--samples N] [--patience SECONDS]", 2);
    result = nchw_open(&device, port, baud);
    if (result != NCHW_OK)
        return fail(result == NCHW_NO_ANSWER ? "cannot open the port" : nchw_error(result),
                    result == NCHW_NO_ANSWER ? 3 : 2);
    device.patience = patience;
    result = folder ? golden(&device, folder, most) : inputs(&device, file, most);
    close(device.fd);
    return result;
}
#endif
