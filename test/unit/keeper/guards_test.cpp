// How often a guarded helper is started again, and whom a change of affinity reaches.
#include "keeper/affinity.h"
#include "keeper/guards.h"
#include "os/file.h"

#include <cerrno>
#include <condition_variable>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <mutex>
#include <sched.h>
#include <thread>
#include <unistd.h>

namespace squish::keeper {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kStart = 1'000 * kSecond; // the machine has been up for a while

TEST(RestartBucket, GivesManyAtOnceAndThenAFewASecond) {
    RestartBucket bucket;
    for (std::uint64_t i = 0; i < RestartBucket::kMost; ++i)
        ASSERT_TRUE(bucket.take(kStart)) << i;
    EXPECT_FALSE(bucket.take(kStart));
    EXPECT_FALSE(bucket.take(kStart + kSecond / RestartBucket::kPerSecond - 1));
    EXPECT_TRUE(bucket.take(kStart + kSecond / RestartBucket::kPerSecond));
    EXPECT_FALSE(bucket.take(kStart + kSecond / RestartBucket::kPerSecond));
    std::uint64_t taken = 0;
    while (bucket.take(kStart + 3 * kSecond))
        ++taken;
    EXPECT_EQ(taken, 3 * RestartBucket::kPerSecond - 1);
}

TEST(RestartBucket, IsNeverFullerThanFull) {
    RestartBucket bucket;
    EXPECT_TRUE(bucket.take(kStart));
    std::uint64_t taken = 0;
    while (bucket.take(kStart + 1'000'000 * kSecond))
        ++taken;
    EXPECT_EQ(taken, RestartBucket::kMost);
}

TEST(RestartBucket, OneThatEndsAtOnceAfterAWaitWaitsAgain) {
    RestartBucket bucket;
    auto now = kStart;
    while (bucket.take(now)) {
    }
    for (int i = 0; i < 10; ++i) { // it is started after a second, and ends within a tenth
        now += kSecond;
        bucket.drain(now);
        now += kSecond / 10;
        EXPECT_FALSE(bucket.take(now)) << i;
    }
    EXPECT_TRUE(bucket.take(now + kSecond / 10)) << "it lived a little longer";
}

// --- affinity
// ---------------------------------------------------------------------------------------------------------

class Affinity : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "sqa.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        ASSERT_EQ(::sched_getaffinity(0, sizeof ours_, &ours_), 0);
    }
    void TearDown() override {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    void have(const std::string& cgroup, const std::string& threads) const {
        fs::create_directories(folder_ + cgroup);
        std::ofstream(folder_ + cgroup + "/cgroup.threads") << threads;
    }
    Result<void> set(const launch::CpuMask& mask) {
        const auto folder = os::open_file(folder_, O_PATH | O_DIRECTORY);
        EXPECT_TRUE(folder);
        return set_affinity(folder->get(), mask);
    }
    // The last of our CPUs.
    [[nodiscard]] int one() const {
        int last = 0;
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(cpu, &ours_))
                last = cpu;
        return last;
    }
    static launch::CpuMask only(int cpu) {
        launch::CpuMask mask;
        mask.size = sizeof mask.bytes;
        std::fill(std::begin(mask.bytes), std::end(mask.bytes), static_cast<unsigned char>(0));
        mask.bytes[cpu / 8] = static_cast<unsigned char>(1 << cpu % 8);
        return mask;
    }

    std::string folder_;
    cpu_set_t ours_{};
};

// A thread that only sleeps until it is let go.
class Sleeper {
public:
    Sleeper()
        : thread_([this] {
              std::unique_lock lock(mutex_);
              id_ = ::gettid();
              changed_.notify_all();
              changed_.wait(lock, [this] { return ended_; });
          }) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return id_ != 0; });
    }
    ~Sleeper() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;
    [[nodiscard]] pid_t id() const { return id_; }
    [[nodiscard]] bool runs_only_on(int cpu) const {
        cpu_set_t set;
        CPU_ZERO(&set);
        return ::sched_getaffinity(id_, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(cpu, &set);
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    pid_t id_ = 0;
    bool ended_ = false;
    std::thread thread_;
};

TEST_F(Affinity, ReachesEveryTaskOfACgroupAndBeneath) {
    const Sleeper above, beneath, deep;
    have("", std::to_string(above.id()) + "\n");
    have("/payload", "4194304\n" + std::to_string(beneath.id()) + "\n"); // one that has ended is none
    have("/payload/a/b", std::to_string(deep.id()) + "\n");
    fs::create_directory(folder_ + "/without-a-file");
    ASSERT_TRUE(set(only(one())));
    EXPECT_TRUE(above.runs_only_on(one()));
    EXPECT_TRUE(beneath.runs_only_on(one()));
    EXPECT_TRUE(deep.runs_only_on(one()));
}

TEST_F(Affinity, OfCpusThatThereAreNotIsRefused) {
    const Sleeper thread;
    have("", std::to_string(thread.id()) + "\n");
    const auto result = set(only(1023));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().sys_errno, EINVAL);
    EXPECT_FALSE(thread.runs_only_on(1023));
}

TEST_F(Affinity, OfACgroupThatIsEmptyIsFine) {
    have("", "");
    EXPECT_TRUE(set(only(one())));
}

} // namespace
} // namespace squish::keeper
