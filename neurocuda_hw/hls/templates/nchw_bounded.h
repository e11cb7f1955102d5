// FIFOs as deep as declared between processes with a thread each: what locks up hardware locks up here.
//
// One thread runs at a time, until it must wait, or chance takes its turn; so a run can be repeated,
// and nobody left to run is a deadlock: each wait is told with its FIFO's fill. Processes go through
// `nchw_packets` calls each, as in hardware, where several packets are under way.

#ifndef NCHW_BOUNDED_H
#define NCHW_BOUNDED_H

#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace nchw {

struct Fifo {
    const char *name;
    size_t depth = 2;
    virtual size_t fill() const = 0;
    virtual ~Fifo() {}
};

struct Task {
    std::string name;
    const Fifo *on = nullptr;  // waits for it
    bool writes = false, done = false, turn = false;
    std::condition_variable wake;
};

struct Scheduler {
    std::mutex lock;
    std::list<Task> tasks;
    std::condition_variable over;
    std::minstd_rand chance;
    unsigned packets = 1;
    bool ended = false;
    std::string locked;  // who waits for what, if nobody can go on
};

inline Scheduler &scheduler() {
    static Scheduler *const all = new Scheduler;  // outlives the threads of a deadlock
    return *all;
}

inline Task *&self() {
    static thread_local Task *task = nullptr;
    return task;
}

// Gives the turn to anybody who can use it, and waits for the next one.
inline void pass_on(bool comes_back) {
    Scheduler &all = scheduler();
    std::unique_lock<std::mutex> hold(all.lock);
    std::vector<Task *> able;
    for (Task &task : all.tasks) {
        const Fifo *on = task.on;
        if (task.done || (on && on->fill() == (task.writes ? on->depth : 0))) continue;
        able.push_back(&task);
    }
    Task *const me = self();
    me->turn = false;
    if (able.empty()) {
        for (const Task &task : all.tasks) {
            if (task.done) continue;
            all.locked += "deadlock: " + task.name + " waits to " + (task.writes ? "write" : "read") +
                          " stream '" + task.on->name + "', which holds " +
                          std::to_string(task.on->fill()) + " of " + std::to_string(task.on->depth) +
                          "\n";
        }
        all.ended = true;
        all.over.notify_one();
    } else {
        Task *const next = able[all.chance() % able.size()];
        next->turn = true;
        next->wake.notify_one();
    }
    if (comes_back) me->wake.wait(hold, [me] { return me->turn; });
}

inline void perhaps_pass_on() {
    if (self() && scheduler().chance() % 64 == 0) pass_on(true);
}

// What is outside pauses.
inline void stall() {
    while (scheduler().chance() % 4 == 0) pass_on(true);
}

inline void wait_for(const Fifo *fifo, bool writes) {
    Task *const me = self();
    if (!me) return;
    me->on = fifo;
    me->writes = writes;
    pass_on(true);
    me->on = nullptr;
}

inline void start(const std::string &name, std::function<void()> work) {
    Scheduler &all = scheduler();
    all.tasks.emplace_back();
    Task *const task = &all.tasks.back();
    task->name = name;
    std::thread([task, work] {
        self() = task;
        {
            std::unique_lock<std::mutex> hold(scheduler().lock);
            task->wake.wait(hold, [task] { return task->turn; });
        }
        work();
        task->done = true;
        pass_on(false);
    }).detach();
}

}  // namespace nchw

namespace hls {
template <class T>
class stream : nchw::Fifo {
  public:
    explicit stream(const char *title) { name = title; }
    stream(const stream &) = delete;
    stream &operator=(const stream &) = delete;
    ~stream() {
        if (!items.empty() && nchw::scheduler().locked.empty())
            std::printf("WARNING: Hls::stream '%s' contains leftover data\n", name);
    }
    void bound(size_t words) { depth = words; }
    void write(const T &item) {
        nchw::perhaps_pass_on();
        if (items.size() >= depth) nchw::wait_for(this, true);
        items.push_back(item);
    }
    T read() {
        nchw::perhaps_pass_on();
        if (items.empty()) nchw::wait_for(this, false);
        const T item = items.front();
        items.pop_front();
        return item;
    }

  private:
    size_t fill() const override { return items.size(); }
    std::deque<T> items;
};
}  // namespace hls

inline void nchw_process(const std::string &name, std::function<void()> call) {
    nchw::start(name, [call] {
        for (unsigned n = 0; n < nchw::scheduler().packets; ++n) call();
    });
}

// Ends when all processes have, or none can go on.
inline void nchw_join() {
    nchw::Scheduler &all = nchw::scheduler();
    std::unique_lock<std::mutex> hold(all.lock);
    nchw::Task *const first = &all.tasks.front();
    first->turn = true;
    first->wake.notify_one();
    all.over.wait(hold, [&all] { return all.ended; });
}

#endif
