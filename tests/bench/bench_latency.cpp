// How long a person waits: stop and pause, a question while a document is read, the end of an answer. Through the
// compute door, on a real model and document.   bench_latency MODEL.gguf DOCUMENT CARREL-PDF [ROUNDS]
#include <carrel/compute.h>
#include <carrel/library.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <vector>

using namespace carrel;
using Clock = std::chrono::steady_clock;

namespace {

double ms(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

/// Remembers when each thing happened last.
class Times final : public EventSink {
  public:
    void readingProgress(std::uint64_t, const ReadingProgress& p) override { mark(progress_, p.tokensDone > 0); }
    void readingEnded(std::uint64_t, const Result<ReadingSummary>& summary) override {
        whole = bool(summary), mark(ended_);
    }
    void turnStage(std::uint64_t, TurnStage stage) override { mark(asked_, stage == TurnStage::ReadingQuestion); }
    void turnText(std::uint64_t, const std::string&) override { mark(text_); }
    void answered(std::uint64_t, const Answer&) override { mark(answered_); }
    void turnFailed(std::uint64_t, const Error& error) override {
        std::fprintf(stderr, "turn failed: %s %s\n", error.where.c_str(), error.detail.c_str());
        std::exit(1);
    }

    using Mark = std::optional<Clock::time_point>;
    Mark progress_, ended_, asked_, text_, answered_;
    bool whole = false;

    void clear() {
        const std::lock_guard lock(mutex_);
        progress_ = ended_ = asked_ = text_ = answered_ = {};
    }
    Clock::time_point wait(const Mark& what) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return what.has_value(); });
        return *what;
    }

  private:
    void mark(Mark& what, bool really = true) {
        const std::lock_guard lock(mutex_);
        if (really && !what) what = Clock::now();
        changed_.notify_all();
    }
    std::mutex mutex_;
    std::condition_variable changed_;
};

/// The compute thread of the app without Qt: requests in, quanta between them.
class Loop {
  public:
    explicit Loop(Compute& compute)
        : thread_([this, &compute](const std::stop_token& stop) {
              while (!stop.stop_requested()) {
                  std::unique_lock lock(mutex_);
                  auto posted = std::exchange(posted_, {});
                  lock.unlock();
                  for (auto& request : posted) request();
                  if (!compute.step()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
              }
          }) {}
    void post(std::function<void()> request) {
        const std::lock_guard lock(mutex_);
        posted_.push_back(std::move(request));
    }

  private:
    std::mutex mutex_;
    std::vector<std::function<void()>> posted_;
    std::jthread thread_;
};

void report(const char* what, std::vector<double> times) {
    std::sort(times.begin(), times.end());
    std::printf("%-50s median %7.1f ms   worst %7.1f ms   of %zu\n", what, times[times.size() / 2], times.back(),
                times.size());
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) return std::fputs("bench_latency MODEL.gguf DOCUMENT CARREL-PDF [ROUNDS]\n", stderr), 2;
    const int rounds = argc > 4 ? std::atoi(argv[4]) : 20;
    const auto data = std::filesystem::temp_directory_path() / ("carrel-latency-" + std::to_string(::getpid()));
    Times times;
    const auto library = Library::open({data, argv[3]});
    if (!library) return std::fputs("no library\n", stderr), 1;
    const auto row = (*library)->add(argv[2], {}, {}, {});
    ComputeOptions options;
    options.dataDir = data;
    options.pdfHelper = argv[3];
    const auto compute = Compute::open(options, times);
    if (!row || !compute || !(*compute)->loadModel(argv[1]))
        return std::fputs("document or model cannot be used\n", stderr), 1;
    {
        Loop loop(**compute);
        std::mt19937 random(1);
        const auto someTime = [&](int from, int to) {
            std::this_thread::sleep_for(std::chrono::milliseconds(std::uniform_int_distribution(from, to)(random)));
        };
        std::vector<double> pauses, begins, firsts, stops;
        std::stop_source stop;
        const auto startReading = [&] {
            stop = {};
            loop.post([&, token = stop.get_token()] { (*compute)->read({1, row->sha256, {}, token}); });
        };
        startReading();
        times.wait(times.progress_);
        for (int i = 0; i < rounds && !times.whole; ++i) {
            someTime(300, 2000);
            auto asked = Clock::now();
            stop.request_stop();
            pauses.push_back(ms(asked, times.wait(times.ended_)));
            times.clear();
            startReading();
            someTime(1000, 2000);

            std::stop_source stopAnswer;
            asked = Clock::now();
            loop.post([&, token = stopAnswer.get_token()] {
                (*compute)->ask({2, row->sha256, {}, "bench", {}, "What is this about?", 200, token});
            });
            begins.push_back(ms(asked, times.wait(times.asked_)));
            firsts.push_back(ms(asked, times.wait(times.text_)));
            someTime(20, 300);
            asked = Clock::now();
            stopAnswer.request_stop();
            stops.push_back(std::max(0.0, ms(asked, times.wait(times.answered_))));
            times.clear();
        }
        stop.request_stop();
        report("pause of a reading, until it is told", pauses);
        report("question while reading, until it is begun", begins);
        report("question while reading, until the first words", firsts);
        report("stop of an answer, until it is told", stops);
    }
    std::filesystem::remove_all(data);
    return 0;
}
