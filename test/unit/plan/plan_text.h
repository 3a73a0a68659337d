// A launch plan as text that a person can read and a test can compare: one line per step.
#pragma once

#include "launch/plan_builder.h"

#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <sys/mount.h>

namespace squish::test {

inline std::string slot_name(std::uint32_t slot) {
    static const std::map<std::uint32_t, const char*> kOwn = {{256, "proc"}, {257, "dev"},   {258, "pts"},
                                                              {259, "shm"},  {260, "queue"}, {261, "tmp"},
                                                              {262, "sys"},  {263, "empty"}, {264, "cgroup"}};
    const auto found = kOwn.find(slot);
    return found != kOwn.end() ? std::string("@") + found->second : "@" + std::to_string(slot);
}

inline std::string attributes(std::uint64_t bits) {
    std::string out;
    const std::pair<std::uint64_t, const char*> names[] = {{MOUNT_ATTR_RDONLY, " ro"},
                                                           {MOUNT_ATTR_NOSUID, " nosuid"},
                                                           {MOUNT_ATTR_NODEV, " nodev"},
                                                           {MOUNT_ATTR_NOEXEC, " noexec"}};
    for (const auto& [bit, name] : names)
        if (bits & bit)
            out += name;
    return out;
}

inline std::string step_text(const launch::StepView& view) {
    using launch::StepKind;
    const auto& step = *view.step;
    const std::string one = view.text1, two = view.text2;
    const auto a = slot_name(step.a), b = slot_name(step.b);
    const std::string may_exist = step.flags & launch::kMayExist ? " unless there" : "";
    char octal[16];
    std::snprintf(octal, sizeof octal, "%04o", step.b);
    switch (static_cast<StepKind>(step.kind)) {
    case StepKind::none:
        return "none";
    case StepKind::new_proc:
        return "new proc " + a;
    case StepKind::new_tmpfs:
        return "new tmpfs " + a + " " + one + attributes(step.c);
    case StepKind::new_devpts:
        return "new devpts " + a + " " + one;
    case StepKind::new_cgroup:
        return "new cgroup " + a;
    case StepKind::new_mqueue:
        return "new mqueue " + a;
    case StepKind::stage:
        return "stage " + a + " at " + std::to_string(step.b);
    case StepKind::device:
        return "device " + a + "/" + one + " " + std::to_string(step.c >> 32) + ":" +
               std::to_string(step.c & 0xFFFF'FFFF);
    case StepKind::symlink:
        return "symlink " + a + "/" + two + " -> " + one;
    case StepKind::directory:
        return "directory " + a + "/" + one + " " + octal + may_exist;
    case StepKind::keep:
        return "keep " + a + " as " + b;
    case StepKind::file:
        return "file " + a + "/" + one + " " + octal + may_exist;
    case StepKind::attach_beneath:
        return "attach " + b + " beneath " + a + "/" + one;
    case StepKind::mask:
        return "mask " + a + "/" + one + " with " + b;
    case StepKind::cover:
        return "cover " + a + "/" + one + " with " + b + "/" + two + (step.flags & launch::kMayMiss ? " if there" : "");
    case StepKind::freeze:
        return "freeze " + a + "/" + one;
    case StepKind::write:
        return "write '" + two + "' to " + a + "/" + one;
    case StepKind::root:
        return "root " + a;
    case StepKind::joined_root:
        return "joined root " + a;
    case StepKind::attach:
        return "attach " + a + " " + one + (step.flags & launch::kNoLinks ? " without links" : "");
    case StepKind::read_only:
        return "set " + a + attributes(step.c);
    case StepKind::leave:
        return "leave";
    case StepKind::pivot:
        return "pivot";
    case StepKind::hostname:
        return "hostname " + one;
    case StepKind::time_offset:
        return "clock from zero, by " + a;
    case StepKind::loopback:
        return "loopback";
    case StepKind::no_dump:
        return "no dump";
    case StepKind::keyring:
        return "keyring";
    case StepKind::notify:
        return "notify " + std::to_string(step.c) + (step.flags & launch::kMayFail ? " if it can be" : "");
    case StepKind::argument:
        return "argument '" + one + "'";
    case StepKind::environment:
        return "environment " + one;
    case StepKind::work_folder:
        return "work folder " + one;
    case StepKind::ids:
        return "ids " + std::to_string(step.a) + ":" + std::to_string(step.b) +
               (step.flags & launch::kKeepGroups ? " keep groups" : "");
    case StepKind::standard_io:
        return "stdio " + a + " " + b + " " + slot_name(static_cast<std::uint32_t>(step.c));
    case StepKind::terminal:
        return "terminal " + a + " " + std::to_string(step.b >> 16) + "x" + std::to_string(step.b & 0xFFFF);
    case StepKind::capabilities:
        return "capabilities " + std::to_string(step.c);
    case StepKind::resource_limit:
        return "limit " + std::to_string(step.a) + " " + std::to_string(step.c) + (one.empty() ? "" : "/" + one);
    case StepKind::seccomp:
        return "seccomp " + a + " flags " + std::to_string(step.b);
    case StepKind::pass:
        return "pass " + a;
    case StepKind::scope:
        return "scope " + std::to_string(step.c);
    case StepKind::affinity:
        return "affinity " + one;
    case StepKind::run:
        return "run " + one;
    case StepKind::become:
        return "become " + one;
    }
    return "unknown " + std::to_string(step.kind);
}

inline std::string plan_text(const launch::PlanBuilder& plan) {
    const auto bytes = plan.bytes();
    if (!bytes)
        return "malformed: " + bytes.error().message;
    launch::PlanReader reader(bytes->data(), bytes->size());
    std::string text;
    launch::StepView view;
    while (reader.next(view))
        text += step_text(view) + "\n";
    EXPECT_TRUE(reader.valid());
    return text;
}

} // namespace squish::test
