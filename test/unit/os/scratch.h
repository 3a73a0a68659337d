// A folder of its own for a test, and the value of a Result or the end of the test.
#pragma once

#include "base/result.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

namespace squish::test {

class Scratch : public ::testing::Test {
protected:
    Scratch() {
        std::string pattern = (std::filesystem::temp_directory_path() / "squish-unit.XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data()) ? pattern : std::string();
    }
    ~Scratch() override {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    void SetUp() override { ASSERT_FALSE(folder_.empty()); }
    [[nodiscard]] std::string at(const std::string& name) const { return folder_ + "/" + name; }
    std::string put(const std::string& name, const std::string& text) const {
        std::ofstream(at(name)) << text;
        return at(name);
    }
    static std::string text_of(const std::string& path) {
        std::ifstream file(path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    std::string folder_;
};

template <class T>::testing::AssertionResult succeeded(const Result<T>& result) {
    return result ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << result.error().text();
}

} // namespace squish::test

// The value of a Result, or the end of the test with its error.
#define MUST(expr)                                                                                                     \
    __extension__({                                                                                                    \
        auto must_result_ = (expr);                                                                                    \
        if (!must_result_) {                                                                                           \
            ADD_FAILURE() << #expr << ": " << must_result_.error().text();                                             \
            return;                                                                                                    \
        }                                                                                                              \
        std::move(must_result_).value();                                                                               \
    })
#define EXPECT_OK(expr) EXPECT_TRUE(::squish::test::succeeded(expr))
