// What the kernel would answer: runs a filter's instructions over the data of one call.
//
// Only the instructions that seccomp(2) lets a filter have (kernel/seccomp.c, seccomp_check_filter()) and that ours
// use; anything else, a jump out of the program or a program without an answer is an error.
#pragma once

#include <cstdint>
#include <cstring>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <optional>
#include <span>

namespace squish::test {

// SECCOMP_RET_* with its data; nothing where the kernel would not take the program.
inline std::optional<std::uint32_t> evaluate(std::span<const sock_filter> program, const seccomp_data& call) {
    std::uint32_t a = 0;
    for (std::size_t at = 0; at < program.size(); ++at) {
        const auto& one = program[at];
        switch (one.code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (one.k % 4 != 0 || one.k > sizeof call - 4)
                return std::nullopt;
            std::memcpy(&a, reinterpret_cast<const char*>(&call) + one.k, sizeof a);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= one.k;
            break;
        case BPF_JMP | BPF_JA:
            at += one.k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += a == one.k ? one.jt : one.jf;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            at += a > one.k ? one.jt : one.jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            at += a >= one.k ? one.jt : one.jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            at += (a & one.k) != 0 ? one.jt : one.jf;
            break;
        case BPF_RET | BPF_K:
            return one.k;
        default:
            return std::nullopt;
        }
    }
    return std::nullopt;
}

} // namespace squish::test
