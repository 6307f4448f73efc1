/* threads.cpp: a second thread of the CPU for blocks and for the products of libraries. Parts of one piece of
 * work are handed out one by one, so that it matters to nobody which thread is kept waiting. */
#include "double.h"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

namespace twin
{
struct Helper { /* never deleted: its thread waits while the process ends */
    std::mutex lock;
    std::condition_variable wake, done;
    const std::function<void(int64_t)> *each = nullptr; /* NULL: nothing to do */
    std::atomic<int64_t> next{0};
    int64_t count = 0;
    bool busy = false;

    void take_parts(const std::function<void(int64_t)> &f)
    {
        for (int64_t i; (i = next++) < count;)
            f(i);
    }
    [[noreturn]] void run()
    {
        open_thread();
        for (std::unique_lock<std::mutex> held(lock);;) {
            wake.wait(held, [&] { return each && !busy; });
            const std::function<void(int64_t)> *mine = each;
            busy = true;
            held.unlock();
            take_parts(*mine);
            held.lock();
            busy = false;
            each = nullptr;
            done.notify_one();
        }
    }
};

/* NULL where the process has one core. Signals are the first thread's. */
static Helper *helper()
{
    static Helper *one;
    static bool asked;
    if (!asked && std::thread::hardware_concurrency() > 1) {
        sigset_t all, before;
        sigfillset(&all);
        sigdelset(&all, SIGSEGV);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        one = new Helper;
        std::thread(&Helper::run, one).detach();
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    asked = true;
    return one;
}

void share(int64_t count, const std::function<void(int64_t)> &each)
{
    typedef std::chrono::steady_clock clock;
    const double worth = 100e-6; /* seconds of work left: to wake a thread takes a tenth of it */
    auto start = clock::now();
    int64_t i = 0;
    do
        each(i++);
    while (i < count &&
           std::chrono::duration<double>(clock::now() - start).count() / (double)i * (double)(count - i) <
               worth);
    Helper *h = i < count ? helper() : nullptr;
    if (!h) {
        for (; i < count; i++)
            each(i);
        return;
    }
    std::unique_lock<std::mutex> held(h->lock);
    h->next = i, h->count = count, h->each = &each;
    held.unlock();
    h->wake.notify_one();
    h->take_parts(each);
    held.lock();
    h->each = nullptr; /* where it has not woken, it need not */
    h->done.wait(held, [&] { return !h->busy; });
}
} // namespace twin
